"""Trials made with ``kubectl create``, on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stand.control_plane import ControlPlaneError
from stand.studies import Raw, Studies, toy_study

pytestmark = pytest.mark.cluster

EXAMPLE = Path(__file__).resolve().parents[2] / "crds" / "examples" / "08-manual-trial.yaml"


def manual(study: str, index: int, **parameters: str) -> Raw:
    """The example, for another study."""
    raw: Raw = yaml.safe_load(EXAMPLE.read_text())
    raw["metadata"]["name"] = f"{study}-{index}"
    raw["spec"] |= {"study": study, "index": index, "parameters": parameters}
    return raw


def create(studies: Studies, raw: Raw) -> None:
    studies.plane.kubectl("-n", studies.namespace, "create", "-f", "-", input_text=yaml.safe_dump(raw))


def reason(studies: Studies, name: str) -> str:
    return str(studies.get("hpotrials", name).get("status", {}).get("reason", ""))


def test_manual_trials_are_adopted_or_told_why_not(studies: Studies) -> None:
    create(studies, manual("mine", 4, x="0.7", kind="a"))  # before its study is there
    studies.apply(toy_study("mine", trials=6, parallelism=1, mode="slow"))
    create(studies, manual("mine", 5, x="0.6", kind="b", width="8"))
    bad = {
        1000000000: (manual("mine", 10**9, x="0", kind="a"), "spec.index: expected less than"),
        6: (manual("mine", 6, x="7.5", kind="a"), "spec.index: expected less than"),
        3: (manual("mine", 3, x="7.5", kind="a"), "spec.parameters.x: "),
    }
    for raw, _ in bad.values():
        create(studies, raw)
    foreign = manual("mine", 9, x="0", kind="a")
    foreign["metadata"] |= {"name": "other-9", "labels": {"hpo.study/study": "mine"}}
    foreign["spec"]["study"] = "other"
    create(studies, foreign)
    study = studies.wait("mine", "Succeeded")
    assert study["status"]["trials"]["succeeded"] == 5  # the refused mine-3 holds a number of the six
    assert study["status"]["best"]["trial"] == "mine-4"
    adopted = studies.get("hpotrials", "mine-4")
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == study["metadata"]["uid"]
    assert adopted["spec"]["parameters"] == {"x": "0.7", "kind": "a"}
    assert studies.get("hpotrials", "mine-5")["status"]["measurements"]
    for index, (_, sentence) in bad.items():
        status = studies.get("hpotrials", f"mine-{index}")["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "Refused")
        assert status["message"].startswith(sentence)
    assert studies.get("hpotrials", "other-9")["status"]["message"].startswith("spec.study: expected mine")
    assert [name for name, _ in studies.events("mine")].count("TrialAdopted") == 2
    studies.kubectl("delete", "hpo", "mine", "--timeout=60s")
    strays = {*(f"mine-{i}" for i in bad), "other-9"}

    def gone() -> bool:
        return {t["metadata"]["name"] for t in studies.all("hpotrials")} == strays

    studies.plane.wait_until(gone, "not exactly the study's own trials went with it")


def test_a_number_that_is_taken_is_refused_at_once(studies: Studies) -> None:
    studies.apply(toy_study("taken", trials=2))
    studies.wait("taken", "Succeeded")
    with pytest.raises(ControlPlaneError, match="already exists"):
        create(studies, manual("taken", 1, x="0.5", kind="a"))
