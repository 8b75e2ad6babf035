"""Random numbers that depend on where a run stands, never on what was drawn before."""

import numpy as np
import torch


def mixed_seed(*numbers):
    """One 63-bit seed from several whole numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def generator(*numbers):
    """A CPU generator whose draws depend on these numbers alone."""
    return torch.Generator().manual_seed(mixed_seed(*numbers))
