"""Every bound on what a visitor can ask, in one place; whoever meets one is told by a sentence of
`space/languages/`, but for faces, maps and live pictures beyond theirs, which are left out.

Any of them can be set from the environment: `FER_LIMIT_PICTURE_MEGAPIXELS=100 python app.py`.
"""

import os
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Bounds on what one person can ask of the app."""

    picture_megabytes: float = 20.0
    """Size of one picture's file, and of a request's body beside an upload (a `data:` URL is a third larger)."""
    video_megabytes: float = 100.0
    """Size of one video's file, and so of an upload: an album's pictures come as one."""
    picture_megapixels: float = 51.0
    """Pixels of a picture: what a phone's "50 megapixels" have, which are up to 8192 x 6144."""
    webp_megapixels: float = 16.0
    """Pixels of a WebP or AVIF picture, whose decoders take five times the memory of JPEG's."""
    decoded_megapixels: float = 12.8
    """Larger pictures are reduced to this as they are decoded; the sides of 51 megapixels halved come to 12.75."""
    faces: int = 100
    """Faces of one picture: the largest and surest are taken."""
    pictures: int = 50
    """Pictures of one batch."""
    video_seconds: float = 60.0
    """Length of a video."""
    video_frames_per_second: float = 12.5
    """Frames of a video that are analysed in each of its seconds; all the others are drawn with what was seen last."""
    stream_seconds: int = 30
    """A live stream's turn at the camera, so that nobody holds a place for ever: the browser queues again by itself, or
    stops where it is refused."""
    state_seconds: int = 300
    """How long a webcam's numbers are kept after the last picture, or after its tab was closed; the notice names it."""
    streams: int = 4
    """Live streams at a time."""
    queue: int = 60
    """Requests that wait; beyond them the answer is that the app is busy."""
    occlusions: int = 2
    """Occlusion maps, of 65 predictions each, that are computed at a time; beyond them the page does without."""
    stall_seconds: float = 30.0
    """How long a request's body may stand still on its way."""
    upload_seconds: int = 120
    """How long an upload is kept, and some ten seconds; what is asked later finds it gone. The page names it."""
    session_requests_per_minute: int = 120
    """Questions of one session (one open page, one program): two pictures a second."""
    address_requests_per_minute: int = 600
    """Requests of one address that make work, uploads too: a school or an office often has but one."""
    frames_per_minute: int = 1800
    """Pictures of one live stream; the page sends 900, more are dropped."""

    def __post_init__(self):
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be positive, not {getattr(self, field.name)}")


def limits_from_environment(environment=os.environ):
    """`Limits` with every `FER_LIMIT_<NAME>` of the environment applied; a ValueError names what is no number."""
    values = {}
    for field in fields(Limits):
        name = f"FER_LIMIT_{field.name.upper()}"
        if name in environment:
            try:
                values[field.name] = field.type(environment[name])
            except ValueError:
                raise ValueError(f"{name}={environment[name]!r} is not a number") from None
    return Limits(**values)


LIMITS = limits_from_environment()
