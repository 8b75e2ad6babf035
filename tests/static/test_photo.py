"""The photo's tab: the ways in, several faces, the maps, the ways out."""

import csv
import io
import json
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import centre
from tests.browser.test_crowd import expect_the_chosen_row_in_sight, write_crowd
from tests.browser.test_export import expect_a_sentence_where_nothing_is_drawn, saved
from tests.static.conftest import show

OLD_SAFARI = """() => {
  const make = self.createImageBitmap;
  self.createImageBitmap = async (source, options = {}) => {
    if (options.imageOrientation === "from-image") throw new TypeError("no such value");
    return make(source, options);
  };
}"""
TRANSFER = """async address => {
  const blob = await (await fetch(address)).blob();
  const data = new DataTransfer();
  data.items.add(new File([blob], "face.jpg", { type: "image/jpeg" }));
  return data;
}"""


# Notes the file behind each `blob:` address: the page's policy forbids to fetch one.
NOTE_FILES = """() => {
  if (window.files) return;
  window.files = {};
  const make = URL.createObjectURL;
  URL.createObjectURL = (file) => {
    const address = make.call(URL, file);
    files[address] = file;
    return address;
  };
}"""
SHOWN = """async () => {
  const file = files[document.querySelector(".fer-stage img").src];
  return [...new Uint8Array(await file.arrayBuffer())];
}"""


def shown_file(page, path):
    """The bytes of what the page shows below the boxes for the picture at `path`."""
    page.evaluate(NOTE_FILES)
    show(page, path)
    return bytes(page.evaluate(SHOWN))


def answer_of(page):
    return json.loads(page.locator(".fer-result").get_attribute("data-result"))


@pytest.mark.parametrize("way", ["drop", "paste", "example"])
def test_a_picture_is_dropped_pasted_or_an_example(page, static_space, way):
    page.evaluate("document.querySelector('#result > div').replaceChildren()")
    if way == "example":
        page.locator("#example-2").click()
    else:
        name = next(static_space.glob("assets/grace_hopper-*.jpg")).name
        data = page.evaluate_handle(TRANSFER, f"assets/{name}")
        target = "#zone" if way == "drop" else "body"
        event = "new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })"
        if way == "paste":
            event = "new ClipboardEvent('paste', { clipboardData: data, bubbles: true })"
        page.evaluate(f"data => document.querySelector('{target}').dispatchEvent({event})", data)
    expect(page.locator("#result .fer-box")).to_have_count(1)
    expect(page.locator(".fer-panel .fer-bars tbody tr")).to_have_count(7)


