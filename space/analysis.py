"""From a picture to the emotions in it: detect, crop, classify all faces in one batch."""

import time
from dataclasses import dataclass

import numpy as np

from space.crop import Frame, cut, frame_of, whole_frame
from space.decode import decode
from space.detectors import find_detector
from space.limits import LIMITS
from space.model_source import load_model

WHOLE = "none (whole picture)"  # in the detector's place, where none was asked


@dataclass(frozen=True)
class FaceEmotion:
    """One face; `box` and `frame` in pixels of the upright original."""

    box: tuple[int, int, int, int]
    """x, y, width, height"""
    frame: Frame
    """The turned square that the network saw"""
    crop: np.ndarray
    """uint8 [48, 48], what it saw"""
    probabilities: np.ndarray
    """float32 [k], in the order of the model's label_names"""
    cam: np.ndarray | None
    """float32 [k, h', w'], each class's evidence in each cell of the frame"""

    @property
    def winner(self):
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def confidence(self):
        return float(self.probabilities.max())


@dataclass(frozen=True)
class Analysis:
    """The answer for one picture of `size` (width, height)."""

    size: tuple[int, int]
    faces: list[FaceEmotion]
    label_names: tuple[str, ...]
    model: dict
    detector: str
    timing_ms: dict[str, float]

    def as_json(self):
        """The API's answer: plain numbers, boxes in pixels of the upright original."""
        return {
            "faces": [
                {
                    "box": list(face.box),
                    "emotion": self.label_names[face.winner],
                    "confidence": round(face.confidence, 6),
                    "probabilities": {
                        name: round(float(p), 6) for name, p in zip(self.label_names, face.probabilities, strict=True)
                    },
                }
                for face in self.faces
            ],
            "model": self.model,
            "detector": self.detector,
            "timing_ms": {name: round(value, 2) for name, value in self.timing_ms.items()},
        }


class Analyzer:
    """A detector and a classifier, loaded once; calls may come from several threads."""

    def __init__(self, classifier, source, detector):
        self.classifier = classifier
        self.source = source
        self.detector = detector
        self.model = {
            "name": source.name,
            "architecture": classifier.config.architecture,
            "revision": source.revision,
            "sha256": classifier.sha256,
        }

    @classmethod
    def load(cls, model=None, detector=None):
        """With `FER_MODEL` and `FER_DETECTOR` where no argument names another; `ModelError` when a model is unfit."""
        classifier, source = load_model(model)
        return cls(classifier, source, find_detector(detector))

    def analyse_file(self, source, whole=False):
        """`analyse` for a path or a file's bytes; raises `Refusal` for what is no picture within the limits."""
        started = time.perf_counter()
        picture = decode(source)
        return picture, self.analyse(picture, whole, decoding_ms=(time.perf_counter() - started) * 1e3)

    def analyse(self, picture, whole=False, decoding_ms=0.0):
        """`Analysis` of a `decode.Picture`; with `whole` its middle square is taken as one face, unsearched."""
        timing = {"decode": decoding_ms}
        image, scale = picture.image, picture.scale
        lap = Stopwatch(timing)
        if whole:
            frames = [whole_frame(image)]
            boxes = [(f.centre[0] - f.side / 2, f.centre[1] - f.side / 2, f.side, f.side) for f in frames]
        else:
            faces = self.detector.detect(image, LIMITS.faces)
            frames = [frame_of(face, self.detector.name) for face in faces]
            boxes = [face.box for face in faces]
        lap("detect")
        crops = [cut(image, frame) for frame in frames]
        lap("crop")
        found = []
        if crops:
            prediction = self.classifier.predict(crops)
            found = [
                FaceEmotion(
                    within(box, scale, picture.size),
                    frame.scaled(scale),
                    crop,
                    prediction.probabilities[i],
                    None if prediction.cam is None else prediction.cam[i],
                )
                for i, (box, frame, crop) in enumerate(zip(boxes, frames, crops, strict=True))
            ]
        lap("classify")
        timing["total"] = sum(timing.values())
        name = WHOLE if whole else self.detector.name
        return Analysis(picture.size, found, self.classifier.label_names, self.model, name, timing)

    def warm_up(self):
        """Run the network once, so that the first person does not wait for its lazy initialisation."""
        self.classifier.predict([np.zeros((48, 48), np.uint8)])


class Stopwatch:
    """Writes the milliseconds since its last call into a dict, under a name."""

    def __init__(self, timing):
        self.timing = timing
        self.last = time.perf_counter()

    def __call__(self, name):
        now = time.perf_counter()
        self.timing[name] = (now - self.last) * 1e3
        self.last = now


def within(box, scale, size):
    """`box` scaled, rounded, and clipped to a picture of `size`; at least one pixel wide and high."""
    left, top = (min(max(round(value * scale), 0), length - 1) for value, length in zip(box[:2], size, strict=True))
    right = min(max(round((box[0] + box[2]) * scale), left + 1), size[0])
    bottom = min(max(round((box[1] + box[3]) * scale), top + 1), size[1])
    return left, top, right - left, bottom - top
