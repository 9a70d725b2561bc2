"""Studies on the stand, as a user handles them: applied and watched with kubectl, read as objects."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import yaml

from stand.api import connect
from stand.control_plane import ControlPlane
from stand.volumes import make_claim

Raw = dict[str, Any]
EXAMPLES = Path(__file__).resolve().parents[2] / "crds/examples"


def toy_study(name: str, trials: int, parallelism: int = 1, mode: str = "report", **spec: Any) -> Raw:
    """A study of a trainer that takes a tenth of a second. ``mode``: how it behaves, see toy_trainer.py."""
    command = ["python", "-m", "stand.toy_trainer", mode, "$(HPO_PARAM_x)"]
    container = {"name": "trainer", "image": "toy", "command": command}
    return {
        "apiVersion": "hpo.study/v1alpha1",
        "kind": "HPOStudy",
        "metadata": {"name": name},
        "spec": {
            "objective": {"metric": "loss", "direction": "Minimize"},
            "parameters": [
                {"name": "x", "float": {"min": -2.0, "max": 2.0}},
                {"name": "kind", "categorical": {"choices": ["a", "b"]}},
                {
                    "name": "width",
                    "int": {"min": 1, "max": 64, "scale": "Log"},
                    "when": {"parameter": "kind", "in": ["b"]},
                },
            ],
            "algorithm": {"sampler": {"type": "GP", "initialTrials": 5}},
            "budget": {"trials": trials, "parallelism": parallelism},
            "seed": 3,
            "trainer": {"podTemplate": {"spec": {"containers": [container]}}},
        }
        | copy.deepcopy(spec),
    }


def small_brain_study() -> Raw:
    """The first example, one trial at a time, with fewer of them and fewer epochs."""
    study: Raw = yaml.safe_load((EXAMPLES / "01-brain-tissue.yaml").read_text())
    study["spec"]["budget"] = {"trials": 5, "parallelism": 1}
    study["spec"]["fidelity"] = {"resource": "epochs", "min": 1, "max": 3, "eta": 3}
    study["spec"]["algorithm"] = {"sampler": {"type": "GP", "initialTrials": 3}, "scheduler": {"type": "Hyperband"}}
    return study


class Studies:
    """Studies of one namespace."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.plane, self.namespace, self._folder = plane, namespace, folder

    def kubectl(self, *arguments: str) -> str:
        return self.plane.kubectl("-n", self.namespace, *arguments)

    def apply(self, study: Raw) -> str:
        """``kubectl apply``; raises ControlPlaneError with what the API server said."""
        path = self._folder / f"{study['metadata']['name']}.yaml"
        path.write_text(yaml.safe_dump(study))
        return self.kubectl("apply", "-f", str(path))

    def wait(self, name: str, condition: str = "Finished", seconds: int = 120) -> Raw:
        """The study once the condition holds."""
        self.kubectl("wait", f"--for=condition={condition}", f"hpo/{name}", f"--timeout={seconds}s")
        return self.get("hpostudies", name)

    def get(self, kind: str, name: str) -> Raw:
        found: Raw = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def all(self, kind: str, study: str | None = None) -> list[Raw]:
        """Objects of a kind, of one study; trials in the order of their numbers."""
        selector = ("-l", f"hpo.study/study={study}") if study else ()
        items: list[Raw] = json.loads(self.kubectl("get", kind, *selector, "-o", "json"))["items"]
        return sorted(
            items, key=lambda o: (o["spec"].get("index", 0), o["metadata"]["name"]) if "spec" in o else (0, "")
        )

    def until_pods(self, study: str, number: int, phase: str = "Running") -> None:
        """Wait until so many Pods of the study are in this phase."""

        def reached() -> bool:
            return sum(pod["status"].get("phase") == phase for pod in self.all("pods", study)) >= number

        self.plane.wait_until(reached, f"{study} never had {number} Pods {phase}")

    def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and message of the study's events, oldest first."""
        found = [e for e in self.all("events") if e["involvedObject"]["name"] == name]
        return [(e["reason"], e["message"]) for e in sorted(found, key=lambda e: str(e["firstTimestamp"]))]

    def claim(self, name: str, folder: Path) -> None:
        """A bound claim for a folder of this machine."""

        async def make() -> None:
            async with await connect(self.plane.kubeconfig) as kube:
                await make_claim(kube, self.namespace, name, folder)

        asyncio.run(make())


def results(trials: list[Raw]) -> list[tuple[dict[str, str], float]]:
    """Parameters and objective of each trial: what must be the same in two runs of one study."""
    return [(t["spec"]["parameters"], t["status"]["measurements"][-1]["value"]) for t in trials]
