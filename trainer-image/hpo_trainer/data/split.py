"""``python -m hpo_trainer.data.split DIR``: draw a split by patient or volume, and write it down beside the data.

Folders of classes and archives get a CSV file for ``splitFile``, Decathlon folders the ``splits_final.json`` that
nnU-Net knows.
Images with equal pixels stay together too. Exit codes: 0 written, 1 a data set that cannot be read, 2 wrong options.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from hpo_trainer.data import archive_split, inspection, leaks
from hpo_trainer.data.decathlon import SPLITS_FILE
from hpo_trainer.data.files import array_names
from hpo_trainer.data.inspection import Inventory, Item
from hpo_trainer.data.partition import Counts, folds, partition
from hpo_trainer.failures import BadData

CSV_FILE, ARCHIVE = "splits.csv", ".npz"
Columns = dict[str, tuple[str, ...]]
"""Of each split by its name, the side of each item: train, val or test."""


def draw(
    inventory: Inventory, families: Sequence[str], test: float, validation: float, number: int, seed: int
) -> Columns:
    """One split, named split, or ``number`` folds, named fold0, fold1, ...; all with the same test items.

    ``test``, ``validation``: shares of all items; with folds ``validation`` does not count.
    """
    counts = class_counts(inventory)
    if number == 0:
        shares = {"train": 1 - test - validation, "val": validation, "test": test}
        return {"split": partition(families, counts, {s: v for s, v in shares.items() if v > 0}, seed)}
    outer = partition(families, counts, {"train": 1 - test, "test": test}, seed) if test else ("train",) * len(counts)
    inner = [i for i, side in enumerate(outer) if side == "train"]
    fold = np.full(len(counts), -1)
    fold[inner] = folds([families[i] for i in inner], counts[inner], number, seed)

    def side(of: int, k: int) -> str:
        return "test" if of < 0 else "val" if of == k else "train"

    return {f"fold{k}": tuple(side(of, k) for of in fold.tolist()) for k in range(number)}


def class_counts(inventory: Inventory) -> Counts:
    """(N, C): the class of each image; of each volume which foreground classes it shows, however large."""
    counts = np.array([item.counts for item in inventory.items], dtype=np.int64)
    return (counts[:, 1:] > 0).astype(np.int64) if inventory.task == "segmentation" else counts


def write(out: Path, inventory: Inventory, families: Sequence[str], columns: Columns) -> None:
    """A CSV file with the columns class, file, patient and the splits, of an archive the position in place of class and
    file; or nnU-Net's list of folds."""
    archive = inventory.layout.startswith(ARCHIVE)
    if not archive and inventory.task == "segmentation":
        cases = [Path(item.name).name.removesuffix(".gz").removesuffix(".nii") for item in inventory.items]
        document = [
            {s: [c for c, side in zip(cases, of, strict=True) if side == s] for s in ("train", "val", "test")}
            for of in columns.values()
        ]
        out.write_text(json.dumps(document, indent=1) + "\n")
        return
    with out.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow([*([archive_split.POSITION] if archive else ["class", "file"]), "patient", *columns])
        for i, item in enumerate(inventory.items):
            place = [re.sub("[^0-9]", "", item.name)] if archive else item.name.split("/", 1)
            writer.writerow([*place, families[i], *(of[i] for of in columns.values())])


def summary(inventory: Inventory, families: Sequence[str], columns: Columns, sides: Sequence[str]) -> str:
    """For people: on each side of each split, how many items, patients, and items of each class."""
    lines = []
    for column, side, here, held in _held(inventory, columns, sides):
        classes = ", ".join(f"{name} {count}" for name, count in held.items())
        groups = len({families[i] for i in here})
        lines.append(f"{column} {side:6}{len(here)} items of {groups} groups: {classes}")
    return "\n".join(lines)


def warnings(inventory: Inventory, columns: Columns, sides: Sequence[str], block: int) -> list[str]:
    """What the split could not be made to be: by patient, or with every class on every side."""
    strangers = sum(not item.group for item in inventory.items)
    found = []
    if inventory.task == "classification" and strangers and block == 1:
        found.append(
            f"no patient is known of {strangers} images, which are split one by one: neighbours among them, such as "
            "slices of a volume, may be on two sides; tell patients with --patient, or keep neighbours with --block"
        )
    for column, side, _, held in _held(inventory, columns, sides):
        found += [
            f"{column}: no {name!r} on the side {side}; too few groups have it" for name, n in held.items() if not n
        ]
    return found


Held = tuple[str, str, list[int], dict[str, int]]


