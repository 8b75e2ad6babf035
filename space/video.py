"""A video: faces found, tracked and read several times a second, drawn into a copy that browsers play."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from space.decode import Picture
from space.draw import TIGHT, draw_faces, tag_text
from space.limits import LIMITS
from space.text import Refusal, megabytes
from space.tracking import Tracker

LARGEST_SIDE = 1280  # pixels of the copy
CLOCK = Fraction(1, 90_000)  # seconds a tick: phones' videos have no constant rate
SHORTEST = 1 / 60  # seconds between two frames of the copy
BROKEN = (av.FFmpegError, ValueError, IndexError)


@dataclass
class Reading:
    """One face at one time."""

    seconds: float
    face: int
    """The tracked face's number"""
    box: tuple[int, int, int, int]
    """x, y, width, height in pixels of the upright original"""
    probabilities: np.ndarray
    """Smoothed over time, [k]"""


@dataclass
class VideoAnalysis:
    """What was read of one video."""

    label_names: tuple[str, ...]
    seconds: float = 0.0
    frames: int = 0
    readings: list[Reading] = field(default_factory=list)

    def as_json(self):
        """The API's answer."""
        return {
            "seconds": round(self.seconds, 3),
            "frames": self.frames,
            "readings": [
                {
                    "seconds": round(r.seconds, 3),
                    "face": r.face,
                    "box": list(r.box),
                    "emotion": self.label_names[int(r.probabilities.argmax())],
                    "confidence": round(float(r.probabilities.max()), 6),
                    "probabilities": {
                        name: round(float(p), 6) for name, p in zip(self.label_names, r.probabilities, strict=True)
                    },
                }
                for r in self.readings
            ],
        }


def analyse_video(analyzer, source, destination, language="en", limits=LIMITS, progress=lambda done, total: None):
    """Read the video at `source`, write an annotated H.264 copy without sound to `destination` (.mp4).

    `progress(seconds done, seconds in all)` is told as it goes. Raises `Refusal` for what is no
    video within the limits.
    """
    try:
        length = Path(source).stat().st_size
    except FileNotFoundError:
        raise Refusal("file_gone") from None
    if length > limits.video_megabytes * 1e6:
        raise Refusal("video_too_heavy", megabytes=megabytes(length), limit=f"{limits.video_megabytes:g}")
    try:
        with av.open(str(source), options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise Refusal("video_broken")
            refuse_too_long(duration(container), limits)
            with av.open(str(destination), "w", format="mp4", options={"movflags": "+faststart"}) as output:
                return transcode(analyzer, container, output, language, limits, progress)
    except Refusal:
        raise
    except BROKEN as error:
        raise Refusal("video_broken") from error


def duration(container):
    """Seconds that the container claims, 0.0 where it does not say."""
    return (container.duration or 0) / av.time_base


def refuse_too_long(seconds, limits):
    if seconds > limits.video_seconds + 0.5:
        raise Refusal("video_too_long", seconds=f"{seconds:.0f}", limit=f"{limits.video_seconds:g}")


def transcode(analyzer, container, output, language, limits, progress):
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    total = duration(container)
    rate = stream.average_rate or 25
    encoder = None
    tracker, shown = Tracker(), []
    result = VideoAnalysis(analyzer.classifier.label_names)
    next_reading, start, ticks = 0.0, None, -1
    for frame in container.decode(stream):
        if frame.time is None:
            continue
        start = frame.time if start is None else start
        now = frame.time - start
        refuse_too_long(now, limits)  # a container may lie, or say nothing, about its length
        if result.frames and now < result.seconds + SHORTEST - 1e-3:  # a small file can hold any number of frames
            continue
        width, height = displayed(frame.width, frame.height, stream.sample_aspect_ratio)
        if width * height > limits.decoded_megapixels * 1e6:
            raise Refusal("picture_too_large", limit=f"{limits.decoded_megapixels:g}")
        image = upright(frame, stream.sample_aspect_ratio)
        if now >= next_reading:
            next_reading = now + 1 / limits.video_frames_per_second - 1e-3
            shown = read(analyzer, image, tracker, now, result)
        small, factor = reduced(image)
        drawn = draw_faces(small, tagged(shown, factor, result.label_names, language), result.label_names)
        if encoder is None:
            encoder = new_encoder(output, drawn.size, rate)
        copy = av.VideoFrame.from_image(drawn)
        ticks = max(ticks + 1, round(now / CLOCK))
        copy.pts, copy.time_base = ticks, CLOCK
        output.mux(encoder.encode(copy))
        result.frames += 1
        result.seconds = now
        progress(now, max(total, now))
    if encoder is None:
        raise Refusal("video_broken")
    output.mux(encoder.encode())
    return result


def tagged(readings, factor, label_names, language):
    """What `draw_faces` draws of `readings`: boxes scaled by `factor`, texts, classes."""
    faces = []
    for r in readings:
        index, p = int(r.probabilities.argmax()), float(r.probabilities.max())
        text = tag_text(r.face, label_names[index], p, len(readings) > TIGHT, language)
        faces.append(([v * factor for v in r.box], text, index))
    return faces


def new_encoder(output, size, rate):
    """H.264 that every browser plays: 4:2:0, even sides."""
    encoder = output.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "23"})
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.codec_context.time_base = CLOCK
    return encoder


def displayed(width, height, aspect):
    """(width, height) in square pixels of a frame whose own are `aspect` times as wide as high, as those of television
    are; no aspect, or one that no camera has, is 1."""
    aspect = float(aspect) if aspect and 1 / 4 <= aspect <= 4 else 1.0
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def upright(frame, aspect=None):
    """The frame as an RGB Pillow image of square pixels, turned as the phone was held."""
    width, height = displayed(frame.width, frame.height, aspect)
    image = frame.to_image(width=width, height=height)
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def reduced(image):
    """(copy with even sides of at most `LARGEST_SIDE`, its pixels for one of the original's)."""
    factor = min(1.0, LARGEST_SIDE / max(image.size))
    size = tuple(max(2, round(length * factor) // 2 * 2) for length in image.size)
    return (image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)), factor


def read(analyzer, image, tracker, now, result):
    """Analyse one frame; the readings go into `result` and are returned."""
    analysis = analyzer.analyse(Picture(image, image.size))
    tracks = tracker.update(now, [f.box for f in analysis.faces], [f.probabilities for f in analysis.faces])
    readings = [
        Reading(now, track.number, tuple(int(round(v)) for v in track.box), track.probabilities.copy())
        for track in tracks
    ]
    result.readings.extend(readings)
    return readings
