"""A small stored study: Hyperband with 1, 3 and 9 epochs, whose dice is known."""

from __future__ import annotations

from math import log10
from pathlib import Path
from typing import Any

from hpo_operator.local.store import ObjectStore

STUDY: dict[str, Any] = {
    "apiVersion": "hpo.study/v1alpha1",
    "kind": "HPOStudy",
    "metadata": {"name": "small"},
    "spec": {
        "objective": {"metric": "dice", "direction": "Maximize"},
        "parameters": [
            {"name": "learningRate", "float": {"min": 1e-4, "max": 0.1, "scale": "Log"}},
            {"name": "depth", "int": {"min": 2, "max": 4}},
        ],
        "algorithm": {"sampler": {"type": "Sobol"}, "scheduler": {"type": "Hyperband"}},
        "fidelity": {"resource": "epochs", "min": 1, "max": 9, "eta": 3},
        "budget": {"trials": 12, "parallelism": 2},
        "trainer": {"segmentation": {}, "data": {"claimName": "mri"}},
    },
}


def trial(index: int, rates: tuple[float, int], *measured: tuple[int, float], failed: bool = False) -> dict[str, Any]:
    """``measured``: (resource, dice) by rung; each epoch takes 10 s, less for small networks."""
    measurements = [
        {"rung": rung, "resource": r, "value": v, "source": "TerminationMessage", "seconds": 10.0 * rates[1]}
        for rung, (r, v) in enumerate(measured)
    ]
    failure = {"failure": {"reason": "Diverged", "message": "the loss is not finite"}} if failed else {}
    rung = max(0, len(measured) - 1)
    phase, reason = ("Failed", "Diverged") if failed else ("Succeeded", "Completed" if rung == 2 else "NotPromoted")
    return {
        "apiVersion": "hpo.study/v1alpha1",
        "kind": "HPOTrial",
        "metadata": {"name": f"small-{index}"},
        "spec": {
            "study": "small",
            "index": index,
            "parameters": {"learningRate": repr(rates[0]), "depth": str(rates[1])},
            "rung": rung,
            "resource": 3**rung,
        },
        "status": {"measurements": measurements, "phase": phase, "reason": reason} | failure,
    }


def dice(rate: float) -> float:
    """Between 0.6 and 0.8, by the learning rate alone."""
    return 0.8 - 0.1 * abs(log10(rate) + 2)


def stored(folder: Path, study: dict[str, Any] = STUDY) -> ObjectStore:
    """Trials 0 to 9 reach 1 epoch, the best four 3 epochs, the best two of them 9; trial 10 fails."""
    store = ObjectStore(folder)
    store.create("study", study)
    rates = [10 ** (-4 + 3 * (i + 0.5) / 10) for i in range(10)]
    for i, rate in enumerate(rates):
        rungs = 3 if i in (6, 7) else 2 if i in (5, 8) else 1
        curve = [(3**rung, dice(rate) - 0.1 / 3**rung) for rung in range(rungs)]
        store.create("trials", trial(i, (rate, 2 + i % 3), *curve))
    store.create("trials", trial(10, (0.1, 2), failed=True))
    return store
