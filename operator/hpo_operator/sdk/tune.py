"""``tune``: the best arguments of a Python function, with the operator's own samplers and schedulers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hpo_operator.local.run import LocalSettings, open_store
from hpo_operator.local.store import exclusive
from hpo_operator.reconcile.clock import to_text
from hpo_operator.sdk.functions import Function, FunctionCluster
from hpo_operator.sdk.places import Kept
from hpo_operator.sdk.space import Space
from hpo_operator.sdk.study import Study, StudyFailed
from hpo_operator.studies.stored_objects import RawObjects

TRAINER = {
    "podTemplate": {"spec": {"containers": [{"name": "trainer", "image": "python", "command": ["python"]}]}},
    "checkpoints": {"claimName": "memory"},
}
"""What a study must have, and nobody starts here."""


def tune(
    function: Function,
    space: Space,
    *,
    trials: int,
    metric: str = "value",
    direction: Literal["Minimize", "Maximize"] = "Minimize",
    sampler: str | Mapping[str, Any] = "GP",
    scheduler: str | Mapping[str, Any] = "None",
    fidelity: Mapping[str, Any] | None = None,
    parallelism: int = 1,
    seed: int = 0,
    folder: str | Path | None = None,
    **spec: Any,
) -> Study:
    """Calls ``function`` with ``trials`` configurations; the study's ``best``, ``records()`` and ``trials()`` tell.

    The function gets a dict of parameters, and returns the metric or a dict of metrics. With a ``fidelity``, such as
    ``{"resource": "epochs", "min": 1, "max": 27}``, it is best a generator that yields the metric after every epoch: a
    scheduler then goes on with the promising ones only. A function that is none is called with the amount of the
    resource as its second argument, from the start each time.

    An exception fails its trial, and the search learns what cannot be computed. ``parallelism`` above 1 calls from as
    many threads. With a ``folder`` an interrupted search goes on when it is called again, and ``hpo report FOLDER`` and
    the other commands read it. ``spec``: any other section of a study's spec, by its name there.

    Raises:
        Mistake: the space, an option or the folder cannot be used.
        StudyFailed: no trial succeeded, or more than half failed; its cause is what the first failed call raised.
    """
    budget = {"trials": trials, "parallelism": parallelism} | dict(spec.pop("budget", {}))
    if fidelity is not None:
        spec["fidelity"] = dict(fidelity)
    study = Study(
        _name(folder, function),
        parameters=space,
        objective={"metric": metric, "direction": direction},
        budget=budget,
        trainer=TRAINER,
        algorithm={"sampler": _typed(sampler), "scheduler": _typed(scheduler)},
        seed=seed,
        **spec,
    )
    if folder is None:
        cluster = FunctionCluster(_new(study), function)
        cluster.run()
    else:
        cluster = _run_in(Path(folder), study, function)
    study.bind(Kept(RawObjects(study.name, cluster.study, list(cluster.trials.values()))))
    status = cluster.status
    if status.get("phase") in ("Failed", "Invalid"):
        raise StudyFailed(f"{status.get('reason')}: {status.get('message')}") from cluster.first_error
    return study


def _run_in(folder: Path, study: Study, function: Function) -> FunctionCluster:
    with exclusive(folder):
        store = open_store(study.manifest, LocalSettings(folder, {}, {}), fresh=False)
        (stored,) = store.all("study")
        cluster = FunctionCluster(stored, function, store)
        cluster.run()
        return cluster


def _new(study: Study) -> dict[str, Any]:
    added = {"namespace": "local", "uid": study.name, "generation": 1, "creationTimestamp": to_text(datetime.now(UTC))}
    return {**study.manifest, "metadata": {**study.manifest["metadata"], **added}}


def _typed(named: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"type": named} if isinstance(named, str) else dict(named)


def _name(folder: str | Path | None, function: Function) -> str:
    """Of the folder, so that the commands find it there; else the function's, as an API object may be called."""
    given = Path(folder).resolve().name if folder is not None else getattr(function, "__name__", "function")
    return re.sub("[^a-z0-9]+", "-", given.lower()).strip("-")[:40] or "function"
