"""``Study``: a study defined, run here or submitted to a cluster, and looked at, from Python."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study
from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.mistakes import Mistake, OutOfReachError
from hpo_operator.sdk.places import Folder, InCluster, Place
from hpo_operator.sdk.space import Space, parameters_of
from hpo_operator.studies.records import Record, trial_record
from hpo_operator.studies.study_file import one_study, yaml_text

Raw = Mapping[str, Any]
STATE = Path(".hpo")
LOOK_SECONDS = 1.0
"""How often a study of a cluster is looked at while one waits for it."""


class StudyFailed(Exception):  # noqa: N818 - said of the study
    """It ended without success; the message is its status's."""


@dataclass(frozen=True)
class Best:
    """The best trial so far: its name, what it measured, after how much of the resource (0: no fidelity), and with
    which parameters.
    """

    trial: str
    value: float
    resource: int
    parameters: dict[str, Any]


class Study:
    """A study, valid from the beginning.

    ``parameters`` as in ``space``, or as in spec.parameters; ``algorithm``, ``fidelity``, ``budget``, ``trainer`` and
    whatever else a spec has as in a study file, with its names::

        study = Study("brain", parameters={"learningRate": (1e-4, 0.1, "log"), "depth": (2, 4)},
                      objective={"metric": "dice", "direction": "Maximize"}, budget={"trials": 20},
                      trainer={"segmentation": {"dataset": "brain.npz"}, "data": {"claimName": "mri"}})
        study.run(volumes={"mri": "./data"})
        print(study.best)

    Raises:
        Mistake: with all that is wrong, each with its path.
    """

    def __init__(
        self,
        name: str,
        *,
        parameters: Space | Sequence[Raw],
        objective: Raw,
        budget: Raw,
        trainer: Raw,
        **spec: Any,
    ) -> None:
        given = {"objective": objective, "parameters": parameters_of(parameters), "budget": budget, "trainer": trainer}
        meta = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "HPOStudy", "metadata": {"name": name}}
        self._bind(meta | {"spec": given | spec}, None)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Of a study file, the one that kubectl applies. Raises Mistake."""
        return cls.from_dict(one_study(Path(path)))

    @classmethod
    def from_dict(cls, manifest: Raw) -> Self:
        """Of an HPOStudy. Raises Mistake."""
        made = cls.__new__(cls)
        made._bind(manifest, None)
        return made

    @classmethod
    def attach(cls, name: str, namespace: str = "", kubeconfig: str | None = None) -> Self:
        """A study that is in the cluster already, whoever created it; see ``submit``. Raises Mistake."""
        place = InCluster(name, namespace, kubeconfig)
        return cls._placed(place.study(), place)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """A study that ran on this machine, from the folder of its state (``.hpo/NAME``). Raises Mistake."""
        place = Folder(Path(folder))
        return cls._placed(place.read().study, place)

    @classmethod
    def _placed(cls, manifest: Raw, place: Place) -> Self:
        made = cls.__new__(cls)
        made._bind(manifest, place)
        return made

    def _bind(self, manifest: Raw, place: Place | None) -> None:
        try:
            self._name = parse_study(manifest).name
        except InvalidObject as error:
            raise Mistake("\n".join(map(str, error.errors))) from None
        meta = {
            key: manifest["metadata"][key] for key in ("name", "labels", "annotations") if key in manifest["metadata"]
        }
        self._manifest = {key: manifest[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": meta}
        self._place = place

    def bind(self, place: Place) -> None:
        """Say where its objects are."""
        self._place = place

    @property
    def name(self) -> str:
        return self._name

    @property
    def manifest(self) -> dict[str, Any]:
        """The HPOStudy, as a study file has it."""
        return copy.deepcopy(self._manifest)

    def to_yaml(self) -> str:
        """The study file."""
        return yaml_text(self._manifest)

    def run(
        self,
        *,
        volumes: Mapping[str, str | Path] | None = None,
        state: str | Path = STATE,
        fresh: bool = False,
        progress: Callable[[Study], None] | None = None,
    ) -> Self:
        """To its end on this machine, each trial a process, as ``hpo run`` does.

        ``volumes``: directories that stand in for volume claims. ``fresh``: forget what it has done so far.
        ``progress`` is called a few times a second. An interrupt (Ctrl-C, a notebook's stop button) stops the trials
        after their checkpoints; the same call goes on.

        Raises:
            Mistake: the state is in use, or belongs to another study of this name.
            StudyFailed: it ended without success.
        """
        from hpo_operator.sdk.here import run_here  # the worker and its HTTP client take a second to import

        folder = Path(state) / self.name
        self._place = Folder(folder)
        run_here(self._manifest, folder, volumes or {}, fresh, lambda: None if progress is None else progress(self))
        return self._judged(self.status)

    def submit(self, namespace: str = "", kubeconfig: str | None = None) -> Self:
        """Create it in the cluster of ``kubeconfig``, None: kubectl's; ``namespace`` empty: that of its context.

        Raises Mistake: there is one of this name, or the cluster refuses it.
        """
        place = InCluster(self.name, namespace, kubeconfig)
        place.create(self._manifest)
        self._place = place
        return self

    def wait(self, timeout: float | None = None) -> Self:
        """Until it has ended, also while the cluster is out of reach for a time. ``timeout`` in seconds.

        Raises:
            Mistake: it is not there, or nothing can be asked at first.
            TimeoutError: it has not ended by then; it goes on all the same.
            StudyFailed: it ended without success.
        """
        end = None if timeout is None else time.monotonic() + timeout
        status = self.status
        while not _is_over(status):
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{self.name} has not ended within {timeout:g} s: {status.get('message', '')}")
            time.sleep(LOOK_SECONDS)
            with suppress(OutOfReachError):
                status = self.status
        return self._judged(status)

    @property
    def status(self) -> dict[str, Any]:
        """As ``kubectl get -o yaml`` shows it; empty before anybody has looked at the study."""
        place = self._where()
        study = place.study() if isinstance(place, InCluster) else place.read().study
        return dict(study.get("status") or {})

    @property
    def best(self) -> Best:
        """The best trial so far. Raises Mistake while no trial has measured anything."""
        objects = self._where().read()
        found = (objects.study.get("status") or {}).get("best")
        if not found:
            raise Mistake(f"{self.name}: no trial has measured a value yet")
        parameters, resource = parse_values(self._manifest, found["parameters"]), found.get("resource", 0)
        trial = next((raw for raw in objects.trials if raw["metadata"]["name"] == found["trial"]), None)
        measurements = ((trial or {}).get("status") or {}).get("measurements") or []
        exact = next((m["value"] for m in measurements if m["resource"] == resource), found["value"])
        return Best(found["trial"], exact, resource, parameters)

    def records(self) -> list[Record]:
        """What came of each trial, in the order of their numbers; the fields of ``hpo trials -o json``."""
        found = sorted(self._where().read().trials, key=lambda raw: int(raw["spec"]["index"]))
        return [trial_record(raw) | _typed(self._manifest, raw) for raw in found]

    def trials(self) -> Any:
        """``records`` as a pandas DataFrame; each parameter and each metric is a column, as ``parameters.depth``.

        Raises Mistake without pandas.
        """
        try:
            import pandas
        except ImportError:
            raise Mistake("trials() makes a pandas DataFrame: pip install pandas, or take records()") from None
        return pandas.json_normalize(self.records())

    def suspend(self) -> None:
        """Its Pods end after their checkpoints; ``resume`` goes on. In a cluster only. Raises Mistake."""
        self._in_cluster("suspend").patch({"suspend": True})

    def resume(self) -> None:
        """Raises Mistake."""
        self._in_cluster("resume").patch({"suspend": False})

    def delete(self) -> None:
        """With its trials and Pods; checkpoints stay in their volume. In a cluster only. Raises Mistake."""
        place = self._in_cluster("delete")
        place.delete(place.study())
        self._place = None

    def _where(self) -> Place:
        if self._place is None:
            raise Mistake(f"{self.name} is only defined: run() it here, or submit() it to a cluster")
        return self._place

    def _in_cluster(self, what: str) -> InCluster:
        place = self._where()
        if not isinstance(place, InCluster):
            raise Mistake(f"{what}: {self.name} ran on this machine; only a study in a cluster can be told to")
        return place

    def _judged(self, status: Raw) -> Self:
        """Raises StudyFailed."""
        if status.get("phase") in ("Failed", "Invalid"):
            raise StudyFailed(f"{self.name}: {status.get('reason')}: {status.get('message')}")
        return self


def _is_over(status: Raw) -> bool:
    return bool(status.get("completionTime")) or status.get("phase") == "Invalid"


def parse_values(manifest: Raw, texts: Mapping[str, str]) -> dict[str, Any]:
    """Parameters as numbers and texts."""
    from hpo_operator.api.engine_study import from_text

    return dict(from_text(parse_study(manifest).spec, texts))


def _typed(manifest: Raw, trial: Raw) -> Record:
    texts = trial["spec"].get("parameters") or {}
    with suppress(ValueError):  # a trial made by hand may have anything; its texts are shown then
        return {"parameters": parse_values(manifest, texts)}
    return {}
