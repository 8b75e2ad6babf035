"""Visitors of a running app, by HTTP as a program and as the page speak it, and the pictures that they bring."""

import asyncio
import base64
import contextlib
import io
import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

PORTRAIT = Path(__file__).resolve().parent.parent / "space" / "examples" / "grace_hopper.jpg"
API = "/gradio_api"
BUSY = 429
COLUMNS = {1: 1, 5: 3, 40: 8}


def scene(size, faces, quality=90):
    """JPEG of (width, height) with the portrait 1, 5 or 40 times, in rows on grey."""
    columns = COLUMNS[faces]
    width, height = size[0] // columns, size[1] // -(-faces // columns)
    picture = Image.new("RGB", size, (90, 100, 110))
    with Image.open(PORTRAIT) as portrait:
        face = portrait.convert("RGB")
    factor = min(width / face.width, height / face.height)
    face = face.resize((round(face.width * factor), round(face.height * factor)), Image.Resampling.BICUBIC)
    for number in range(faces):
        column, row = number % columns, number // columns
        picture.paste(face, (column * width + (width - face.width) // 2, row * height + (height - face.height) // 2))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def data_url(jpeg):
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


@dataclass(frozen=True)
class Outcome:
    """What came of a question: "answer" (with `faces`), "busy", or "error" (with `text`)."""

    kind: str
    seconds: float
    faces: int = -1
    text: str = ""


async def ask(client, payload, started):
    """`Outcome` of `/predict` for a file's payload; `client` is an `httpx.AsyncClient` with the app as base_url."""
    call = await client.post(f"{API}/call/predict", json={"data": [payload]})
    if call.status_code == BUSY:
        return Outcome("busy", time.monotonic() - started, text=call.json()["detail"])
    if call.status_code != 200:
        return Outcome("error", time.monotonic() - started, text=f"{call.status_code} {call.text}")
    stream = (await client.get(f"{API}/call/predict/{call.json()['event_id']}")).text
    seconds = time.monotonic() - started
    if "event: complete" not in stream:
        return Outcome("error", seconds, text=stream)
    answer = json.loads(stream.split("event: complete\ndata: ")[1].splitlines()[0])[0]
    return Outcome("answer", seconds, len(answer["faces"]))


async def ask_by_upload(client, jpeg):
    """Upload, then ask, as `gradio_client` does."""
    started = time.monotonic()
    upload = await client.post(f"{API}/upload", files={"files": ("photo.jpg", jpeg)})
    if upload.status_code == BUSY:
        return Outcome("busy", time.monotonic() - started, text=upload.text)
    if upload.status_code != 200:
        return Outcome("error", time.monotonic() - started, text=f"{upload.status_code} {upload.text}")
    return await ask(client, {"path": upload.json()[0], "meta": {"_type": "gradio.FileData"}}, started)


async def ask_by_data_url(client, jpeg):
    """One request with the picture inside it."""
    return await ask(
        client, {"url": data_url(jpeg), "path": None, "meta": {"_type": "gradio.FileData"}}, time.monotonic()
    )


@dataclass
class Stream:
    """A webcam's stream: what was sent and what came back."""

    sent: int = 0
    sent_bytes: int = 0
    results: list[float] = field(default_factory=list)
    """Times at which a result arrived"""
    received_bytes: int = 0
    errors: list[str] = field(default_factory=list)

    def rate(self, skip=2.0):
        """Results a second, without the first `skip` seconds."""
        times = [t for t in self.results if t - self.results[0] >= skip]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


def stream_function(config):
    """The number of the page's function that takes the webcam's pictures, from the app's `/config`."""
    return next(one["id"] for one in config["dependencies"] if one["connection"] == "stream")


async def watch(client, function, jpeg, seconds, every=0.066, close=True):
    """`Stream` of a viewer that sends `jpeg` every so many seconds for `seconds`, as the page's webcam does.

    Without `close` the viewer is gone in the middle of it, as a browser that crashes.
    """
    stream, session = Stream(), secrets.token_hex(8)
    payload = {"url": data_url(jpeg), "path": None, "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [payload, None], "fn_index": function, "session_hash": session}).encode()
    headers = {"content-type": "application/json"}
    joined = await client.post(f"{API}/queue/join", content=body, headers=headers)
    if joined.status_code != 200:
        stream.errors.append(f"{joined.status_code} {joined.text}")
        return stream
    event = joined.json()["event_id"]

    async def send():
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            due = time.monotonic() + every
            answer = await client.post(f"{API}/stream/{event}", content=body, headers=headers)
            if answer.status_code != 200:
                stream.errors.append(f"frame: {answer.status_code} {answer.text}")
            stream.sent += 1
            stream.sent_bytes += len(body)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        if close:
            await client.post(f"{API}/stream/{event}/close")

    async def read():
        async with client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as events:
            async for line in events.aiter_lines():
                stream.received_bytes += len(line) + 1
                if '"msg":"process_streaming"' in line:
                    stream.results.append(time.monotonic())
                elif '"msg":"process_completed"' in line:
                    if '"success":false' in line:
                        stream.errors.append(line)
                    break

    reading = asyncio.create_task(read())
    await send()
    if not close:
        reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    return stream
