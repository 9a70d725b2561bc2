"""``hpo run``, then ``hpo finalize``: real trials, real processes, both kinds of task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from hpo_operator.cli.main import app
from trainer.final_support import labelled_images, volumes
from trainer.support import SMALL_NETWORK, SMALL_U_NET

Raw = dict[str, Any]


def hpo(*arguments: str | Path) -> int:
    """The exit code; what child processes print goes to this process's file descriptors."""
    return CliRunner().invoke(app, list(map(str, arguments))).exit_code


def study(name: str, trainer: Raw, metric: str, **spec: Any) -> Raw:
    """Two trials of an epoch each."""
    return {
        "apiVersion": "hpo.study/v1alpha1",
        "kind": "HPOStudy",
        "metadata": {"name": name},
        "spec": {
            "objective": {"metric": metric, "direction": "Maximize"},
            "parameters": [{"name": "learningRate", "float": {"min": 0.001, "max": 0.1, "scale": "Log"}}],
            "algorithm": {"sampler": {"type": "Sobol"}},
            "budget": {"trials": 2, "parallelism": 2},
            "trainer": trainer | {"data": {"claimName": "images"}, "checkpoints": {"claimName": "kept"}},
        }
        | spec,
    }


class Workplace:
    """A folder with a study's file, its data and its state."""

    def __init__(self, folder: Path, manifest: Raw) -> None:
        self.folder, self.file, self.state = folder, folder / f"{manifest['metadata']['name']}.yaml", folder / "state"
        self.data, self.name = folder / "data", manifest["metadata"]["name"]
        self.file.write_text(yaml.safe_dump(manifest))

    def run(self) -> int:
        return hpo("run", self.file, "--state", self.state, "--volume", f"images={self.data}", "--plain")

    def finalize(self, *options: str) -> int:
        given = ["finalize", self.file, "--state", self.state, "--volume", f"images={self.data}"]
        return hpo(*given, *options)

    @property
    def final(self) -> Path:
        return self.state / self.name / "final"

    def figures(self) -> Raw:
        found: Raw = json.loads((self.final / "figures.json").read_text())
        return found

    def best(self) -> Raw:
        stored: Raw = json.loads((self.state / self.name / f"study/{self.name}.json").read_text())
        return dict(stored["status"]["best"])


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("classified")
    labelled_images(folder / "data/set")
    fields = {k: v for k, v in SMALL_NETWORK.items() if k != "learningRate"}
    task = {"classification": fields | {"dataset": "set", "splitFile": "splits.csv", "epochs": 1}}
    place = Workplace(folder, study("regions", task, "accuracy"))
    assert place.run() == 0
    return place


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """In rungs, and without a volume for checkpoints, which then lie with the Pods."""
    folder = tmp_path_factory.mktemp("segmented")
    volumes(folder / "data/set")
    fields = {k: v for k, v in SMALL_U_NET.items() if k != "learningRate"}
    spec = {
        "algorithm": {"sampler": {"type": "Sobol"}, "scheduler": {"type": "SuccessiveHalving"}},
        "fidelity": {"resource": "epochs", "min": 1, "max": 2, "eta": 2},
    }
    manifest = study("organs", {"segmentation": fields | {"dataset": "set"}}, "dice", **spec)
    del manifest["spec"]["trainer"]["checkpoints"]
    place = Workplace(folder, manifest)
    assert place.run() == 0
    return place


def test_images(classified: Workplace, capfd: pytest.CaptureFixture[str]) -> None:
    assert classified.finalize() == 0
    figures, best = classified.figures(), classified.best()
    assert figures["single"] == best["trial"]
    assert figures["validation"]["single"]["accuracy"]["value"] == pytest.approx(best["value"])
    assert figures["test"]["look"] == 1
    assert set(figures["considered"]) >= {"the best trial alone", "greedy selection"}
    assert "test images (look 1 at this test set)" in capfd.readouterr().out
    card = (classified.final / "model_card.md").read_text()
    assert "0.001 to 0.1, logarithmic" in card
    assert "parallelism 2, trials 2" in card
    assert not (classified.state / "regions/processes/finalize").exists()


def test_looks_are_counted_over_studies_and_survive_a_fresh_start(classified: Workplace) -> None:
    """The images do not become new with another study."""
    looks = classified.state / "test-looks.json"
    before = len(json.loads(looks.read_text())) if looks.exists() else 0
    manifest = yaml.safe_load(classified.file.read_text())
    manifest["metadata"]["name"] = "regions-again"
    manifest["spec"]["budget"]["trials"] = 1
    other = Workplace(classified.folder, manifest)
    assert other.run() == 0
    assert other.finalize() == 0
    assert other.figures()["test"]["look"] == before + 1
    assert json.loads(looks.read_text())[-1]["study"] == "regions-again"