def _held(inventory: Inventory, columns: Columns, sides: Sequence[str]) -> Iterator[Held]:
    """Of each of ``sides`` of each split: its name, its items, and how many of them are of each class."""
    counts = class_counts(inventory) > 0
    names = inventory.classes[1:] if inventory.task == "segmentation" else inventory.classes
    for column, of in columns.items():
        for side in sides:
            here = [i for i, s in enumerate(of) if s == side]
            yield column, side, here, dict(zip(names, counts[here].sum(0).tolist(), strict=True))


def in_blocks(items: Sequence[Item], size: int) -> list[Item]:
    """Items of no known patient get one: each ``size`` of them that follow each other in a folder by name."""
    unknown = sorted((str(Path(item.name).parent), item.name) for item in items if not item.group)
    blocks: dict[str, str] = {}
    for folder, of in groupby(unknown, key=lambda pair: pair[0]):
        blocks |= {name: f"{folder}/block{i // size}" for i, (_, name) in enumerate(of)}
    return [replace(item, group=blocks.get(item.name, item.group)) for item in items]


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code; argparse ends the program with 2 by itself."""
    options, parser = _options(arguments)
    try:
        if not options.path.is_dir():
            _check_archive(options, parser)
        inventory = inspection.take(options.path, patient=options.patient)
    except BadData as error:
        return _failed([str(error)])
    if inventory.unreadable:
        return _failed(inventory.unreadable)
    if not options.path.is_dir():  # images of the group -1 are on no side
        inventory = replace(inventory, items=tuple(item for item in inventory.items if item.group))
    out = options.out or _beside(options.path, inventory.task)
    if out.exists():
        parser.error(f"{out} exists, and studies may depend on it; name another file with --out")
    families = leaks.families(in_blocks(inventory.items, options.block) if options.block > 1 else inventory.items)
    columns = draw(inventory, families, options.test, options.validation, options.folds, options.seed)
    sides = ("train", "val", "test") if options.test else ("train", "val")
    try:
        write(out, inventory, families, columns)
    except OSError as error:
        parser.error(f"{out} cannot be written: {error.strerror}; name another file with --out")
    print(summary(inventory, families, columns, sides))
    print(f"written to {out}, seed {options.seed}")
    for sentence in warnings(inventory, columns, sides, options.block):
        print(f"warning: {sentence}", file=sys.stderr)
    return 0


def _check_archive(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Its arrays may say already who is on which side. Raises BadData where it is no archive."""
    names = array_names(options.path)
    if "train_images" in names:
        parser.error(f"{options.path} holds its own split, in arrays named train_..., val_... and test_...")
    if options.test and "test_images" in names:
        parser.error(f"{options.path} has a test side already, in arrays named test_...; take --test 0")


def _beside(path: Path, task: str) -> Path:
    if not path.is_dir():
        return path.with_suffix(f".{CSV_FILE}")
    return path / (SPLITS_FILE if task == "segmentation" else CSV_FILE)


def _failed(sentences: Sequence[str]) -> int:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1


def _options(arguments: Sequence[str]) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(prog="hpo data split", description="Draw a split by patient or volume.")
    parser.add_argument("path", type=Path, metavar="DIR", help="a data set: a folder, or an .npz file with groups")
    parser.add_argument("--test", type=float, default=0.25, help="share of the test side; 0: none")
    parser.add_argument("--validation", type=float, default=0.25, help="share of the validation side")
    parser.add_argument("--folds", type=int, default=0, help="this many folds of what is not for the test")
    parser.add_argument("--block", type=int, default=1, help="neighbours that stay together where no patient is known")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another split")
    parser.add_argument("--patient", default=inspection.PATIENT, type=inspection.pattern, help="of file names")
    parser.add_argument(
        "--out",
        type=Path,
        help=f"default: {CSV_FILE} or {SPLITS_FILE} in the data set, NAME.{CSV_FILE} beside an archive",
    )
    options = parser.parse_args(arguments)
    if not inspection.reachable(options.path):
        parser.error(f"{options.path}: no such folder or file that this user may see")
    if options.test < 0 or options.validation <= 0 or options.test + options.validation >= 1:
        parser.error("expected shares with --test at least 0, --validation above 0 and both together below 1")
    if options.folds == 1 or options.folds < 0:
        parser.error(f"--folds: expected 0 or at least 2, found {options.folds}")
    if options.block < 1:
        parser.error(f"--block: expected at least 1, found {options.block}")
    return options, parser


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet where the output goes to head
    sys.exit(main(sys.argv[1:]))
