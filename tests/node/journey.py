"""A user's way on a real node: install the chart, apply a study, disturb it, read its result, finalize, remove all."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from node.images import OPERATOR, ROOT, TRAINER
from node.observe import Pods, epochs, name_of, peak_memory, resumed_after, start_seconds
from node.real_node import RealNode
from node.timeline import Timeline
from stand.build import ensure
from stand.command import command, environ
from stand.control_plane import ControlPlane
from stand.credentials import NODE_NAME
from stand.helm import Helm
from stand.volumes import local_claim

NAMESPACE, RELEASE = "hpo-system", "hpo-operator"
STUDIES = "default"
API = f"/apis/hpo.study/v1alpha1/namespaces/{STUDIES}"
CHART = ROOT / "helm/hpo-operator"
LIMIT_SECONDS = 1800
CPU_REQUEST = "500m"
"""In place of the example's 1: two trials and the operator then fit on a node of two cores. Its limit stays 1."""
CHECKPOINTED = 3
"""Epochs that a trial has trained, at least, when it is taken away."""
LOOK = """
import os
print(os.getuid(), os.getgid())
print(os.path.exists("/run/secrets/kubernetes.io"))
try:
    open("/opt/hpo/written", "w")
except OSError as error:
    print(error.strerror)
"""
"""What a command in a trial's container looks at: three lines."""
VALUES = {
    "image": {"repository": OPERATOR},
    "trainerImage": {"repository": TRAINER},
    "sampleSeconds": 1,
}


