"""A real Chromium and a real `python app.py` for the tests of the page."""

import os
import shutil

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.films import camera_flags, write_film
from tests.space.served import Server

PATIENCE_SECONDS = float(os.environ.get("FER_TEST_PATIENCE", 30))  # for one step of a page on a busy machine
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--host-resolver-rules=MAP faces.test 127.0.0.1",  # loopback by a name that is no secure context
]

# Notes every camera that is opened; with an error's name in `window.failing` the next one fails with it.
NOTE_CAMERAS = """
  window.streams = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    const name = window.failing;
    window.failing = null;
    if (name) throw new DOMException("", name);
    const stream = await open(wish);
    window.streams.push(stream);
    return stream;
  };
  addEventListener("unhandledrejection", (event) => event.preventDefault());
"""
CAMERAS = "states => String(streams.flatMap(stream => stream.getTracks()).map(track => track.readyState)) === states"


def centre(locator):
    """x and y, in pixels of the page."""
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def chromium_path():
    """The Chromium that `install_chromium.sh` found or installed; None lets Playwright use its own."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def serve_app(tmp_path_factory):
    """serve_app(**environment) starts `python app.py` on a free port and returns its address."""
    running = []

    def serve(**environment):
        running.append(Server(tmp_path_factory.mktemp("app"), **environment))
        return running[-1].url

    yield serve
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def app_url(serve_app):
    """The app with the embedded model and the cascade, which needs nothing beside the repository."""
    return serve_app()


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
        context.add_init_script("delete Element.prototype.checkVisibility")  # Safari before 17.4 has none
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


@pytest.fixture
def open_noting_cameras(open_page):
    """A page that has been opened anew with NOTE_CAMERAS."""

    def open_one():
        page = open_page(permissions=["camera"])
        page.add_init_script(NOTE_CAMERAS)
        page.reload()
        return page

    return open_one


def expect_cameras(page, *states):
    """All that were opened, in order, are or soon will be in these states: "live", "ended"."""
    page.wait_for_function(CAMERAS, arg=",".join(states))


@pytest.fixture(scope="session")
def portrait(repository):
    """Path of a portrait with one face, in the public domain."""
    return str(repository / "space" / "examples" / "grace_hopper.jpg")


@pytest.fixture(scope="session")
def two_faces(portrait, tmp_path_factory):
    """Path of a picture with the portrait twice."""
    path = tmp_path_factory.mktemp("two") / "two.png"
    with Image.open(portrait) as face:
        two = Image.new("RGB", (1024, 600))
        two.paste(face, (0, 0))
        two.paste(face, (512, 0))
        two.save(path)
    return path


def launch_with_camera(playwright, portrait, left, folder):
    """A Chromium whose fake camera shows the portrait `left` pixels from the edge of 640, wandering a little."""
    frames = []
    with Image.open(portrait) as face:
        face.thumbnail((480, 480))
        for step in range(12):
            frames.append(Image.new("RGB", (640, 480), (70, 80, 90)))
            frames[-1].paste(face, (left + step, 0))
    flags = camera_flags(folder / "portrait.mjpeg", frames)
    return playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS + flags)


@pytest.fixture(scope="session")
def film(portrait, tmp_path_factory):
    """One second of the portrait at 5 frames a second."""
    with Image.open(portrait) as picture:
        return write_film(tmp_path_factory.mktemp("film") / "film.mp4", [picture] * 5, rate=5)


@pytest.fixture(scope="session")
def long_film(portrait, tmp_path_factory):
    """Six seconds, so that there is a progress to see."""
    with Image.open(portrait) as picture:
        return write_film(tmp_path_factory.mktemp("film") / "long.mp4", [picture] * 60, rate=10)
