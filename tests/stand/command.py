"""The command ``hpo`` as a user types it, beside a cluster of the stand."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "hpo_operator.cli.main", *map(str, arguments)]


def environ(kubeconfig: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(kubeconfig), "COLUMNS": "160"}


def hpo(kubeconfig: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Ended, whatever its exit code."""
    return subprocess.run(
        command(*arguments), env=environ(kubeconfig), capture_output=True, text=True, check=False, timeout=120
    )


def kubectl_plugin(folder: Path) -> Path:
    """The console script that pip makes of the entry point ``kubectl-hpo``, for a PATH with ``folder`` in it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["kubectl-hpo"].partition(":")
    path = folder / "kubectl-hpo"
    path.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    path.chmod(0o755)
    return path
