"""What no request may reach: files of the machine, addresses of its network; and what every answer says to browsers."""

import json
import socket
import threading
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.films import write_film
from tests.space.served import API, PATIENCE_SECONDS, Server, answer_of, file_data, upload

SECRET = "root:"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("doors"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture
def internal():
    """(address of a listener on this machine, the connections it was asked for)."""
    seen, listener = [], socket.create_server(("127.0.0.1", 0))

    def listen():
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            seen.append(peer)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nsecret")
            connection.close()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/", seen
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Path of a video of a few frames, outside the app's folders."""
    path = tmp_path_factory.mktemp("elsewhere") / "private.mp4"
    return str(write_film(path, [Image.new("RGB", (64, 48))] * 5, rate=10))


def raw_get(server, path):
    """(status, body) of a request whose path no client has tidied."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split()[1]), answer.decode(errors="replace")


@pytest.mark.parametrize("prefix", ["", API])
@pytest.mark.parametrize("route", ["file=", "file/", "assets/", "static/", "svelte/", "custom_component/"])
def test_no_route_reads_files_of_the_machine(server, repository, prefix, route):
    paths = ["/etc/passwd", "../" * 12 + "etc/passwd", "%2e%2e/" * 12 + "etc/passwd", "..%2f" * 12 + "etc/passwd"]
    paths += [
        f"{server.uploads}/../../../../../../etc/passwd",
        "file:///etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
    ]
    paths += [f"{repository}/app.py", f"{repository}/model/config.json", "app.py", "space/server.py", ".git/config"]
    for path in paths:
        status, text = raw_get(server, f"{prefix}/{route}{path}")
        assert status in (400, 403, 404, 405), f"{prefix}/{route}{path}: {status}"
        assert SECRET not in text and "from space.server" not in text and "GRADIO_TEMP_DIR" not in text


def test_an_upload_is_read_back_only_as_itself(server, client, video):
    path = upload(client, b"mine", "a.txt")
    assert client.get(f"{API}/file={path}").text == "mine"  # the page shows uploads; so the test above could fail
    kind, _ = answer_of(client, file_data(upload(client, Path(video).read_bytes(), "a.mp4")), "predict_video")
    assert kind == "complete"  # so that the refusals below are not for the video's sake
    link = Path(path).parent / "link.txt"
    link.symlink_to("/etc/passwd")
    status, text = raw_get(server, f"{API}/file={link}")
    assert status in (403, 404) and SECRET not in text


@pytest.mark.parametrize("endpoint", ["predict", "predict_video"])
def test_no_call_reads_files_of_the_machine(client, portrait, video, endpoint):
    paths = ["/etc/passwd", "../../../../../../etc/passwd", portrait, "model/figures/confusion_matrix.png", video]
    for path in paths:
        for payload in (file_data(path), {"path": path}, file_data(path) | {"is_stream": True}, path):
            kind, content = answer_of(client, payload, endpoint)
            assert kind in ("error", "status") and SECRET not in str(content), payload


@pytest.mark.parametrize("endpoint", ["predict", "predict_video"])
def test_no_call_fetches_an_address(client, internal, endpoint):
    address, seen = internal
    for url in (address, address.replace("127.0.0.1", "localhost"), "http://169.254.169.254/latest/meta-data/"):
        for payload in (
            file_data(url),
            {"path": url},
            file_data(url) | {"is_stream": True},
            {"path": None, "url": url, "meta": {"_type": "gradio.FileData"}},
            {"path": "", "url": url, "meta": {"_type": "gradio.FileData"}},
        ):
            kind, content = answer_of(client, payload, endpoint)
            assert kind in ("error", "status") and "secret" not in str(content), payload
    assert not seen, "the server called an internal address"


def test_a_refused_address_has_a_sentence(client):
    kind, content = answer_of(client, file_data("https://example.org/photo.jpg"))
    assert kind == "error" and "addresses and paths are not read" in json.loads(content)["error"]


def test_no_route_fetches_an_address(server, internal):
    address, seen = internal
    for prefix in ("", API):
        for route in ("file=", "file/", "proxy="):
            for url in (address, "http://169.254.169.254/", "https://example.org/", "HTTP://127.0.0.1/"):
                status, text = raw_get(server, f"{prefix}/{route}{url}")
                assert status in (403, 404) and "secret" not in text
    assert not seen


@pytest.mark.parametrize(
    "path", ["monitoring", "monitoring/summary", "vibe-code", "dev/reload", "runs", "deep_link", "docs", "openapi.json"]
)
def test_doors_without_a_use_are_closed(client, path):
    assert client.get(f"/{path}").status_code in (403, 404, 405)
    if path != "openapi.json":  # describes /predict, for programs
        assert client.get(f"{API}/{path}").status_code in (403, 404, 405)


@pytest.mark.parametrize("name", ["predict", "predict_video"])
def test_no_route_passes_the_queue_by(client, name):
    for prefix in ("", API):
        for route in (f"run/{name}", f"api/{name}"):
            assert client.post(f"{prefix}/{route}", json={"data": [None]}).status_code in (404, 405), route


def test_recordings_and_edits_are_closed(client):
    assert client.post(f"{API}/process_recording", files={"video": ("a.mp4", b"0")}).status_code == 404
    event = {"session_hash": "a", "fn_index": 0, "event_id": "b"}
    assert client.post(f"{API}/cancel", json=event).status_code == 404
    assert client.post(f"{API}/vibe-edit", json={"prompt": "x"}).status_code == 404


@pytest.mark.parametrize("path", ["/", "/config", f"{API}/info", f"{API}/file=/etc/passwd", f"{API}/proxy=x", "/none"])
def test_every_answer_has_the_headers(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == "'self' https://huggingface.co https://*.hf.space"
    assert policy["default-src"] == "'self'" and policy["object-src"] == "'none'"
    assert "http" not in policy["script-src"] and "http" not in policy["connect-src"]
