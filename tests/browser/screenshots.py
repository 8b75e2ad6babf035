"""Photographs the page: the README's three pictures, or every tab in both modes and at both widths to look at.

    python -m tests.browser.screenshots               # writes docs/app.png, docs/live.png, docs/phone.png
    python -m tests.browser.screenshots --all DIR     # writes DIR/TAB-WIDTH-MODE.png, 20 pictures

Needs the packages of requirements-dev.txt and a Chromium; FER_DETECTOR and FER_MODEL mean what they mean to app.py.
"""

import argparse
import math
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from benchmarks.app_process import AppProcess
from space.photo_tab import EXAMPLES
from tests.browser.conftest import FLAGS, chromium_path
from tests.films import camera_flags, write_film

ROOT = Path(__file__).resolve().parents[2]
LIVE_SECONDS = 12  # of webcam before its picture is taken, so that the curve has something to show
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 860}


def two_people(step, size=(640, 480)):
    """A frame with the two example portraits, which sway slowly so that the probabilities have a course."""
    frame = Image.new("RGB", size)
    for index, (path, middle) in enumerate(zip(EXAMPLES, ((268, 275), (223, 240)), strict=True)):
        phase = 2 * math.pi * step / 240 + 2 * index
        with Image.open(path) as picture:
            face = picture.convert("RGB").rotate(5 * math.sin(phase), Image.Resampling.BICUBIC, center=middle)
        left, top = middle[0] - 150 + round(12 * math.sin(2 * phase)), middle[1] - 225
        face = face.crop((left, top, left + 300, top + 450)).resize((size[0] // 2, size[1]), Image.Resampling.BICUBIC)
        light = 0.85 + 0.25 * math.sin(3 * phase)
        frame.paste(face.point(lambda value, light=light: value * light), (index * size[0] // 2, 0))
    return frame


def write_films(folder):
    """film.mp4, a video of eight seconds, and two.png in `folder`; returns flags of a Chromium with a fake camera."""
    frames = [two_people(step) for step in range(240)]
    write_film(folder / "film.mp4", frames[::2], rate=15)
    frames[0].save(folder / "two.png")
    return camera_flags(folder / "camera.mjpeg", frames)


def photo(page, folder):
    page.locator("#photo input[type=file]").first.set_input_files(str(folder / "two.png"))
    expect(page.locator("#result .fer-box")).not_to_have_count(0)
    page.wait_for_timeout(500)


def occlusion(page, folder):
    photo(page, folder)
    page.get_by_text("Occlusion map", exact=True).click()
    expect(page.locator(".fer-stage .fer-of:visible .fer-occlusion rect")).to_have_count(64)


def webcam(page, folder):
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#accept").click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#live-result .fer-bars").first).to_be_visible()
    page.wait_for_timeout(LIVE_SECONDS * 1000)


def video(page, folder):
    page.get_by_role("tab", name="Video").click()
    page.locator("#video input[type=file]").set_input_files(str(folder / "film.mp4"))
    page.locator("#run-video").click()
    expect(page.locator("#timeline section").first).to_be_visible()
    page.wait_for_timeout(800)


def batch(page, folder):
    page.get_by_role("tab", name="Album").click()
    page.locator("#pictures input[type=file]").set_input_files([*EXAMPLES, folder / "two.png"])
    page.locator("#run-pictures").click()
    expect(page.locator("#gallery figure")).to_have_count(3)
    page.wait_for_timeout(500)


def about(page, folder):
    page.get_by_role("tab", name="Model").click()
    expect(page.locator(".fer-about pre").first).to_be_visible()


TABS = {"photo": photo, "webcam": webcam, "video": video, "batch": batch, "about": about}


README_PICTURES = {
    "app.png": (occlusion, DESK, "light"),
    "live.png": (webcam, DESK | {"height": 900}, "dark"),
    "phone.png": (photo, PHONE, "dark"),
}


def shoot(browser, url, folder, path, step, viewport, scheme, whole=False):
    """One picture at `path`, after `step` on a fresh page."""
    context = browser.new_context(
        viewport=viewport, color_scheme=scheme, locale="en-US", permissions=["camera"], device_scale_factor=1
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#example")).to_be_visible()
    step(page, folder)
    page.screenshot(path=str(path), full_page=whole)
    context.close()


def lighten(path):
    """The picture at `path` with 64 steps in each colour, which the eye does not miss and PNG packs far better."""
    with Image.open(path) as image:
        image.convert("RGB").point(lambda value: round(round(value * 63 / 255) * 255 / 63)).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", type=Path, metavar="DIR", help="every tab instead of the README's pictures")
    args = parser.parse_args()
    expect.set_options(timeout=60_000)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver, AppProcess(Path(temporary)) as app:
        folder, url = Path(temporary), app.url
        browser = driver.chromium.launch(executable_path=chromium_path(), args=FLAGS + write_films(folder))
        if args.all:
            args.all.mkdir(parents=True, exist_ok=True)
            for scheme in ("light", "dark"):
                for viewport in (DESK, PHONE):
                    for name, step in TABS.items():
                        path = args.all / f"{name}-{viewport['width']}-{scheme}.png"
                        shoot(browser, url, folder, path, step, viewport, scheme, whole=True)
        else:
            for name, (step, viewport, scheme) in README_PICTURES.items():
                shoot(browser, url, folder, ROOT / "docs" / name, step, viewport, scheme)
                lighten(ROOT / "docs" / name)
        browser.close()


if __name__ == "__main__":
    main()
