"""Batched augmentation of grey pictures as tensors, on the device where the network is.

Every draw is made for the whole step's batch from a passed generator and then cut to the process's part, so that a
picture is augmented the same way whatever the number of processes, and again when a run is resumed.
"""

import math

import torch
import torch.nn.functional as F


def draw(n, generator):
    """The random numbers for `n` pictures: uniform float32 [n, 16] in [0, 1), one column a decision."""
    return torch.rand((n, 16), generator=generator)


def centred(u, extent):
    return (2 * u - 1) * extent


def augment(images, draws, config, size):
    """float32 [n, 1, size, size] in [0, 1] from `images` float32 [n, 1, h, w] in [0, 1] and their `draws` [n, 16]."""
    if not config.augmentation:
        return resize(images, size)
    images = warp(images, draws[:, :6], config, size)
    images = photometric(images, draws[:, 6:8], config)
    if config.sharpness:
        images = vary_sharpness(images, draws[:, 8:10], config)
    if config.erasing:
        images = erase(images, draws[:, 10:15], config)
    return images


def resize(images, size):
    """Bicubic with antialiasing, the tensor counterpart of Pillow's `resize(BICUBIC)`."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def warp(images, draws, config, size):
    """One bicubic resampling for crop, aspect ratio, rotation, shift, flip and the change of size. What lies outside
    of the picture repeats its border."""
    u = draws.unbind(1)
    low, high = config.scale
    scale = low + (high - low) * u[0]
    stretch = torch.exp(centred(u[1], math.log(config.aspect_ratio) / 2))
    angle = centred(u[2], math.radians(config.rotation))
    mirror = torch.where(u[3] < config.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [
        torch.stack([mirror * scale * stretch * cos, -scale / stretch * sin, centred(u[4], 2 * config.translation)], 1),
        torch.stack([mirror * scale * stretch * sin, scale / stretch * cos, centred(u[5], 2 * config.translation)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), (len(images), 1, size, size), align_corners=False)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp(0, 1)


def photometric(images, draws, config):
    """Contrast about the picture's own mean, then brightness."""
    contrast = 1 + centred(draws[:, 0], config.contrast).view(-1, 1, 1, 1)
    brightness = centred(draws[:, 1], config.brightness).view(-1, 1, 1, 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + brightness).clamp(0, 1)


def vary_sharpness(images, draws, config):
    """Some pictures x become x + a (x - blurred x) with a in [-1, 1]: from blurred to sharpened (unsharp masking)."""
    amount = torch.where(draws[:, 0] < config.sharpness, centred(draws[:, 1], 1.0), 0.0).view(-1, 1, 1, 1)
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (images + amount * (images - blurred)).clamp(0, 1)


def erase(images, draws, config):
    """One rectangle of 2-20% of the area and aspect ratio 0.3-3.3 takes the picture's mean (Zhong et al. 2017)."""
    n, _, height, width = images.shape
    u = draws.unbind(1)
    area, ratio = 0.02 + 0.18 * u[1], torch.exp(centred(u[2], math.log(3.3)))
    half_h, half_w = (area * ratio).sqrt().clamp(max=1) / 2, (area / ratio).sqrt().clamp(max=1) / 2
    y = (torch.arange(height, device=images.device) + 0.5) / height
    x = (torch.arange(width, device=images.device) + 0.5) / width
    in_rows = (y[None] - u[3][:, None]).abs() < half_h[:, None]
    in_columns = (x[None] - u[4][:, None]).abs() < half_w[:, None]
    inside = in_rows[:, :, None] & in_columns[:, None, :]
    inside &= (u[0] < config.erasing).view(-1, 1, 1)
    return torch.where(inside[:, None], images.mean((1, 2, 3), keepdim=True), images)
