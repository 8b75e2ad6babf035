"""The stand-in Hub as a pytest fixture: a process of its own on a free port of loopback."""

import base64
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.app_process import free_port

ROOT = Path(__file__).resolve().parents[2]
FOR_GOOD = 8  # times; a fault of fewer is meant to happen just as often


@dataclass
class StandInHub:
    """`url` of the server; `environment(home)` for child processes, with an empty cache in `home`."""

    url: str

    def environment(self, home, token="hf_standin"):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and k != "FER_MODEL"}
        return inherited | {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def faults(self, *faults):
        self.call("/_faults", list(faults))

    def dataset(self, repo_id, files):
        """Put `files` {path: text or bytes} into the dataset `repo_id`, as one commit; its id."""
        encoded = {
            path: base64.b64encode(body.encode() if isinstance(body, str) else body).decode()
            for path, body in files.items()
        }
        return self.call(f"/_datasets/{repo_id}", encoded)["oid"]

    def commits(self, repo_id):
        """[{oid, files}], oldest first; empty where there is no such repository."""
        return self.call(f"/_commits/{repo_id}")


@pytest.fixture(scope="session")
def hub_server():
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.hub.server", str(port)], cwd=ROOT)
    hub = StandInHub(f"http://127.0.0.1:{port}")
    for _ in range(600):
        try:
            hub.call("/_log")
            break
        except OSError:
            assert process.poll() is None, "the stand-in Hub did not start"
            time.sleep(0.1)
    yield hub
    process.terminate()
    process.wait()


@pytest.fixture
def hub(hub_server):
    """The stand-in Hub without faults left over from an earlier test; those of this one must all have happened."""
    hub_server.faults()
    yield hub_server
    left = [fault for fault in hub_server.call("/_faults") if fault["times"] < FOR_GOOD]
    hub_server.faults()
    assert not left, f"nothing met these faults: {left}"
