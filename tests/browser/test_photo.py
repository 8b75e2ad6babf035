"""The tab for one picture, in a real Chromium."""

import json
import re

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import centre


def upload(page, path):
    page.locator("#photo input[type=file]").first.set_input_files(str(path))


def shown_probabilities(page):
    return page.locator("#result .fer-panel:visible .fer-bars tbody tr")


def test_a_portrait_gets_a_box_and_seven_probabilities(open_page, portrait):
    page = open_page()
    upload(page, portrait)
    expect(page.locator("#result .fer-box")).to_have_count(1)
    rows = shown_probabilities(page)
    expect(rows).to_have_count(7)
    answer = json.loads(page.locator(".fer-result").get_attribute("data-result"))
    (face,) = answer["faces"]
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert face["confidence"] == max(face["probabilities"].values())
    expect(page.locator(".fer-panel h3")).to_contain_text(face["emotion"].capitalize())
    expect(page.locator("#fer-announcer")).to_contain_text("Face 1")
    stage, box = page.locator(".fer-stage").bounding_box(), page.locator("#result .fer-box").bounding_box()
    x, y, width, _ = face["box"]
    assert box["x"] - stage["x"] == pytest.approx(x / 512 * stage["width"], abs=3)  # the portrait is 512 x 600
    assert box["y"] - stage["y"] == pytest.approx(y / 600 * stage["height"], abs=3)
    assert box["width"] == pytest.approx(width / 512 * stage["width"], abs=3)


def test_the_example_is_one_click_away(open_page):
    page = open_page()
    page.locator("#example").click()
    expect(page.locator("#result .fer-box")).to_have_count(1)
    expect(shown_probabilities(page)).to_have_count(7)


def test_the_examples_portraits_are_in_the_page_itself(open_page):
    """A file that Gradio serves for a button would be deleted with the uploads, two minutes after the start."""
    portraits = open_page().locator("#examples img")
    expect(portraits).to_have_count(2)
    for address, width in portraits.evaluate_all("all => all.map((one) => [one.src, one.naturalWidth])"):
        assert address.startswith("data:image/jpeg") and width > 0


def test_no_face_gets_a_sentence_and_a_way_on(open_page, tmp_path):
    page = open_page()
    Image.new("RGB", (320, 240), (90, 120, 90)).save(tmp_path / "wall.png")
    upload(page, tmp_path / "wall.png")
    expect(page.locator("#result")).to_contain_text("No face was found")
    page.locator("#whole").click()
    expect(shown_probabilities(page)).to_have_count(7)
    expect(page.locator("#whole")).to_be_hidden()
    expect(page.locator("#result .fer-note").last).to_have_text(re.compile(r"^Classified in \d+ ms, the whole picture"))


def test_a_bad_file_gets_a_sentence_and_the_next_picture_an_answer(open_page, portrait, tmp_path):
    page = open_page()
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    upload(page, tmp_path / "broken.jpg")
    expect(page.locator("#result .fer-error")).to_contain_text(re.compile("can't be read|can be read"))
    page.reload()
    upload(page, portrait)
    expect(page.locator("#result .fer-box")).to_have_count(1)


def test_a_face_is_chosen_by_click_and_by_arrow_key(open_page, two_faces):
    page = open_page()
    upload(page, two_faces)
    expect(page.locator("#result .fer-box")).to_have_count(2)
    title = page.locator(".fer-panel:visible h3")
    expect(title).to_contain_text("Face 1")
    page.locator("#result .fer-box").nth(1).click()
    expect(title).to_have_count(1)
    expect(title).to_contain_text("Face 2")
    page.keyboard.press("ArrowLeft")
    expect(title).to_contain_text("Face 1")


def test_heat_map_and_occlusion_map(open_page):
    page = open_page()
    page.locator("#example").click()
    expect(page.locator("#result .fer-box")).to_be_visible()
    heat, covered = page.locator(".fer-stage .fer-cam"), page.locator(".fer-occlusion rect")
    expect(heat).to_be_hidden()
    page.get_by_text("Heat map", exact=True).click()
    expect(heat).to_be_visible()
    expect(page.locator(".fer-cam-note")).to_contain_text("more it spoke for")
    map_centre, face_centre = (centre(page.locator(query)) for query in (".fer-stage .fer-cam", "#result .fer-box"))
    assert map_centre == pytest.approx(face_centre, abs=0.15 * page.locator("#result .fer-box").bounding_box()["width"])
    page.get_by_text("Occlusion map", exact=True).click()
    expect(covered).to_have_count(2 * 64)  # over the picture and over the crop
    expect(heat).to_be_hidden()
    note = page.locator(".fer-occlusion-note")
    expect(note).to_have_text(re.compile(r"most in row [1-8], column [1-8] of 8, from \d+% to \d+%\.$"))
    before, after = map(int, re.findall(r"(\d+)%", note.inner_text()))
    drops = [int(text.rstrip("%")) for text in covered.locator("title").all_text_contents()[:64]]
    assert min(drops) == pytest.approx(after - before, abs=1), "the note and the cells say different drops"


