"""Where a run stands, and the table of its epochs."""

import math
from dataclasses import dataclass, field

STAGES = ("warmup", "finetune")
ROW = "{:>9} {:>9} {:>4} {:>11} {:>11} {:>10} {:>9} {:>6} {}"
HEADER = ROW.format("epoch", "stage", "px", "train loss", "val. loss", "val. acc.", "macro F1", "s", "").rstrip()


@dataclass
class Progress:
    """With the weights, the moving average and the optimizer it is all that a checkpoint holds."""

    epoch: int = 0  # over both stages, counted from 0
    step: int = 0  # within the epoch
    total_steps: int = 0  # optimizer steps over the run
    loss_sum: float = 0.0  # of this epoch's steps so far
    seconds: float = 0.0  # spent in training and validation, over all resumptions
    energy_kwh: float | None = 0.0  # over all resumptions; None as soon as a part was not measured
    epoch_seconds: float = 0.0
    pictures: int = 0
    best: float = -math.inf
    best_epoch: int = -1
    history: list = field(default_factory=list)

    def end_epoch(self, stage, size, rate, steps, figures, seconds, metric):
        """Enter the epoch of `steps` into the history and stand before the next; whether it was the best so far by
        validation's `metric`. `seconds` are those of its validation; figures at another input size do not compare."""
        if self.history and self.history[-1]["input_size"] != size:
            self.best = -math.inf
        self.seconds += seconds
        self.history.append(
            {
                "epoch": self.epoch + 1,
                "stage": STAGES[stage],
                "input_size": size,
                "learning_rate": rate,
                "train_loss": self.loss_sum / steps,
                **{f"validation_{name}": value for name, value in figures.items()},
                "seconds": round(self.epoch_seconds + seconds, 1),
            }
        )
        figure = -figures["loss"] if metric == "loss" else figures[metric]
        better = figure > self.best
        if better:
            self.best, self.best_epoch = figure, self.epoch
        self.epoch, self.step, self.loss_sum, self.epoch_seconds = self.epoch + 1, 0, 0.0, 0.0
        return better

    def out_of_patience(self, patience, start):
        """Whether `patience` epochs (None: any number) since epoch `start` have passed without a better figure."""
        return bool(patience) and self.epoch - max(self.best_epoch + 1, start) >= patience


def table_row(row, epochs, best):
    """An entry of `Progress.history` as a line under HEADER; `best`: it is the best so far."""
    return ROW.format(
        f"{row['epoch']}/{epochs}",
        row["stage"],
        row["input_size"],
        f"{row['train_loss']:.3f}",
        f"{row['validation_loss']:.3f}",
        f"{row['validation_accuracy']:.2%}",
        f"{row['validation_macro_f1']:.2%}",
        f"{row['seconds']:.0f}",
        "best" if best else "",
    ).rstrip()
