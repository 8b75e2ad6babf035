"""The API: `/predict` and `/predict_video` for programs, and nothing else."""

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from space.about import CURL, JAVASCRIPT, PYTHON, PYTHON_VIDEO

EMOTIONS = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"}


@pytest.fixture(scope="module")
def client(app_url):
    return Client(app_url, verbose=False)


def test_predict(client, portrait):
    answer = client.predict(handle_file(portrait), api_name="/predict")
    assert answer.keys() == {"faces", "model", "detector", "timing_ms"}
    (face,) = answer["faces"]
    assert face.keys() == {"box", "emotion", "confidence", "probabilities"}
    assert face["probabilities"].keys() == EMOTIONS
    assert face["probabilities"][face["emotion"]] == face["confidence"] == max(face["probabilities"].values())
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    x, y, width, height = face["box"]
    assert 0 <= x < x + width <= 512 and 0 <= y < y + height <= 600
    assert answer["detector"] == "Haar cascade"


def test_everything_else_is_private(client):
    assert client.view_api(return_format="dict")["named_endpoints"].keys() == {"/predict", "/predict_video"}
    assert not client.view_api(return_format="dict")["unnamed_endpoints"]


def test_a_bad_picture_gets_a_sentence(client, tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(AppError, match="not a picture that can be read"):
        client.predict(handle_file(tmp_path / "text.jpg"), api_name="/predict")


def test_the_pages_python_example(app_url, portrait, film, tmp_path, monkeypatch):
    shutil.copy(portrait, tmp_path / "photo.jpg")
    shutil.copy(film, tmp_path / "film.mp4")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(f"{PYTHON.format(url=app_url)}\n{PYTHON_VIDEO}", names)
    assert len(names["answer"]["faces"]) == 1
    assert {reading["face"] for reading in names["readings"]} == {1}


def test_the_pages_curl_example(app_url, portrait, tmp_path):
    shutil.copy(portrait, tmp_path / "photo.jpg")
    stream = subprocess.check_output(["bash", "-c", CURL.format(url=app_url)], cwd=tmp_path).decode()
    assert "event: complete" in stream
    (answer,) = json.loads(stream.split("event: complete\ndata: ")[1])
    assert len(answer["faces"]) == 1


def test_the_pages_javascript_example(open_page, app_url, portrait):
    picture = base64.b64encode(Path(portrait).read_bytes()).decode()
    photo = f'const photo = await (await fetch("data:image/jpeg;base64,{picture}")).blob();'
    answer = open_page().evaluate(f"async () => {{ {photo} {JAVASCRIPT.format(url=app_url)} return answer; }}")
    assert len(answer["faces"]) == 1


def test_a_body_beyond_the_limit_is_refused(app_url):
    request = urllib.request.Request(f"{app_url}/gradio_api/call/predict", data=b"x", method="POST")
    request.add_unredirected_header("Content-Length", str(10**9))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 413
    assert "too large" in caught.value.read().decode()


def test_files_of_the_machine_stay_closed(app_url, client):
    for path in ("/etc/passwd", "../../../../etc/passwd", "app.py", "model/config.json"):
        for route in ("gradio_api/file=", "file="):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{app_url}/{route}{path}")
            assert caught.value.code in (403, 404)
    body = json.dumps({"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]}).encode()
    request = urllib.request.Request(f"{app_url}/gradio_api/call/predict", body, {"Content-Type": "application/json"})
    event = json.load(urllib.request.urlopen(request))["event_id"]
    stream = urllib.request.urlopen(f"{app_url}/gradio_api/call/predict/{event}").read().decode()
    assert "event: error" in stream and "root:" not in stream


def test_headers_keep_other_hosts_scripts_and_frames_out(app_url):
    headers = urllib.request.urlopen(app_url).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'self' https://huggingface.co" in headers["Content-Security-Policy"]
