"""Many visitors at once, and those who break off; five minutes of it: `python -m benchmarks.load`."""

import asyncio
import json
import socket
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.clients import ask_by_upload, scene, stream_function, watch
from benchmarks.load import broken_upload
from space import result_html
from space.hardening import UNREAD
from space.text import languages, say
from tests.films import write_film
from tests.space.served import API, PATIENCE_SECONDS, Server, answer_of, file_data, run_async, upload

QUEUE = 3
FREED_SECONDS = PATIENCE_SECONDS / 6  # 20, of a turn of 600: from a broken stream to the next viewer's first result


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    limits = {
        "FER_LIMIT_QUEUE": str(QUEUE),
        "FER_LIMIT_STREAMS": "1",
        "FER_LIMIT_OCCLUSIONS": "1",
        "FER_LIMIT_STALL_SECONDS": "2",
    }
    server = Server(tmp_path_factory.mktemp("load"), FER_LIMIT_STREAM_SECONDS="600", **limits)
    yield server
    server.stop()


@pytest.fixture
def film(tmp_path):
    """Four seconds of grey: about a second of work."""
    return write_film(tmp_path / "film.mp4", [Image.new("RGB", (640, 480), (128, 128, 128))] * 100, rate=25)


def with_client(server, work):
    """The result of the coroutine `work(client)` with an `httpx.AsyncClient` of the server."""

    async def run():
        async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
            return await work(client)

    return run_async(run())


def check_sound(server):
    """The next question is answered rightly, and the log has no traceback."""
    outcome = with_client(server, lambda client: ask_by_upload(client, scene((640, 480), 1)))
    assert (outcome.kind, outcome.faces) == ("answer", 1), outcome
    assert "Traceback" not in server.log.read_text()


def test_fifty_visitors(repository):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", "--seconds", "20"], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)


def test_beyond_the_queue_the_app_says_that_it_is_busy(server):
    async def rush(client):
        return await asyncio.gather(
            *(
                client.post(f"{API}/call/predict", json={"data": [None]}, headers={"accept-language": language})
                for language in languages()
                for _ in range(10 * QUEUE)
            )
        )

    answers = with_client(server, rush)
    assert {answer.status_code for answer in answers} == {200, 429}
    said = {answer.json()["detail"] for answer in answers if answer.status_code == 429}
    assert said == {say(language, "busy") for language in languages()}
    check_sound(server)


def test_maps_are_bounded_beside_the_queue(server):
    crop = Image.new("L", (48, 48), 128)

    async def rush(client):
        components = (await client.get("/config")).json()["components"]
        result = next(one["id"] for one in components if one["props"].get("elem_id") == "result")
        question = {"crop": result_html.data_url(crop, "PNG"), "class": 0}
        body = {"data": question, "component_id": result, "fn_name": "occlusion", "session_hash": "maps"}
        return await asyncio.gather(*(client.post(f"{API}/component_server", json=body) for _ in range(12)))

    answers = with_client(server, rush)
    assert {answer.status_code for answer in answers} == {200}
    assert {np.shape(answer.json()) for answer in answers} == {(8, 8), (0,)}, "some maps, and some nothings"
    check_sound(server)


def test_an_upload_that_stands_still_is_given_up(server):
    begun = (
        f"POST {API}/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=xx\r\n"
        'Content-Length: 900\r\n\r\n--xx\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\nxx'
    )
    before = set(server.files())
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(begun.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 408") and say("en", "request_stalled") in answer
    assert not set(server.files()) - before
    check_sound(server)


def test_a_broken_upload_leaves_nothing(server):
    before = set(server.files())

    async def break_off(client):
        await asyncio.gather(*(broken_upload(client.base_url, b"\xff\xd8" + bytes(300_000)) for _ in range(5)))

    with_client(server, break_off)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while set(server.files()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not set(server.files()) - before
    check_sound(server)


def test_an_upload_is_kept_while_its_question_waits_and_no_longer(tmp_path_factory, film):
    server = Server(tmp_path_factory.mktemp("kept"), FER_LIMIT_UPLOAD_SECONDS="3")
    try:
        with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
            films, calls = [], []
            for number in range(6):
                films.append(upload(client, film.read_bytes() + bytes(number), "film.mp4"))
                body = {"data": [file_data(films[-1])]}
                calls.append(client.post(f"{API}/call/predict_video", json=body))
            streams = [client.get(f"{API}/call/predict_video/{call.json()['event_id']}").text for call in calls]
            assert all("event: complete" in stream for stream in streams), streams
            deadline = time.monotonic() + PATIENCE_SECONDS
            while server.files() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not server.files()
            for endpoint in ("predict", "predict_video"):
                kind, content = answer_of(client, file_data(films[0]), endpoint)
                assert kind == "error" and json.loads(content)["error"] == say("en", "file_gone")
        assert "Traceback" not in server.log.read_text()
    finally:
        server.stop()


def test_a_broken_stream_frees_its_place(server):
    async def view(client):
        function = stream_function((await client.get("/config")).json())
        left = await watch(client, function, scene((640, 480), 1), 5, close=False)
        broken = time.monotonic()
        next_one = await watch(client, function, scene((640, 480), 1), FREED_SECONDS / 2)
        return left, next_one, next_one.results[0] - broken

    left, next_one, seconds = with_client(server, view)
    assert left.results and next_one.results
    assert not left.errors and not next_one.errors
    assert seconds < FREED_SECONDS
    check_sound(server)


def test_forgotten_sessions_that_wait_do_not_stop_the_queue(server, tmp_path):
    """A film is read and two wait, all without a reader of their answers, while so many others ask that they are
    forgotten; Gradio's queue ended with the first message to one of the forgotten."""

    async def crowd_out(client):
        film = write_film(tmp_path / "film.mp4", [Image.new("RGB", (640, 480), (128, 128, 128))] * 300, rate=10)
        answer = await client.post(f"{API}/upload", files={"files": ("film.mp4", film.read_bytes())})
        for _ in range(3):
            await client.post(f"{API}/call/predict_video", json={"data": [file_data(answer.json()[0])]})
        asked = 0
        while asked <= UNREAD * QUEUE:
            call = await client.post(f"{API}/call/predict", json={"data": [None]})
            asked += call.status_code == 200
            assert call.status_code in (200, 429), call.text
            await asyncio.sleep(0.01)
        return (await client.get(f"{API}/queue/status")).json()["queue_size"]

    assert with_client(server, crowd_out), "a film still waits"
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while client.get(f"{API}/queue/status").json()["queue_size"] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not client.get(f"{API}/queue/status").json()["queue_size"]
    check_sound(server)


def test_answers_that_nobody_fetches_are_forgotten(server):
    """Four for each place in the queue are kept; for the others Gradio breaks the connection off."""

    async def ask_and_go(client):
        events = []
        while len(events) < 6 * QUEUE:
            call = await client.post(f"{API}/call/predict", json={"data": [None]})
            if call.status_code == 200:
                events.append(call.json()["event_id"])
            await asyncio.sleep(0.05)
        assert say("en", "picture_missing") in (await client.get(f"{API}/call/predict/{events[-1]}")).text
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{API}/call/predict/{events[0]}")

    with_client(server, ask_and_go)
    server.log.write_text("")  # Gradio logs the missing one with a traceback
    check_sound(server)
