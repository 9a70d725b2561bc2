"""What is known on one side of a split and asked on the other: the same image, or the same patient.

Pure functions of what ``inspection`` found. Images are the same when their decoded pixels are; one that was mirrored,
cropped or compressed anew is another image here. Images of a single value are never the same: slices beyond the body
are all black, and tell nothing of anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from hpo_trainer.data.inspection import Item

Sides = Mapping[str, Sequence[str]]
"""Of each split by its name, the side of each item."""
LEFT_OUT = "left out"


def same_images(items: Sequence[Item], sides: Sides) -> tuple[list[str], list[str]]:
    """Problems: an image on two sides, or with two labels. Notes: an image twice on one side. A sentence each."""
    problems, notes = [], []
    for positions in _repeated(_contents(items)):
        names = _enumerate([items[i].name for i in positions])
        crossed = [name for name, of in sides.items() if len(_sides(of, positions)) > 1]
        if crossed:
            where = " and ".join(sorted(_sides(sides[crossed[0]], positions)))
            problems.append(f"the same image on two sides ({where}; {_enumerate(crossed)}): {names}; keep one")
        if len({items[i].counts for i in positions}) > 1:
            problems.append(f"the same image with different labels: {names}; correct one")
        elif not crossed:
            notes.append(f"the same image more than once: {names}")
    return problems, notes


def same_patients(items: Sequence[Item], sides: Sides) -> list[str]:
    """A sentence for each patient, or volume, with images on two sides of a split."""
    problems = []
    for positions in _repeated([item.group for item in items]):
        for name, of in sides.items():
            here = _sides(of, positions)
            if len(here) > 1:
                first = [next(items[i].name for i in positions if of[i] == side) for side in sorted(here)]
                where = " and ".join(sorted(here))
                problems.append(
                    f"patient {items[positions[0]].group} on two sides ({where}; {name}): {_enumerate(first)}"
                )
    return problems


def _contents(items: Sequence[Item]) -> list[str]:
    return [item.content if item.low < item.high else "" for item in items]


def _repeated(keys: Sequence[str]) -> list[list[int]]:
    """The positions of each key that stands at more than one; "" is no key."""
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        if key:
            positions[key].append(i)
    return [of for of in positions.values() if len(of) > 1]


def _sides(of: Sequence[str], positions: Sequence[int]) -> set[str]:
    return {of[i] for i in positions} - {LEFT_OUT}


def _enumerate(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def families(items: Sequence[Item]) -> tuple[str, ...]:
    """What must stay together, by name: items of one patient, items with equal pixels, and whatever those link.

    The name is the patient's, or that of the first image; it does not depend on the order of the items.
    """
    parent = list(range(len(items)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for keys in (_contents(items), [item.group for item in items]):
        for first, *others in _repeated(keys):
            for other in others:
                parent[root(other)] = root(first)
    members: defaultdict[int, list[Item]] = defaultdict(list)
    for i, item in enumerate(items):
        members[root(i)].append(item)
    names = {r: min(filter(None, (m.group for m in of)), default=min(m.name for m in of)) for r, of in members.items()}
    return tuple(names[root(i)] for i in range(len(items)))
