"""A batch in parts has the gradient of the batch as a whole, for every task and every loss."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpo_trainer import checkpoint
from hpo_trainer.config import fingerprint, parse
from hpo_trainer.config.masked_images import LOSSES
from hpo_trainer.gradients import differentiate, in_parts
from hpo_trainer.loop import Learner
from hpo_trainer.tasks.classifier import Classifier
from hpo_trainer.trial import open_learner
from trainer.support import SMALL_NETWORK, SMALL_U_NET, TrialRunner, image_folder, segmentation_archive

DISCS: dict[str, Any] = SMALL_U_NET | {"dataset": "discs.npz", "batchSize": 5}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    **{loss: ("segmentation", DISCS | {"loss": loss}) for loss in LOSSES},
    "template": ("templateDeformation", DISCS | {"deformationPenalty": 1e4}),
    "images": ("classification", SMALL_NETWORK | {"dataset": "images", "batchSize": 7}),
}


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("volume")
    image_folder(root / "images", classes=2)
    segmentation_archive(root / "discs.npz")
    return root


def opened(volume: Path, task: str, config: dict[str, Any]) -> Learner:
    return open_learner(parse(task, config, {}), volume, 0, torch.device("cpu"), lambda: None)[0]


def gradients(learner: Learner, most: int) -> tuple[Tensor, list[Tensor]]:
    """Of the first batch, and the loss; in double precision, but for images, whose class weights are of 32 bits."""
    learner.optimizer.zero_grad(set_to_none=True)
    inputs, targets = next(learner.batches(1))
    precision = torch.float32 if isinstance(learner, Classifier) else torch.float64
    learner.model.to(precision).train()
    loss = differentiate(learner.model, partial(learner.loss, targets=targets), inputs.to(precision), most)
    return loss, [p.grad.clone() for p in learner.model.parameters() if p.grad is not None]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("most", [1, 2, 3])
def test_equal_to_the_undivided_batch(volume: Path, name: str, most: int) -> None:
    learner = opened(volume, *CONFIGS[name])
    whole, in_turn = gradients(learner, 0), gradients(learner, most)
    assert float(in_turn[0]) == pytest.approx(float(whole[0]), rel=1e-6)
    assert len(whole[1]) == len(in_turn[1]) > 0
    rounding = 100 * torch.finfo(whole[1][0].dtype).eps
    if name == "DiceHausdorff":
        rounding = 1e-6  # MONAI's distances are of 32 bits
    for one, other in zip(whole[1], in_turn[1], strict=True):
        assert float((one - other).abs().max()) <= rounding * max(1.0, float(one.abs().max()))


def test_never_more_samples_at_once(volume: Path) -> None:
    learner, seen = opened(volume, *CONFIGS["images"]), list[int]()
    learner.model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    gradients(learner, 3)
    assert seen == [3, 2, 2] * 2


@pytest.mark.parametrize(("count", "most", "sizes"), [(8, 0, [8]), (8, 8, [8]), (8, 3, [3, 3, 2]), (4, 3, [2, 2])])
def test_parts_are_of_nearly_one_size(count: int, most: int, sizes: list[int]) -> None:
    assert [len(part) for part in in_parts(torch.zeros(count), most)] == sizes


def test_the_second_pass_drops_out_what_the_first_did() -> None:
    """And it leaves the random numbers where one pass would have left them."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 3))
    inputs, weights = torch.randn(6, 4), torch.randn(6, 3)

    def loss(outputs: Tensor) -> Tensor:
        return (outputs * weights).sum().square()

    torch.manual_seed(1)
    loss(torch.cat([network(part) for part in inputs.split(2)])).backward()
    expected = [p.grad.clone() for p in network.parameters()]
    following = torch.rand(3)
    network.zero_grad()
    torch.manual_seed(1)
    differentiate(network, loss, inputs, 2)
    assert torch.equal(torch.rand(3), following)
    for one, parameter in zip(expected, network.parameters(), strict=True):
        assert parameter.grad is not None
        assert torch.allclose(one, parameter.grad, rtol=1e-4, atol=1e-4)


def test_running_statistics_see_the_batch_once() -> None:
    torch.manual_seed(0)
    network, inputs = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.randn(6, 3)
    differentiate(network, lambda outputs: outputs.square().sum(), inputs, 3)
    once = nn.BatchNorm1d(4)
    for part in inputs.split(3):
        once(network[0](part))
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(getattr(network[1], name), getattr(once, name))


def test_a_model_that_is_not_trained(volume: Path) -> None:
    learner = opened(volume, *CONFIGS["images"])
    learner.model.requires_grad_(False)
    whole, in_turn = gradients(learner, 0), gradients(learner, 3)
    assert float(whole[0]) == pytest.approx(float(in_turn[0]))
    assert in_turn[1] == []


@pytest.mark.parametrize(("task", "config"), [CONFIGS["DiceCE"], CONFIGS["images"]])
def test_a_trial_measures_what_it_would_with_whole_batches(
    tmp_path: Path, volume: Path, task: str, config: dict[str, Any]
) -> None:
    whole = TrialRunner(tmp_path / "whole", volume, task, config).run(2)
    in_turn = TrialRunner(tmp_path / "parts", volume, task, config | {"microBatchSize": 2}).run(2)
    assert in_turn.metrics == pytest.approx(whole.metrics, rel=1e-3)


def test_batch_normalisation_needs_two_samples_in_each_part(tmp_path: Path, volume: Path) -> None:
    config = {"dataset": "images", "method": "Scratch", "microBatchSize": 2}
    outcome = TrialRunner(tmp_path, volume, "transferClassification", config).run(1)
    assert outcome.code == 78
    assert outcome.message["message"].startswith("HPO_CONFIG.microBatchSize: expected 0 or at least 3, so that")


def test_a_checkpoint_from_before_there_was_such_a_field_goes_on(
    tmp_path: Path, volume: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The field's default trains as before."""
    trials = [TrialRunner(tmp_path / name, volume, *CONFIGS["images"]) for name in ("before", "now")]
    for trial in trials:
        assert trial.run(1).code == 0
    path = trials[0].checkpoints / "checkpoint.pt"
    state = checkpoint.decode(path)
    identity = {name: value for name, value in json.loads(state["identity"]).items() if name != "microBatchSize"}
    path.write_bytes(
        checkpoint.encode(state | {"identity": json.dumps(identity), "fingerprint": fingerprint(identity)})
    )
    capfd.readouterr()
    assert trials[0].run(2).metrics == trials[1].run(2).metrics
    assert capfd.readouterr().err.count("resumed after epoch 1") == 2
    assert trials[0].run(2, {"microBatchSize": 2}).code == 0
    assert "of another configuration: microBatchSize is 0 there and 2 here" in capfd.readouterr().err
