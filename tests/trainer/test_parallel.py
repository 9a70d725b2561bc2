"""A trial in two processes: the same gradients as in one, the same bits after each resumption, one reason for its end.

On a processor, by gloo. The same code runs on GPUs by NCCL, where it has not been tested.
"""

from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from medical.kills import differences

from hpo_trainer import checkpoint
from hpo_trainer.failures import Failure
from hpo_trainer.parallel.launcher import first_failure, killed_for_memory
from hpo_trainer.parallel.share import Share
from hpo_trainer.parallel.worker import Worker
from trainer.support import SMALL_NETWORK, SMALL_U_NET, TrialRunner, image_folder, segmentation_archive, wait_for
from trainer.workers import run_together

DISCS: dict[str, Any] = SMALL_U_NET | {"dataset": "discs.npz", "batchSize": 4, "optimizer": "SGD"}
RESNET: dict[str, Any] = {
    "dataset": "images", "imageSize": 16, "width": 0.125, "backbone": "ResNet10", "stem": "Small", "batchSize": 6,
    "method": "FineTuning", "headEpochs": 1, "weights": "resnet.pt",
}  # fmt: skip
TASKS: dict[str, dict[str, Any]] = {
    "classification": SMALL_NETWORK | {"dataset": "images", "batchSize": 5},  # a batch of 2 at the end
    "segmentation": DISCS | {"weightAveraging": 0.9, "gradientClipping": 1.0, "microBatchSize": 1},
    "templateDeformation": DISCS,
    "transferClassification": RESNET,
    "transferSegmentation": {"dataset": "discs.npz", "batchSize": 4, "layerChannels": 4, "optimizer": "SGD"},
}


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("volume")
    image_folder(root / "images", classes=2, count=8)
    segmentation_archive(root / "discs.npz", groups=3, per_group=3)
    for task, config, name in (
        ("segmentation", DISCS, "checkpoint.pt"),
        ("transferClassification", RESNET | {"method": "Scratch"}, "resnet.pt"),
    ):
        source = TrialRunner(root / task, root, task, config)
        assert source.run(1).code == 0
        (source.checkpoints / "checkpoint.pt").rename(root / name)
    return root


@pytest.mark.parametrize("task", TASKS)
def test_two_processes_train_what_one_does(tmp_path: Path, volume: Path, task: str) -> None:
    """To the rounding of their sums; batch normalisation alone is of each process's own samples."""
    alone, together = (TrialRunner(tmp_path / name, volume, task, TASKS[task]) for name in ("alone", "together"))
    expected = alone.run(2)
    found, errors = run_together(together, 2, tmp_path / "processes")
    assert found.code == 0, errors
    assert errors.count("2 processes, 1 threads") == 1
    assert errors.count("hpo: epoch 2:") == 1
    assert found.message["resource"] == 2
    assert set(found.metrics) == set(expected.metrics)
    if task != "transferClassification":
        for name in ("loss", "validation_loss"):
            assert found.metrics[name] == pytest.approx(expected.metrics[name], rel=1e-3)
        states = [checkpoint.decode(t.checkpoints / "checkpoint.pt")["model"] for t in (alone, together)]
        for name, value in states[0].items():
            assert torch.allclose(value, states[1][name], rtol=1e-2, atol=1e-4), name


def test_told_to_stop_and_resumed_it_ends_with_the_same_bits(tmp_path: Path, volume: Path) -> None:
    """SIGTERM to the process that a Pod knows; augmentation, dropout and momentum go on where they were."""
    config = SMALL_NETWORK | {"dataset": "images", "augmentation": True, "dropout": 0.1}
    trial, undisturbed = (TrialRunner(tmp_path / name, volume, "classification", config) for name in ("a", "b"))
    process = trial.start(100_000, HPO_PROCESSES="2")
    wait_for(process, "hpo: epoch 2:")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 75, errors
    message = trial.outcome(75).message
    assert message["reason"] == "Interrupted"
    reached = checkpoint.decode(trial.checkpoints / "checkpoint.pt")["epoch"]
    assert message["message"] == f"stopped by SIGTERM in epoch {reached + 1}; the checkpoint of epoch {reached} stands"
    resumed, errors = run_together(trial, reached + 1, tmp_path / "again")
    assert (resumed.code, f"resumed after epoch {reached}" in errors) == (0, True)
    whole, _ = run_together(undisturbed, reached + 1, tmp_path / "undisturbed")
    ends = [checkpoint.decode(t.checkpoints / "checkpoint.pt") for t in (trial, undisturbed)]
    assert list(differences(*ends)) == []
    assert resumed.metrics == whole.metrics


