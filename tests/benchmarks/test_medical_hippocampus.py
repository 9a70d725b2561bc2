"""The study of crds/examples/04-hippocampus.yaml and its judgement, from start to end, on five small volumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from medical import data, hippocampus, hippocampus_folds, report, runs, trained

from trainer.support import decathlon_folder


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A volume with two of nnU-Net's folds, and its table of Dice coefficients."""
    folder = decathlon_folder(tmp_path / "data" / "Task", cases=5)
    folds = [
        {"train": ["case_1", "case_2", "case_3"], "val": ["case_0", "case_4"]},
        {"train": ["case_0", "case_2", "case_3", "case_4"], "val": ["case_1"]},
    ]
    (folder / "splits_final.json").write_text(json.dumps(folds))
    table = tmp_path / "others" / hippocampus.NNUNET
    table.parent.mkdir(parents=True)
    table.write_text(
        "case,ConvolutionalEncoder_anterior,ConvolutionalEncoder_posterior\ncase_0,0.9,0.8\ncase_4,0.8,0.9\n"
    )
    monkeypatch.setattr(data, "OTHERS", tmp_path / "others")
    monkeypatch.setattr(hippocampus_folds, "hippocampus", lambda: folder)
    monkeypatch.setattr(runs, "WORK", tmp_path / "work")
    for module in (hippocampus_folds, trained, runs):
        monkeypatch.setattr(module, "VOLUME", tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The example, with a trial of one and then two epochs on smaller patches."""
    study: dict[str, Any] = yaml.safe_load(hippocampus.EXAMPLE.read_text())
    study["spec"]["budget"]["trials"] = 1
    study["spec"]["fidelity"] |= {"min": 1, "max": 2}
    study["spec"]["trainer"]["segmentation"] |= {"patchSize": [16, 16, 16], "scheduleEpochs": 2}
    file = tmp_path / "example.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    monkeypatch.setattr(hippocampus, "EXAMPLE", file)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    return study


def test_the_search_never_sees_what_is_judged(volume: Path) -> None:
    name = hippocampus_folds.search_data()
    assert hippocampus_folds.search_data() == name
    search, judged = json.loads((volume / name / "splits_final.json").read_text())
    assert search == {"train": ["case_2", "case_3"], "val": ["case_1"]}
    assert judged["val"] == ["case_0", "case_4"]


@pytest.mark.long
def test_the_example_is_searched_trained_anew_and_judged(volume: Path, example: dict[str, Any]) -> None:
    hippocampus.main()
    raw = json.loads((report.RESULTS / "hippocampus.json").read_text())
    assert raw["cases"] == ["case_0", "case_4"]
    assert raw["nnU-Net"] == [[0.9, 0.8], [0.8, 0.9]]
    assert set(raw["ours"]) == {
        f"{longer} × as long, {name}" for longer in hippocampus.LOOKS for name in ("one network", "mean of 2")
    }
    assert {np.shape(dice) for dice in raw["ours"].values()} == {(2, 2)}
    assert raw["config"]["fold"] == hippocampus_folds.JUDGED
    assert raw["config"]["scheduleEpochs"] == 2 * hippocampus.LOOKS[-1]
    tuned = {parameter["name"] for parameter in example["spec"]["parameters"]}
    assert {type(raw["config"][name]) for name in tuned} == {int, float, str}
    page = (report.RESULTS / "hippocampus.md").read_text()
    assert "| nnU-Net | 0.8500 | 0.8500 | 0.8500 (0.8500 to 0.8500) |  |" in page
    assert (report.RESULTS / "hippocampus.png").exists()
