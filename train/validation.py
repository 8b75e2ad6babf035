"""Logits of a split during training: on the device, each process computing a part, gathered whole."""

import math

import torch
from accelerate.utils import broadcast

from train import augmentation


@torch.no_grad()
def gathered_logits(network, pictures, normalisation, size, process, batch_size=256):
    """float32 [n, K] of `pictures` uint8 [n, h, w] resized to `size`; all processes must call it and all get the whole.

    Accelerate's `gather_for_metrics` would cut the repeats of a last batch by what its own DataLoader remembers; here
    the pictures are counted, and their number is asserted.
    """
    network.eval()
    for buffer in network.buffers():
        broadcast(buffer)  # each process's batch norms saw its own pictures; the first one's count
    share = math.ceil(len(pictures) / process.num_processes)
    start = process.process_index * share
    own = torch.arange(start, start + share).clamp(max=len(pictures) - 1)  # the last process repeats the last picture
    parts = []
    for rows in own.split(batch_size):
        images = augmentation.resize(pictures[rows].unsqueeze(1).float() / 255, size)
        with process.autocast():
            parts.append(network(normalisation(images)).float())
    logits = process.gather(torch.cat(parts))[: len(pictures)]
    assert len(logits) == len(pictures), f"{len(logits)} logits of {len(pictures)} pictures"
    return logits.cpu().numpy()
