"""The reference pages: every field of the CRDs and every command, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from hpo_operator.api.crd import study_crd, trial_crd
from hpo_operator.cli.main import COMMANDS
from hpo_operator.cli.reference import reference
from hpo_operator.manifests.reference import crd_reference


def paths(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from paths(inner, f"{prefix}{name}.")
    if "items" in schema:
        yield from paths(schema["items"], f"{prefix.removesuffix('.')}[].")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from paths(schema["additionalProperties"], f"{prefix}*.")


@pytest.mark.parametrize("crd", [study_crd(), trial_crd()], ids=["study", "trial"])
def test_every_field_has_its_row(crd: dict[str, Any]) -> None:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    page = crd_reference(crd)
    rows = Counter(line.split("`")[1] for line in page.splitlines() if line.startswith("| `"))
    expected = {path for part in ("spec", "status") for path in paths(schema[part], f"{part}.")}
    assert len(expected) > 40
    assert rows == Counter(expected)
    assert all(line.count(" | ") >= 3 for line in page.splitlines() if line.startswith("| `"))


def test_every_command_has_its_section() -> None:
    page = reference()
    assert [f"\n## hpo {name}\n" in page for name in COMMANDS] == [True] * len(COMMANDS)
    assert "## hpo data check" in page
    assert page.count("Example") > 20
