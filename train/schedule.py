"""The learning rate over a stage."""

import math


def set_learning_rate(optimizer, config, number, done, length):
    """Linear ramp, then a cosine, over `done` of `length` epochs of stage `number`; returns the rate of the last block.

    A warm-up from scratch is all ramp: there is no pretrained backbone to keep still while a new head learns.
    """
    ramp = min(config.ramp_epochs, length / 2)
    if number == 0 and not config.stage_starts_frozen:
        ramp = length
    if done < ramp:
        factor = (done + 1e-3) / (ramp + 1e-3)  # not quite 0 at the first step
    else:
        cosine = 0.5 * (1 + math.cos(math.pi * (done - ramp) / (length - ramp)))
        factor = config.final_learning_rate + (1 - config.final_learning_rate) * cosine
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate[number] * factor * group.get("lr_scale", 1.0)
    return config.learning_rate[number] * factor
