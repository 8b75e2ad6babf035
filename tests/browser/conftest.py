"""A real Chromium and a real `python app.py` for the tests of the page."""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import av
import pytest
from PIL import Image
from playwright.sync_api import expect

PATIENCE_SECONDS = float(os.environ.get("FER_TEST_PATIENCE", 30))  # for one step of a page on a busy machine
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


def chromium_path():
    """The Chromium that `install_chromium.sh` found or installed; None lets Playwright use its own."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_served(process, url):
    deadline = time.monotonic() + 4 * PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"app.py ended with {process.returncode}")
        try:
            return urllib.request.urlopen(f"{url}/config", timeout=PATIENCE_SECONDS)
        except OSError:
            time.sleep(0.2)
    raise AssertionError("app.py did not answer in time")


@pytest.fixture(scope="session")
def serve_app(repository, child_environment, tmp_path_factory):
    """serve_app(**environment) starts `python app.py` on a free port and returns its address."""
    running = []

    def serve(**environment):
        port = free_port()
        log = (tmp_path_factory.mktemp("app") / "log.txt").open("wb")
        env = child_environment | {"GRADIO_SERVER_PORT": str(port), "FER_DETECTOR": "haar"} | environment
        process = subprocess.Popen([sys.executable, "app.py"], cwd=repository, env=env, stdout=log, stderr=log)
        running.append((process, log))
        url = f"http://127.0.0.1:{port}"
        wait_until_served(process, url)
        return url

    yield serve
    for process, log in running:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture(scope="session")
def app_url(serve_app, tmp_path_factory):
    """The app with the embedded model and the cascade, which needs nothing beside the repository."""
    return serve_app(GRADIO_TEMP_DIR=str(tmp_path_factory.mktemp("uploads")))


@pytest.fixture(scope="session")
def browser(playwright):
    chromium = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
    yield chromium
    chromium.close()


@pytest.fixture
def open_page(browser, app_url):
    """open_page(**context options) gives the app's page; afterwards no other host was asked, and no script failed."""
    contexts, foreign, failures = [], [], []

    def note_request(request):
        if not request.url.startswith((app_url, "data:", "blob:")):
            foreign.append(request.url)

    def open_one(**options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-US"} | options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        page = context.new_page()
        page.on("request", note_request)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(app_url)
        expect(page.locator("#example")).to_be_visible()
        return page

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    yield open_one
    for context in contexts:
        context.close()
    assert not foreign, f"asked other hosts: {foreign}"
    assert not failures, f"errors of scripts: {failures}"


@pytest.fixture(scope="session")
def portrait(repository):
    """Path of a portrait with one face, in the public domain."""
    return str(repository / "space" / "examples" / "grace_hopper.jpg")


def write_film(path, portrait, seconds, rate):
    """The portrait as a film of `seconds` at `rate` frames a second."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 512, 600, "yuv420p"
        with Image.open(portrait) as image:
            for _ in range(seconds * rate):
                output.mux(stream.encode(av.VideoFrame.from_image(image)))
        output.mux(stream.encode())
    return path


def launch_with_camera(playwright, portrait, left, folder):
    """A Chromium whose fake camera shows the portrait `left` pixels from the edge of 640, wandering a little."""
    film = io.BytesIO()  # a fake MJPEG: JPEGs one after the other
    with Image.open(portrait) as face:
        face.thumbnail((480, 480))
        for step in range(12):
            frame = Image.new("RGB", (640, 480), (70, 80, 90))
            frame.paste(face, (left + step, 0))
            frame.save(film, "JPEG", quality=90)
    path = folder / "portrait.mjpeg"
    path.write_bytes(film.getvalue())
    fake = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
    ]
    return playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS + fake)


@pytest.fixture(scope="session")
def film(portrait, tmp_path_factory):
    """One second of the portrait at 5 frames a second."""
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", portrait, seconds=1, rate=5)


@pytest.fixture(scope="session")
def long_film(portrait, tmp_path_factory):
    """Six seconds, so that there is a progress to see."""
    return write_film(tmp_path_factory.mktemp("film") / "long.mp4", portrait, seconds=6, rate=10)
