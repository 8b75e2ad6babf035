"""ZeroGPU starts no Space that has no function to lend a GPU to; the app computes on the CPU, so this is never called.

app.py imports it on the Hub. The platform brings `spaces` along, whose decorator does nothing on other hardware.
"""

import spaces


@spaces.GPU
def never_called():
    """What ZeroGPU looks for at start-up."""
