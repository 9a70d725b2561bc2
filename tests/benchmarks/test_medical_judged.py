"""How trained classifiers are judged on the side that no trial reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medical import trained
from medical.judged import Predicted, averaged, best_threshold, figures, predictions, values

from trainer.support import SMALL_NETWORK, TrialRunner


def random_case(seed: int) -> Predicted:
    """Scores of few distinct values, those of class 1 a little higher."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 60)
    return Predicted(np.round((random.random(60) + labels * 0.4) / 1.4, 1), labels.astype(np.int64))


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_all(seed: int) -> None:
    case = random_case(seed)
    found = values(case, best_threshold(case))["balanced_accuracy"]
    assert found == pytest.approx(max(values(case, t)["balanced_accuracy"] for t in np.linspace(-0.05, 1.05, 111)))
    assert best_threshold(case) not in case.scores  # halfway: rounding cannot decide


def test_values_by_hand() -> None:
    """Right: 2 of 3 negatives, 1 of 2 positives; of 6 pairs 4 in order and 1 equal."""
    case = Predicted(np.array([0.1, 0.4, 0.7, 0.4, 0.9]), np.array([0, 0, 0, 1, 1]))
    found = values(case)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["mcc"] == pytest.approx((1 * 2 - 1 * 1) / (2 * 2 * 3 * 3) ** 0.5)
    assert found["auc"] == pytest.approx(4.5 / 6)
    assert values(case, threshold=0.3)["accuracy"] == pytest.approx(3 / 5)


def test_intervals_hold_the_value() -> None:
    case = random_case(1)
    for name, figure in figures(case).items():
        assert figure.low < figure.value < figure.high
        assert figure.value == values(case)[name]


def test_networks_are_judged_as_in_their_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "VOLUME", tmp_path)
    random = np.random.default_rng(0)
    arrays = {}
    for side, count in (("train", 20), ("val", 12), ("test", 8)):
        labels = np.arange(count) % 2
        arrays[f"{side}_images"] = random.normal(100 + 40 * labels[:, None, None], 30, (count, 16, 16)).clip(0, 255)
        arrays[f"{side}_labels"] = labels
    np.savez(tmp_path / "a.npz", **arrays)
    runners = []
    for task, config in (
        ("classification", SMALL_NETWORK),
        ("transferClassification", {"method": "Scratch", "width": 0.125, "stem": "Small", "imageSize": 16}),
    ):
        runners.append(TrialRunner(tmp_path / task, tmp_path, task, config | {"dataset": "a.npz"}))
    measured = [runner.run(2).metrics for runner in runners]
    sides = [predictions(runner.checkpoints) for runner in runners]
    for metrics, side in zip(measured, sides, strict=True):
        found = values(side["validation"])
        for name in ("accuracy", "balanced_accuracy", "mcc", "auc"):
            assert found[name] == pytest.approx(metrics[name])
        assert side["test"].labels.tolist() == [0, 1] * 4
    mean = averaged([side["test"] for side in sides])
    np.testing.assert_allclose(mean.scores, (sides[0]["test"].scores + sides[1]["test"].scores) / 2)
