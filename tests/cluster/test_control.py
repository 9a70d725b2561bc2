"""``hpo apply``, ``suspend``, ``scale`` and ``delete`` on a real API server, by a user with the chart's rights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from stand.studies import Studies, toy_study
from stand.users import User

pytestmark = pytest.mark.cluster


@pytest.fixture
def user(studies: Studies, tmp_path: Path) -> User:
    return User(studies, tmp_path)


def test_apply_says_what_it_did_and_what_may_not_change(user: User) -> None:
    study = toy_study("applied", trials=2, mode="wait")
    file, where = user.file(study), f"{user.studies.namespace}/applied"
    assert user.says("apply", file, "--dry-run") == f"{where} created (dry run)\n"
    assert user.studies.all("hpostudies") == []
    assert user.says("apply", file) == f"{where} created\n"
    assert user.says("apply", file) == f"{where} unchanged\n"
    user.studies.until_pods("applied", 1)

    study["spec"]["budget"]["trials"] = 3
    user.file(study)
    changed = f"{where} changed{{}}\n  spec.budget.trials: 2 -> 3\n"
    assert user.says("apply", file, "--dry-run") == changed.format(" (dry run)")
    assert user.says("apply", file) == changed.format("")

    study["spec"]["parameters"][0]["float"]["max"] = 5.0
    study["spec"]["seed"] = 4
    user.file(study)
    said = user.errs("apply", file)
    assert f"{where}: spec.parameters[0].float.max: 2.0 -> 5.0: may not change once the study was accepted" in said
    assert f"{where}: spec.seed: 3 -> 4: may not change" in said
    assert "another name" in said


def test_apply_says_who_has_set_a_field(user: User) -> None:
    study = toy_study("shared", trials=4, mode="wait")
    file, where = user.file(study), f"{user.studies.namespace}/shared"
    user.says("apply", file)
    user.studies.kubectl("patch", "hpo", "shared", "--type=merge", "-p", '{"spec": {"budget": {"parallelism": 2}}}')
    study["spec"]["budget"]["parallelism"] = 3
    user.file(study)
    said = user.errs("apply", file)
    assert f'{file}: {where}: Apply failed with 1 conflict: conflict with "kubectl-patch"' in said
    assert ".spec.budget.parallelism" in said
    assert user.says("apply", file, "--force") == f"{where} changed\n  spec.budget.parallelism: 2 -> 3\n"
    patch = {"spec": {"retention": {"bestCheckpoints": 3}}}
    user.studies.kubectl("patch", "hpo", "shared", "--type=merge", "-p", json.dumps(patch))
    left = "not in the file, but set by somebody else, and left as they are: spec.retention.bestCheckpoints"
    assert left in user.says("apply", file)


def test_nothing_is_sent_before_all_files_are_valid(user: User, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", toy_study("bad", trials=0)
    good.write_text(yaml.safe_dump(toy_study("good", trials=1)))
    bad["spec"]["parameters"][0]["float"]["max"] = -3.0
    said = user.errs("apply", good, user.file(bad), tmp_path / "absent.yaml")
    assert "study.yaml: spec.budget.trials: expected at least 1, found 0" in said
    assert "absent.yaml: No such file or directory" in said
    assert user.studies.all("hpostudies") == []
    elsewhere = toy_study("good", trials=1)
    elsewhere["metadata"]["namespace"] = "default"
    assert "expected other as in --namespace, found default" in user.errs("apply", user.file(elsewhere), "-n", "other")
    assert 'cannot get resource "hpostudies"' in user.errs("apply", user.file(elsewhere))


def test_a_study_is_suspended_resumed_scaled_and_deleted(user: User) -> None:
    user.says("apply", user.file(toy_study("held", trials=3, mode="slower")))
    user.studies.until_pods("held", 1)
    assert "suspended: its Pods end" in user.says("suspend", "held")
    assert user.studies.wait("held", "Suspended")["status"]["phase"] == "Suspended"
    assert "unchanged: it is suspended already" in user.says("suspend", "held")
    assert "scaled: parallelism 1 -> 0" in user.says("scale", "held", "--parallelism", "0")
    assert "scaled: parallelism 0 -> 2, trials 3 -> 4" in user.says("scale", "held", "--parallelism=2", "--trials=4")
    assert "unchanged" in user.says("scale", "held", "--trials=4")
    assert "resumed: its trials go on" in user.says("resume", "held")
    assert "unchanged: it was not suspended" in user.says("resume", "held")
    user.studies.until_pods("held", 2)
    assert "spec.budget.trials: expected at least 1, found 0" in user.errs("scale", "held", "--trials=0")
    assert "expected --parallelism or --trials" in user.errs("scale", "held")
    assert f'{user.studies.namespace}/absent: hpostudies.hpo.study "absent" not found' in user.errs("suspend", "absent")
    assert user.says("delete", "held", "--yes").endswith("held deleted\n")
    assert '"held" not found' in user.errs("resume", "held")
