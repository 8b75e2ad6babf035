"""ZeroGPU starts no Space that has no function to lend a GPU to; the app computes on the CPU, so this is never called.

`space.publish --hardware zero-a10g` makes app.py import it first; the platform brings `spaces` along.
"""

import spaces


@spaces.GPU
def never_called():
    """What ZeroGPU looks for at start-up."""
