"""A small storm: every trial loses its first Pod, some by the death of their node, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from storm.run import NODE, WAYS, losses, storm

from stand.control_plane import ControlPlane
from stand.operator_process import OperatorProcess


@pytest.mark.cluster
async def test_a_storm_charges_nobody_and_repeats_nothing(
    control_plane: ControlPlane, operator: OperatorProcess, namespace: str, tmp_path: Path
) -> None:
    told = await storm(control_plane, namespace, tmp_path, trials=6, parallelism=3)
    assert NODE in {trial.way for trial in told} <= {*WAYS, NODE}
    assert not any(trial.failed for trial in told)
    assert [trial.repeated for trial in told] == [0] * 6
    for trial in told:
        assert trial.attempts == trial.interruptions + 1
        assert trial.lost <= trial.interruptions


def test_the_diary_tells_what_was_lost() -> None:
    assert losses(["begin", "1", "end", "1", "begin", "2", "begin", "2", "end", "2"]) == (1, 0)
    assert losses(["begin", "1", "end", "1", "begin", "1", "end", "1"]) == (1, 1)
