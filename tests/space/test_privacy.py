"""After a visit with pictures, a video and the webcam: nothing is on the disk, the log names nobody, nobody is told."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from benchmarks.clients import scene, stream_function, watch
from benchmarks.load import broken_upload
from tests.films import write_film
from tests.space import corpus
from tests.space.served import API, PATIENCE_SECONDS, Server, answer_of, file_data, run_async, upload

VISITOR = "8.8.4.77"
NAME = "jane-doe"
KEPT_SECONDS = 5


@pytest.fixture
def folders(tmp_path):
    """Where a process writes that is told nothing else: its home and its temporary files."""
    folders = {"HOME": tmp_path / "home", "TMPDIR": tmp_path / "tmp"}
    for folder in folders.values():
        folder.mkdir()
    return folders


WATCHED = """
import os, socket

def note(kind, host):
    if str(host) not in ("None", "", "localhost", "0.0.0.0", "::1") and not str(host).startswith("127."):
        with open(os.environ["FER_TOLD"], "a") as told:
            told.write(f"{kind} {host}\\n")

class Watched(socket.socket):
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            note("connect", address[0])
        return super().connect(address)

def watched(host, *rest, **more):
    note("asked for", host)
    return look_up(host, *rest, **more)

look_up, socket.getaddrinfo, socket.socket = socket.getaddrinfo, watched, Watched
"""


@pytest.fixture
def told(tmp_path):
    """A file with each host beyond this machine that the app's Python looked up or connected to."""
    return tmp_path / "told.txt"


@pytest.fixture
def server(folders, told, repository, tmp_path):
    environment = {name: str(folder) for name, folder in folders.items()}
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(WATCHED)
    environment |= {"PYTHONPATH": f"{tmp_path / 'python'}{os.pathsep}{repository}", "FER_TOLD": str(told)}
    ask = "import socket\ntry: socket.getaddrinfo('fer.invalid', 80)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", ask], env=os.environ | environment, check=True)
    assert told.read_text() == "asked for fer.invalid\n", "a look-up is noted, so that the test can fail"
    told.write_text("")
    server = Server(tmp_path, SPACE_ID="user/space", FER_LIMIT_UPLOAD_SECONDS=str(KEPT_SECONDS), **environment)
    yield server
    server.stop()


@pytest.fixture
def film(portrait, tmp_path):
    """A video of the portrait of a fifth of a second."""
    with Image.open(portrait) as picture:
        return write_film(tmp_path / "film.mp4", [picture.resize((256, 300))] * 2, rate=10).read_bytes()


def press(client, config, element, value):
    """Press the page's button `element` with one input's value, and read its answer to the end."""
    button = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == element)
    function = next(d["id"] for d in config["dependencies"] if [button, "click"] in d["targets"])
    body = {"data": [value], "fn_index": function, "session_hash": element}
    client.post(f"{API}/queue/join", json=body).raise_for_status()
    stream = client.get(f"{API}/queue/data", params={"session_hash": element}).text
    assert '"success":true' in stream.split("process_completed")[1], stream
    return stream


async def rest_of_the_visit(url, picture):
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS) as client:
        function = stream_function((await client.get("/config")).json())
        assert (await watch(client, function, picture, 4)).results
        await watch(client, function, picture, 1, close=False)
        await broken_upload(client.base_url, picture)


def test_nothing_is_left_of_a_visit(server, folders, told, portrait, film):
    picture = Path(portrait).read_bytes()
    headers = {"x-forwarded-for": VISITOR}
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS, headers=headers) as client:
        config = client.get("/config").json()
        assert answer_of(client, file_data(upload(client, picture, f"{NAME}.jpg")))[0] == "complete"
        assert server.files(), "uploads are kept for a while, so that the test can fail"
        assert answer_of(client, {"url": corpus.data_url(picture), "path": None})[0] == "complete"
        assert answer_of(client, file_data(upload(client, b"no picture", f"{NAME}.txt")))[0] == "error"
        assert answer_of(client, file_data(upload(client, film, f"{NAME}.mp4")), "predict_video")[0] == "complete"
        assert "faces.mp4" in press(client, config, "run-video", file_data(upload(client, film, f"{NAME}.mp4")))
        many = [file_data(upload(client, picture, f"{NAME}-{number}.jpg")) for number in range(2)]
        assert "faces.csv" in press(client, config, "run-pictures", many)
    run_async(rest_of_the_visit(server.url, scene((640, 480), 1)))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while server.files() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not server.files()
    written = [path for folder in folders.values() for path in folder.rglob("*") if path.is_file()]
    assert {path.parent.name for path in written} <= {"matplotlib"}, "only its list of fonts"
    log = server.log.read_text()
    assert NAME not in log and VISITOR not in log and "Traceback" not in log, log
    assert told.read_text() == "", "somebody was told"

    server.stop()
    assert not list(server.uploads.glob("fer-*")), "the folder goes with the process"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])  # by a container's end, by a closed terminal
