"""From slices to regions of a body: section 2.6.4 of Bertrand's thesis (2019), on stacks made of MedNIST's six classes.

There is no whole-body volume in MedNIST. A *stack* here is put together from runs of neighbouring files, one run of a
class after another in a fixed order, so its true regions are known. A weak network (5 training images of each class)
gives each slice a distribution over the classes; ``hpo_trainer.volumes`` decides. That its regions are what trying all
of them finds is shown by tests/trainer/test_volumes.py, test_regions_are_what_trying_everything_finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpo_trainer.volumes import Curves, Labels, majority_vote, regions, smooth
from medical.data import mednist
from medical.field_of_view import COMMON, predictions
from medical.report import RESULTS, spread, table, write
from medical.runs import run_trial

CLASSES = ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")
ORDER = ("Hand", "AbdomenCT", "ChestCT", "BreastMRI", "CXR", "HeadCT")
"""From the lowest slice to the highest; MedNIST's classes, not a body's anatomy."""
SEEDS, STACKS, LEAST, MOST, MISSING = (1, 2, 3), 200, 6, 24, 0.2
"""Stacks of a side; slices of a region; share of the regions that a stack lacks."""
DEVIATIONS = (1.0, 2.0, 3.0, 4.0)
NETWORK = COMMON | {"trainSamplesPerClass": 5, "blocks": 3, "filters": 16, "learningRate": 0.01}
EPOCHS = 36
NUMBERS = [CLASSES.index(name) for name in ORDER]


@dataclass(frozen=True)
class Stack:
    """``curves``: (S, 6), ``truth``: (S,)."""

    curves: Curves
    truth: Labels


Decision = Callable[[Curves], Labels]


def decisions(deviation: float) -> dict[str, Decision]:
    """What each slice is taken for, (S,), by each way to decide."""
    return {
        "the likeliest class of each slice": lambda curves: curves.argmax(1),
        "the same of smoothed curves": lambda curves: smooth(curves, deviation).argmax(1),
        "regions of the curves as they are": lambda curves: regions(curves, NUMBERS).labels,
        "regions of the smoothed curves": lambda curves: regions(smooth(curves, deviation), NUMBERS).labels,
    }


def stacks(curves: Curves, labels: Labels, random: np.random.Generator) -> list[Stack]:
    """``curves``: (N, 6) of slices in the order of their files, ``labels``: (N,), class by class."""
    return [_stack(curves, labels, random) for _ in range(STACKS)]


def _stack(curves: Curves, labels: Labels, random: np.random.Generator) -> Stack:
    present = [number for number in NUMBERS if random.random() >= MISSING] or NUMBERS
    slices: list[NDArray[np.intp]] = []
    for number in present:
        own, length = np.flatnonzero(labels == number), int(random.integers(LEAST, MOST + 1))
        first = int(random.integers(0, len(own) - length + 1))
        slices.append(own[first : first + length])
    chosen = np.concatenate(slices)
    return Stack(curves[chosen], labels[chosen])


def accuracy(decide: Decision, made: Sequence[Stack]) -> float:
    """Share of slices."""
    right = [decide(stack.curves) == stack.truth for stack in made]
    return float(np.concatenate(right).mean())


def whole(decide: Decision, made: Sequence[Stack]) -> float:
    """Share of stacks with as many blocks, of the same classes in the same order, as there are."""
    return float(np.mean([_sequence(decide(stack.curves)) == _sequence(stack.truth) for stack in made]))


def _sequence(labels: Labels) -> list[int]:
    return labels[np.concatenate([[True], np.diff(labels) != 0])].tolist()


def votes(made: Sequence[Stack]) -> float:
    """Share of the true regions whose majority vote is right, each taken as a volume of its own."""
    parts = [(stack.curves[stack.truth == c], int(c)) for stack in made for c in np.unique(stack.truth)]
    return float(np.mean([majority_vote(curves) == truth for curves, truth in parts]))


@dataclass(frozen=True)
class Measured:
    """Of one network, on stacks of the test side: of each decision the share of slices and of stacks that are right.

    ``votes``: of majority votes. ``deviation``: of the filter, in slices, chosen on stacks of the validation side.
    """

    shares: dict[str, tuple[float, float]]
    votes: float
    deviation: float
    telling: Stack


def measured(seed: int) -> Measured:
    run = run_trial("classification", NETWORK, seed=seed, epochs=EPOCHS)
    found = predictions(run.folder)
    random = np.random.default_rng(seed)
    sides = [(found.validation, found.labels[0]), (found.test, found.labels[1])]
    validation, test = (stacks(p.numpy().astype(np.float64), y.numpy(), random) for p, y in sides)

    def share(width: float) -> float:
        return accuracy(decisions(width)["regions of the smoothed curves"], validation)

    deviation = max(DEVIATIONS, key=share)
    shares = {name: (accuracy(way, test), whole(way, test)) for name, way in decisions(deviation).items()}
    return Measured(shares, votes(test), deviation, _telling(test, deviation))


def _telling(made: Sequence[Stack], deviation: float) -> Stack:
    """The stack with the most slices that only the regions get right."""
    raw, *_, last = decisions(deviation).values()
    return max(made, key=lambda s: int(((last(s.curves) == s.truth) & (raw(s.curves) != s.truth)).sum()))


def draw(stack: Stack, deviation: float, file: Path) -> None:
    """Strips of classes, and the smoothed curves below them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ways = {"truth": stack.truth} | {name: decide(stack.curves) for name, decide in decisions(deviation).items()}
    figure, (strips, curves) = pyplot.subplots(2, 1, figsize=(10, 5), height_ratios=(3, 2), sharex=True)
    ranks = np.array([NUMBERS.index(c) for c in range(len(CLASSES))])
    colours = matplotlib.colormaps["tab10"]
    strips.imshow(colours(ranks[np.stack(list(ways.values()))]), aspect="auto", interpolation="nearest")
    strips.set_yticks(range(len(ways)), list(ways))
    for rank, (name, number) in enumerate(zip(ORDER, NUMBERS, strict=True)):
        curves.plot(smooth(stack.curves, deviation)[:, number], color=colours(rank), label=name)
    curves.set(xlabel="slice", ylabel="probability, smoothed", ylim=(0, 1))
    curves.legend(ncols=6, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    figure.savefig(file, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


def run() -> None:
    mednist()
    found = [measured(seed) for seed in SEEDS]
    rows = []
    for name in found[0].shares:
        slices, whole_stacks = zip(*(m.shares[name] for m in found), strict=True)
        rows.append([name, spread(slices), spread(whole_stacks)])
    text = (
        f"{STACKS} stacks of each side; order {', '.join(ORDER)}; each region of {LEAST} to {MOST} neighbouring files, "
        f"a fifth of the regions missing. The network saw 5 images of each class, {EPOCHS} epochs; {len(SEEDS)} seeds, "
        "which change its first weights and the stacks. The width of the filter was chosen on stacks of the validation "
        f"side ({', '.join(f'{m.deviation:g}' for m in found)} slices); the table is of the test side. A majority vote "
        f"over each true region, taken as a volume of its own, is right in {spread([m.votes for m in found])} of them."
    )
    RESULTS.mkdir(parents=True, exist_ok=True)
    draw(found[0].telling, found[0].deviation, RESULTS / "regions.png")
    caption = "The stack in which the regions mend most: the truth, the four decisions, and the smoothed curves"
    picture = f"![{caption}](regions.png)"
    headings = ["", "slices that are right", "stacks whose regions are right"]
    raw = [{"shares": m.shares, "votes": m.votes, "deviation": m.deviation} for m in found]
    write("regions", "From slices to regions", [text, table(headings, rows), picture], raw)


if __name__ == "__main__":
    run()
