"""The crop's geometry and its antialiasing."""

import numpy as np
import pytest
from PIL import Image

from space.crop import GEOMETRY, SIDE, Frame, cut, frame_of, whole_frame
from space.detectors import Face


def gradient(side=400):
    """Grey that grows to the right."""
    return Image.fromarray(np.tile(np.linspace(0, 255, side).astype(np.uint8), (side, 1))).convert("RGB")


def test_a_straight_crop_is_pillows_resize():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    crop = cut(image, Frame((150.0, 150.0), 200.0))
    expected = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC, (50, 50, 250, 250))
    assert crop.shape == (SIDE, SIDE)
    np.testing.assert_allclose(crop, np.asarray(expected), atol=1)


def test_a_fine_chequerboard_becomes_flat_grey():
    board = np.indices((480, 480)).sum(0) % 2 * 255
    crop = cut(Image.fromarray(board.astype(np.uint8)).convert("RGB"), Frame((240.0, 240.0), 400.0))
    assert np.ptp(crop[4:-4, 4:-4].astype(int)) < 12


@pytest.mark.parametrize("angle", [-30.0, 12.0, 45.0])
def test_a_turned_frame_levels_its_content(angle):
    turned = gradient().rotate(-angle, Image.Resampling.BICUBIC)  # Pillow turns anticlockwise
    crop = cut(turned, Frame((200.0, 200.0), 180.0, angle)).astype(float)
    assert np.abs(crop.mean(0) - cut(gradient(), Frame((200.0, 200.0), 180.0)).mean(0)).max() < 4
    assert crop.std(0).max() < 4


def test_the_border_is_repeated_beyond_the_picture():
    crop = cut(Image.new("RGB", (40, 40), (90, 90, 90)), Frame((0.0, 0.0), 100.0))
    assert (crop == 90).all()
    assert (cut(Image.new("RGB", (1, 1), (7, 7, 7)), whole_frame(Image.new("RGB", (1, 1)))) == 7).all()


@pytest.mark.parametrize("detector", sorted(GEOMETRY))
def test_the_box_lies_in_the_frame_as_it_does_in_fer2013(detector):
    geometry = GEOMETRY[detector]
    frame = frame_of(Face((100.0, 80.0, 60.0, 90.0), 1.0), detector)
    left, top = frame.centre[0] - frame.side / 2, frame.centre[1] - frame.side / 2
    assert (130 - left) / frame.side == pytest.approx(geometry.centre_x)
    assert (125 - top) / frame.side == pytest.approx(geometry.centre_y)
    assert 60 / frame.side == pytest.approx(geometry.width)
