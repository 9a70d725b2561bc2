"""What ``hpo finalize`` of a cluster says before it creates anything, and how a model comes to this machine."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hpo_operator.cli.finalize_candidates import final_request
from hpo_operator.cli.finalize_cluster import cluster_study
from hpo_operator.cli.finalize_fetch import received
from hpo_operator.cli.main import app
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.objects import StudyObjects
from reconcile.objects import study, trial

Raw = dict[str, Any]
ENDED: Raw = {"phase": "Succeeded", "progress": "2/2", "completionTime": "2026-03-01T12:00:00Z"}


def found(status: Raw = ENDED, trials: tuple[Raw, ...] = (), **trainer: Any) -> StudyObjects:
    raw = study() | {"status": status}
    raw["spec"]["trainer"] = {
        key: value
        for key, value in ({**raw["spec"]["trainer"], "checkpoints": {"claimName": "kept"}} | trainer).items()
        if value is not None
    }
    return StudyObjects(raw, trials)


def measured(index: int, value: float, **status: Any) -> Raw:
    measurement = {"rung": 0, "resource": 0, "value": value, "source": "TerminationMessage", "seconds": 3.0}
    return trial(index, {"phase": "Succeeded", "measurements": [measurement]} | status)


def refused(objects: StudyObjects) -> str:
    with pytest.raises(Mistake) as caught:
        final_request(objects, cluster_study(objects), 10, False, checkpoint=str)
    return str(caught.value)


def test_the_candidates_are_the_best_whose_checkpoints_are_left() -> None:
    trials = (measured(0, 0.5), measured(1, 0.9, checkpointDeleted=True), measured(2, 0.7), measured(3, 0.6))
    objects = found(trials=trials)
    request = final_request(objects, cluster_study(objects), 2, True, checkpoint=str)
    assert [(c["trial"], c["checkpoint"], c["value"]) for c in request["candidates"]] == [
        ("demo-2", "demo-2", 0.7),
        ("demo-3", "demo-3", 0.6),
    ]
    assert request["mirroredPrediction"] is True
    assert request["study"]["trainingSeconds"] == 12.0
    assert set(request["study"]["spec"]) == {"objective", "parameters", "budget"}  # nothing that nobody reads


def test_no_volume_for_checkpoints() -> None:
    said = refused(found(checkpoints=None))
    assert "lab/demo: spec.trainer.checkpoints names no volume" in said
    assert "ended with them" in said


def test_a_container_of_the_users_own() -> None:
    template = {"spec": {"containers": [{"name": "trainer", "image": "mine"}]}}
    assert "found a podTemplate" in refused(found(podTemplate=template, segmentation=None, resources=None))


def test_a_study_that_goes_on() -> None:
    said = refused(found({"phase": "Running", "progress": "1/2"}))
    assert "lab/demo: the study has not ended (Running, 1/2 trials)" in said


def test_nothing_was_measured() -> None:
    assert "demo: no trial has been measured yet" in refused(found(trials=(trial(0, {"phase": "Failed"}),)))


def test_no_checkpoint_is_left() -> None:
    said = refused(found(trials=(measured(0, 0.5, checkpointDeleted=True),)))
    assert "the checkpoints of all 1 trials that could be the final model were deleted" in said


def test_too_much_to_tell() -> None:
    """A thousand candidates, where somebody asks for so many."""
    objects = found(trials=tuple(measured(i, 0.5) for i in range(1000)))
    with pytest.raises(Mistake, match="at most; fewer --candidates"):
        final_request(objects, cluster_study(objects), 2000, False, checkpoint=lambda name: name * 20)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--again"], "--again, --image, --fetch: expected none without --cluster"),
        (["-n", "lab", "--volume", "mri=."], "--volume: expected none with --cluster"),
        (["--cluster", "--fetch", "."], "--fetch .: expected a folder that is not there yet"),
    ],
)
def test_options_of_the_other_place(options: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["finalize", "demo", *options])
    assert result.exit_code == 2
    assert said in result.stderr


# --- bringing the model here


def tar(folder: Path, *arguments: str) -> list[str]:
    return ["tar", "-cf", "-", "-C", str(folder), *(arguments or (".",))]


def test_a_model_is_brought_whole(tmp_path: Path) -> None:
    (tmp_path / "there/models").mkdir(parents=True)
    (tmp_path / "there/model_card.md").write_text("# demo\n")
    (tmp_path / "there/models/model.pt").write_bytes(bytes(range(256)) * 4000)
    assert received(tar(tmp_path / "there"), tmp_path / "here") == 2
    assert (tmp_path / "here/models/model.pt").read_bytes() == bytes(range(256)) * 4000
    assert (tmp_path / "here/model_card.md").read_text() == "# demo\n"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="nowhere"):
        received(tar(tmp_path / "nowhere"), tmp_path / "here")
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/model.pt").write_bytes(bytes(100_000))
    with pytest.raises(Mistake, match="unexpected end of data"):
        received(["sh", "-c", f"tar -cf - -C {tmp_path}/there . | head -c 50000; exit 1"], tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(("name", "kind"), [("../outside", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)])
def test_nothing_is_written_elsewhere(tmp_path: Path, name: str, kind: bytes) -> None:
    archive = tmp_path / "archive.tar"
    with tarfile.open(archive, "w") as file:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        file.addfile(member)
    with pytest.raises(Mistake, match="expected a file or a folder of the model"):
        received([sys.executable, "-c", f"print(end=open({str(archive)!r}).read())"], tmp_path / "here")
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "here").exists()
