"""What a screen reader is told: every answer once, also where it is the same as the last, on every tab."""

import pytest
from PIL import Image
from playwright.sync_api import expect

from space.text import say
from tests.films import write_film

LISTEN = """() => {
  const announcer = document.getElementById("fer-announcer");
  window.said = [];
  new MutationObserver(() => announcer.textContent && said.push(announcer.textContent))
    .observe(announcer, { childList: true, characterData: true, subtree: true });
}"""
PASTE = """([bytes, name]) => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


def expect_said(page, *sentences):
    """Each was said, in this order and no other."""
    page.wait_for_function("count => window.said.length >= count", arg=len(sentences))
    page.wait_for_timeout(500)
    said = page.evaluate("window.said")
    assert len(said) == len(sentences) and all(map(str.__contains__, said, sentences)), said


@pytest.mark.parametrize("kind", ["no_face", "picture_unknown"])
def test_the_same_answer_to_another_picture_is_said_again(open_page, tmp_path, kind):
    page = open_page()
    page.evaluate(LISTEN)
    for number in (1, 2):
        path = tmp_path / f"{number}.png"
        if kind == "no_face":
            Image.new("RGB", (320, 240), (90, 120 + number, 90)).save(path)
        else:
            path.write_text(f"no picture {number}")
        page.evaluate(PASTE, [list(path.read_bytes()), path.name])
        expect_said(page, *[say("en", kind)] * number)


@pytest.mark.parametrize("faces", [True, False])
def test_the_end_of_a_video_is_said(open_page, film, tmp_path, faces):
    if not faces:
        film = write_film(tmp_path / "wall.mp4", [Image.new("RGB", (320, 240), (90, 120, 90))] * 5, rate=5)
    page = open_page()
    page.evaluate(LISTEN)
    page.get_by_role("tab", name="Video").click()
    page.locator("#video input[type=file]").set_input_files(str(film))
    expect(page.locator("#video")).to_contain_text(film.stem)
    words = "Timeline. Choose a time" if faces else say("en", "video_no_face")
    for times in (1, 2):  # the second answer is equal, and is said too
        page.locator("#run-video").click()
        expect_said(page, *[words] * times)


def test_the_end_of_an_album_is_said(open_page, portrait):
    page = open_page()
    page.evaluate(LISTEN)
    page.get_by_role("tab", name="Album").click()
    page.locator("#pictures input[type=file]").set_input_files([portrait, portrait])
    expect(page.locator("#pictures")).to_contain_text("grace")
    for times in (1, 2):
        page.locator("#run-pictures").click()
        expect_said(page, *["Save the table within"] * times)
    page.get_by_role("tab", name="Photo").click()
    page.get_by_role("tab", name="Album").click()
    expect_said(page, *["Save the table within"] * 2)  # and not once more
