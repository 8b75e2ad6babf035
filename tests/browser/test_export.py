"""What a person brings and takes away: a pasted picture, and the saved picture, table and JSON."""

import base64
import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import expect

SAFARI_PIXELS = 16_777_216  # of its largest canvas
MORE = 3  # times the preview's longest side, so that only the original has the saved pixels

PASTE = """async (url) => {
  const blob = await (await fetch(url)).blob();
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
}"""

# Safari's canvas, with `way` of refusing a larger one; the bytes of `annotated` for a picture of `side` x `side`.
ANNOTATED = """async ([script, side, most, way]) => {
  const large = ({ width, height }) => width * height > most;
  for (const [kind, name] of [[HTMLCanvasElement, "toBlob"], [CanvasRenderingContext2D, "fillRect"],
    [CanvasRenderingContext2D, "drawImage"]]) {
    const own = kind.prototype[name];
    kind.prototype[name] = function (...given) {
      if (!large(this.canvas ?? this)) return own.apply(this, given);
      if (name === "toBlob") given[0](way === "no file" ? null : new Blob(["blank"]));
    };
  }
  const { annotated } = await import("data:text/javascript;base64," + script);
  const picture = new Image();
  picture.src = "data:image/svg+xml," + encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}" style="background:#123456"/>`);
  await picture.decode();
  const half = side / 2;
  const blob = await annotated(picture, [{ box: [half, half, half / 2, half / 2], text: "1", colour: "#ff0000" }]);
  const reader = new FileReader();
  reader.readAsDataURL(blob);
  await new Promise((done) => reader.onload = done);
  return reader.result;
}"""
NO_FILES = """() => {
  window.own = HTMLCanvasElement.prototype.toBlob;
  HTMLCanvasElement.prototype.toBlob = (done) => done(null);
}"""
FILES_AGAIN = "() => { HTMLCanvasElement.prototype.toBlob = window.own }"


def saved(page, kind):
    with page.expect_download() as download:
        page.locator(f".fer-save[data-kind={kind}]").click()
    assert download.value.suggested_filename == f"faces.{kind}"
    return Path(download.value.path()).read_bytes()


@pytest.fixture(scope="module")
def large_turned(portrait, tmp_path_factory):
    """The portrait with 1536 x 1800 pixels, stored lying on its side with EXIF's note to turn it."""
    path = tmp_path_factory.mktemp("turned") / "turned.jpg"
    with Image.open(portrait) as face:
        upright = face.resize((512 * MORE, 600 * MORE))
        exif = Image.Exif()
        exif[0x0112] = 6
        upright.transpose(Image.Transpose.ROTATE_90).save(path, quality=92, exif=exif)
    return path


@pytest.mark.parametrize("way", ["button", "keys", "keys after the button"])
def test_a_picture_is_pasted(open_page, portrait, way):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    button = page.locator("#photo [aria-label*='clipboard' i], #photo [title*='clipboard' i]").first
    if way == "keys after the button":
        page.evaluate("navigator.clipboard.writeText('no picture')")
        button.click()
        expect(page.locator("#photo input[type=file]")).to_have_count(0)
    with Image.open(portrait) as face:
        data = io.BytesIO()
        face.save(data, "PNG")
    page.evaluate(PASTE, "data:image/png;base64," + base64.b64encode(data.getvalue()).decode())
    if way == "button":
        button.click()
    else:
        page.keyboard.press("Control+V")
    expect(page.locator("#result .fer-box")).to_have_count(1)
    answer = json.loads(page.locator(".fer-result").get_attribute("data-result"))
    assert len(answer["faces"]) == 1


