"""The corpus of bad studies: a small valid study, one mistake, who refuses it first, and what the user is told."""

from __future__ import annotations

import copy
import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
LAYERS = ("schema", "cel", "operator")


@dataclass(frozen=True)
class Case:
    """``says``: the sentences of ``parse_study``. ``refused_by``: the first layer that refuses it on a cluster."""

    name: str
    study: dict[str, Any]
    refused_by: str
    says: list[str]


def study(name: str) -> dict[str, Any]:
    """One of the valid studies, to be changed at will."""
    return copy.deepcopy(_loaded(name))


@functools.cache
def _loaded(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((HERE / "studies" / f"{name}.yaml").read_text())
    return loaded


@functools.cache
def cases() -> list[Case]:
    """Every case of ``bad_studies/*.yaml``."""
    return [
        _case(entry, f"{file.stem}: {entry['name']}")
        for file in sorted((HERE / "bad_studies").glob("*.yaml"))
        for entry in yaml.safe_load(file.read_text())
    ]


def good_studies() -> dict[str, dict[str, Any]]:
    """Studies at the edge of what is allowed, by name."""
    return {entry["name"]: _changed(entry) for entry in yaml.safe_load((HERE / "good_studies.yaml").read_text())}


def _case(entry: dict[str, Any], name: str) -> Case:
    assert entry["refused_by"] in LAYERS, f"{name}: {entry['refused_by']}"
    return Case(name, _changed(entry), entry["refused_by"], entry["says"])


def _changed(entry: dict[str, Any]) -> dict[str, Any]:
    unknown = set(entry) - {"name", "study", "set", "remove", "refused_by", "says"}
    assert not unknown, f"{entry['name']}: {unknown}"
    raw = study(entry.get("study", "classification"))
    for path in entry.get("remove", []):
        parent, last = container(raw, path)
        del parent[last]
    for path, value in entry.get("set", {}).items():
        parent, last = container(raw, path)
        parent[last] = value
    return raw


def container(raw: Any, path: str) -> tuple[Any, str | int]:
    """The container of ``path`` (``spec.parameters[0].float``), made where it is missing, and the last step into it."""
    steps: list[str | int] = [int(i) if i else name for name, i in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
    for step in steps[:-1]:
        if isinstance(step, str) and step not in raw:
            raw[step] = {}
        raw = raw[step]
    return raw, steps[-1]
