"""The webcam's tab, with a fake camera that shows a portrait."""

import re

from playwright.sync_api import expect

COUNT_CAMERAS = """() => {
  window.streams = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    const stream = await open(wish);
    window.streams.push(stream);
    return stream;
  };
}"""
CAMERAS = "streams.flatMap(stream => stream.getTracks()).map(track => track.readyState)"
PLACE = "(query) => { const r = document.querySelector(query).getBoundingClientRect(); return [r.left, r.right]; }"


def test_the_notice_comes_first_then_a_smoothed_live_result_that_stops(page):
    page.evaluate(COUNT_CAMERAS)
    page.get_by_role("tab", name="Webcam").click()
    expect(page.locator("#notice")).to_contain_text("Art. 5(1)(f)")
    expect(page.locator("#notice")).to_contain_text("No picture is sent anywhere")
    expect(page.locator("#notice")).to_contain_text("which of 7 expressions")
    expect(page.locator("#head")).to_contain_text("which of 7 expressions")
    expect(page.locator("#camera")).to_be_hidden()
    assert page.evaluate(CAMERAS) == []

    page.locator("#accept").click()
    expect(page.locator("#live-result .fer-bars").first.locator("tbody tr")).to_have_count(7)
    expect(page.locator("#fer-layer .fer-tag").first).to_have_text(re.compile(r"^\d+ \w+ .*%\s*$"))
    expect(page.locator("#live-result .fer-rate")).to_have_text(re.compile(r"[1-9]\d* pictures a second"))
    video, box = page.evaluate(PLACE, "#camera"), page.evaluate(PLACE, "#fer-layer .fer-box")
    assert sum(video) / 2 < box[0] < box[1] <= video[1] + 1, "the face is left in the picture, so right in the mirror"
    expect(page.locator("#live-result .fer-panel h3")).to_contain_text("Face 1")
    expect(page.locator("#fer-announcer")).to_contain_text("%")
    expect(page.locator(".fer-curve polyline").first).to_have_attribute("points", re.compile(r"(\S+,\S+ ){4}"))

    page.locator("#toggle").click()
    assert page.evaluate(CAMERAS) == ["ended"]
    expect(page.locator("#fer-layer .fer-box")).to_have_count(0)
    page.locator("#toggle").click()
    expect(page.locator("#fer-layer .fer-box").first).to_be_visible()
    page.get_by_role("tab", name="Photo").click()
    assert page.evaluate(CAMERAS) == ["ended", "ended"], "the camera went on after its tab was left"


def test_a_camera_that_is_not_given_gets_a_sentence(page):
    refusal = "async () => { throw new DOMException('', 'NotAllowedError'); }"
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refusal}; }}")
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#toggle").click()
    expect(page.locator("#live-result .fer-error")).to_contain_text("did not give this page the camera")
    expect(page.locator("#fer-announcer")).to_contain_text("did not give this page the camera")


def test_without_https_both_tabs_say_what_is_missing(visits, static_url):
    page = visits.open(static_url.replace("127.0.0.1", "faces.test"), ready=False)
    expect(page.locator("#status")).to_contain_text("only over https")
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#accept").click()
    expect(page.locator("#live-result .fer-error")).to_contain_text("only over https")
