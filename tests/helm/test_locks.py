"""What the images install: every package by hash, within pyproject.toml's bounds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPERATOR = [Requirement(line) for line in PROJECT["dependencies"]]
TRAINER = [Requirement(line) for line in PROJECT["optional-dependencies"]["trainer"]]


def lines(path: str) -> list[str]:
    return [line for line in (ROOT / path).read_text().splitlines() if line and not line.lstrip().startswith("#")]


def locked(path: str) -> dict[str, str]:
    """Name -> version; each with a hash, and from no address of anybody's own."""
    entries = "\n".join(lines(path)).replace(" \\\n", "").splitlines()
    found = {}
    for entry in entries:
        pinned = re.fullmatch(r"([a-z0-9-]+)==(\S+)((?:    --hash=sha256:[0-9a-f]{64})+)", entry)
        assert pinned, f"{path}: {entry[:80]}"
        found[pinned[1]] = pinned[2]
    return found


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("operator/requirements.lock", OPERATOR),
        ("trainer-image/requirements-cuda.lock", TRAINER),
        ("trainer-image/requirements-cpu.lock", [each for each in TRAINER if each.name != "torch"]),
    ],
)
def test_locks_hold_what_the_project_asks_for(path: str, wanted: list[Requirement]) -> None:
    versions = locked(path)
    outside = [str(each) for each in wanted if not each.specifier.contains(versions.get(each.name, "0"))]
    assert outside == [], f"{path}: run `make lock`"


def test_the_operator_has_no_torch_and_cpu_no_cuda() -> None:
    assert "torch" not in locked("operator/requirements.lock")
    cpu, cuda = locked("trainer-image/requirements-cpu.lock"), locked("trainer-image/requirements-cuda.lock")
    assert cpu.items() <= cuda.items()
    assert {name.split("-")[0] for name in cuda.keys() - cpu.keys()} == {"torch", "triton", "nvidia", "cuda"}


def test_one_torch_everywhere() -> None:
    pinned = {line for line in lines("trainer-image/requirements.in") if line.startswith("torch")}
    pinned |= set(re.findall(r"^ARG TORCH=(\S+)", (ROOT / "trainer-image/Dockerfile").read_text(), re.MULTILINE))
    pinned |= set(re.findall(r"^TORCH \?= (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert pinned == {f"torch=={locked('trainer-image/requirements-cuda.lock')['torch']}"}


def test_the_trainers_list_repeats_the_projects_bounds() -> None:
    known = {each.name: each.specifier for each in (*OPERATOR, *TRAINER)}
    repeated = {each.name: each.specifier for each in map(Requirement, lines("trainer-image/requirements.in"))}
    repeated["torch"] = known["torch"]  # exact here; see above
    assert repeated == {name: known[name] for name in repeated}
    assert {each.name for each in TRAINER} <= repeated.keys()
