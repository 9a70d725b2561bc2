"""``kubectl scale``, and a budget that changes while a study runs, on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from stand.studies import Raw, Studies, toy_study

pytestmark = pytest.mark.cluster


def scale(studies: Studies, name: str) -> Raw:
    path = f"/apis/hpo.study/v1alpha1/namespaces/{studies.namespace}/hpostudies/{name}/scale"
    answer: Raw = studies.plane.request("GET", path)
    return answer


def begun(folder: Path, name: str) -> set[str]:
    return {path.parent.name for path in folder.glob(f"*/{name}-*/started")}


def alive(studies: Studies, name: str) -> set[str]:
    return {p["metadata"]["name"] for p in studies.all("pods", name) if p["status"]["phase"] == "Running"}


def test_scaling_up_and_down(studies: Studies, tmp_path: Path) -> None:
    study = toy_study("scaled", trials=6, parallelism=1, mode="wait")
    study["spec"]["trainer"]["checkpoints"] = {"claimName": "checkpoints"}
    (tmp_path / "checkpoints").mkdir()
    studies.claim("checkpoints", tmp_path / "checkpoints")
    studies.apply(study)
    studies.until_pods("scaled", 1)
    studies.kubectl("scale", "hpostudy/scaled", "--replicas=3")
    studies.until_pods("scaled", 3)
    shown = scale(studies, "scaled")
    assert shown["spec"]["replicas"] == 3
    assert shown["status"]["selector"] == "hpo.study/study=scaled"

    def three_shown() -> bool:
        return bool(scale(studies, "scaled")["status"]["replicas"] == 3)

    studies.plane.wait_until(three_shown, "the scale subresource never showed three")

    # Down: what runs goes on, nothing begins until fewer run than may.
    studies.kubectl("scale", "hpostudy/scaled", "--replicas=0")
    running = alive(studies, "scaled")
    assert len(running) == 3
    studies.plane.wait_until(lambda: len(begun(tmp_path / "checkpoints", "scaled")) == 3, "not all three began")
    studies.kubectl("delete", "pod", *sorted(running))  # their next attempts report at once

    def at_rest() -> bool:
        return studies.get("hpostudies", "scaled")["status"]["reason"] == "NoParallelism"

    studies.plane.wait_until(at_rest, "the study never came to rest")
    trials = studies.all("hpotrials", "scaled")
    assert [t["status"]["phase"] for t in trials] == ["Succeeded"] * 3
    progressing = {c["type"]: c["status"] for c in studies.get("hpostudies", "scaled")["status"]["conditions"]}
    assert progressing["Progressing"] == "False"

    # Up again, with a smaller budget: one more trial, then it is over.
    patch = '{"spec":{"budget":{"trials":4}}}'
    studies.kubectl("patch", "hpo", "scaled", "--type=merge", "-p", patch)
    studies.kubectl("scale", "hpostudy/scaled", "--replicas=2", "--current-replicas=0")
    studies.plane.wait_until(lambda: len(begun(tmp_path / "checkpoints", "scaled")) == 4, "the fourth never began")
    studies.kubectl("delete", "pod", "scaled-3-r0-a0")
    ended = studies.wait("scaled", "Succeeded")
    assert ended["status"]["progress"] == "4/4"

    # A larger budget lets it go on after its end.
    studies.kubectl("patch", "hpo", "scaled", "--type=merge", "-p", '{"spec":{"budget":{"trials":5}}}')
    studies.plane.wait_until(lambda: len(begun(tmp_path / "checkpoints", "scaled")) == 5, "the fifth never began")
    studies.kubectl("delete", "pod", "scaled-4-r0-a0")
    studies.plane.wait_until(
        lambda: studies.get("hpostudies", "scaled")["status"]["progress"] == "5/5", "it never ended again"
    )
