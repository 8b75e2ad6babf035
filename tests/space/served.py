"""A real `python app.py` in a process of its own, and the few HTTP calls that a program makes of it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.browser.conftest import free_port

PATIENCE_SECONDS = 4 * float(os.environ.get("FER_TEST_PATIENCE", 30))
API = "/gradio_api"


class Server:
    """The app with the Haar cascade; `url`, `log` (a path), `uploads` (its folder of temporary files)."""

    def __init__(self, repository, folder, **environment):
        self.log, self.uploads = folder / "log.txt", folder / "uploads"
        self.uploads.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = os.environ | {
            "PYTHONPATH": str(repository),
            "OMP_NUM_THREADS": "1",
            "FER_DETECTOR": "haar",
            "GRADIO_SERVER_PORT": str(self.port),
            "GRADIO_TEMP_DIR": str(self.uploads),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=repository, env=env | environment, stdout=log, stderr=log
            )
        self.wait_until_served()

    def wait_until_served(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return httpx.get(f"{self.url}/config", timeout=PATIENCE_SECONDS).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.2)
        raise AssertionError("app.py did not answer in time")

    def memory_megabytes(self):
        """Resident memory now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def files(self):
        """Every file under the folder of temporary files."""
        return [path for path in self.uploads.rglob("*") if path.is_file()]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def upload(client, data, name="photo.jpg"):
    """The path under which the server keeps an uploaded file."""
    answer = client.post(f"{API}/upload", files={"files": (name, data)})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def file_data(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def answer_of(client, payload, endpoint="predict"):
    """("complete", the answer) or ("error", the sentence), or ("status", its code and text) of a refused call."""
    call = client.post(f"{API}/call/{endpoint}", json={"data": [payload]})
    if call.status_code != 200:
        return "status", (call.status_code, call.text)
    stream = client.get(f"{API}/call/{endpoint}/{call.json()['event_id']}").text
    if "event: complete" in stream:
        return "complete", json.loads(stream.split("event: complete\ndata: ")[1].splitlines()[0])[0]
    assert "event: error" in stream, stream
    return "error", stream.split("event: error\ndata: ")[1].splitlines()[0]
