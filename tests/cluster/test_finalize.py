"""``hpo finalize`` of a study of the cluster: real trials, a real Pod, the model on the volume."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconcile.restricted import violations
from stand.command import command, environ
from stand.studies import Raw, Studies
from trainer.final_support import labelled_images
from trainer.support import SMALL_NETWORK

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(1200)]
PARTS = ("hpo.study/final=regions", "hpo.study/study=regions")


def small_study(name: str) -> Raw:
    """Two networks of an epoch each, on 36 images."""
    fields = {key: value for key, value in SMALL_NETWORK.items() if key != "learningRate"}
    task = fields | {"dataset": "set", "splitFile": "splits.csv", "epochs": 1}
    return {
        "apiVersion": "hpo.study/v1alpha1",
        "kind": "HPOStudy",
        "metadata": {"name": name},
        "spec": {
            "objective": {"metric": "accuracy", "direction": "Maximize"},
            "parameters": [{"name": "learningRate", "float": {"min": 0.001, "max": 0.1, "scale": "Log"}}],
            "algorithm": {"sampler": {"type": "Sobol"}},
            "budget": {"trials": 2, "parallelism": 2},
            "trainer": {
                "classification": task,
                "data": {"claimName": "images"},
                "checkpoints": {"claimName": "kept", "subPath": "lab"},
            },
        },
    }


def _heed_interrupts() -> None:
    """Also where the tests run in the background of a shell, which has its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Lab:
    """Somebody at a terminal, with a study of the cluster that has ended."""

    def __init__(self, studies: Studies, folder: Path) -> None:
        self.studies, self.data, self.kept = studies, folder / "data", folder / "kept"
        labelled_images(self.data / "set")
        (self.kept / "lab").mkdir(parents=True)
        studies.claim("images", self.data)
        studies.claim("kept", self.kept)
        self.run("regions")
        self.uid = str(studies.get("hpostudies", "regions")["metadata"]["uid"])

    def run(self, name: str) -> None:
        self.studies.apply(small_study(name))
        self.studies.wait(name, "Succeeded", seconds=400)

    def started(self, *options: str, study: str = "regions") -> subprocess.Popen[str]:
        """``hpo finalize`` beside the test."""
        given = command("finalize", study, "-n", self.studies.namespace, *options)
        environment = environ(self.studies.plane.kubeconfig)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(given, env=environment, text=True, preexec_fn=_heed_interrupts, **pipes)

    def finalize(self, *options: str, study: str = "regions") -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        process = self.started(*options, study=study)
        out, err = process.communicate(timeout=500)
        assert "Traceback" not in err
        return process.returncode, out, err

    @property
    def folder(self) -> Path:
        """Of the study, on the checkpoint volume."""
        return self.kept / "lab" / self.uid

    def looks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.kept / "lab/test-looks/test-looks.json").read_text())
        return found

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "final/figures.json").read_text())
        return found


@pytest.fixture
def lab(studies: Studies, tmp_path: Path) -> Lab:
    return Lab(studies, tmp_path)


def test_from_a_study_to_a_model_on_the_volume(lab: Lab) -> None:
    _refused_by_a_quota(lab)
    _interrupted(lab)
    shown = _followed(lab)
    _shown_again(lab, shown)
    _anew_on_folds(lab)
    _another_study_of_the_volume(lab)
    _changed_data(lab)
    _deleted_with_the_study(lab)


def _refused_by_a_quota(lab: Lab) -> None:
    lab.studies.kubectl("create", "quota", "none", "--hard=pods=0")
    code, _, err = lab.finalize()
    assert (code, "regions-final" in err, "exceeded quota" in err) == (2, True, True)
    lab.studies.kubectl("delete", "quota", "none")


def _interrupted(lab: Lab) -> None:
    """Ctrl-C ends the command, and the Pod goes on."""
    process = lab.started()
    assert process.stderr is not None
    assert process.stderr.readline().endswith("regions-final created\n")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the Pod goes on; the same command follows it again" in err


def _followed(lab: Lab) -> str:
    code, out, err = lab.finalize()
    assert code == 0, err + out
    assert "created" not in err
    assert "test images (look 1 at this test set):" in out
    assert "| figure | best trial |" in out
    assert f"written to the claim kept, folder lab/{lab.uid}/final: read model_card.md" in out
    study = lab.studies.get("hpostudies", "regions")
    figures = lab.figures()
    assert figures["single"] == study["status"]["best"]["trial"]
    assert figures["validation"]["single"]["accuracy"]["value"] == pytest.approx(study["status"]["best"]["value"])
    assert (lab.folder / "final/models/model.ts").exists()
    assert [look["study"] for look in lab.looks()] == ["regions"]
    for selector in PARTS:
        assert "pod/regions-final" in lab.studies.kubectl("get", "pods", "-o", "name", "-l", selector)
    pod = lab.studies.get("pods", "regions-final")
    assert violations(pod["spec"]) == []
    assert [owner["uid"] for owner in pod["metadata"]["ownerReferences"]] == [lab.uid]
    assert (study["status"]["progress"], study["status"]["trials"]["total"]) == ("2/2", 2)
    return out


def _shown_again(lab: Lab, shown: str) -> None:
    """Nothing is done twice unless it is asked for."""
    assert lab.finalize()[:2] == (0, shown)
    code, _, err = lab.finalize("--no-test")
    assert (code, "the Pod was told other options" in err) == (2, True)
    assert len(lab.looks()) == 1


def _anew_on_folds(lab: Lab) -> None:
    code, out, err = lab.finalize("--again", "--retrain", "--folds", "2", "--candidates", "1")
    assert code == 0, err + out
    assert "fold 2 of 2: accuracy" in out
    assert "test images (look 2 at this test set: its figures are optimistic):" in out
    assert "handed over: the mean of 2 networks, one for each fold" in out
    [trial] = (lab.folder / "retrained").iterdir()
    assert (trial / "fold1/checkpoint.pt").exists()
    assert (lab.folder / "final/models/fold1.checkpoint.pt").exists()


def _another_study_of_the_volume(lab: Lab) -> None:
    """Its trials' images are known by the first one's looks. Its Pods are gone: the image is asked for."""
    lab.run("others")
    lab.studies.kubectl("delete", "pods", "-l", "hpo.study/study=others")
    code, _, err = lab.finalize(study="others")
    assert (code, "none of its trials' Pods is left" in err) == (2, True)
    code, out, err = lab.finalize("--image", "registry.example/trainer:1", study="others")
    assert code == 0, err + out
    assert "test images (look 3 at this test set" in out
    assert [look["study"] for look in lab.looks()] == ["regions", "regions", "others"]


def _changed_data(lab: Lab) -> None:
    table = lab.data / "set/splits.csv"
    table.write_text(table.read_text().replace("class0,009.png,p0-3,test", "class0,009.png,p0-3,val"))
    code, out, err = lab.finalize("--again")
    assert code == 2
    assert "has changed since regions-" in out
    assert "regions-final: BadData: " in err and "has changed since regions-" in err
    assert err.rstrip().endswith("--again")
    assert lab.finalize()[0] == 2  # the Pod that failed is shown again
    assert len(lab.looks()) == 3


def _deleted_with_the_study(lab: Lab) -> None:
    lab.studies.kubectl("delete", "hpo", "regions")

    def gone() -> bool:
        return "regions-final" not in lab.studies.kubectl("get", "pods", "-o", "name")

    lab.studies.plane.wait_until(gone, "the Pod outlived its study")
    assert (lab.folder / "final/model_card.md").exists()
