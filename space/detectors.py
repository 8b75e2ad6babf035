"""Where the faces are: YuNet, or OpenCV's Haar cascade where YuNet can't be had.

YuNet (`opencv/face_detection_yunet` on the Hub, MIT) is fetched on first use and held to its sha256, or named by
`FER_DETECTOR=PATH`; `FER_DETECTOR=haar` asks for the cascade, which comes with OpenCV 4.
"""

import hashlib
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from huggingface_hub import hf_hub_download
from PIL import Image

from space.limits import LIMITS
from space.model_source import HUB_ERRORS
from space.threads import compute_threads

cv2.setNumThreads(compute_threads())
log = logging.getLogger(__name__)

YUNET_REPOSITORY = "opencv/face_detection_yunet"
YUNET_FILE = "face_detection_yunet_2026may.onnx"
YUNET_SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
FETCH_SECONDS = 4  # for its 0.2 MB, at the first start only
SMALLEST_SIDE = 8  # pixels; nothing to be seen in less


@dataclass(frozen=True)
class Face:
    """A detected face, in pixels of the picture that was searched."""

    box: tuple[float, float, float, float]
    """x, y, width, height"""
    score: float
    """The detector's own, 0 to 1; the Haar cascade has none and says 1."""
    eyes: tuple[tuple[float, float], tuple[float, float]] | None = None
    """Centres of the eyes, the one on the picture's left first."""

    def moved(self, scale, dx=0.0, dy=0.0):
        """The face in a picture `scale` times as large, after a shift by (dx, dy)."""
        x, y, width, height = self.box
        eyes = self.eyes and tuple(((ex + dx) * scale, (ey + dy) * scale) for ex, ey in self.eyes)
        return Face(((x + dx) * scale, (y + dy) * scale, width * scale, height * scale), self.score, eyes)


class YuNet:
    """YuNet in OpenCV: five landmarks, faces of about 10 to 300 px, so pictures are searched at 640 px at most."""

    name = "YuNet"
    side = 640
    second_side = 256
    border = 0.25

    def __init__(self, path, score_threshold=0.6):
        self.network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), score_threshold, 0.3, 5000)
        self.lock = threading.Lock()  # the network keeps its input size between calls

    def detect(self, image, limit=LIMITS.faces):
        """Faces of an RGB Pillow `image`, the largest first, at most `limit`.

        Where none is found the search is repeated once on a small copy with a border: a face that fills the frame,
        as in FER-2013 itself, is larger than YuNet has learnt and has no surroundings.
        """
        if min(image.size) < SMALLEST_SIDE:
            return []
        small, scale = reduced(image, self.side)
        faces = self.search(np.asarray(small))
        if faces:
            faces = [face.moved(scale) for face in faces]
        else:
            small, scale = reduced(image, self.second_side, enlarge=True)
            margin = round(self.border * max(small.size))
            padded = np.pad(np.asarray(small), ((margin, margin), (margin, margin), (0, 0)), mode="edge")
            faces = [face.moved(scale, -margin, -margin) for face in self.search(padded)]
        return largest(faces, limit)

    def search(self, pixels):
        """Faces in RGB `pixels` [h, w, 3] as they are."""
        bgr = np.ascontiguousarray(pixels[:, :, ::-1])
        with self.lock:
            self.network.setInputSize((bgr.shape[1], bgr.shape[0]))
            _, rows = self.network.detect(bgr)
        faces = []
        for row in [] if rows is None else rows:
            x, y, width, height, *landmarks = (float(value) for value in row)
            if width <= 0 or height <= 0 or not np.isfinite(row).all():
                continue
            eyes = tuple(sorted(((landmarks[0], landmarks[1]), (landmarks[2], landmarks[3]))))
            faces.append(Face((x, y, width, height), landmarks[10], eyes))
        return faces


class HaarCascade:
    """OpenCV's frontal cascade: no landmarks, slow above 320 px, which is where it searches."""

    name = "Haar cascade"
    side = 320

    def __init__(self):
        self.cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
        self.lock = threading.Lock()

    def detect(self, image, limit=LIMITS.faces):
        """Faces of an RGB Pillow `image`, the largest first, at most `limit`."""
        if min(image.size) < SMALLEST_SIDE:
            return []
        small, scale = reduced(image, self.side)
        return largest([face.moved(scale) for face in self.search(np.asarray(small.convert("L")))], limit)

    def search(self, grey):
        """Faces in grey pixels [h, w] as they are."""
        with self.lock:
            boxes = self.cascade.detectMultiScale(cv2.equalizeHist(grey), 1.1, 5, minSize=(20, 20))
        return [Face(tuple(float(value) for value in box), 1.0) for box in boxes]


def reduced(image, side, enlarge=False):
    """A copy whose longer side is at most `side` (with `enlarge` exactly), and the original's pixels for one of its."""
    factor = side / max(image.size)
    if factor >= 1 and not enlarge:
        return image, 1.0
    size = tuple(max(1, round(length * factor)) for length in image.size)
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0), 1 / factor


def largest(faces, limit):
    return sorted(faces, key=lambda face: -face.box[2] * face.box[3])[:limit]


def find_detector(wanted=None):
    """The detector to work with; `wanted` is a path, "haar", or None for `FER_DETECTOR` and else YuNet from the Hub."""
    wanted = wanted or os.environ.get("FER_DETECTOR")
    if wanted == "haar":
        return HaarCascade()
    if wanted:
        if not Path(wanted).is_file():
            raise FileNotFoundError(f"FER_DETECTOR={wanted}: no such file (a YuNet ONNX file, or the word haar)")
        try:
            detector = YuNet(wanted)
            detector.search(np.zeros((64, 64, 3), np.uint8))  # another network is only told by its answer
            return detector
        except cv2.error:
            raise OSError(f"FER_DETECTOR={wanted} is not YuNet as ONNX, or not whole") from None
    try:
        return YuNet(fetched_yunet())
    except HUB_ERRORS as error:
        log.warning(
            "YuNet could not be fetched (%s): OpenCV's Haar cascade finds the faces. FER_DETECTOR=PATH names a file.",
            type(error).__name__,
        )
        return HaarCascade()


def within_seconds(seconds, function, *arguments):
    """The function's result, or a TimeoutError; the Hub's client alone would try for 23 s where there is no network."""
    outcome = {}

    def run():
        try:
            outcome["result"] = function(*arguments)
        except HUB_ERRORS as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if "error" in outcome:
        raise outcome["error"]
    if "result" not in outcome:
        raise TimeoutError(f"no answer within {seconds} s")
    return outcome["result"]


def fetched_yunet():
    """Path of YuNet in the Hub's cache, fetched if need be; a file with another sha256 is removed and refused."""
    try:
        path = Path(hf_hub_download(YUNET_REPOSITORY, YUNET_FILE, local_files_only=True))
    except OSError:  # not in the cache
        path = Path(within_seconds(FETCH_SECONDS, hf_hub_download, YUNET_REPOSITORY, YUNET_FILE))
    if hashlib.sha256(path.read_bytes()).hexdigest() != YUNET_SHA256:
        path.resolve().unlink()
        raise ValueError(f"{YUNET_REPOSITORY}/{YUNET_FILE} is not the file with sha256 {YUNET_SHA256}")
    return path
