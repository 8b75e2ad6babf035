"""How often one person may ask: by address, by session, by stream; and the sentence for who asks more."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import httpx
import pytest

from space.limits import Limits
from space.live_tab import EVERY_SECONDS
from space.rates import WINDOW_SECONDS, Rate, client_address
from space.text import languages, say
from tests.space.served import API, PATIENCE_SECONDS, Server, answer_of, file_data, upload

ADDRESS, SESSION, FRAMES = 40, 6, 5
LOW = {
    "FER_LIMIT_ADDRESS_REQUESTS_PER_MINUTE": str(ADDRESS),
    "FER_LIMIT_SESSION_REQUESTS_PER_MINUTE": str(SESSION),
    "FER_LIMIT_FRAMES_PER_MINUTE": str(FRAMES),
}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_so_many_in_any_minute_for_each_key():
    clock = Clock()
    rate = Rate(3, clock)
    for _ in range(3):
        assert rate.wait("a") == 0
        clock.now += 10
    assert rate.wait("a") == 30  # the first was 30 seconds ago
    assert rate.wait("b") == 0
    clock.now += 30
    assert rate.wait("a") == 0, "what was refused counts for nothing"
    assert rate.wait("a") == 10


def test_nobody_is_remembered_for_longer_or_by_name():
    clock = Clock()
    rate = Rate(2, clock)
    for number in range(100):
        rate.wait(f"192.0.2.{number}")
        rate.wait(f"192.0.2.{number}")
        rate.wait(f"192.0.2.{number}")
    assert len(rate.times) == 100
    assert not any(b"192" in key for key in rate.times)
    clock.now += WINDOW_SECONDS
    rate.wait("192.0.2.200")
    assert len(rate.times) == 1


@pytest.mark.parametrize(
    ("space", "peer", "forwarded", "expected"),
    [
        (False, "203.0.113.9", [], "203.0.113.9"),
        (False, "127.0.0.1", ["8.8.8.8"], "127.0.0.1"),
        (False, "10.0.0.1", ["8.8.8.8"], "10.0.0.1"),
        (True, "10.0.0.1", ["8.8.8.8"], "8.8.8.8"),
        (True, "9.9.9.9", ["8.8.8.8"], "9.9.9.9"),  # not the proxy: its word is its own
        (True, "10.0.0.1", ["1.1.1.1, 8.8.8.8, 10.0.0.7"], "8.8.8.8"),  # the client wrote the first itself
        (True, "10.0.0.1", ["1.1.1.1", "8.8.8.8"], "8.8.8.8"),
        (True, "10.0.0.1", ["unknown"], "10.0.0.1"),
        (True, "10.0.0.1", [], "10.0.0.1"),
        (True, "10.0.0.1", ["2a00:1450:4001:81b::200e"], "2a00:1450:4001:81b::/64"),
        (False, "2a00:1450:4001:81b:1:2:3:4", [], "2a00:1450:4001:81b::/64"),
        (False, "::ffff:203.0.113.9", [], "203.0.113.9"),  # a socket for both versions
    ],
)
def test_whose_request_it_is(space, peer, forwarded, expected):
    scope = {"client": (peer, 5000), "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded]}
    assert client_address(scope, {"SPACE_ID": "user/space"} if space else {}) == expected


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    servers = []

    def start(**environment):
        servers.append(Server(tmp_path_factory.mktemp("rates"), **LOW | environment))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


CLIENT = httpx.Client(timeout=PATIENCE_SECONDS)  # one for each question takes longer than the question


def ask(url, language="en", path=f"{API}/call/predict", forwarded=None, session=None):
    """The answer to a question about no picture: cheap, and counted like any other."""
    headers = {"accept-language": language} | ({"x-forwarded-for": forwarded} if forwarded else {})
    body = {"data": [None]} | ({"session_hash": session} if session else {})
    return CLIENT.post(f"{url}{path}", json=body, headers=headers)


def sentence(answer, key, language):
    """Whether the 429's detail is the sentence `key`, with the seconds that its Retry-After says."""
    assert answer.status_code == 429
    assert answer.headers["x-content-type-options"] == "nosniff"
    seconds = answer.headers["retry-after"]
    assert 0 < int(seconds) <= WINDOW_SECONDS
    return answer.json()["detail"] == say(language, key, seconds=seconds)


def test_an_address_has_its_limit_whatever_it_says_of_itself(serve, portrait):
    server = serve()
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        kind, answer = answer_of(client, file_data(upload(client, Path(portrait).read_bytes())))
        assert kind == "complete" and len(answer["faces"]) == 1
        answers = [ask(server.url, forwarded=f"8.8.4.{number}") for number in range(ADDRESS)]
        assert [a.status_code for a in answers] == [200] * (ADDRESS - 2) + [429] * 2, "the upload counts as well"
        for language in languages():
            assert sentence(ask(server.url, language), "too_often", language)
        refused = client.post(f"{API}/upload", files={"files": ("a.jpg", b"x")}, headers={"accept-language": "de"})
        assert refused.status_code == 429 and refused.text.startswith("Das war öfter")  # shown as it is, so no JSON
        assert client.get("/").status_code == 200, "the page can still be read"


def test_on_a_space_each_visitor_has_a_limit(serve):
    url = serve(SPACE_ID="user/space").url
    codes = [ask(url, forwarded="8.8.8.8").status_code for _ in range(ADDRESS + 1)]
    assert codes == [200] * ADDRESS + [429]
    assert ask(url, forwarded="1.1.1.1").status_code == 200
    assert ask(url, forwarded="1.1.1.1, 8.8.8.8").status_code == 429


def test_a_session_and_a_stream_have_limits_of_their_own(serve):
    server = serve()
    answers = [ask(server.url, session="one") for _ in range(SESSION + 1)]
    assert [a.status_code for a in answers] == [200] * SESSION + [429]
    for language in languages():
        assert sentence(ask(server.url, language, session="one"), "too_often", language)
    assert ask(server.url, session="two").status_code == 200
    frames = [ask(server.url, path=f"{API}/stream/nobody") for _ in range(FRAMES + 1)]
    assert [a.status_code for a in frames] == [404] * FRAMES + [429]
    assert ask(server.url, path=f"{API}/stream/nobody/close").status_code == 404, "an end is never refused"
    assert ask(server.url, path=f"{API}/stream/other").status_code == 404


def test_a_body_beyond_the_limit_has_a_sentence_in_each_language(serve):
    url = serve().url
    for language in languages():
        request = urllib.request.Request(f"{url}{API}/call/predict", b"x", {"Accept-Language": language})
        request.add_unredirected_header("Content-Length", str(10**9))
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=PATIENCE_SECONDS)
        assert caught.value.code == 413
        assert json.load(caught.value)["detail"] == say(language, "request_too_large", limit="20")


def test_a_body_that_does_not_say_its_length_is_cut_off_at_the_limit(serve):
    url = serve(FER_LIMIT_PICTURE_MEGABYTES="0.1").url
    for megabytes, status in ((0.1, 422), (0.5, 413)):  # the first is read, and is no question
        parts = (b"x" * 10_000 for _ in range(int(megabytes * 100)))
        assert httpx.post(f"{url}{API}/call/predict", content=parts, timeout=PATIENCE_SECONDS).status_code == status


def test_the_page_itself_stays_below_the_limits():
    limits = Limits()
    assert limits.frames_per_minute >= 60 / EVERY_SECONDS
    assert limits.address_requests_per_minute >= 2 * limits.session_requests_per_minute, "an upload and a question"