def test_a_rotated_picture_is_upright_in_older_safari_too(visits, static_url, portrait, tmp_path):
    """Which takes the name of its own default for a mistake."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(portrait) as face:
        face.save(tmp_path / "upright.png")
        face.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png", exif=exif)
    page = visits.open(static_url)
    next(worker for worker in page.workers if "/worker-" in worker.url).evaluate(OLD_SAFARI)
    boxes = []
    for name in ("upright.png", "lying.png"):
        show(page, tmp_path / name)
        boxes.append([face["box"] for face in answer_of(page)["faces"]])
    assert boxes[0] == boxes[1] and len(boxes[0]) == 1


def test_faces_are_chosen_by_click_and_by_arrow_key(page, two_faces):
    show(page, two_faces)
    expect(page.locator("#result .fer-box")).to_have_count(2)
    title = page.locator(".fer-panel:visible h3")
    expect(title).to_contain_text("Face 1")
    page.locator("#result .fer-box").nth(1).click()
    expect(title).to_have_count(1)
    expect(title).to_contain_text("Face 2")
    expect(page.locator("#fer-announcer")).to_contain_text("Face 2")
    page.keyboard.press("ArrowLeft")
    expect(title).to_contain_text("Face 1")


def test_the_list_shows_the_face_that_keys_or_a_click_in_the_picture_have_chosen(page, portrait, tmp_path):
    show(page, write_crowd(portrait, tmp_path / "crowd.png"))
    expect_the_chosen_row_in_sight(page)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_a_picture_that_moves_stands_still_below_its_boxes(page, portrait, tmp_path, suffix):
    with Image.open(portrait) as face:
        other = Image.new("RGB", face.size, "red")
        face.save(tmp_path / f"moves.{suffix}", save_all=True, append_images=[other], duration=100, loop=0)
    data = shown_file(page, tmp_path / f"moves.{suffix}")
    expect(page.locator("#result .fer-box")).to_have_count(1)
    with Image.open(io.BytesIO(data)) as shown, Image.open(portrait) as face:
        assert (getattr(shown, "n_frames", 1), shown.size) == (1, face.size)
        assert shown.convert("RGB").getpixel((20, 20)) == pytest.approx(face.getpixel((20, 20)), abs=24)


def test_a_picture_that_does_not_move_is_shown_as_it_is(page, two_faces):
    assert shown_file(page, two_faces) == two_faces.read_bytes()


def test_the_maps_lie_over_the_face(page, portrait):
    show(page, portrait)
    heat = page.locator(".fer-stage .fer-cam")
    expect(heat).to_be_hidden()
    page.locator("label[for=map-cam]").click()
    expect(heat).to_be_visible()
    assert heat.locator("rect").count() == page.locator(".fer-crop .fer-cam rect").count() >= 4
    expect(page.locator(".fer-cam-note")).to_contain_text("more it spoke for")
    face = page.locator("#result .fer-box")
    assert centre(heat) == pytest.approx(centre(face), abs=0.15 * face.bounding_box()["width"])
    page.locator("label[for=map-occlusion]").click()
    expect(page.locator(".fer-crop .fer-occlusion rect")).to_have_count(64)
    expect(page.locator(".fer-occlusion-note")).to_contain_text("covering")


def test_files_say_what_the_page_says(page, two_faces):
    show(page, two_faces)
    answer = answer_of(page)
    assert json.loads(saved(page, "json")) == answer
    assert answer.keys() == {"faces", "model", "detector", "timing_ms"}
    rows = list(csv.DictReader(io.StringIO(saved(page, "csv").decode(), newline="")))
    assert len(rows) == len(answer["faces"]) == 2
    for number, (row, face) in enumerate(zip(rows, answer["faces"], strict=True), 1):
        assert [int(row[key]) for key in ("face", "x", "y", "width", "height")] == [number, *face["box"]]
        assert {label: float(row[label]) for label in face["probabilities"]} == face["probabilities"]
        assert face["confidence"] == max(face["probabilities"].values()) == float(row["confidence"])
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    with Image.open(io.BytesIO(saved(page, "png"))) as drawn, Image.open(two_faces) as original:
        assert drawn.format == "PNG" and drawn.size == original.size
        x, y, width, height = answer["faces"][0]["box"]
        middle = (x + width // 2, y + height // 2)
        assert drawn.convert("RGB").getpixel(middle) == pytest.approx(original.getpixel(middle), abs=3)
        colour = page.locator("#result .fer-box").first.evaluate("box => getComputedStyle(box).borderTopColor")
        line = drawn.convert("RGB").getpixel((x + width // 2, y + height))
        assert line == pytest.approx([int(n) for n in re.findall(r"\d+", colour)[:3]], abs=3)


def test_a_picture_that_the_browser_can_not_draw_gets_a_sentence(page, portrait):
    show(page, portrait)
    expect_a_sentence_where_nothing_is_drawn(page)


def test_a_bad_file_gets_a_sentence_and_the_next_picture_an_answer(page, portrait, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "heavy.jpg").write_bytes(bytes(20_000_001))
    Image.new("1", (10000, 6000)).save(tmp_path / "large.png")
    said = {"broken.jpg": "not a picture", "empty.png": "empty", "large.png": "51 megapixels"}
    for name, words in (said | {"heavy.jpg": "has 20.1 MB; 20 MB is the most"}).items():
        show(page, tmp_path / name)
        expect(page.locator("#result .fer-error")).to_contain_text(words)
    show(page, portrait)
    expect(page.locator("#result .fer-box")).to_have_count(1)


def test_an_example_that_can_not_be_fetched_gets_a_sentence(page, portrait):
    page.evaluate(
        "() => { window.fetched = window.fetch; window.fetch = () => Promise.reject(new TypeError('no network')) }"
    )
    page.locator("#example-1").click()
    expect(page.locator("#result .fer-error")).to_have_text("The picture could not be worked on: no network")
    page.evaluate("() => { window.fetch = async () => new Response('', { status: 503 }) }")
    page.locator("#example-1").click()
    expect(page.locator("#result .fer-error")).to_have_text("The picture could not be worked on: HTTP 503")
    page.evaluate("() => { window.fetch = window.fetched }")
    show(page, portrait)
    expect(page.locator("#result .fer-box")).to_have_count(1)
