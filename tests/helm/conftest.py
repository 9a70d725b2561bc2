"""Helm, the chart, and what its ci/ values say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stand import helm as helm_finder
from stand import prometheus
from stand.helm import Helm, NoHelmError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def helm_binary() -> Path:
    """A machine that has no Helm and can fetch none skips, and says why."""
    try:
        return helm_finder.ensure(os.environ)
    except NoHelmError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def chart() -> Path:
    return ROOT / "helm/hpo-operator"


@pytest.fixture(scope="session")
def helm(helm_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(helm_binary, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def promtool() -> Path:
    """A machine that has none and can fetch none skips, and says why."""
    try:
        return prometheus.ensure(os.environ).promtool
    except prometheus.NoPrometheusError as error:
        pytest.skip(str(error))