def test_the_saved_picture_has_the_pixels_of_the_upright_original(open_page, large_turned):
    page = open_page()
    page.locator("#photo input[type=file]").first.set_input_files(str(large_turned))
    expect(page.locator("#result .fer-box")).to_have_count(1)
    (face,) = json.loads(page.locator(".fer-result").get_attribute("data-result"))["faces"]
    x, y, width, height = face["box"]
    with Image.open(io.BytesIO(saved(page, "png"))) as image, Image.open(large_turned) as original:
        assert image.format == "PNG"
        assert image.size == (512 * MORE, 600 * MORE)
        upright = original.transpose(Image.Transpose.ROTATE_270).convert("RGB")
        drawn = image.convert("RGB")
        corner, inside = (20, 20), (x + width // 2, y + height // 2)
        for point in (corner, inside):  # the picture itself is untouched, and upright
            assert drawn.getpixel(point) == pytest.approx(upright.getpixel(point), abs=12)
        edge = (x + width // 2, y + height)  # the middle of the box's lower line
        colour = page.locator("#result .fer-box").evaluate("box => getComputedStyle(box).borderTopColor")
        assert drawn.getpixel(edge) == pytest.approx([int(n) for n in re.findall(r"\d+", colour)[:3]], abs=2)


@pytest.mark.parametrize("orientation, side", [(3, 1280), (1, 1800)])
def test_boxes_are_drawn_on_a_webp_the_right_way_up(open_page, portrait, tmp_path, orientation, side):
    """Chromium shows it as it is stored: where that is turned, the boxes are drawn on the preview."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(portrait) as face:
        upright = face.resize((512 * MORE, 600 * MORE)).convert("RGB")
    stored = upright.transpose(Image.Transpose.ROTATE_180) if orientation == 3 else upright
    stored.save(tmp_path / "face.webp", quality=92, exif=exif)
    page = open_page()
    page.locator("#photo input[type=file]").first.set_input_files(str(tmp_path / "face.webp"))
    expect(page.locator("#result .fer-box")).to_have_count(1)
    with Image.open(io.BytesIO(saved(page, "png"))) as image:
        longest, drawn = max(image.size), image.convert("RGB").resize((64, 75))
    difference = ImageChops.difference(drawn, upright.resize((64, 75)))
    assert ImageStat.Stat(difference).mean == pytest.approx([0, 0, 0], abs=12), "not the picture below its boxes"
    assert longest == side


def test_boxes_are_not_drawn_on_another_picture(open_page, portrait):
    """The next picture may stand there already, its question refused or waiting."""
    page = open_page()
    page.locator("#photo input[type=file]").first.set_input_files(portrait)
    expect(page.locator("#result .fer-box")).to_have_count(1)
    other = io.BytesIO()
    with Image.open(portrait) as face:
        Image.new("RGB", face.size, "red").save(other, "PNG")
        corner = face.convert("RGB").getpixel((20, 20))
    url = "data:image/png;base64," + base64.b64encode(other.getvalue()).decode()
    page.locator("#photo img").first.evaluate("(shown, url) => { shown.src = url; return shown.decode(); }", url)
    with Image.open(io.BytesIO(saved(page, "png"))) as image:
        assert image.convert("RGB").getpixel((20, 20)) == pytest.approx(corner, abs=12)


@pytest.mark.parametrize("way", ["no file", "blank"])
def test_a_picture_with_more_pixels_than_safaris_canvas_is_saved_with_as_many(browser, repository, way):
    script = base64.b64encode((repository / "space" / "save.js").read_bytes()).decode()
    page = browser.new_page()
    url = page.evaluate(ANNOTATED, [script, 5000, SAFARI_PIXELS, way])
    page.close()
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        assert image.size == (4096, 4096)
        drawn = image.convert("RGB")
    assert drawn.getpixel((20, 20)) == (0x12, 0x34, 0x56)
    assert drawn.getpixel((2560, 3072)) == (255, 0, 0), "the box is drawn at the picture's new scale"


def expect_a_sentence_where_nothing_is_drawn(page):
    """Of either page, which shows a result with one face."""
    expect(page.locator("#result .fer-box")).to_have_count(1)
    page.evaluate(NO_FILES)
    page.locator(".fer-save[data-kind=png]").click()
    note = page.locator(".fer-save-note[role=status]")
    expect(note).to_have_text("This browser has too little memory to draw the picture: it was not saved.")
    page.evaluate(FILES_AGAIN)
    saved(page, "png")
    expect(note).to_be_empty()


def test_a_picture_that_the_browser_can_not_draw_gets_a_sentence(open_page):
    page = open_page()
    page.locator("#example").click()
    expect_a_sentence_where_nothing_is_drawn(page)


def test_the_table_and_the_json_say_what_the_page_says(open_page):
    page = open_page()
    page.locator("#example").click()
    expect(page.locator("#result .fer-box")).to_have_count(1)
    shown = json.loads(page.locator(".fer-result").get_attribute("data-result"))
    answer = json.loads(saved(page, "json"))
    assert answer == shown
    assert answer.keys() == {"faces", "model", "detector", "timing_ms"}
    (row,) = csv.DictReader(io.StringIO(saved(page, "csv").decode(), newline=""))
    (face,) = answer["faces"]
    assert [int(row[key]) for key in ("face", "x", "y", "width", "height")] == [1, *face["box"]]
    assert row["emotion"] == face["emotion"]
    assert float(row["confidence"]) == face["confidence"]
    assert {label: float(row[label]) for label in face["probabilities"]} == face["probabilities"]
    top = page.locator(".fer-panel:visible .fer-top .fer-value").inner_text()
    assert int(top.rstrip("%")) == pytest.approx(face["confidence"] * 100, abs=1)
