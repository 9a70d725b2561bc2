"""What is kept of ended trials, on a real API server with real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from stand.studies import Raw, Studies, toy_study

pytestmark = pytest.mark.cluster

SCRIPT = "touch $HPO_CHECKPOINT_DIR/state && exec python -m stand.toy_trainer report $HPO_PARAM_x"


def writing_study(name: str, **retention: int) -> Raw:
    """Hyperband over nine trials, each of which writes a file into its folder."""
    study = toy_study(
        name,
        trials=9,
        parallelism=3,
        fidelity={"resource": "epochs", "min": 1, "max": 9, "eta": 3},
        algorithm={"sampler": {"type": "Random"}, "scheduler": {"type": "Hyperband"}},
        retention=retention,
    )
    trainer = study["spec"]["trainer"]
    trainer["podTemplate"]["spec"]["containers"][0]["command"] = ["sh", "-c", SCRIPT]
    trainer["checkpoints"] = {"claimName": "checkpoints", "subPath": "mine"}
    return study


def test_the_losers_checkpoints_are_deleted_and_the_best_one_s_stays(studies: Studies, tmp_path: Path) -> None:
    volume = tmp_path / "checkpoints"
    volume.mkdir()
    (volume / "mine").mkdir()
    (volume / "mine" / "of-somebody-else").touch()
    studies.claim("checkpoints", volume)
    studies.apply(writing_study("retaining", bestCheckpoints=1, finishedPods=2))
    study = studies.wait("retaining", "Succeeded")
    best = study["status"]["best"]["trial"]
    folder = volume / "mine" / study["metadata"]["uid"]

    def cleaned() -> bool:
        return {path.name for path in folder.iterdir()} == {best}

    studies.plane.wait_until(cleaned, f"not only {best} stayed")
    assert (folder / best / "state").exists()
    assert (volume / "mine" / "of-somebody-else").exists()

    def marked() -> bool:
        trials = studies.all("hpotrials", "retaining")
        deleted = {t["metadata"]["name"] for t in trials if t["status"].get("checkpointDeleted")}
        return deleted == {f"retaining-{i}" for i in range(9)} - {best}

    studies.plane.wait_until(marked, "the trials do not say that their checkpoints are gone")
    studies.plane.wait_until(lambda: len(studies.all("pods", "retaining")) == 3, "more Pods than the best and two stay")
    ended = studies.get("hpostudies", "retaining")["status"]
    assert (ended["trials"]["total"], ended["trials"]["succeeded"], ended["progress"]) == (9, 9, "9/9")
    assert "CheckpointsDeleted" in [reason for reason, _ in studies.events("retaining")]


def test_a_cleaning_that_cannot_be_done_is_said_and_mended_by_deleting_its_pod(
    studies: Studies, tmp_path: Path
) -> None:
    volume = tmp_path / "checkpoints"
    volume.mkdir()
    studies.claim("checkpoints", volume)
    studies.apply(writing_study("stuck"))
    study = studies.wait("stuck", "Succeeded")
    folder = volume / "mine" / study["metadata"]["uid"]
    loser = next(path for path in folder.iterdir() if path.name != study["status"]["best"]["trial"])
    loser.rename(volume / "elsewhere")
    loser.symlink_to(volume / "elsewhere")
    patch = '{"spec":{"retention":{"bestCheckpoints":1}}}'
    studies.kubectl("patch", "hpo", "stuck", "--type=merge", "-p", patch)

    def said() -> bool:
        return loser.name in studies.get("hpostudies", "stuck")["status"].get("cleaning", "")

    studies.plane.wait_until(said, "the status does not name the folder")
    assert (volume / "elsewhere" / "state").exists()
    loser.unlink()
    studies.kubectl("delete", "pod", "stuck-clean")
    studies.plane.wait_until(lambda: len(list(folder.iterdir())) == 1, "not tried again")