@pytest.mark.parametrize("left", [0.003, 0, -0.00001])
def test_an_occlusion_map_that_leaves_almost_nothing_does_not_say_zero(open_page, left):
    page = open_page()
    page.locator("#example").click()
    confidence = json.loads(page.locator(".fer-result").get_attribute("data-result"))["faces"][0]["confidence"]
    page.evaluate("drop => { window.ferOcclusion = async () => [[0, drop], [0, 0]] }", confidence - left)
    page.get_by_text("Occlusion map", exact=True).click()
    expect(page.locator(".fer-occlusion-note")).to_have_text(re.compile(r"from \d+% to < 1%\.$"))


def test_the_occlusion_map_follows_the_chosen_face(open_page, two_faces):
    page = open_page()
    upload(page, two_faces)
    expect(page.locator("#result .fer-box")).to_have_count(2)
    page.get_by_text("Occlusion map", exact=True).click()
    expect(page.locator(".fer-stage .fer-of:visible .fer-occlusion rect")).to_have_count(64)
    page.locator("#result .fer-box").nth(1).click()
    expect(page.locator(".fer-panel:visible .fer-occlusion rect")).to_have_count(64)
    expect(page.locator(".fer-panel:visible .fer-occlusion-note")).to_contain_text("of 8, from")


def test_an_occlusion_map_that_the_server_has_no_time_for_gets_a_sentence_and_another_try(open_page):
    page = open_page()
    page.locator("#example").click()
    expect(page.locator("#result .fer-box")).to_be_visible()
    page.evaluate(
        "() => { window.asks = window.ferOcclusion; window.ferOcclusion = () => Promise.reject(new Error('busy')) }"
    )
    page.get_by_text("Occlusion map", exact=True).click()
    note = page.locator(".fer-occlusion-note")
    expect(note).to_have_text("Many people are using this app just now. Please try again in a moment.")
    page.evaluate("() => { window.ferOcclusion = window.asks }")
    page.get_by_text("Heat map", exact=True).click()
    page.get_by_text("Occlusion map", exact=True).click()
    expect(note).to_contain_text("of 8, from")


@pytest.mark.parametrize(
    "kind, begins", [("csv", b"face,x,y,width,height,emotion"), ("json", b"{"), ("png", b"\x89PNG")]
)
def test_what_is_shown_can_be_saved(open_page, kind, begins):
    page = open_page()
    page.locator("#example").click()
    with page.expect_download() as download:
        page.locator(f".fer-save[data-kind={kind}]").click()
    data = download.value.path().read_bytes()
    assert data.startswith(begins)
    if kind == "csv":
        assert len(data.decode().strip().splitlines()) == 2


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(open_page, width, scheme):
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.locator("#example").click()
    expect(page.locator("#result .fer-box")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")


def test_where_our_words_are_english_gradios_are_too(open_page):
    page = open_page(locale="es-ES")
    expect(page.locator("#head h1")).to_have_text("Facial emotion")
    expect(page.locator("footer")).to_contain_text("Use via API")
    said = page.evaluate("[document.documentElement.lang, navigator.language, ...navigator.languages]")
    assert said == ["en", "en", "en"]


def test_the_page_names_the_first_language_that_is_ours(app_url):
    page = httpx.get(app_url, headers={"Accept-Language": "es-ES, fr-CH;q=0.9, de;q=0.8"}).text
    assert '<html\n\tlang="fr"' in page and 'const ours = "fr"' in page
    assert page.index("const ours") < page.index("src="), "before any script of Gradio's"


def test_a_language_that_is_ours_keeps_its_region(open_page):
    page = open_page(locale="de-AT")
    assert page.evaluate("[document.documentElement.lang, navigator.language]") == ["de", "de-AT"]


def test_speaks_the_browsers_language(open_page):
    page = open_page(locale="de-DE")
    expect(page.locator("#head h1")).to_have_text("Gesichtsausdruck")
    expect(page.locator("#example")).to_have_text("Beispiel 1")
    page.locator("#example").click()
    expect(page.locator(".fer-panel:visible h3")).to_have_text(re.compile(r"Gesicht 1: \w+, \d+\s%"))
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#accept").click()
    expect(page.locator("#live-result")).to_contain_text("Vorher wird nichts gesendet")
