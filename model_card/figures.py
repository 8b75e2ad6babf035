"""The card's figures, drawn from metrics.json alone."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display where models are trained
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

INK, QUIET, BLUE, ORANGE = "#22303c", "#8a96a3", "#2f6db2", "#d9822b"
STYLE = {
    "font.size": 10,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 120,
    "savefig.bbox": "tight",
    "savefig.facecolor": "white",
}

# name in the template to path in the model folder
FIGURES = {name: f"figures/{name}.png" for name in ("confusion_matrix", "reliability", "training_curves")}


def draw_figures(metrics, split, view, folder):
    """Write FIGURES of one split's view into `folder`."""
    entry = metrics["splits"][split][view]
    (Path(folder) / "figures").mkdir(exist_ok=True)
    drawings = {
        "confusion_matrix": lambda: confusion_matrix(entry["confusion_matrix"], metrics["label_names"]),
        "reliability": lambda: reliability(entry),
        "training_curves": lambda: training_curves(metrics["training"]["history"]),
    }
    with plt.rc_context(STYLE):
        for name, draw in drawings.items():
            figure = draw()
            # no software version or date in the file: the same figures give the same bytes, and no needless commit
            figure.savefig(Path(folder) / FIGURES[name], metadata={"Software": None})
            plt.close(figure)


def draw_curves(history, path):
    """Write the training curves of a run that has no model folder to `path`."""
    with plt.rc_context(STYLE):
        figure = training_curves(history)
        figure.savefig(path)
        plt.close(figure)


def confusion_matrix(matrix, names):
    """Rows are true classes and sum to 100%; counts stand in small."""
    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(6.4, 5.6))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(names)):
        for column in range(len(names)):
            colour = "white" if share[row, column] > 0.55 else INK
            axes.text(column, row - 0.08, f"{100 * share[row, column]:.0f}%", ha="center", va="center", color=colour)
            axes.text(column, row + 0.28, counts[row, column], ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label in FER-2013")
    return figure


def reliability(entry):
    """Accuracy over confidence before and after calibration; the size of a point is its number of pictures."""
    panels = [("reliability_before", "before calibration", ORANGE), ("reliability", "after", BLUE)]
    panels = [panel for panel in panels if panel[0] in entry]
    figure, row = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 4), sharey=True, squeeze=False)
    for axes, (key, title, colour) in zip(row[0], panels, strict=True):
        table = [one for one in entry[key] if one["count"]]
        confidence, accuracy = ([one[name] for one in table] for name in ("confidence", "accuracy"))
        size = [20 + 400 * one["count"] / entry["support"] for one in table]
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--")
        axes.plot(confidence, accuracy, color=colour, linewidth=1, alpha=0.6)
        axes.scatter(confidence, accuracy, s=size, color=colour, edgecolor="white", zorder=3, clip_on=False)
        error = entry[key.replace("reliability", "expected_calibration_error")]
        axes.set_title(f"{title}: ECE {100 * error:.1f}%")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", aspect="equal")
    row[0][0].set_ylabel("accuracy")
    return figure


def training_curves(history):
    """Losses, and validation accuracy and macro F1, over epochs; dotted lines where the input size grew."""
    epochs = [row["epoch"] for row in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.6))
    left.plot(
        epochs, [row["train_loss"] for row in history], color=ORANGE, marker=".", label="train (smoothed targets)"
    )
    left.plot(epochs, [row["validation_loss"] for row in history], color=BLUE, marker=".", label="validation")
    left.set_ylabel("loss")
    right.plot(epochs, [100 * row["validation_accuracy"] for row in history], color=BLUE, marker=".", label="accuracy")
    right.plot(
        epochs, [100 * row["validation_macro_f1"] for row in history], color=ORANGE, marker=".", label="macro F1"
    )
    right.set_ylabel("validation, %")
    for axes in (left, right):
        for before, row in zip(history, history[1:], strict=False):
            if before["input_size"] != row["input_size"]:
                axes.axvline(row["epoch"] - 0.5, color=QUIET, linewidth=1, linestyle=":")
                axes.text(
                    row["epoch"] - 0.3,
                    axes.get_ylim()[0],
                    f"{row['input_size']} px",
                    fontsize=8,
                    color=QUIET,
                    va="bottom",
                )
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    return figure
