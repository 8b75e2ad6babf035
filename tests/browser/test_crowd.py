"""A picture of 40 faces: all are found by YuNet, and each can be chosen by click and by row."""

import csv
import json

import pytest
from PIL import Image
from playwright.sync_api import expect

SIDE = (160, 188)  # width and height of one portrait among many
COLUMNS, ROWS = 8, 5
IN_SIGHT = """() => {
  const [list, row] = [".fer-faces", ".fer-faces input:checked + label"]
    .map((query) => document.querySelector(query).getBoundingClientRect());
  return list.top <= row.top && row.bottom <= list.bottom + 0.5; /* what is scrolled to is rounded */
}"""


@pytest.fixture(scope="module")
def app_url(serve_app, yunet_path):
    """With YuNet: the cascade looks at 320 pixels, where these faces are too small for it."""
    return serve_app(FER_DETECTOR=str(yunet_path))


def write_crowd(portrait, path):
    """`path`, where there now is a picture of 40 faces in rows."""
    picture = Image.new("RGB", (COLUMNS * SIDE[0], ROWS * SIDE[1]))
    with Image.open(portrait) as face:
        small = face.resize(SIDE)
        for index in range(COLUMNS * ROWS):
            picture.paste(small, (index % COLUMNS * SIDE[0], index // COLUMNS * SIDE[1]))
    picture.save(path)
    return path


@pytest.fixture(scope="module")
def crowd(portrait, tmp_path_factory):
    return write_crowd(portrait, tmp_path_factory.mktemp("crowd") / "crowd.png")


def expect_the_chosen_row_in_sight(page):
    """Of either page, which shows the crowd: its list shows a few rows, and scrolls to the chosen one."""
    boxes, title = page.locator("#result .fer-box"), page.locator(".fer-panel:visible h3")
    expect(boxes).to_have_count(COLUMNS * ROWS)
    page.locator(".fer-faces input").first.focus()
    last = COLUMNS * ROWS
    ways = [("ArrowLeft", last), ("ArrowRight", 1), ("ArrowLeft", last), ("click", 20), ("ArrowLeft", 19)]
    for way, number in ways:
        if way == "click":
            boxes.nth(number - 1).click()
        else:
            page.keyboard.press(way)
        expect(title).to_contain_text(f"Face {number}:")
        assert page.evaluate(IN_SIGHT), f"the row of face {number} is not to be seen"


def test_the_list_shows_the_face_that_keys_or_a_click_in_the_picture_have_chosen(open_page, crowd):
    page = open_page()
    page.locator("#photo input[type=file]").first.set_input_files(str(crowd))
    expect_the_chosen_row_in_sight(page)


def test_forty_faces_can_each_be_chosen(open_page, crowd):
    page = open_page()
    page.locator("#photo input[type=file]").first.set_input_files(str(crowd))
    boxes = page.locator("#result .fer-box")
    expect(boxes).not_to_have_count(0)
    found = boxes.count()
    assert found == COLUMNS * ROWS
    rows = page.locator(".fer-faces label")
    assert rows.count() == found
    title = page.locator(".fer-panel:visible h3")
    for number, chosen in ((found, boxes), (found // 2, rows), (3, boxes), (found - 1, rows)):
        chosen.nth(number - 1).click()
        expect(title).to_have_count(1)
        expect(title).to_contain_text(f"Face {number}:")
        expect(page.locator("#result .fer-box.fer-chosen")).to_have_attribute("data-face", str(number - 1))
    with page.expect_download() as download:
        page.locator(".fer-save[data-kind=csv]").click()
    assert len(list(csv.DictReader(download.value.path().open()))) == found
    answer = json.loads(page.locator(".fer-result").get_attribute("data-result"))
    tiles = {
        ((x + w // 2) // SIDE[0], (y + h // 2) // SIDE[1]) for x, y, w, h in (face["box"] for face in answer["faces"])
    }
    assert len(tiles) == COLUMNS * ROWS, "two boxes on one face"
