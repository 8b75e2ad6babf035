"""The tabs for a video and for many pictures, in a real Chromium."""

import csv
import io
import json
import re
import urllib.request
from pathlib import Path

import av
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import expect

from space.limits import LIMITS


def test_a_video_is_drawn_timed_and_saved(open_page, film):
    page = open_page()
    page.get_by_role("tab", name="Video").click()
    page.locator("#video input[type=file]").set_input_files(str(film))
    page.locator("#run-video").click()
    expect(page.locator("#timeline section")).to_have_count(1)
    entry = page.locator("#timeline .fer-seek")
    expect(entry).to_have_text(re.compile(r"0\.0–\d\.\d s \w+"))
    expect(page.locator("#timeline .fer-note")).to_contain_text(f"within {LIMITS.upload_seconds} seconds")
    source = page.locator("#video-result video").get_attribute("src")
    with av.open(io.BytesIO(urllib.request.urlopen(source).read())) as drawn:
        assert sum(1 for _ in drawn.decode(video=0)) == 5
    with page.expect_download() as download:
        page.locator("#video-save").click()
    assert download.value.path().read_bytes() == urllib.request.urlopen(source).read()
    with page.expect_download() as download:
        page.locator("#video-csv").click()
    rows = list(csv.DictReader(download.value.path().open()))
    assert len(rows) == 5
    assert {row["face"] for row in rows} == {"1"}


def test_a_video_tells_its_progress_and_its_timeline_leads_into_it(open_page, long_film):
    page = open_page()
    page.get_by_role("tab", name="Video").click()
    page.locator("#video input[type=file]").set_input_files(str(long_film))
    page.locator("#run-video").click()
    expect(page.locator("#timeline")).to_contain_text(re.compile(r"[1-6] s of 6 s"))
    entry = page.locator("#timeline .fer-seek").last
    entry.evaluate("entry => { entry.dataset.seconds = '2.5'; }")  # the portrait never changes: all begins at 0
    entry.click()
    page.wait_for_function("Math.abs(document.querySelector('#video-result video').currentTime - 2.5) < 0.2")


def test_predict_video(app_url, film):
    answer = Client(app_url, verbose=False).predict(handle_file(str(film)), api_name="/predict_video")
    assert answer["frames"] == 5
    assert {reading["face"] for reading in answer["readings"]} == {1}
    json.dumps(answer)


def test_many_pictures_become_a_gallery_and_one_table(open_page, portrait, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "wall.png")
    (tmp_path / "=bad.jpg").write_text("text")
    named = tmp_path / "=<b>1.jpg"  # a formula in a table, an element in a page
    named.write_bytes(Path(portrait).read_bytes())
    page = open_page()
    page.get_by_role("tab", name="Album").click()
    files = [str(named), str(tmp_path / "wall.png"), str(tmp_path / "=bad.jpg")]
    page.locator("#pictures input[type=file]").set_input_files(files)
    expect(page.locator("#pictures")).to_contain_text("wall")
    page.locator("#run-pictures").click()
    expect(page.locator("#gallery figure")).to_have_count(3)
    expect(page.locator("#gallery")).to_contain_text("No face was found")
    expect(page.locator("#gallery")).to_contain_text("not a picture that can be read")
    with page.expect_download() as download:
        page.locator("#pictures-csv").click()
    (row,) = csv.DictReader(download.value.path().open())
    assert row["file"].startswith("'=") and row["file"].endswith("1.jpg")
    assert page.locator("#gallery figcaption b b").count() == 0
    assert sum(float(row[label]) for label in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")) == (
        pytest.approx(1, abs=1e-4)
    )
