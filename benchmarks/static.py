"""The static page: what it loads, how long until it can be used, how fast it is, and what its smaller model costs.

    python -m benchmarks.static --data PATH --detector PATH             two minutes on two cores; prints the tables
    python -m benchmarks.static --data PATH --detector PATH --write     also writes them into benchmarks/README.md

`--data` is FER-2013 in any layout that training takes, `--detector` YuNet's ONNX file. The page is built from `--model`
and served on loopback, the first visit at a phone's 20 Mbit/s, to a headless Chromium without a GPU.
"""

import argparse
import functools
import http.server
import io
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.report import provenance, publish, table
from space.classifier import BATCH, OnnxClassifier, session_options
from space.model_source import ModelSource
from space.photo_tab import EXAMPLES
from space.static.build import build
from space.static.small_model import with_int8_weights
from tests.browser.conftest import FLAGS, chromium_path
from train.data import as_arrays, load_fer2013

PHOTOS = 10  # times that the example is read
LIVE_SECONDS = 6.0
MEGABITS = 20.0  # a second, of the first visit: a phone's ordinary connection
CHUNK = 1 << 14


class Handler(http.server.SimpleHTTPRequestHandler):
    """Counts what it sends, all connections together at `limit` bytes a second where one is set."""

    sent, limit, turn = Counter(), None, threading.Lock()

    def copyfile(self, source, outputfile):
        while chunk := source.read(CHUNK):
            with self.turn:
                if self.limit:
                    time.sleep(len(chunk) / self.limit)
                self.sent[self.path] += len(chunk)
            outputfile.write(chunk)

    def log_message(self, *_):
        pass


def film(path):
    """A fake camera's MJPEG: the example, wandering a little."""
    frames = io.BytesIO()
    with Image.open(EXAMPLES[0]) as face:
        face.thumbnail((480, 480))
        for step in range(12):
            frame = Image.new("RGB", (640, 480), (70, 80, 90))
            frame.paste(face, (110 + step, 0))
            frame.save(frames, "JPEG", quality=90)
    path.write_bytes(frames.getvalue())


def visit(page, url):
    """Seconds until the page is there, and until its network is."""
    started = time.perf_counter()
    page.goto(url)
    page.locator("#tabs").wait_for()
    there = time.perf_counter() - started
    page.locator("#status[data-ready]").wait_for(timeout=120_000)
    return there, time.perf_counter() - started


def speeds(page):
    """(medians of detection and classification in ms, live pictures a second) of an open page."""
    timings = []
    for _ in range(PHOTOS):
        page.evaluate("() => document.querySelector('#result > div').replaceChildren()")
        page.locator("#example-1").click()
        result = page.locator(".fer-result")
        result.wait_for()
        timings.append(json.loads(result.get_attribute("data-result"))["timing_ms"])
    page.locator("#tab-webcam").click()
    page.locator("#accept").click()
    page.locator(".fer-rate").wait_for()
    page.wait_for_timeout(LIVE_SECONDS * 1e3)
    rate = int(page.locator(".fer-rate").inner_text().split()[0])
    return *(np.median([timing[part] for timing in timings]) for part in ("detect", "classify")), rate


def kind_of(path):
    """What a sent file belongs to."""
    name = path.rpartition("/")[2]
    kinds = {"model-": "model", "yunet-": "face detector", "ort": "ONNX Runtime"}
    return next((kind for start, kind in kinds.items() if name.startswith(start)), "page, texts, examples")


def browser_tables(model, detector, folder):
    """Markdown of bytes and of times."""
    build(ModelSource("embedded", model), folder / "page", detector)
    film(folder / "camera.mjpeg")
    handler = functools.partial(Handler, directory=str(folder / "page"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    camera.append(f"--use-file-for-fake-video-capture={folder / 'camera.mjpeg'}")
    rows = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path(), args=FLAGS + camera)
        page = browser.new_context(permissions=["camera"]).new_page()
        for name, limit in ((f"first visit, at {MEGABITS:g} Mbit/s", MEGABITS * 1e6 / 8), ("second visit", None)):
            Handler.limit = limit
            before = Handler.sent.total()
            there, ready = visit(page, url)
            sent = Counter()
            for path, count in Handler.sent.items():
                sent[kind_of(path)] += count
            if limit:
                first = sent
            Handler.limit = None
            backend = page.locator("#status").get_attribute("data-ready")
            detect, classify, rate = speeds(page)
            loaded = (sum(sent.values()) - before) / 1e6
            times = [f"{loaded:.1f} MB", f"{there:.1f} s", f"{ready:.1f} s", f"{detect:.0f} ms", f"{classify:.0f} ms"]
            rows.append([name, backend, *times, rate])
        version = browser.version
        browser.close()
    server.shutdown()
    header = ["", "computed by", "loaded", "page there", "ready", "detection, p50", "one face, p50", "live, pictures/s"]
    loaded = table(["first visit loads", "bytes"], [[kind, f"{count:,}"] for kind, count in first.most_common()])
    return f"Chromium {version}, headless.\n\n{loaded}\n\n{table(header, rows)}"


def model_table(model, data):
    """Markdown of what int8 weights cost on PublicTest; ONNX Runtime here stands for that in the browser."""
    classifier = OnnxClassifier(model)
    original = (model / "onnx" / "model.onnx").read_bytes()
    split = as_arrays(load_fer2013(data)["public_test"])
    pixels = classifier.pixel_values(split.images)

    def probabilities(model_bytes):
        session = onnxruntime.InferenceSession(model_bytes, session_options(), providers=["CPUExecutionProvider"])
        batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
        logits = np.concatenate([session.run(["logits"], {classifier.input: batch})[0] for batch in batches])
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        return exponentials / exponentials.sum(1, keepdims=True)

    variants = {
        "fp16 weights, as in the model folder": original,
        "int8 for large tensors, as the page has it": with_int8_weights(original),
        "int8 for every tensor": with_int8_weights(original, least_weights=0),
    }
    reference, rows = None, []
    for name, model_bytes in variants.items():
        p = probabilities(model_bytes)
        reference = p if reference is None else reference
        same = int((p.argmax(1) == reference.argmax(1)).sum())
        accuracy = (p.argmax(1) == split.labels).mean()
        worst = np.abs(p - reference).max()
        rows.append(
            [name, f"{len(model_bytes) / 1e6:.1f} MB", f"{accuracy:.2%}", f"{same} of {len(p)}", f"{worst:.4f}"]
        )
    return table(["weights", "size", "accuracy, PublicTest", "same class", "largest change of a probability"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="FER-2013, in any of the layouts that training takes")
    parser.add_argument("--detector", required=True, type=Path, help="YuNet's ONNX file")
    parser.add_argument("--model", type=Path, default=Path("model"), help="the model folder")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    args = parser.parse_args()
    costs = model_table(args.model, args.data)
    with tempfile.TemporaryDirectory() as folder:
        browser = browser_tables(args.model, args.detector, Path(folder))
    source = provenance(args.model, "benchmarks.static", sys.argv[1:])
    publish("static", f"{source} {browser}\n\n{costs}", args.write)


if __name__ == "__main__":
    main()
