"""The face as the network learnt it: grey, 48x48, the same part of the head as FER-2013's frames show.

FER-2013's pictures were cut by a detector of their own. `python -m benchmarks.crop_geometry` ran ours over 3,000 of
its training pictures (seed 0) to see which part of the 48x48 frame a box covers; a crop of people's pictures is the
frame that stands in the same relation to the box. Of the box's measures its width varies least from picture to picture
(spread of the quartiles over the median: width 17.7%, eye distance 21.2%, height 25.3% with YuNet), so it gives the
scale. The cascade's boxes are squares that cover nearly the whole frame (spread 13.4%). `GEOMETRY` has the medians.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 48  # pixels of FER-2013's pictures
WORKING_SIDE = 192  # pixels at which a tilted face is turned; the reduction from there to 48 is antialiased
LEVEL_ENOUGH = 2.0  # degrees of tilt that are left as they are


@dataclass(frozen=True)
class Geometry:
    """Where a detector's box lies in FER-2013's frame, in fractions of the frame's side."""

    centre_x: float
    centre_y: float
    width: float


GEOMETRY = {
    "YuNet": Geometry(0.499, 0.479, 0.769),  # a face in 2838 of 3000 pictures
    "Haar cascade": Geometry(0.503, 0.497, 0.974),  # in 2260 of 3000
}


@dataclass(frozen=True)
class Frame:
    """A square in a picture, turned about its centre; lengths in the picture's pixels."""

    centre: tuple[float, float]
    side: float
    angle: float = 0.0
    """Degrees, clockwise as the picture is seen: the tilt of the line between the eyes"""

    def scaled(self, scale):
        return Frame((self.centre[0] * scale, self.centre[1] * scale), self.side * scale, self.angle)


def frame_of(face, detector_name):
    """The `Frame` that FER-2013 would have cut around `face`, levelled by its eyes where they are known."""
    geometry = GEOMETRY[detector_name]
    x, y, width, height = face.box
    side = width / geometry.width
    angle = 0.0
    if face.eyes:
        (x0, y0), (x1, y1) = face.eyes
        angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
    right, down = (0.5 - geometry.centre_x) * side, (0.5 - geometry.centre_y) * side
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    centre = (x + width / 2 + right * cos - down * sin, y + height / 2 + right * sin + down * cos)
    return Frame(centre, side, angle)


def whole_frame(image):
    """The largest square in the middle of a picture, for one that is a face and nothing else."""
    return Frame((image.width / 2, image.height / 2), float(min(image.size)))


def cut(image, frame):
    """The grey uint8 [48, 48] inside `frame` of an RGB Pillow `image`; beyond its border the border is repeated.

    Reduced with antialiasing (Pillow's bicubic, whose support grows with the reduction), as FER-2013 was made:
    without it the network meets a sharpness that it has not learnt.
    """
    if abs(frame.angle) <= LEVEL_ENOUGH:
        return np.asarray(straight(image, frame.centre, frame.side, SIDE))
    reach = abs(math.cos(math.radians(frame.angle))) + abs(math.sin(math.radians(frame.angle)))
    pixels = math.ceil(WORKING_SIDE * reach)
    around = straight(image, frame.centre, frame.side * pixels / WORKING_SIDE, pixels)
    turned = around.rotate(frame.angle, Image.Resampling.BICUBIC)
    margin = (pixels - WORKING_SIDE) / 2
    box = (margin, margin, margin + WORKING_SIDE, margin + WORKING_SIDE)
    return np.asarray(turned.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box))


def straight(image, centre, side, pixels):
    """The upright square of `side` around `centre`, grey, resized with antialiasing to `pixels` x `pixels`."""
    left, top = centre[0] - side / 2, centre[1] - side / 2
    support = 2 * max(1.0, side / pixels) + 1  # of the bicubic filter beyond the square, in the picture's pixels
    outer = [
        math.floor(left - support),
        math.floor(top - support),
        math.ceil(left + side + support),
        math.ceil(top + side + support),
    ]
    inner = (
        min(max(outer[0], 0), image.width - 1),
        min(max(outer[1], 0), image.height - 1),
        max(min(outer[2], image.width), 1),
        max(min(outer[3], image.height), 1),
    )
    grey = image.crop(inner).convert("L")
    beyond = ((inner[1] - outer[1], outer[3] - inner[3]), (inner[0] - outer[0], outer[2] - inner[2]))
    if any(value > 0 for pair in beyond for value in pair):
        grey = Image.fromarray(np.pad(np.asarray(grey), beyond, mode="edge"))
    offset_x, offset_y = left - outer[0], top - outer[1]
    box = (offset_x, offset_y, offset_x + side, offset_y + side)
    return grey.resize((pixels, pixels), Image.Resampling.BICUBIC, box)
