"""``python -m medical.speed``: samples a second of the tasks' own loop, beside a loop as MONAI's tutorials write it.

Both train the same network on the same images with the same batches, loss and optimizer, on one thread, by turns in
one process. Seconds are the processor's, so that other work on the machine counts little. The first turn warms up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import torch

from hpo_trainer.config import ClassificationConfig, SegmentationConfig
from hpo_trainer.data import classification, segmentation
from hpo_trainer.loop import Learner, train_epoch
from hpo_trainer.tasks.classification import ClassificationLearner
from hpo_trainer.tasks.segmentation import SegmentationLearner
from medical import report, tutorial_loop
from medical.data import VOLUME, hippocampus, mednist
from medical.tutorial_loop import TutorialLoop

TURNS = 3
CPU = torch.device("cpu")
VOLUMES, SLICES = 24, 320
"""How many images an epoch has."""
PATCH = (32, 32, 32)


@dataclass(frozen=True)
class Contest:
    """``bfloat16``: ours in mixed precision, where the task has it; ``samples``: of an epoch."""

    name: str
    ours: Learner
    bfloat16: Learner | None
    tutorial: TutorialLoop
    samples: int


def segmentation_contest(name: str, **fields: Any) -> Contest:
    config = SegmentationConfig(
        dataset=hippocampus().name, augmentation=True, mirror_axes=(0,), batch_size=fields.pop("batch", 2), **fields
    )
    data = segmentation.load(VOLUME, config, lambda: None)
    data = replace(data, train=data.train[: VOLUMES if config.axes == 3 else SLICES], validation=data.validation[:1])
    ours = SegmentationLearner(config, data, 0, CPU)
    mixed = SegmentationLearner(replace(config, precision="BFloat16"), data, 0, CPU)
    images, _ = next(ours.batches(1))
    cached, random = tutorial_loop.segmentation_transforms(images.shape[2:], bool(config.patch_size))
    records = tutorial_loop.segmentation_records(data.train)
    return Contest(name, ours, mixed, TutorialLoop(ours, records, cached, random, config.batch_size), len(data.train))


def classification_contest() -> Contest:
    config = ClassificationConfig(
        dataset=mednist().name, split_file="splits.csv", split_column="split_block", train_samples_per_class=100,
        image_size=64, blocks=4, filters=16, dense_units=(128,), batch_size=16, augmentation=True,
    )  # fmt: skip
    data = classification.load(VOLUME, config, lambda: None)
    ours = ClassificationLearner(config, data, 0, CPU)
    cached, random = tutorial_loop.classification_transforms((64, 64))
    records = tutorial_loop.classification_records(data.train.images, data.train.labels)
    tutorial = TutorialLoop(ours, records, cached, random, config.batch_size)
    return Contest("classification, 64²", ours, None, tutorial, len(records))


def contests() -> Iterator[Contest]:
    small = {"depth": 3, "channels": 8}
    yield classification_contest()
    yield segmentation_contest("2D slices, 8 channels", dimensions="2D", batch=16, **small)
    yield segmentation_contest("3D patches 32³, 8 channels", dimensions="3D", patch_size=PATCH, **small)
    yield segmentation_contest("3D whole, 8 channels", dimensions="3D", **small)
    yield segmentation_contest("3D whole, 32 channels", dimensions="3D", depth=3, channels=32)
    yield segmentation_contest(
        "3D patches 32³, full resolution", dimensions="3D", patch_size=PATCH, full_resolution=True, **small
    )


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def trained(learner: Learner, turn: int) -> None:
    train_epoch(learner, turn + 1, 0, lambda: None)


def measured(contest: Contest) -> dict[str, float]:
    """Milliseconds a sample: a whole step, and making its batch alone; the median over the turns."""
    works: dict[str, Callable[[int], object]] = {
        "tutorial": lambda turn: contest.tutorial.epoch(),
        "ours": lambda turn: trained(contest.ours, turn),
        "tutorial data": lambda turn: tutorial_loop.consumed(contest.tutorial.batches),
        "ours data": lambda turn: tutorial_loop.consumed(lambda: contest.ours.batches(turn + 1)),
    }
    mixed = contest.bfloat16
    if mixed is not None:
        works["ours, bfloat16"] = lambda turn: trained(mixed, turn)
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(TURNS + 1):
        for name, work in works.items():
            spent = seconds(partial(work, turn))
            if turn:
                found[name].append(spent / contest.samples * 1000)
    return {name: median(values) for name, values in found.items()}


def row(name: str, found: dict[str, float]) -> list[str]:
    def times(key: str) -> str:
        return f"{found['tutorial'] / found[key]:.2f}" if key in found else ""

    return [
        name,
        *(f"{found[key]:.1f}" for key in ("tutorial", "ours")),
        *(f"{found[key]:.1f}" for key in ("tutorial data", "ours data")),
        f"{1000 / found['ours']:.0f}",
        times("ours"),
        times("ours, bfloat16"),
    ]


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    found = {}
    for contest in contests():
        found[contest.name] = measured(contest)
        print(contest.name, found[contest.name], flush=True)
    headings = [
        "",
        "tutorial, ms",
        "ours, ms",
        "its data, ms",
        "our data, ms",
        "ours, samples/s",
        "faster",
        "in bfloat16",
    ]
    text = (
        f"Milliseconds of one processor a sample, medians of {TURNS} epochs by turns. *Data*: making a batch, without "
        "training on it. *Faster*: the tutorial's time over ours. Where the network is large, convolutions take the "
        "time, and a better loop gains next to nothing; there only `precision: BFloat16` helps."
    )
    table = report.table(headings, [row(name, values) for name, values in found.items()])
    report.write("speed", "The loop beside MONAI's tutorials", [table, text], found)


if __name__ == "__main__":
    main()
