"""The whole app: a request's time, the webcam's rate, start-up, memory and install size against one on torch and timm.

    python -m benchmarks.app --detector PATH_OF_YUNET             three minutes on two cores; prints the tables
    python -m benchmarks.app --detector PATH_OF_YUNET --write     also writes them into benchmarks/README.md

Needs the environment of requirements-train.txt, for the comparison. The webcam's viewers and the start-up's visitor run
on the same machine as the app, and take their part of its cores.
"""

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx
import numpy as np
from packaging.requirements import Requirement

from benchmarks.app_process import ROOT, AppProcess
from benchmarks.clients import PORTRAIT, ask_by_upload, scene, stream_function, watch
from benchmarks.report import provenance, publish, table
from space.analysis import Analyzer
from space.draw import annotated

SIZES = {"640x480": (640, 480), "12 megapixels": (4000, 3000)}
FACES = (1, 5, 40)
ROUNDS = 20
STARTS = 3
REQUESTS = 100  # before the memory is read
VIEWING_SECONDS = 10
TORCH_STACK = ["torch", "timm"]
CUDA = re.compile(r"nvidia-|cuda-|triton")


def requests_table(model, detectors):
    """Milliseconds from a JPEG's bytes to its JSON and its drawn copy, for each detector, size and number of faces."""
    rows = []
    for detector in detectors:
        analyzer = Analyzer.load(str(model), str(detector))
        for size_name, size in SIZES.items():
            for faces in FACES:
                jpeg = scene(size, faces)
                found, stages, totals = time_request(analyzer, jpeg, ROUNDS if faces < 40 else ROUNDS // 2)
                cells = [f"{np.median(stages[stage]):.0f}" for stage in stages]
                low, high = np.median(totals), np.percentile(totals, 95)
                name = f"{analyzer.detector.name}, {size_name}, {faces} face{'s' if faces > 1 else ''}"
                rows.append([name, found, f"{low:.0f} ms", f"{high:.0f} ms", *cells])
    return table(["picture", "found", "p50", "p95", "decode", "detect", "crop", "classify", "draw"], rows)


def time_request(analyzer, jpeg, rounds):
    """(faces found, {stage: milliseconds of each round}, milliseconds of each round's whole)."""
    stages = {name: [] for name in ("decode", "detect", "crop", "classify", "draw")}
    totals = []
    for number in range(rounds + 2):
        started = time.perf_counter()
        picture, analysis = analyzer.analyse_file(jpeg)
        json.dumps(analysis.as_json())
        drawing = time.perf_counter()
        annotated(analysis, picture)
        ended = time.perf_counter()
        if number < 2:  # warming up
            continue
        for name in stages:
            stages[name].append((ended - drawing) * 1e3 if name == "draw" else analysis.timing_ms[name])
        totals.append((ended - started) * 1e3)
    return len(analysis.faces), stages, totals


def webcam_table(model, detector):
    """Results a second that one and four viewers get, and the bytes that each picture costs."""
    jpeg = scene((640, 480), 1, quality=92)  # what a browser's canvas makes of 640x480
    rows = []
    for viewers in (1, 4):
        with running(model, detector) as app:
            streams = asyncio.run(view(app.url, jpeg, viewers))
        problems = [error for stream in streams for error in stream.errors]
        if problems:
            raise RuntimeError(f"{len(problems)} errors, the first: {problems[0]}")
        rates = [stream.rate() for stream in streams]
        sent = sum(s.sent_bytes for s in streams) / sum(s.sent for s in streams)
        received = sum(s.received_bytes for s in streams) / sum(len(s.results) for s in streams)
        shown = f"{min(rates):.1f}" if viewers == 1 else f"{min(rates):.1f} to {max(rates):.1f}"
        rows.append([viewers, shown, f"{sum(rates):.1f}", f"{sent / 1e3:.0f} KB", f"{received / 1e3:.1f} KB"])
    return table(["viewers", "pictures/s for each", "in all", "sent for a picture", "received for it"], rows)


async def view(url, jpeg, viewers):
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        function = stream_function((await client.get("/config")).json())
        return await asyncio.gather(*(watch(client, function, jpeg, VIEWING_SECONDS) for _ in range(viewers)))


@contextlib.contextmanager
def running(model, detector):
    with (
        tempfile.TemporaryDirectory() as folder,
        AppProcess(Path(folder), FER_MODEL=str(model.resolve()), FER_DETECTOR=str(detector)) as app,
    ):
        yield app


def start_up(model, detector, requests):
    """(seconds to the first answer, MB resident then, MB after so many requests)."""
    started = time.monotonic()
    with running(model, detector) as app:
        asyncio.run(questions(app.url, [PORTRAIT.read_bytes()]))
        seconds, rest = time.monotonic() - started, app.memory_megabytes()
        pictures = [scene(SIZES["640x480"], faces) for faces in (1, 5)]
        asyncio.run(questions(app.url, [pictures[number % 2] for number in range(requests)]))
        return seconds, rest, app.memory_megabytes()


async def questions(url, pictures):
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for picture in pictures:
            outcome = await ask_by_upload(client, picture)
            if outcome.kind != "answer":
                raise RuntimeError(f"{outcome.kind}: {outcome.text}")


def start_table(model, detector):
    """Start-up and memory of the app on ONNX Runtime and, with a folder without ONNX file, on torch and timm."""
    with tempfile.TemporaryDirectory() as folder:
        without_onnx = Path(folder) / "model"
        shutil.copytree(model, without_onnx, ignore=shutil.ignore_patterns("onnx"))
        variants = {"ONNX Runtime": model, "torch and timm": without_onnx}
        measured = {name: [] for name in variants}
        for number in range(STARTS):
            for name, variant in variants.items():
                measured[name].append(start_up(variant, detector, REQUESTS if number == STARTS - 1 else 10))
    rows = []
    for name, starts in measured.items():
        seconds, rest, _ = np.median(np.array(starts), axis=0)
        sizes = install_megabytes(torch=name != "ONNX Runtime")
        rows.append([name, f"{seconds:.1f} s", f"{rest:.0f} MB", f"{starts[-1][2]:.0f} MB", sizes])
    header = ["the app on", "start to first answer", "memory then", f"after {REQUESTS} requests", "installed"]
    return table(header, rows)


def install_megabytes(torch):
    """What requirements.txt installs, with all that it depends on; with `torch`, torch and timm for ONNX Runtime."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    wanted = [Requirement(line).name for line in lines if line]
    if torch:
        wanted = [name for name in wanted if name != "onnxruntime"] + TORCH_STACK
    sizes = closure(wanted)
    cuda = sum(size for name, size in sizes.items() if CUDA.match(name))
    total = f"{(sum(sizes.values()) - cuda) / 1e6:.0f} MB"
    return f"{total} and {cuda / 1e6:.0f} MB of CUDA" if cuda else total


def closure(names):
    """{distribution: bytes of its installed files}, of `names` and of all that they depend on in this environment."""
    sizes, todo, seen = {}, [(name, "") for name in names], set()
    while todo:
        name, extra = todo.pop()
        name = re.sub(r"[-_.]+", "-", name).lower()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # of a marker that holds elsewhere
        files = (Path(file.locate()) for file in found.files or [])
        sizes[name] = sum(file.stat().st_size for file in files if file.is_file())
        for requirement in map(Requirement, found.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                todo += [(requirement.name, one) for one in ("", *requirement.extras)]
    return sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", type=Path, required=True, help="YuNet's ONNX file")
    parser.add_argument("--model", type=Path, default=Path("model"), help="the model folder")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    args = parser.parse_args()
    parts = [
        provenance(args.model, "benchmarks.app", sys.argv[1:]),
        requests_table(args.model, [args.detector, "haar"]),
        webcam_table(args.model, args.detector),
        start_table(args.model, args.detector),
    ]
    publish("app", "\n\n".join(parts), args.write)


if __name__ == "__main__":
    main()
