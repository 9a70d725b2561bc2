"""Every whole study in the documentation is one that ``hpo validate`` accepts, and that begins here as well."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from hpo_operator.cli.main import app
from hpo_operator.local.oversights import refuse_relative_script

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
STUDIES = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}-{i}")
    for page in PAGES
    for i, text in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
    if re.search("^kind: HPOStudy$", text, re.MULTILINE)
]


@pytest.mark.parametrize("text", STUDIES)
def test_a_study_in_the_documentation_is_valid(text: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    done = CliRunner().invoke(app, ["validate", str(path)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("text", STUDIES)
def test_its_script_is_found_where_a_trial_begins(text: str) -> None:
    refuse_relative_script(yaml.safe_load(text))


def test_the_how_tos_have_one_each() -> None:
    """But for that which is about the installation."""
    named = {str(param.id).rpartition("-")[0] for param in STUDIES}
    pages = {f"docs/how-to/{page.name}" for page in (ROOT / "docs/how-to").glob("*.md")}
    assert pages - named == {"docs/how-to/monitoring.md"}
