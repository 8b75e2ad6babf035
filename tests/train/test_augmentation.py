"""Augmentation and mixing: ranges, determinism, geometry, and independence of how a batch is divided."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from train import augmentation
from train.config import TrainConfig
from train.mixing import draw_mixing, mix_batch

STILL = TrainConfig(
    scale=(1, 1), aspect_ratio=1, rotation=0, translation=0, flip=0, brightness=0, contrast=0, sharpness=0, erasing=0
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n=6):
    """Smooth random pictures, uint8 [n, 48, 48]."""
    coarse = torch.rand(n, 1, 6, 6, generator=generator())
    return (torch.nn.functional.interpolate(coarse, size=48, mode="bicubic").clamp(0, 1)[:, 0] * 255).byte()


def as_float(images):
    return images[:, None].float() / 255


def test_all_set_to_nothing_changes_nothing():
    images = as_float(pictures())
    out = augmentation.augment(images, augmentation.draw(6, generator()), STILL, 48)
    assert torch.allclose(out, images, atol=1e-4)


def test_flip_mirrors():
    images = as_float(pictures())
    out = augmentation.augment(images, augmentation.draw(6, generator()), dataclasses.replace(STILL, flip=1.0), 48)
    assert torch.allclose(out, images.flip(-1), atol=1e-4)


@pytest.mark.parametrize("size", [32, 48, 80])
def test_output_has_the_size_and_the_range(size):
    out = augmentation.augment(as_float(pictures()), augmentation.draw(6, generator()), TrainConfig(), size)
    assert out.shape == (6, 1, size, size)
    assert out.min() >= 0 and out.max() <= 1
    assert not torch.equal(out[0], out[1])


def test_same_draws_same_pictures():
    images, config = as_float(pictures()), TrainConfig()
    first, second = (augmentation.augment(images, augmentation.draw(6, generator(3)), config, 48) for _ in range(2))
    assert torch.equal(first, second)


def test_erasing_covers_what_it_should():
    config = TrainConfig(erasing=1.0)
    draws = torch.full((1, 5), 0.5)
    image = torch.rand(1, 1, 100, 100, generator=generator())
    changed = (augmentation.erase(image, draws, config) != image).float().mean().item()
    assert changed == pytest.approx(0.11, abs=0.02)  # half of 2-20% of the area


@pytest.mark.parametrize("size", [36, 64, 96])
def test_tensor_resize_follows_pillows(size):
    picture = pictures(1)[0]
    ours = augmentation.resize(as_float(picture[None]), size)[0, 0].numpy() * 255
    pillows = np.asarray(Image.fromarray(picture.numpy()).resize((size, size), Image.Resampling.BICUBIC))
    assert np.abs(ours - pillows).max() < 2


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_a_batch_in_two_parts_is_the_batch_in_one(mixing):
    config, images = TrainConfig(**mixing), pictures()
    targets, weights, rows = torch.eye(7)[:6], torch.arange(6.0), torch.tensor([5, 1, 3, 0])
    for seed in range(4):
        whole = mix_batch(images, targets, weights, rows, slice(0, 4), config, 48, generator(seed))
        halves = [
            mix_batch(images, targets, weights, rows, part, config, 48, generator(seed))
            for part in (slice(0, 2), slice(2, 4))
        ]
        for one, parts in zip(whole, zip(*halves, strict=True), strict=True):
            assert torch.allclose(one, torch.cat(parts), atol=1e-6)
        assert torch.allclose(whole[1].sum(1), torch.ones(4))


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_the_target_says_how_much_of_each_picture_there_is(mixing):
    config = TrainConfig(augmentation=False, **mixing)
    images = (torch.arange(6) * 40).byte()[:, None, None].expand(6, 48, 48)  # class k is all of grey 40 k
    rows, mixed = torch.arange(6), 0
    for seed in range(8):
        out, targets, weights = mix_batch(
            images, torch.eye(6), torch.arange(6.0), rows, slice(0, 6), config, 48, generator(seed)
        )
        greys = (targets * torch.arange(6) * 40 / 255).sum(1)
        torch.testing.assert_close(out.mean((1, 2, 3)), greys, atol=1e-4, rtol=0)
        torch.testing.assert_close(weights, (targets * torch.arange(6)).sum(1))
        mixed += int(((targets > 0.05).sum(1) == 2).sum())
    assert mixed > 8


@pytest.mark.parametrize(
    "knob",
    [
        {"scale": (0.8, 0.8)}, {"aspect_ratio": 1.3}, {"rotation": 20.0}, {"translation": 0.1}, {"flip": 1.0},
        {"brightness": 0.2}, {"contrast": 0.3}, {"sharpness": 1.0}, {"erasing": 1.0},
    ],
    ids=lambda knob: next(iter(knob)),
)  # fmt: skip
def test_each_knob_changes_pictures_by_itself(knob):
    images = as_float(pictures())
    out = augmentation.augment(images, augmentation.draw(6, generator()), dataclasses.replace(STILL, **knob), 48)
    assert (out - images).abs().mean() > 0.002


def test_half_a_turn_is_both_flips():
    draws = augmentation.draw(6, generator())
    draws[:, 2] = 1.0  # the most, of a rotation from -180 to 180 degrees
    images = as_float(pictures())
    out = augmentation.augment(images, draws, dataclasses.replace(STILL, rotation=180.0), 48)
    assert torch.allclose(out, images.flip(-1, -2), atol=1e-3)


def test_cutmix_lambda_is_the_part_that_is_left():
    config = TrainConfig(cutmix=1.0)
    for seed in range(20):
        lam, (top, bottom, left, right) = draw_mixing(config, 48, generator(seed))
        assert lam == pytest.approx(1 - (bottom - top) * (right - left) / 48**2)
        assert 0 <= top <= bottom <= 48 and 0 <= left <= right <= 48
