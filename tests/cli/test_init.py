"""``hpo init``: a valid study whose every trial the trainer accepts, whatever the data set is like."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hpo_operator.advice.document import Entry, render
from hpo_operator.advice.fingerprint import Fingerprint
from hpo_operator.advice.machine import LEAST_BOTTOM, Machine, deepest, patch
from hpo_operator.advice.spaces import DRAFTS, KINDS
from hpo_operator.advice.study import Wish, study
from hpo_operator.api.engine_study import engine_study, to_text
from hpo_operator.api.parse import parse_study
from hpo_operator.cli.main import app
from hpo_operator.studies.study_file import read_study_files
from hpo_trainer.config import parse
from trainer.support import decathlon_folder, image_folder, segmentation_archive

SIZES = st.lists(st.integers(4, 600), min_size=2, max_size=3).map(tuple)
COUNTS = st.lists(st.integers(1, 10_000), min_size=2, max_size=5)
MACHINES = st.builds(Machine, st.sampled_from([0.0, 8.0, 11.0, 24.0, 80.0]), st.integers(1, 64))


def described(size: tuple[int, ...], counts: list[int], low: float = 0.0) -> Fingerprint:
    classes = {f"class {i}": n for i, n in enumerate(counts)}
    sides = {"train": sum(counts), "val": 1}
    return Fingerprint("segmentation", sum(counts) + 1, size, size, (1.0,) * len(size), classes, sides, 1, low, ())


def read(text: str, folder: Path) -> dict[str, Any]:
    file = folder / "drafted.yaml"
    file.write_text(text)
    [manifest] = read_study_files(file)
    return dict(manifest)


@pytest.mark.parametrize("task", DRAFTS)
@given(size=SIZES, counts=COUNTS, machine=MACHINES, seed=st.integers(0, 2**31))
def test_any_trial_of_any_draft_is_one_that_the_trainer_takes(
    tmp_path_factory: pytest.TempPathFactory,
    task: str,
    size: tuple[int, ...],
    counts: list[int],
    machine: Machine,
    seed: int,
) -> None:
    """Also at the corners of the space, where one field forbids another."""
    text = study(Wish("drafted", task, "data set", "data"), described(size, counts), machine)
    spec = parse_study(read(text, tmp_path_factory.mktemp("draft"))).spec
    assert spec.trainer.task is not None and spec.fidelity is not None
    name, config = spec.trainer.task
    space = engine_study(spec).space
    generator = np.random.default_rng(seed)
    corner = generator.integers(0, 2, space.dimension).astype(float)
    for point in (corner, generator.random(space.dimension)):
        parameters = space.decode(np.minimum(point, 1 - 1e-9))
        assert parse(name, config.dump(), parameters, spec.fidelity.max).epochs == spec.fidelity.max
        assert to_text(parameters)


@given(size=SIZES, voxels=st.sampled_from([64**3, 96**3, 128**3]))
def test_patches_are_no_larger_than_is_good(size: tuple[int, ...], voxels: int) -> None:
    depth = deepest(size)
    step = 2 ** (depth - 1)
    found = patch(size, voxels, depth)
    assert all(side % step == 0 and side >= 2 * step for side in found)
    assert math.prod(found) <= voxels or all(side == 2 * step for side in found)
    if min(size) >= 2 * step:
        assert all(side <= length for side, length in zip(found, size, strict=True))


def test_the_bottom_of_a_network_is_not_too_small() -> None:
    assert [deepest((size, 512, 512)) for size in (4, 8, 15, 16, 40, 128, 512)] == [1, 2, 2, 3, 4, 6, 6]
    assert 40 >> (deepest((40,)) - 1) >= LEAST_BOTTOM


def test_a_large_volume_is_cut_to_what_the_memory_holds() -> None:
    large = described((512, 512, 120), [30, 30])
    text = study(Wish("ct", "segmentation", "ct", "data"), large, Machine(24, 4))
    assert "patchSize: [128, 144, 112]" in text
    assert 'nvidia.com/gpu: "1"' in text
    assert "patchSize" not in study(
        Wish("mr", "segmentation", "mr", "data"), described((35, 50, 36), [9]), Machine(24, 4)
    )


def test_comments_stand_above_and_texts_keep_their_type() -> None:
    block = (
        Entry("a", [(Entry("name", "x", "first"), Entry("values", ["true", "7", "a b", 1e-4, 2, True]))]),
        Entry("b", (Entry("c", 1, "one\ntwo"),)),
    )
    assert render(block) == [
        "a:",
        "  # first",
        "  - name: x",
        '    values: ["true", "7", "a b", 0.0001, 2, true]',
        "b:",
        "  # one",
        "  # two",
        "  c: 1",
    ]


# --- the command


def hpo(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.output


def test_each_task_on_its_data(tmp_path: Path) -> None:
    image_folder(tmp_path / "regions", classes=3)
    decathlon_folder(tmp_path / "organ")
    segmentation_archive(tmp_path / "slices.npz")
    fitting = {"classification": ["regions"], "segmentation": ["organ", "slices.npz"]}
    for task in DRAFTS:
        for data in fitting[KINDS.get(task, "segmentation")]:
            out = tmp_path / f"{task}-{data}.yaml"
            code, said = hpo("init", task, "--data", tmp_path / data, "--out", out)
            assert code == 0, said
            assert f"hpo run {out} --volume data={tmp_path}" in said
            assert parse_study(read(out.read_text(), tmp_path)).spec.trainer.data is not None
            assert hpo("validate", out)[0] == 0


def test_a_split_beside_the_images_is_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image_folder(tmp_path / "regions", classes=2)
    assert hpo("data", "split", tmp_path / "regions")[0] == 0
    assert hpo("init", "classification", "--data", tmp_path / "regions", "-o", tmp_path / "s.yaml")[0] == 0
    text = (tmp_path / "s.yaml").read_text()
    assert "splitFile: splits.csv" in text and "splitColumn: split" in text
    assert "No test side" not in text


def test_what_the_check_finds_stands_at_the_top(tmp_path: Path) -> None:
    image_folder(tmp_path / "regions", classes=2)
    (tmp_path / "regions/class0/011.png").write_bytes((tmp_path / "regions/class0/000.png").read_bytes())
    assert hpo("init", "classification", "--data", tmp_path / "regions", "-o", tmp_path / "s.yaml")[0] == 0
    assert "#   the same image on two sides" in (tmp_path / "s.yaml").read_text()


def test_wrong_wishes(tmp_path: Path) -> None:
    image_folder(tmp_path / "regions", classes=2)
    data = ("--data", tmp_path / "regions")
    (tmp_path / "there.yaml").write_text("mine")
    for arguments, sentence in [
        (("segmentatoin", *data), "no task 'segmentatoin'; did you mean segmentation?"),
        (("segmentation", "--data", tmp_path / "absent"), f"--data {tmp_path}/absent: no such file or folder"),
        (("classification", *data, "-o", tmp_path / "there.yaml"), "there.yaml: is there already"),
        (("segmentation", *data, "-o", tmp_path / "new.yaml"), "is for classification, segmentation reads data for"),
    ]:
        code, said = hpo("init", *arguments)
        assert code == 2 and sentence in said, said
    assert (tmp_path / "there.yaml").read_text() == "mine"
    assert not (tmp_path / "new.yaml").exists()


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, said = hpo("init", "classification", "--data", tmp_path / "empty", "-o", tmp_path / "s.yaml")
    assert code == 2 and "empty" in said
    assert not (tmp_path / "s.yaml").exists()
