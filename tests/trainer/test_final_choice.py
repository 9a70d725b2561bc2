"""Which candidates make the final model, from stored probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpo_engine.analysis.ensembles import dice_loss
from hpo_trainer.final.choice import (
    SINGLE,
    Library,
    choose,
    cross_validated,
    dice_loss_of_cases,
    methods,
    read_library,
)

rng = np.random.default_rng


def images(models: int = 5, patients: int = 40, seed: int = 0, skill: float = 1.0) -> Library:
    """Models with independent errors: their mean is better than any of them."""
    random, count = rng(seed), patients * 2
    labels = random.integers(0, 3, count)
    logits = random.normal(size=(models, count, 3))
    logits[:, np.arange(count), labels] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    return Library(probabilities, labels, np.repeat(np.arange(patients), 2), segments=False)


NAMES = ["s-0", "s-1", "s-2", "s-3", "s-4"]


def test_models_that_err_apart_are_averaged() -> None:
    choice = choose(images(), NAMES)
    assert choice.single == "s-0"
    assert choice.method != SINGLE
    assert len(choice.members) > 1
    assert choice.considered[choice.method] == min(choice.considered.values())
    assert choice.loss == "log loss, on patients or cases held out"


def test_a_model_that_none_can_help_stays_alone() -> None:
    library = images()
    library.predictions[0] = np.eye(3)[library.labels] * 0.97 + 0.01
    choice = choose(library, NAMES)
    assert (choice.method, choice.members) == (SINGLE, {"s-0": 1})


def test_one_candidate_is_the_choice() -> None:
    choice = choose(images(models=1), ["s-0"])
    assert (choice.method, choice.members) == (SINGLE, {"s-0": 1})
    assert set(choice.considered) == {SINGLE}


def test_selection_is_judged_on_patients_that_it_has_not_seen() -> None:
    """Of forty useless models the luckiest few look good on the images that they were chosen on, and only there."""
    library = images(models=40, patients=15, skill=0.0)
    greedy = methods(40)["greedy selection"]
    assert cross_validated(library, greedy) > greedy(library).loss + 0.02


def test_images_of_one_patient_are_held_out_together() -> None:
    """A model that has learned the patients by heart is found out."""
    library = images(models=2, patients=6)
    seen: list[set[int]] = []
    method = methods(2)[SINGLE]

    def watched(part: Library):  # type: ignore[no-untyped-def]
        seen.append(set(part.units.tolist()))
        return method(part)

    cross_validated(library, watched)
    assert len(seen) == 5
    assert all(len(part) in (4, 5) for part in seen)
    every = Library(library.predictions, library.labels, library.units, segments=False)
    assert cross_validated(every, method) == pytest.approx(method(every).loss)  # nothing is fitted: the same mean


def test_of_two_cases_nothing_can_be_held_out() -> None:
    library = images(patients=2)
    choice = choose(library, NAMES)
    assert "greedy selection" not in choice.considered
    assert choice.loss.endswith("on the images that it was chosen on")


def test_the_dice_of_cases_is_the_engines_where_all_have_one_shape() -> None:
    random = rng(1)
    labels, probabilities = random.integers(0, 3, (4, 6, 6)), random.random((4, 3, 6, 6))
    flat = np.moveaxis(probabilities, 1, -1).reshape(-1, 3)
    units = np.repeat(np.arange(4), 36)
    assert dice_loss_of_cases(labels.ravel(), units, 3)(flat) == pytest.approx(dice_loss(labels)(probabilities))


def test_a_case_without_a_class_does_not_count_for_it() -> None:
    labels, units = np.array([1, 0, 0, 0]), np.array([0, 0, 1, 1])
    assert dice_loss_of_cases(labels, units, 2)(np.eye(2)[[1, 0, 0, 0]]) == 0.0
    assert dice_loss_of_cases(labels, units, 2)(np.eye(2)[[1, 0, 1, 0]]) == 0.5  # a made-up voxel makes it count


def stored(folder: Path, background: float) -> list[str]:
    """Two models on two volumes of different sizes; the last voxel of each is background to both, as truly."""
    random = rng(2)
    truth = {}
    for i, size in enumerate((30, 50)):
        truth[f"t{i}"], truth[f"u{i}"] = random.integers(0, 2, size).astype(np.uint8), np.full(size, i, dtype=np.int32)
        truth[f"t{i}"][-1] = 0
    np.savez_compressed(folder / "truth.npz", allow_pickle=False, **truth)
    for name in ("a", "b"):
        parts = {}
        for i, size in enumerate((30, 50)):
            first = random.random(size)
            first[-1] = background
            parts[f"p{i}"] = np.round(np.stack([first, 1 - first], 1) * 255).astype(np.uint8)
        np.savez_compressed(folder / f"{name}.npz", allow_pickle=False, **parts)
    return ["a", "b"]


def test_voxels_that_are_background_to_all_are_left_out_without_a_difference(tmp_path: Path) -> None:
    (tmp_path / "sure").mkdir()
    (tmp_path / "unsure").mkdir()
    sure = read_library(tmp_path / "sure", stored(tmp_path / "sure", background=0.9))
    unsure = read_library(tmp_path / "unsure", stored(tmp_path / "unsure", background=0.49))
    assert sure.segments and unsure.segments
    assert len(unsure.labels) >= len(sure.labels) + 2
    with np.load(tmp_path / "sure/truth.npz") as truth, np.load(tmp_path / "sure/a.npz") as a:
        labels, units = (np.concatenate([truth[f"{letter}{i}"] for i in (0, 1)]).astype(np.int64) for letter in "tu")
        everything = np.concatenate([a["p0"], a["p1"]]) / 255
    whole = dice_loss_of_cases(labels, units, 2)
    assert sure.loss()(sure.predictions[0]) == pytest.approx(whole(everything))


def test_the_choice_is_a_function_of_the_numbers() -> None:
    assert choose(images(seed=3), NAMES) == choose(images(seed=3), NAMES)
