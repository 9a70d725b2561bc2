"""The notebooks' cells run, on a small budget, and hold what they showed when they were executed."""

from __future__ import annotations

import json
import subprocess
import sys
from os import environ
from pathlib import Path
from typing import Any

import pytest

from local.toy_runs import ROOT

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
SMALL = {"TRIALS = 34": "TRIALS = 9"}


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_run(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    text = "\n".join("".join(cell["source"]) for cell in code_cells(path)).replace("%matplotlib inline\n", "")
    for whole, small in SMALL.items():
        assert whole in text
        text = text.replace(whole, small)
    roots = f"{ROOT / 'operator'}:{ROOT / 'trainer-image'}"
    env = environ | {"PYTHONPATH": roots, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", text]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of 450 test images are right" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_was_executed_from_top_to_bottom(path: Path) -> None:
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert [o for o in outputs if "image/png" in o.get("data", {})], "the picture"
