"""The settings of a node that runs Pods as processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo_operator.local.pod_launch import base_environment
from hpo_operator.local.pod_process import NodeSettings
from hpo_operator.local.process_group import ProcessHost
from local.pods import SOURCE_ROOTS


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[NodeSettings]:
    with ProcessHost() as host:
        environment = base_environment(os.environ, SOURCE_ROOTS)
        yield NodeSettings(tmp_path / "pods", host, environment, node_name="node-7", retry_seconds=0.05)
