"""The operator, running for real under its own service account, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stand.control_plane import ControlPlane
from stand.daemons import Daemon
from stand.operator_process import OperatorProcess, install
from stand.studies import Studies


@pytest.fixture(scope="session")
def operator(control_plane: ControlPlane, process_node: Daemon) -> Iterator[OperatorProcess]:
    """The operator with its CRDs; tests may kill it and must leave it running."""
    install(control_plane)
    process = OperatorProcess(control_plane, sample_seconds=0.5)
    process.start()
    yield process
    print(process.log.read_text()[-4000:])


@pytest.fixture
def studies(control_plane: ControlPlane, operator: OperatorProcess, namespace: str, tmp_path: Path) -> Studies:
    """Studies in a namespace of the test's own."""
    return Studies(control_plane, namespace, tmp_path)