def test_an_app_that_is_told_to_end_takes_its_uploads_along(number, server, portrait):
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        path = upload(client, Path(portrait).read_bytes())
    assert Path(path).is_file()
    server.process.send_signal(number)
    server.process.wait(PATIENCE_SECONDS)
    assert not list(server.uploads.glob("fer-*"))


def test_an_app_that_is_killed_leaves_no_video_but_among_its_uploads(server, folders, portrait, tmp_path):
    """Those go at the next start (test_uploads.py); what lies elsewhere would stay."""
    with Image.open(portrait) as picture:
        film = write_film(tmp_path / "long.mp4", [picture] * 100, rate=10).read_bytes()

    answers = []

    def ask():
        options = {"timeout": PATIENCE_SECONDS, "headers": {"x-forwarded-for": VISITOR}}
        with contextlib.suppress(httpx.HTTPError), httpx.Client(base_url=server.url, **options) as client:
            answers.append(answer_of(client, file_data(upload(client, film, "film.mp4")), "predict_video"))

    asking = threading.Thread(target=ask)
    asking.start()
    begun, deadline = [], time.monotonic() + PATIENCE_SECONDS
    while not begun and not answers and time.monotonic() < deadline:
        begun = [path for root in (server.uploads, *folders.values()) for path in root.rglob("faces.mp4")]
    server.process.kill()
    server.process.wait()
    asking.join()
    assert begun and all(path.is_relative_to(server.uploads) for path in begun), (begun, answers)


TERMINAL = """#!{python}
import os, pty, sys
pid, terminal = pty.fork()
if not pid:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
with open({file!r}, "w") as file:
    file.write(str(pid))
while os.read(terminal, 9999):
    pass
"""


def test_an_app_whose_terminal_is_closed_takes_its_uploads_along(portrait, tmp_path):
    """It can print nothing any more."""
    terminal, pid = tmp_path / "terminal", tmp_path / "pid"
    terminal.write_text(TERMINAL.format(python=sys.executable, file=str(pid)))
    terminal.chmod(0o755)
    server = Server(tmp_path, python=str(terminal))
    try:
        with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
            assert Path(upload(client, Path(portrait).read_bytes())).is_file()
        server.process.kill()  # the terminal alone
        server.process.wait()
        deadline = time.monotonic() + PATIENCE_SECONDS / 4
        while list(server.uploads.glob("fer-*")) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not list(server.uploads.glob("fer-*"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_closed_tabs_state_is_kept_no_longer_than_the_notice_says(repository, child_environment):
    code = """if True:
        import gradio as gr
        from gradio.state_holder import SessionState
        from space.about import foot_html
        from space.hardening import apply
        from space.live_tab import notice_html
        apply()
        with gr.Blocks() as page:
            gr.State(0)
            words = gr.Textbox()
        session = SessionState(page)
        session._update_value_in_config(words._id, "of a visitor")
        print(session.STATE_TTL_WHEN_CLOSED, "of a visitor" in str(vars(session)))
        print(notice_html("fr", 3), foot_html("de"))
    """
    set_here = child_environment | {"FER_LIMIT_STATE_SECONDS": "90", "FER_LIMIT_UPLOAD_SECONDS": "600"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=set_here, capture_output=True, text=True, check=True
    )
    kept, said = done.stdout.split("\n", 1)
    assert kept.split() == ["90", "False"]
    assert "90 secondes au plus" in said and "laquelle de 3 expressions" in said
    assert "nach etwa 10 Minuten entfernt" in said


def test_the_answer_to_a_program_names_no_file(server, portrait):
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        kind, answer = answer_of(client, file_data(upload(client, Path(portrait).read_bytes(), f"{NAME}.jpg")))
    assert kind == "complete" and NAME not in json.dumps(answer) and str(server.uploads) not in json.dumps(answer)
