"""Fifty visitors at once, some of them rude: is each answered or told that the app is busy, and is nothing left?

    python -m benchmarks.load --detector PATH_OF_YUNET             five minutes; prints a table
    python -m benchmarks.load --detector PATH_OF_YUNET --write     also writes it into benchmarks/README.md
    python -m benchmarks.load --seconds 20                         a short one with the Haar cascade, as in `make test`

Ends with 1 and a sentence where a promise is broken. The visitors (`ROLES`) come to a real `python app.py` from this
one address, so that its limit of requests a minute is lifted. Every half minute `BURST` more ask at once, which is
beyond the queue's bound.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from benchmarks.app_process import AppProcess
from benchmarks.clients import API, BUSY, ask, ask_by_data_url, ask_by_upload, data_url, scene, stream_function, watch
from benchmarks.report import provenance, publish, table

BURST, BURST_SECONDS = 90, 30.0
THINK_SECONDS = 0.5  # between an answer and a visitor's next question
KEPT_SECONDS = 10  # of uploads here; 120 as the app comes
SETTLE_SECONDS = 2.5 * KEPT_SECONDS  # uploads are looked through every 10 s; idle threads end in 10 s
SOUND_SECONDS = 120  # a shorter run says nothing about memory
GROWTH = 0.05  # of memory over the last four fifths of the time
MEMORY_SECONDS = 1.0  # between two readings


@dataclass
class Tally:
    """What came of it all."""

    outcomes: list = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    rude: int = 0
    frames: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the start, MB)"""

    def note(self, outcome, faces):
        self.outcomes.append(outcome)
        if outcome.kind == "error":
            self.errors.append(outcome.text[:300])
        elif outcome.kind == "answer" and outcome.faces != faces:
            self.errors.append(f"{outcome.faces} faces instead of {faces}")

    @contextlib.contextmanager
    def noting(self):
        """A connection that fails is an error of the app's like any other."""
        try:
            yield
        except httpx.HTTPError as error:
            self.errors.append(f"{type(error).__name__}: {error}")

    def growth(self, seconds):
        """Share by which memory grew from the beginning to the end of the last four fifths: means of a tenth each."""
        rows = np.array(self.memory)
        first = rows[(rows[:, 0] >= 0.2 * seconds) & (rows[:, 0] < 0.3 * seconds), 1].mean()
        last = rows[rows[:, 0] >= 0.9 * seconds, 1].mean()
        return last / first - 1


async def person(client, tally, until, jpeg, faces, way=ask_by_upload):
    """Asks, looks at the answer, asks again."""
    while time.monotonic() < until:
        with tally.noting():
            tally.note(await way(client, jpeg), faces)
        await asyncio.sleep(THINK_SECONDS)


async def viewer(client, tally, until, jpeg, function):
    """Turns at the webcam, one after the other."""
    while time.monotonic() < until:
        with tally.noting():
            stream = await watch(client, function, jpeg, min(20.0, until - time.monotonic()))
            tally.frames += len(stream.results)
            tally.errors += unexpected(stream.errors)
        await asyncio.sleep(THINK_SECONDS)


def unexpected(errors):
    """Those of a stream's errors that are no "busy"."""
    return [error[:300] for error in errors if not error.startswith(str(BUSY))]


async def rude(client, tally, until, jpeg, function):
    """Breaks off in an upload, leaves a stream without a word, asks and never fetches the answer."""
    payload = {"url": data_url(jpeg), "path": None, "meta": {"_type": "gradio.FileData"}}
    while time.monotonic() < until:
        with tally.noting():
            await broken_upload(client.base_url, jpeg)
            stream = await watch(client, function, jpeg, 1.0, close=False)
            tally.errors += unexpected(stream.errors)
            await client.post(f"{API}/call/predict", json={"data": [payload]})
            tally.rude += 1
        await asyncio.sleep(THINK_SECONDS)


async def broken_upload(url, content, announced=5_000_000):
    """Send the beginning of an upload that is `announced` to be longer, then go."""
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = (
        f"POST {API}/upload HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: multipart/form-data; boundary=xx\r\n"
        f"Content-Length: {announced}\r\n\r\n"
        '--xx\r\nContent-Disposition: form-data; name="files"; filename="photo.jpg"\r\n\r\n'
    )
    writer.write(head.encode() + content)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    await asyncio.sleep(0.2)
    writer.transport.abort()


async def crowd(client, tally, until, jpeg):
    """Now and then, more questions at once than the queue takes."""
    payload = {"url": data_url(jpeg), "path": None, "meta": {"_type": "gradio.FileData"}}
    while time.monotonic() + BURST_SECONDS / 3 < until:
        await asyncio.sleep(BURST_SECONDS / 3)
        with tally.noting():
            for outcome in await asyncio.gather(*(ask(client, payload, time.monotonic()) for _ in range(BURST))):
                tally.note(outcome, 1)
        await asyncio.sleep(min(BURST_SECONDS * 2 / 3, max(0.0, until - time.monotonic())))


async def read_memory(app, tally, started, until):
    while time.monotonic() < until:
        tally.memory.append((time.monotonic() - started, app.memory_megabytes()))
        await asyncio.sleep(MEMORY_SECONDS)


# of fifty visitors: who they are, and how many; the rest are persons with one face
ROLES = {"five faces": 8, "picture in the request": 6, "12 megapixels": 2, "webcam": 4, "rude": 4}


