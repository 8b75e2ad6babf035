"""A picture of 40 faces: all are found by YuNet, and each can be chosen by click and by row."""

import csv
import json

import pytest
from PIL import Image
from playwright.sync_api import expect

SIDE = (160, 188)  # width and height of one portrait among many
COLUMNS, ROWS = 8, 5


@pytest.fixture(scope="module")
def app_url(serve_app, yunet_path):
    """With YuNet: the cascade looks at 320 pixels, where these faces are too small for it."""
    return serve_app(FER_DETECTOR=str(yunet_path))


@pytest.fixture(scope="module")
def crowd(portrait, tmp_path_factory):
    """A picture of 40 faces in rows."""
    path = tmp_path_factory.mktemp("crowd") / "crowd.png"
    picture = Image.new("RGB", (COLUMNS * SIDE[0], ROWS * SIDE[1]))
    with Image.open(portrait) as face:
        small = face.resize(SIDE)
        for index in range(COLUMNS * ROWS):
            picture.paste(small, (index % COLUMNS * SIDE[0], index // COLUMNS * SIDE[1]))
    picture.save(path)
    return path


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
