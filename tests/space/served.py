"""A real `python app.py` in a process of its own, and the few HTTP calls that a program makes of it."""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from benchmarks.app_process import AppProcess

PATIENCE_SECONDS = 4 * float(os.environ.get("FER_TEST_PATIENCE", 30))
API = "/gradio_api"


class Server(AppProcess):
    """The app with the Haar cascade, and without a bound on how often tests may ask."""

    def __init__(self, folder, python=sys.executable, **environment):
        defaults = {"OMP_NUM_THREADS": "1", "FER_DETECTOR": "haar", "FER_LIMIT_ADDRESS_REQUESTS_PER_MINUTE": "100000"}
        super().__init__(folder, PATIENCE_SECONDS, python, **defaults | environment)


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


def run_async(coroutine):
    """Its result, from a loop in a thread of its own: in this one Playwright's may be running, from an earlier test."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
