"""The static page as a published Space holds it, on a plain file server, in a real Chromium with a fake camera."""

import functools
import http.server
import subprocess
import sys
import threading

import pytest
from huggingface_hub import snapshot_download
from PIL import Image
from playwright.sync_api import expect

from space.photo_tab import EXAMPLES
from tests.browser.conftest import PATIENCE_SECONDS, launch_with_camera


@pytest.fixture(scope="session")
def portrait():
    """A portrait with one face, in the public domain."""
    return EXAMPLES[0]


@pytest.fixture(scope="session")
def static_space(hub_server, model_folder, yunet_path, repository, tmp_path_factory):
    """The folder of the Space that `python -m space.publish --static` has committed to the stand-in Hub."""
    command = ["-m", "space.publish", "--static", "--repo_id", "user/page", "--title", "Faces", "--model"]
    done = subprocess.run(
        [sys.executable, *command, str(model_folder), "--detector", str(yunet_path)],
        cwd=repository, env=hub_server.environment(tmp_path_factory.mktemp("home")), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = tmp_path_factory.mktemp("space")
    snapshot_download(
        "user/page", repo_type="space", endpoint=hub_server.url, local_dir=folder, token="hf_standin",
    )  # fmt: skip
    return folder


class FileServer:
    """A static host: files as they are, no header of ours. `asked` has the path of every request."""

    def __init__(self, folder):
        asked = self.asked = []
        self.held, self.released = lambda path: False, threading.Event()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                asked.append(self.path)

            def do_GET(handler):  # self is the server
                if self.held(handler.path):
                    self.released.wait()
                super(Handler, handler).do_GET()

        handler = functools.partial(Handler, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hold(self, held):
        """Paths that `held(path)` is true of are answered after `release`."""
        self.held = held

    def release(self):
        self.released.set()

    def stop(self):
        self.release()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve():
    """serve(folder) gives a FileServer."""
    servers = []

    def start(folder):
        servers.append(FileServer(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def static_url(static_space):
    server = FileServer(static_space)
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def camera_browser(playwright, portrait, tmp_path_factory):
    chromium = launch_with_camera(playwright, portrait, 20, tmp_path_factory.mktemp("camera"))
    yield chromium
    chromium.close()


class Visits:
    """Opens pages of a static host; notes requests to others, failed scripts, and what the policy forbade."""

    def __init__(self, browser):
        self.browser = browser
        self.contexts, self.trouble = [], []

    def open(self, url, ready=True, **options):
        expect.set_options(timeout=PATIENCE_SECONDS * 1000)
        settings = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", "permissions": ["camera"]}
        context = self.browser.new_context(**settings | options)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.contexts.append(context)
        context.on("request", lambda request: self.note_request(url, request))
        page = context.new_page()
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("console", lambda line: self.note_line(line.text))
        page.goto(url)
        if ready:
            wait_until_ready(page)
        return page

    def note_request(self, url, request):
        if not request.url.startswith((url, "blob:")):
            self.trouble.append(f"asked {request.url}")

    def note_line(self, text):
        if "Content Security Policy" in text:
            self.trouble.append(text)

    def close(self):
        for context in self.contexts:
            context.close()
        assert not self.trouble, self.trouble


def wait_until_ready(page):
    expect(page.locator("#status[data-ready]")).to_be_visible()


@pytest.fixture
def visits(camera_browser):
    """visits.open(url, **context options) gives a page; afterwards no other host was asked, and no script failed."""
    opened = Visits(camera_browser)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def page(camera_browser, static_url):
    """One page for all tests of a module that need no other."""
    opened = Visits(camera_browser)
    yield opened.open(static_url)
    opened.close()


def show(page, path):
    """Give the page a picture's file, and wait for its answer."""
    page.evaluate("document.querySelector('#result > div').replaceChildren()")
    page.locator("#file").set_input_files(str(path))
    expect(page.locator("#result .fer-result, #result .fer-error")).to_be_visible()


@pytest.fixture(scope="session")
def two_faces(portrait, tmp_path_factory):
    """The portrait twice, the second smaller and tilted."""
    path = tmp_path_factory.mktemp("two") / "two.png"
    with Image.open(portrait) as face:
        both = Image.new("RGB", (1000, 600), (120, 130, 140))
        both.paste(face, (0, 0))
        small = face.convert("RGBA").resize((320, 375)).rotate(14, Image.Resampling.BICUBIC, expand=True)
        both.paste(small, (560, 60), small)
        both.save(path)
    return path