async def load(app, clients, seconds):
    """`Tally` of so many visitors for so many seconds."""
    tally, started = Tally(), time.monotonic()
    until = started + seconds
    small, five, large = scene((640, 480), 1), scene((640, 480), 5), scene((4000, 3000), 1)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=app.url, timeout=120, limits=limits) as client:
        function = stream_function((await client.get("/config")).json())
        counts = {role: max(1, round(count * clients / 50)) for role, count in ROLES.items()}
        tasks = [person(client, tally, until, five, 5) for _ in range(counts["five faces"])]
        tasks += [
            person(client, tally, until, small, 1, ask_by_data_url) for _ in range(counts["picture in the request"])
        ]
        tasks += [person(client, tally, until, large, 1) for _ in range(counts["12 megapixels"])]
        tasks += [viewer(client, tally, until, small, function) for _ in range(counts["webcam"])]
        tasks += [rude(client, tally, until, small, function) for _ in range(counts["rude"])]
        tasks += [person(client, tally, until, small, 1) for _ in range(clients - len(tasks))]
        await asyncio.gather(*tasks, crowd(client, tally, until, small), read_memory(app, tally, started, until))
    return tally


async def idle(app, pictures):
    """Wake everything up once with `pictures`, then let it come to rest: (threads, open files, uploads)."""
    async with httpx.AsyncClient(base_url=app.url, timeout=120) as client:
        for picture in pictures:
            await ask_by_upload(client, picture)
    await asyncio.sleep(SETTLE_SECONDS)
    return app.threads(), app.open_files(), len(app.files())


def problems(tally, seconds, before, after):
    """A sentence for each promise that did not hold."""
    kinds = Counter(outcome.kind for outcome in tally.outcomes)
    found = [f"{len(tally.errors)} errors, the first: {tally.errors[0]}"] if tally.errors else []
    if not kinds["busy"]:
        found.append(f"nobody was told that the app is busy, though {BURST} asked at once")
    if not tally.frames:
        found.append("no visitor at the webcam got a result")
    if not tally.rude:
        found.append("nobody broke off: the rude visitors did not get through their first round")
    if seconds >= SOUND_SECONDS and tally.growth(seconds) >= GROWTH:
        found.append(f"memory grew by {tally.growth(seconds):.1%} over the last four fifths of the time")
    for what, old, new in zip(("threads", "open files", "uploads"), before, after, strict=True):
        if new > old:
            found.append(f"{new - old} {what} are left over: {old} before, {new} after")
    return found


def load_table(tally, clients, seconds, before, after):
    taken = [outcome.seconds for outcome in tally.outcomes if outcome.kind == "answer"]
    kinds = Counter(outcome.kind for outcome in tally.outcomes)
    memory = [megabytes for _, megabytes in tally.memory]
    fifths = ", ".join(f"{part.mean():.0f}" for part in np.array_split(memory, 5))
    rows = [
        ["visitors, seconds", f"{clients}, {seconds:.0f}"],
        ["questions answered rightly", f"{kinds['answer']} ({kinds['answer'] / seconds:.1f} a second)"],
        ["told politely that the app is busy", kinds["busy"]],
        ["errors", len(tally.errors)],
        ["question to answer, p50, p95", f"{np.median(taken):.2f} s, {np.percentile(taken, 95):.2f} s"],
        ["webcam pictures read", f"{tally.frames} ({tally.frames / seconds:.1f} a second)"],
        ["uploads, streams and answers broken off", f"{tally.rude} of each"],
        ["memory: lowest, highest, at the end", f"{min(memory):.0f}, {max(memory):.0f}, {memory[-1]:.0f} MB"],
        ["memory, mean of each fifth of the time", f"{fifths} MB"],
        ["memory's growth over the last four fifths", f"{tally.growth(seconds):+.1%}"],
        ["threads at rest, before and after", f"{before[0]}, {after[0]}"],
        ["open files at rest, before and after", f"{before[1]}, {after[1]}"],
        ["uploads left at rest, before and after", f"{before[2]}, {after[2]}"],
    ]
    return table(["", "figure"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--detector", default="haar", help="YuNet's ONNX file, or haar")
    parser.add_argument("--model", type=Path, default=Path("model"), help="the model folder")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    args = parser.parse_args()
    environment = {
        "FER_MODEL": str(args.model.resolve()),
        "FER_DETECTOR": str(args.detector),
        "FER_LIMIT_ADDRESS_REQUESTS_PER_MINUTE": "1000000",
        "FER_LIMIT_UPLOAD_SECONDS": str(KEPT_SECONDS),
    }
    pictures = [scene((640, 480), 1), scene((640, 480), 5)]
    with tempfile.TemporaryDirectory() as folder, AppProcess(Path(folder), **environment) as app:
        before = asyncio.run(idle(app, pictures))
        tally = asyncio.run(load(app, args.clients, args.seconds))
        after = asyncio.run(idle(app, pictures))
        log = app.log.read_text()
    found = problems(tally, args.seconds, before, after)
    if "Traceback" in log:
        found.append(f"a traceback in the log: {log[log.index('Traceback') :][:6000]}")
    text = provenance(args.model, "benchmarks.load", sys.argv[1:])
    publish("load", f"{text}\n\n{load_table(tally, args.clients, args.seconds, before, after)}", args.write)
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