def test_volumes(segmented: Workplace) -> None:
    assert segmented.finalize("--tolerance", "2") == 0
    figures, best = segmented.figures(), segmented.best()
    assert figures["single"] == best["trial"]
    if not figures["largestPiece"]["single"]:
        assert figures["validation"]["single"]["dice"]["value"] == pytest.approx(best["value"], abs=1e-5)
    assert figures["test"]["units"] == 2
    trials = json.loads((segmented.state / f"organs/trials/{best['trial']}.json").read_text())
    assert trials["status"]["measurements"][-1]["resource"] == 2  # of the top rung
    assert (segmented.final / "models/model.ts").exists()


def test_retrained(classified: Workplace, capfd: pytest.CaptureFixture[str]) -> None:
    assert classified.finalize("--retrain", "--folds", "2", "--candidates", "1") == 0
    trial = classified.best()["trial"]
    assert (classified.state / f"regions/retrained/{trial}/fold1/checkpoint.pt").exists()
    assert list(classified.figures()["test"])[4:] == ["single", "retrained", "retrained - single"]
    told = capfd.readouterr()
    assert "fold 2 of 2: accuracy" in told.err
    assert "handed over: the mean of 2 networks, one for each fold" in told.out


def test_only_building_looks_at_nothing(classified: Workplace) -> None:
    looks = classified.state / "test-looks.json"
    before = looks.read_bytes() if looks.exists() else b""
    assert classified.finalize("--no-test", "--candidates", "1") == 0
    assert classified.figures()["test"] is None
    assert (looks.read_bytes() if looks.exists() else b"") == before


def test_a_data_set_that_has_changed_is_refused(segmented: Workplace, capfd: pytest.CaptureFixture[str]) -> None:
    splits = segmented.data / "set/splits_final.json"
    text = splits.read_text()
    splits.write_text(json.dumps([{"train": ["case_0", "case_1"], "val": ["case_2", "case_3", "case_4"]}]))
    try:
        assert segmented.finalize() == 2
    finally:
        splits.write_text(text)
    said = capfd.readouterr().err
    assert f"{segmented.data}/set: has changed since organs-" in said
    assert "train lacks case_2; validation has gained case_2" in said
    assert "Traceback" not in said


# --- what is wrong is said before anything is trained


def refused(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 2
    return result.stderr


def test_a_study_that_never_ran(tmp_path: Path) -> None:
    assert "no study/*.json" in refused("finalize", "nothing", "--state", tmp_path)


def test_a_volume_that_is_not_there(tmp_path: Path) -> None:
    said = refused("finalize", "nothing", "--state", tmp_path, "--volume", f"images={tmp_path}/nowhere")
    assert "expected CLAIM=DIR with a directory that exists" in said


def test_data_that_is_not_where_it_was(classified: Workplace) -> None:
    said = refused("finalize", classified.name, "--state", classified.state)
    assert "name it as for hpo run: --volume images=DIR" in said


def stored_study(folder: Path, manifest: Raw) -> Path:
    """As ``hpo run`` stores it before its first trial."""
    meta = manifest["metadata"] | {"namespace": "local", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    path = folder / manifest["metadata"]["name"] / "study" / f"{manifest['metadata']['name']}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(manifest | {"metadata": meta | {"generation": 1}}))
    return folder


def test_a_study_without_a_measured_trial(tmp_path: Path) -> None:
    manifest = study("early", {"classification": {"dataset": "set"}}, "accuracy")
    assert "early: no trial has been measured yet" in refused(
        "finalize", "early", "--state", stored_study(tmp_path, manifest)
    )


def test_a_container_of_the_users_own(tmp_path: Path) -> None:
    container = {"name": "trainer", "image": "mine"}
    manifest = study("own", {"podTemplate": {"spec": {"containers": [container]}}}, "loss")
    said = refused("finalize", "own", "--state", stored_study(tmp_path, manifest))
    assert "own: expected a built-in task under spec.trainer, found a podTemplate" in said


def test_the_help_has_an_example() -> None:
    shown = CliRunner().invoke(app, ["finalize", "--help"]).stdout
    assert "hpo finalize study.yaml --volume mri-data=./data" in shown
