"""Mutants of valid studies: places deleted, replaced, renamed, doubled, moved, stretched, or bred with another."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any

Raw = dict[str, Any]

JUNK: list[Any] = [
    None, True, False, 0, -1, 1, 2, 1.5, -0.0, 5e-324, 1.7976931348623157e308, 2**31, 2**53, 2**63, -(2**63) - 1,
    10**400, float("nan"), float("inf"), "", " ", "text", "1", "1e-3", "0x10", "NaN", "yes", "null", "é\u200b\n",
    "\ud800", "\u202eabc", "a" * 64, "x" * 10_000, "../..", "/", "$(HPO_SEED)", "{{ .Values }}", "; rm -rf /",
    [], [None], [[]], [1, "a", {}], {}, {"a": 1}, {"": ""}, ["x"] * 300, [{"name": "a"}] * 80,
    {str(i): i for i in range(300)},
]  # fmt: skip
WAYS = ("delete", "junk", "junk", "word", "rename", "double", "move", "breed", "breed", "stretch", "stretch")
WORDS = ["GP", "TPE", "Grid", "Random", "Sobol", "Hyperband", "ASHA", "FreezeThaw", "MedianStopping", "None", "Log"]


def mutant(studies: Sequence[Raw], seed: int) -> Raw:
    """The mutant of a seed: always the same."""
    chance = random.Random(seed)
    raw = copy.deepcopy(chance.choice(studies))
    for _ in range(chance.choice([1, 1, 1, 2, 3, 5])):
        _mutate(raw, chance, studies)
        if not raw:
            break
    return raw


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container inside ``value`` with each of its keys or indices."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def _mutate(raw: Raw, chance: random.Random, studies: Sequence[Raw]) -> None:
    container, key = chance.choice(list(places(raw)))
    old = container[key]
    match chance.choice(WAYS):
        case "delete":
            del container[key]
        case "rename" if isinstance(container, dict):
            container[f"{str(key)[:-1]}{chance.choice('xyzZ_')}"] = container.pop(key)
        case "double" if isinstance(container, list):
            container.append(copy.deepcopy(old))
        case "move":
            other, place = chance.choice(list(places(raw)))
            container[key] = copy.deepcopy(other[place])
        case "breed":
            container[key] = copy.deepcopy(_relative(chance, studies, key))
        case "stretch":
            container[key] = _stretched(old, chance)
        case "word":
            container[key] = chance.choice(WORDS)
        case _:
            container[key] = copy.deepcopy(chance.choice(JUNK))


def _relative(chance: random.Random, studies: Sequence[Raw], key: Any) -> Any:
    """What stands under the same key in another study, if there is one."""
    found = [(c, k) for c, k in places(chance.choice(studies)) if k == key] or [({"": None}, "")]
    container, place = chance.choice(found)
    return container[place]


def _stretched(value: Any, chance: random.Random) -> Any:
    """Nearly the same: the neighbours of a number, the ends of a text, a list with less."""
    match value:
        case bool():
            return chance.choice([not value, str(value), int(value)])
        case int() | float() if abs(value) < 1e300:
            near = [-value, value + 1, value - 1, value * 10, value * 1e6, value / 3]
            return chance.choice([*near, str(value), float(value)])
        case str():
            longer = [value + value, value + "\n", value + "ü", value * 50]
            return chance.choice([*longer, value[:-1], value.upper(), [value]])
        case list():
            return chance.choice([value[:1], value[::-1], value + value, dict.fromkeys(map(str, value[:3]), 1)])
        case dict():
            return chance.choice([list(value), list(value.values()), dict(list(value.items())[:1]), [value]])
    return chance.choice(JUNK)
