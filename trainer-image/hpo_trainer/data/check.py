"""``python -m hpo_trainer.data.check DIR``: whether a data set can be trusted, before a study trains on it.

Everything is read once: what is unreadable, what the classes are and how many, and what leaks from one side of a split
to the other. Exit codes: 0 no problem, 1 problems, 2 no such data set or a wrong option.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpo_trainer.data import decathlon, inspection, leaks
from hpo_trainer.data.files import IMAGE_SUFFIXES, entries, is_file
from hpo_trainer.data.inspection import Inventory
from hpo_trainer.failures import BadConfig, BadData

FINE, PROBLEMS, USAGE = 0, 1, 2
SHOWN = 10
"""How many problems of a kind, and notes, the text shows; JSON has all of them."""
UNEVEN = 2.0
"""From which ratio of the widest to the narrowest spacing on a note is made."""


@dataclass(frozen=True)
class Class:
    """``items``: how many images are of it or hold a voxel of it; ``sides``: how many on each side of each split."""

    name: str
    label: int
    items: int
    voxels: int | None
    sides: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Report:
    """``sizes``: least, median and greatest number of pixels along each axis; ``spacings`` so too, in millimetres."""

    path: str
    layout: str
    task: str
    items: int
    sizes: tuple[tuple[float, float, float], ...]
    spacings: tuple[tuple[float, float, float], ...]
    values: tuple[float, float] | None
    classes: tuple[Class, ...]
    problems: tuple[str, ...]
    unreadable: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        return PROBLEMS if self.problems or self.unreadable else FINE


def check(path: Path, split_file: str = "", split_column: str = "split", patient: str = inspection.PATIENT) -> Report:
    """All there is to say of the data set at ``path``. Raises BadConfig for options that do not fit it."""
    try:
        inventory = inspection.take(path, split_file, split_column, patient)
    except BadData as error:
        return Report(str(path), "not understood", "", 0, (), (), None, (), (str(error), *_hints(path)), (), ())
    items, sides = inventory.items, inventory.sides
    classes = tuple(_class(inventory, label) for label in range(len(inventory.classes)))
    repeated, notes = leaks.same_images(items, sides)
    problems = [*_absent(inventory, classes), *repeated, *leaks.same_patients(items, sides)]
    return Report(
        str(path), inventory.layout, inventory.task, len(items),
        _spread([item.size for item in items]), _spread([item.spacing for item in items]),
        (min(item.low for item in items), max(item.high for item in items)) if items else None,
        classes, tuple(problems), inventory.unreadable, (*_notes(path, inventory), *notes),
    )  # fmt: skip


def _class(inventory: Inventory, label: int) -> Class:
    having = [item.counts[label] > 0 for item in inventory.items]
    sides = {
        name: {side: sum(h for h, s in zip(having, of, strict=True) if s == side) for side in sorted(set(of))}
        for name, of in inventory.sides.items()
    }
    voxels = sum(item.counts[label] for item in inventory.items) if inventory.task == "segmentation" else None
    return Class(inventory.classes[label], label, sum(having), voxels, sides)


def _absent(inventory: Inventory, classes: Sequence[Class]) -> list[str]:
    """Classes that nothing shows, or that training or validation lacks."""
    problems = [] if inventory.items else ["no image can be read"]
    if inventory.task == "classification" and len(classes) < 2:
        problems.append(f"expected at least two classes, found {', '.join(c.name for c in classes) or 'none'}")
    asked = classes[1:] if inventory.task == "segmentation" else classes
    for name in inventory.sides:
        for side in ("train", "val"):
            if inventory.items and side not in inventory.sides[name]:
                problems.append(f"no image on the side {side} of {name}")
                continue
            problems += [
                f"class {c.name!r} occurs nowhere on the side {side} of {name}"
                for c in asked
                if not c.sides[name].get(side)
            ]
    return problems


def _notes(path: Path, inventory: Inventory) -> list[str]:
    """What may well be right, and should be known."""
    notes = [f"{item.name}: all values are {item.low:g}" for item in inventory.items if item.low == item.high]
    if inventory.task == "segmentation":
        notes += [f"{item.name}: no foreground voxel" for item in inventory.items if not any(item.counts[1:])]
    for axis, (low, _, high) in zip("XYZ", _spread([item.spacing for item in inventory.items]), strict=False):
        if low > 0 and high / low >= UNEVEN:
            notes.append(f"spacing along {axis} from {low:g} to {high:g} mm: only resampling evens it out")
    return notes + [f"{name}: no part of the data set" for name in _strangers(path, inventory)]


def _strangers(path: Path, inventory: Inventory) -> list[str]:
    """Files beside those that were read, such as images in another format, or volumes that dataset.json forgot."""
    if not path.is_dir():
        return []
    if inventory.task == "classification":
        inside = [e for folder, is_folder in entries(path) if is_folder for e, _ in entries(folder)]
        return [str(e.relative_to(path)) for e in inside if e.suffix.lower() not in IMAGE_SUFFIXES]
    known = {case.image.resolve() for case in decathlon.read(path).cases}
    folder = path / "imagesTr"
    beside = entries(folder) if folder.is_dir() else []
    return [str(e.relative_to(path)) for e, _ in beside if e.resolve() not in known]


def _hints(path: Path) -> list[str]:
    """Where the data set may lie instead."""
    if not path.is_dir():
        return []
    try:
        below = entries(path)
        inside = [e for e, is_folder in below if e.suffix == ".npz" or (is_folder and is_file(e / "dataset.json"))]
    except BadData:
        return []
    return [f"did you mean {e}?" for e in inside]


def _spread(values: Sequence[tuple[float, ...]]) -> tuple[tuple[float, float, float], ...]:
    """Least, median and greatest of each column; of the rows with most columns, the others being exceptions."""
    columns = max(map(len, values), default=0)
    table = np.array([row for row in values if len(row) == columns], dtype=np.float64)
    return tuple((float(c.min()), float(np.median(c)), float(c.max())) for c in table.T) if columns else ()


# -------------------------------------------------------------------------------------------------------------- text


def text(report: Report) -> str:
    """For people."""
    unit = "volumes" if report.spacings else "images"
    lines = [f"{report.path}: {report.layout}" + (f", for {report.task}" if report.task else "")]
    if report.items:
        lines.append(f"{unit:10}{report.items}, {len(report.unreadable)} unreadable")
        lines.append(f"{'size':10}{_extent(report.sizes)}")
    if report.spacings:
        lines.append(f"{'spacing':10}{_extent(report.spacings)} mm")
    if report.values:
        lines.append(f"{'values':10}{report.values[0]:g} to {report.values[1]:g}")
    lines += [_class_line(c, unit) for c in report.classes]
    for heading, of in (("unreadable", report.unreadable), ("problem", report.problems), ("note", report.notes)):
        lines += [f"{heading + ':':12}{sentence}" for sentence in of[:SHOWN]]
        if len(of) > SHOWN:
            lines.append(f"{heading + ':':12}... {len(of) - SHOWN} more; --json lists all")
    return "\n".join([*lines, "no problem found" if report.exit_code == FINE else _verdict(report)])


def _class_line(c: Class, unit: str) -> str:
    voxels = f", {c.voxels} voxels" if c.voxels is not None else ""
    name, sides = next(iter(c.sides.items()), ("", {}))
    split = ", ".join(f"{side} {count}" for side, count in sides.items())
    return f"{'class':10}{c.label} {c.name}: {c.items} {unit}{voxels}" + (f" ({name}: {split})" if split else "")


def _extent(spread: Sequence[tuple[float, float, float]]) -> str:
    return " x ".join(f"{low:g}" if low == high else f"{low:g}-{high:g} ({mid:g})" for low, mid, high in spread)


def _verdict(report: Report) -> str:
    return f"{len(report.unreadable)} unreadable, {len(report.problems)} problems"


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code; argparse ends the program with 2 by itself."""
    parser = argparse.ArgumentParser(prog="hpo data check", description="Say whether a data set can be trusted.")
    parser.add_argument("path", type=Path, metavar="DIR", help="a data set: a folder, or an .npz file")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--split-file", default="", help="a CSV file inside the data set, as the study's splitFile")
    parser.add_argument("--split-column", default="split", help="as the study's splitColumn")
    parser.add_argument(
        "--patient", default=inspection.PATIENT, type=inspection.pattern, help="regular expression on file names"
    )
    options = parser.parse_args(arguments)
    if not inspection.reachable(options.path):
        parser.error(f"{options.path}: no such file or folder that this user may see")
    if options.split_file and not (options.path / options.split_file).is_file():
        parser.error(f"--split-file: no such file: {options.path / options.split_file}")
    try:
        report = check(options.path, options.split_file, options.split_column, options.patient)
    except BadConfig as error:
        parser.error(str(error))
    document: dict[str, Any] = asdict(report)
    print(json.dumps(document, indent=2) if options.json else text(report))
    return report.exit_code


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet where the output goes to head
    sys.exit(main(sys.argv[1:]))
