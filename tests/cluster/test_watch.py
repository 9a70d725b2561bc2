"""``hpo watch --cluster``, by a real API server's watches, over a connection that is cut."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stand.command import command, environ
from stand.proxy import Proxy
from stand.studies import Studies, toy_study
from stand.users import User

pytestmark = pytest.mark.cluster


class Watch:
    """``hpo watch`` of a study, by a user of the chart's rights, through a proxy."""

    def __init__(self, studies: Studies, folder: Path, proxy: Proxy) -> None:
        self.user, self.proxy = User(studies, folder), proxy
        server = f"https://127.0.0.1:{proxy.port}"
        self._kubeconfig = studies.plane.kubeconfig_for(studies.namespace, "somebody", server)

    def begin(self, study: str) -> subprocess.Popen[str]:
        """Returns once it watches both kinds."""
        arguments, pipes = command("watch", study, "--cluster"), {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        watching = subprocess.Popen(arguments, env=environ(self._kubeconfig), text=True, **pipes)  # type: ignore[call-overload]
        self.until_open()
        return watching  # type: ignore[no-any-return]

    def until_open(self) -> None:
        plane = self.user.studies.plane
        plane.wait_until(lambda: self.proxy.connections == 2, "nothing is watched")


@pytest.fixture
def watch(studies: Studies, tmp_path: Path) -> Iterator[Watch]:
    with Proxy(studies.plane.port) as proxy:
        yield Watch(studies, tmp_path, proxy)


def test_it_sees_the_end_over_a_connection_that_is_cut(watch: Watch, tmp_path: Path) -> None:
    studies, checkpoints = watch.user.studies, tmp_path / "checkpoints"
    checkpoints.mkdir()
    studies.claim("checkpoints", checkpoints)
    study = toy_study("seen", trials=3, mode="wait")  # each trial waits until its first Pod is deleted
    study["spec"]["trainer"]["checkpoints"] = {"claimName": "checkpoints"}
    studies.apply(study)
    watching = watch.begin("seen")
    for index in range(3):
        begun = partial(_has_begun, checkpoints, f"seen-{index}")
        studies.plane.wait_until(begun, f"trial {index} never began")
        watch.until_open()
        assert watch.proxy.cut() == 2
        studies.kubectl("delete", "pod", f"seen-{index}-r0-a0")
    out, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (0, "")
    assert "3/3" in out


def _has_begun(checkpoints: Path, trial: str) -> bool:
    return any(checkpoints.glob(f"*/{trial}/started"))


def test_it_watches_and_does_not_list_again(watch: Watch) -> None:
    studies = watch.user.studies
    studies.apply(toy_study("listed", trials=6, mode="slow"))
    watching = watch.begin("listed")
    out, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (0, "")
    assert "6/6" in out
    verbs = [event["verb"] for event in studies.plane.audited(f"{studies.namespace}:somebody")]
    assert (verbs.count("get"), verbs.count("list")) == (1, 2)


def test_a_study_that_is_deleted_and_one_that_never_was(watch: Watch) -> None:
    studies = watch.user.studies
    studies.apply(toy_study("gone", trials=2, mode="slower"))
    watching = watch.begin("gone")
    studies.kubectl("delete", "hpo", "gone")
    assert "gone: the study was deleted" in watching.communicate(timeout=60)[1]
    assert watching.returncode == 2
    assert 'hpostudies.hpo.study "absent" not found' in watch.user.errs("watch", "absent", "--cluster")