def test_a_process_that_dies_ends_the_trial(tmp_path: Path, volume: Path) -> None:
    """The others wait for it in a collective operation; nobody is left behind."""
    trial = TrialRunner(tmp_path, volume, "classification", TASKS["classification"])
    process = trial.start(100_000, HPO_PROCESSES="2")
    wait_for(process, "hpo: epoch 1:")
    workers = children(process.pid)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    process.communicate()
    outcome = trial.outcome(process.returncode)
    assert (outcome.code, outcome.message["reason"]) == (1, "Error")
    assert outcome.message["message"] == "process 2 of 2 was killed by SIGKILL"
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_workers_die_with_the_process_that_started_them(tmp_path: Path, volume: Path) -> None:
    trial = TrialRunner(tmp_path, volume, "classification", TASKS["classification"])
    process = trial.start(100_000, HPO_PROCESSES="2")
    wait_for(process, "hpo: epoch 1:")
    workers = [os.pidfd_open(worker) for worker in children(process.pid)]
    process.kill()
    process.communicate()  # until nobody holds the other end of its output
    for worker in workers:
        assert select.select([worker], [], [], 60)[0]  # readable once the process has ended
        os.close(worker)


def test_memory_that_one_of_them_cannot_have(tmp_path: Path, volume: Path) -> None:
    config = SMALL_NETWORK | {"dataset": "images", "blocks": 1, "imageSize": 1024, "filters": 1024}
    trial = TrialRunner(tmp_path, volume, "classification", config | {"denseUnits": [65536]})
    process = trial.start(1, HPO_PROCESSES="2")
    process.communicate()
    outcome = trial.outcome(process.returncode)
    assert (outcome.code, outcome.message["reason"]) == (80, "OutOfMemory")
    assert "allocate" in outcome.message["message"]


def test_a_configuration_that_is_refused_is_told_once(tmp_path: Path, volume: Path) -> None:
    trial = TrialRunner(tmp_path, volume, "segmentation", DISCS | {"fold": 7})
    outcome, _ = run_together(trial, 1, tmp_path / "processes")
    assert (outcome.code, outcome.message["reason"]) == (78, "BadConfig")
    assert outcome.message["message"].startswith("HPO_CONFIG.fold: expected less than")
    assert trial.run(1, HPO_PROCESSES="0").message["message"].startswith("HPO_PROCESSES: expected an integer from 1")


def children(parent: int) -> list[int]:
    """Process ids, in the order in which they were started."""
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


# --- who failed, and of what


def workers(folder: Path) -> list[Worker]:
    return [Worker(rank, 3, str(folder), os.getpid()) for rank in range(3)]


def test_the_first_failure_counts(tmp_path: Path) -> None:
    group = workers(tmp_path)
    assert first_failure(group, [0, 0, 0], False) is None
    group[2].fail(Failure("OutOfMemory", "CUDA out of memory"))
    group[0].fail(Failure("Error", "RuntimeError: connection closed by peer"))
    found = first_failure(group, [1, None, 80], False)
    assert found == Failure("OutOfMemory", "process 3 of 3: CUDA out of memory")


def test_a_killed_process_could_not_say_why(tmp_path: Path) -> None:
    group = workers(tmp_path)
    group[0].fail(Failure("Error", "RuntimeError: connection closed by peer"))
    assert first_failure(group, [1, -9, None], False) == Failure("Error", "process 2 of 3 was killed by SIGKILL")
    full = Failure("OutOfMemory", "process 2 of 3 was killed: the container's memory is full")
    assert first_failure(group, [1, -9, None], True) == full
    assert first_failure(group, [1, 3, None], True) == Failure("Error", "process 2 of 3 ended with exit code 3")
    stopped = Failure("Interrupted", "stopped by SIGTERM before training began")
    assert first_failure(group, [1, -15, None], False) == stopped


def test_what_the_kernel_says_of_memory(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n")
    assert killed_for_memory([tmp_path / "absent", tmp_path / "events"]) == 2
    assert killed_for_memory([tmp_path / "absent"]) == 0


# --- shares


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("least", [1, 2])
def test_shares_are_the_batch(count: int, size: int, least: int) -> None:
    batch, shares = torch.arange(count), [Share(rank, size) for rank in range(size)]
    counted = [share.of(batch, least)[: share.counted(batch)] for share in shares]
    assert torch.equal(torch.cat(counted), batch)
    assert all(len(share.of(batch, least)) >= min(least, count) for share in shares)
    assert all(len(set(share.of(batch, least).tolist())) == len(share.of(batch, least)) for share in shares)


def test_each_process_draws_its_own_random_numbers() -> None:
    assert Share().purpose("dropout", 3) == ("dropout", 3)
    assert len({Share(rank, 2).purpose("dropout", 3) for rank in (0, 1)}) == 2


def test_a_worker_finds_itself_in_its_environment(tmp_path: Path) -> None:
    assert Worker.of({}) is None
    worker = Worker(1, 2, str(tmp_path), 7)
    assert Worker.of(worker.variables()) == worker
    assert json.loads(worker.variables()["HPO_WORKER"])["rank"] == 1
