"""What a reader of the model card wants to see: learning curves, confusions, and the masks themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hpo_trainer.final.sides import Images, Item, Mask, Probabilities
from hpo_trainer.loop import Metrics

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")
"""Of the foreground classes (Okabe and Ito: told apart by the colour-blind, too)."""
DOTS = 150


def learning_curves(histories: Mapping[str, Mapping[int, Metrics]], metric: str, path: Path) -> None:
    """The metric and the training loss of each model over the epochs; the first one is drawn strongly."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, name in zip(axes, (metric, "loss"), strict=True):
        for i, (trial, history) in enumerate(histories.items()):
            points = [(epoch, metrics[name]) for epoch, metrics in sorted(history.items()) if name in metrics]
            colour, width = ("#2b6cb0", 2.0) if i == 0 else ("#a0bcd8", 1.0)
            marker = "o" if len(points) == 1 else None
            axis.plot(
                *zip(*points, strict=True), marker=marker, color=colour, lw=width, label=trial, zorder=3 - (i > 0)
            )
        axis.set(xlabel="epoch", ylabel="training loss" if name == "loss" else f"{name} (validation)")
        axis.grid(alpha=0.25)
    axes[0].legend(fontsize="small", frameon=False)
    figure.savefig(path, dpi=DOTS)


def confusion_matrix(confusion: NDArray[np.int64], classes: Sequence[str], title: str, path: Path) -> None:
    """Rows are the truth; the colour is the share of the row."""
    size = max(3.6, 1.1 + 0.75 * len(classes))
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    axis = figure.subplots()
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        axis.text(column, row, str(count), ha="center", va="center", color="white" if share[row, column] > 0.5 else "k")
    ticks = range(len(classes))
    axis.set_xticks(ticks, classes, rotation=45, ha="right")
    axis.set_yticks(ticks, classes)
    axis.set(xlabel="predicted", ylabel="truth", title=title)
    figure.savefig(path, dpi=DOTS)


def image_montage(side: Images, scores: Probabilities, classes: Sequence[str], path: Path, most: int = 12) -> None:
    """The images with the least probability for their class: errors first, the surest of them leading."""
    true = scores[np.arange(len(scores)), side.labels]
    figure, axes = _grid(min(most, len(true)), columns=4, height=2.6)
    for axis, i in zip(axes, np.argsort(true, kind="stable"), strict=False):
        guess = int(scores[i].argmax())
        right = guess == side.labels[i]
        axis.imshow(side.images.images[int(i), 0].numpy(), cmap="gray")
        told = f"{classes[side.labels[i]]}" + ("" if right else f" taken for {classes[guess]}")
        axis.set_title(
            f"{told}\n{side.names[i]}, p = {scores[i, guess]:.2f}", fontsize=7, color="k" if right else "#c53030"
        )
    figure.suptitle("Validation images with the least probability for their class", fontsize=10)
    figure.savefig(path, dpi=DOTS)


def mask_montage(
    items: Sequence[tuple[str, float, Item, Mask]], classes: Sequence[str], title: str, path: Path
) -> None:
    """Of each image or volume its name, Dice and prediction: the slice with most foreground, filled where a class is
    predicted and outlined where it is true."""
    figure, axes = _grid(len(items), columns=3, height=2.9)
    for axis, (name, dice, item, predicted) in zip(axes, items, strict=True):
        image, true, given = _slices(item, predicted)
        extent = (-0.5, true.shape[1] - 0.5, true.shape[0] - 0.5, -0.5)
        aspect = item.spacing[0] / item.spacing[1]
        axis.imshow(image, cmap="gray", extent=extent, aspect=aspect)
        for label in range(1, len(classes)):
            colour = COLOURS[(label - 1) % len(COLOURS)]
            if (given == label).any():
                axis.contourf(given == label, levels=[0.5, 1.5], colors=[colour], alpha=0.4)
            if (true == label).any():
                axis.contour(true == label, levels=[0.5], colors=[colour], linewidths=1.2)
        axis.set_title(f"{name}, Dice {dice:.3f}", fontsize=8)
    handles = [_patch(COLOURS[i % len(COLOURS)], name) for i, name in enumerate(classes[1:])]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=DOTS)


def _grid(count: int, columns: int, height: float) -> tuple[Figure, list[Any]]:
    rows = -(-count // columns)
    figure = Figure(figsize=(9, 0.6 + height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    return figure, list(axes[:count])


def _slices(item: Item, predicted: Mask) -> tuple[NDArray[Any], Mask, Mask]:
    image = item.image[0]
    if item.mask.ndim == 2:
        return image, item.mask, predicted
    shown = (item.mask > 0).sum((0, 1)) + 1e-3 * (predicted > 0).sum((0, 1))
    z = int(shown.argmax())
    in_image = min(image.shape[2] - 1, round(z * image.shape[2] / item.mask.shape[2]))  # it may have its own grid
    return image[..., in_image], item.mask[..., z], predicted[..., z]


def _patch(colour: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour, alpha=0.7, label=label)
