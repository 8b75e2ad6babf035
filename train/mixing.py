"""One process's part of a global batch: augmented, then mixed with partners of the same batch."""

import numpy as np
import torch

from train import augmentation


def mix_batch(pictures, targets, weights, rows, part, config, size, generator):
    """(images float32 [m, 1, size, size] in [0, 1], targets float32 [m, K], weights float32 [m]).

    `rows` index the global batch in `pictures` uint8 [n, h, w]; `part` is this process's slice of it. Draws are made
    for the whole batch, so that the result does not depend on how it is divided.
    """
    draws = augmentation.draw(len(rows), generator)
    partner = torch.randperm(len(rows), generator=generator)
    lam, box = draw_mixing(config, size, generator)

    def load(positions):
        chosen = moved(rows[positions], pictures.device)
        grey = pictures[chosen].unsqueeze(1).float() / 255
        return (
            augmentation.augment(grey, moved(draws[positions], pictures.device), config, size),
            targets[chosen],
            weights[chosen],
        )

    positions = torch.arange(len(rows))[part]
    images, target, weight = load(positions)
    if lam == 1:
        return images, target, weight
    other_images, other_target, other_weight = load(partner[positions])
    if box is None:
        images = lam * images + (1 - lam) * other_images
    else:
        top, bottom, left, right = box
        images[:, :, top:bottom, left:right] = other_images[:, :, top:bottom, left:right]
    return images, lam * target + (1 - lam) * other_target, lam * weight + (1 - lam) * other_weight


def moved(tensor, device):
    """`tensor` on `device`, on a GPU without waiting for what it is computing: from pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def draw_mixing(config, size, generator):
    """(lambda, None) for mixup (Zhang et al. 2018), (lambda, box) for CutMix (Yun et al. 2019), (1, None) for neither.

    lambda is the part of the first picture; a CutMix box is (top, bottom, left, right) in pixels, lambda the rest.
    """
    if not config.mixup and not config.cutmix:
        return 1.0, None
    random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    cut = config.cutmix > 0 and (config.mixup == 0 or random.random() < 0.5)
    lam = float(random.beta(*[config.cutmix if cut else config.mixup] * 2))
    if not cut:
        return lam, None
    side = round(size * (1 - lam) ** 0.5)
    top, left = random.integers(0, size - side + 1, 2).tolist()
    return 1 - side * side / (size * size), (top, top + side, left, left + side)