class Journey:
    """One study on one cluster. Each method is a stage; ``timeline`` receives what is found."""

    def __init__(self, plane: ControlPlane, node: RealNode, helm: Helm, study: Path, timeline: Timeline) -> None:
        self._plane, self._node, self._helm, self._timeline = plane, node, helm, timeline
        self._study = yaml.safe_load(study.read_text())
        self._study["spec"]["trainer"]["resources"]["requests"]["cpu"] = CPU_REQUEST
        self._name = str(self._study["metadata"]["name"])
        self._operator = Pods(plane, NAMESPACE, "app.kubernetes.io/name=hpo-operator")
        self._trials = Pods(plane, STUDIES, f"hpo.study/study={self._name}")
        self._peak = 0

    def install(self) -> None:
        arguments = ("--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "300s")
        self._helm("install", RELEASE, CHART, *arguments, values=VALUES)
        (pod,) = self._operator.all()
        (container,) = pod["status"]["containerStatuses"]
        ready = {each["type"]: each["status"] for each in pod["status"]["conditions"]}["Ready"]
        found = f"Ready {ready}, {container['restartCount']} restarts"
        self._timeline.check("the operator's Pod, by its probes", found, found == "Ready True, 0 restarts")

    def apply(self, folders: dict[str, Path]) -> None:
        """The study and its volumes; returns once a trial trains."""
        for claim, folder in folders.items():
            objects = local_claim(STUDIES, claim, folder, NODE_NAME)
            self._plane.kubectl("apply", "-f", "-", input_text=yaml.safe_dump_all(objects))
        self._plane.kubectl("apply", "-f", "-", input_text=yaml.safe_dump(self._study))

        def trained() -> bool:
            return any(epochs(self._trials.log(pod)) for pod in self._trials.all())

        self._until(trained, "no trial trained")

    def look_inside(self) -> None:
        """A running trial's container: its user, its credentials, its file system."""
        told: list[str] = []

        def looked() -> bool:
            for pod in self._trials.running()[:1]:
                told[:] = self._trials.execute(name_of(pod), "python", "-c", LOOK).splitlines()
            return len(told) == 3

        self._until(looked, "no trial ran long enough to look inside")
        self._timeline.check("a trial's uid and gid", told[0], told[0] == "65532 65532")
        self._timeline.check("whether it has an API token", told[1], told[1] == "False")
        self._timeline.check("what it is told when it writes beside its volumes", told[2], "Read-only" in told[2])

    def take_a_trial(self) -> None:
        """`kubectl delete pod` of a trial in the middle of its training; its next attempt goes on."""
        taken = ""

        def found_one() -> bool:
            nonlocal taken
            for pod in self._trials.running():
                log = self._trials.log(pod)
                long = int(self._resource(pod)) - max(epochs(log), default=0) >= CHECKPOINTED
                if len(epochs(log)) >= CHECKPOINTED and long:
                    taken = name_of(pod)
                    return True
            return False

        self._until(found_one, "no trial ran long enough to be taken away")
        self._plane.kubectl("-n", STUDIES, "delete", "pod", taken)  # returns once the Pod is gone
        trial, _, rest = taken.rpartition("-a")
        again = f"{trial}-a{int(rest) + 1}"
        self._until(lambda: resumed_after(self._trials.log_of(again)) is not None, f"{again} never resumed")
        found = resumed_after(self._trials.log_of(again)) or 0
        told = f"resumed after epoch {found}"
        self._timeline.check(f"{taken}, deleted: the next attempt", told, found >= CHECKPOINTED)
        counted = self._get("hpotrials", trial.rpartition("-r")[0])["status"].get("interruptions")
        self._timeline.check("counted as", f"{counted} interruption", counted == 1)

    def take_the_operator(self) -> None:
        """`kubectl delete pod` of the operator; the next one goes on with the study."""
        (before,) = self._operator.running()
        self._peak = max(self._peak, peak_memory("hpo_operator"))
        begun = len(self._trials.all())
        self._operator.kubectl("delete", "pod", name_of(before))

        def ready() -> bool:
            return any(
                each["type"] == "Ready" and each["status"] == "True"
                for pod in self._operator.running()
                for each in pod["status"]["conditions"]
            )

        self._until(ready, "no operator became ready again")
        self._until(lambda: len(self._trials.all()) > begun, "the study did not go on")
        (after,) = self._operator.running()
        different = name_of(after) != name_of(before)
        self._timeline.check("the operator's Pod, deleted: the next one", name_of(after), different)

    def finish(self) -> None:
        def finished() -> bool:
            self._peak = max(self._peak, peak_memory("hpo_operator"))
            return "completionTime" in self._get("hpostudies", self._name).get("status", {})

        self._until(finished, "the study did not end")

    def judge(self) -> None:
        """The study's status, its trials, its Pods, and what the API server refused the operator."""
        study = self._get("hpostudies", self._name)
        status, budget = study["status"], study["spec"]["budget"]["trials"]
        self._timeline.check("phase", status["phase"], status["phase"] == "Succeeded")
        trials = self._all("hpotrials")
        measured = sum(bool(trial["status"].get("measurements")) for trial in trials)
        failed = status["trials"].get("failed", 0)
        told = f"{measured} of {budget}, {failed} failed"
        self._timeline.check("trials measured", told, (measured, failed) == (budget, 0))
        best = status["best"]
        self._timeline.check("best", json.dumps(best), best["value"] > 0.5)
        pods = self._trials.all()
        alive = [name_of(pod) for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]
        self._timeline.check("trial Pods that are left running", ", ".join(alive) or "none", not alive)
        log = self._trials.log(pods[-1])
        self._timeline.check("a trial's log, through the kubelet", log.splitlines()[-1], bool(epochs(log)))
        refused = [e for e in self._plane.audited(f"{NAMESPACE}:{RELEASE}") if e["responseStatus"].get("code") == 403]
        self._timeline.check("requests of the operator that RBAC refused", str(len(refused)), not refused)
        self._facts(pods, status)

    def _facts(self, pods: list[dict[str, Any]], status: dict[str, Any]) -> None:
        starts = sorted(filter(None.__ne__, map(start_seconds, pods)))
        memory = [
            container["memory"]["workingSetBytes"]
            for pod in self._node.memory()["pods"]
            if pod["podRef"]["namespace"] == NAMESPACE
            for container in pod["containers"]
        ]
        self._timeline.facts |= {
            "pods": len(pods),
            "podStartSeconds": {"median": starts[len(starts) // 2], "longest": starts[-1]},
            "load": os.getloadavg()[2],
            "operatorPeakBytes": self._peak,
            "operatorWorkingSetBytes": max(memory),
            "status": status,
        }

    def finalize(self, folder: Path) -> None:
        """The final model, made beside the checkpoints, and then brought into ``folder``."""
        for further in ((), ("--fetch", str(folder))):
            code, said = self._hpo("finalize", self._name, "--cluster", "-n", STUDIES, *further)
            what = " ".join(("hpo finalize --cluster", *further[:1]))
            self._timeline.check(what, f"exit code {code}: {said.replace(str(folder), 'DIR')}", code == 0)
        wanted = ("model_card.md", "figures.json", "models/model.ts", "configs/inference.json")
        missing = [name for name in wanted if not (folder / name).is_file()]
        self._timeline.check("missing in the bundle", ", ".join(missing) or "nothing", not missing)

    def _hpo(self, *arguments: str) -> tuple[int, str]:
        """The exit code, and the last line."""
        path = os.pathsep.join((str(ensure(os.environ).kubectl.parent), os.environ["PATH"]))
        env = environ(self._plane.kubeconfig) | {"PATH": path}
        done = subprocess.run(
            command(*arguments), env=env, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
        lines = (done.stderr + done.stdout).strip().splitlines()
        return done.returncode, lines[-1] if lines else "nothing"

    def remove(self) -> None:
        """The study with its Pods, then the release, then the CRDs, which outlive it."""
        self._plane.kubectl("-n", STUDIES, "delete", "hpo", self._name)
        self._until(lambda: not self._trials.all() and not self._all("hpotrials"), "the study left Pods or trials")
        self._timeline.check("left by `kubectl delete hpo`", "no trial, no Pod", True)
        self._helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "120s")
        self._until(lambda: not self._operator.all(), "the operator's Pod is still there")
        kinds = "deployments,replicasets,pods,services,roles,rolebindings,leases"
        left = self._plane.kubectl("-n", NAMESPACE, "get", kinds, "-o", "name").split()
        cluster = self._plane.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").split()
        left += [name for name in cluster if "hpo" in name]
        lease = [f"lease.coordination.k8s.io/{RELEASE}"]  # the operator's own, docs/install.md
        self._timeline.check("left by `helm uninstall`, but for the CRDs", ", ".join(left), left == lease)
        crds = self._plane.kubectl("delete", "crd", "hpostudies.hpo.study", "hpotrials.hpo.study").splitlines()
        self._timeline.check("the CRDs", f"{len(crds)} deleted", len(crds) == 2)

    def _resource(self, pod: dict[str, Any]) -> str:
        (container,) = pod["spec"]["containers"]
        return next(each["value"] for each in container["env"] if each["name"] == "HPO_RESOURCE")

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._plane.request("GET", f"{API}/{kind}/{name}")
        return found

    def _all(self, kind: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._plane.request("GET", f"{API}/{kind}")["items"]
        return items

    def _until(self, true: Callable[[], bool], otherwise: str) -> None:
        self._plane.wait_until(true, otherwise, LIMIT_SECONDS)
