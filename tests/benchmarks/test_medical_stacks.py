"""What the tables on populations and on stacks of regions are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medical import populations, regions
from medical.populations import FOLDS, VALIDATION, Fold, draw, resized


def test_folds_validate_on_different_cases_and_train_on_none_of_their_own() -> None:
    cases = [f"case_{i}" for i in range(FOLDS * VALIDATION + 3)]
    folds = draw(cases, 20)
    validated = [case for fold in folds for case in fold.validation]
    assert len(validated) == len(set(validated)) == FOLDS * VALIDATION
    for fold in folds:
        assert len(fold.train) == 20
        assert set(fold.train) <= set(cases) - set(fold.validation)
    assert draw(cases[::-1], 20) == folds


def test_joined_populations_repeat_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(populations, "VOLUME", tmp_path)
    for population, case in ((populations.SOURCE, "a"), (populations.SOURCE, "b"), (populations.TARGET, "c")):
        for kind in ("imagesTr", "labelsTr"):
            (tmp_path / population / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / population / kind / f"{case}.nii.gz").write_text(case)
    populations.join([Fold(("a",), ("b",)), Fold(("a",), ("b",))], [Fold(("c",), ()), Fold(("c",), ())])
    joint = tmp_path / populations.JOINT
    names = sorted(path.name.removesuffix(".nii.gz") for path in (joint / "imagesTr").iterdir())
    assert names == ["a", "b", *(f"c_{i}" for i in range(populations.COPIES))]
    assert (joint / "labelsTr" / "c_1.nii.gz").read_text() == "c"


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.0, 1.5])
def test_resizing_scales_a_volume_about_its_centre(scale: float) -> None:
    axes = [np.arange(n) - (n - 1) / 2 for n in (40, 44, 42)]
    distance = np.sqrt(sum(np.square(a) for a in np.meshgrid(*axes, indexing="ij")))
    found = resized((distance < 10).astype(np.float64), scale, (40, 44, 42), mode="constant")
    assert found.sum() == pytest.approx(4 / 3 * np.pi * (10 * scale) ** 3, rel=0.05)
    np.testing.assert_allclose(found, found[::-1, ::-1, ::-1], atol=1e-9)


def test_stacks_are_runs_of_neighbours_in_order() -> None:
    labels = np.repeat(np.arange(6), 60)
    curves = np.eye(6)[labels] + np.arange(360)[:, None] * 1e-6  # tells which slice it is
    for stack in regions.stacks(curves, labels, np.random.default_rng(0)):
        ranks = [regions.NUMBERS.index(label) for label in regions._sequence(stack.truth)]
        assert ranks == sorted(set(ranks))
        for label in set(stack.truth.tolist()):
            own = np.rint(stack.curves[stack.truth == label].min(1) * 1e6).astype(int)
            assert regions.LEAST <= len(own) <= regions.MOST
            assert (np.diff(own) == 1).all()
            assert labels[own].tolist() == stack.truth[stack.truth == label].tolist()


def test_regions_mend_a_slice_that_is_out_of_order() -> None:
    truth = np.repeat(regions.NUMBERS[:3], 8)
    curves = np.eye(6)[truth] * 0.6 + 0.08
    curves[4] = np.eye(6)[regions.NUMBERS[5]]
    stack = regions.Stack(curves, truth)
    ways = regions.decisions(1.0)
    raw, decided = ways["the likeliest class of each slice"], ways["regions of the curves as they are"]
    assert regions.accuracy(raw, [stack]) == pytest.approx(23 / 24)
    assert (regions.whole(raw, [stack]), regions.whole(decided, [stack])) == (0, 1)
    assert regions.accuracy(decided, [stack]) == 1
    assert regions.votes([stack]) == 1
