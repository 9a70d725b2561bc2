"""The studies that are disturbed, and what of a study must be the same however often the operator died."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stand.studies import toy_study

Raw = dict[str, Any]
CLAIM = "checkpoints"
EPOCHS_OF_HYPERBAND = 357
"""R = 27, eta = 3, each promotion resumed: benchmarks/documents/epochs_saved.py."""

KINDS: dict[str, Raw] = {
    "hyperband": {
        "trials": 49,
        "algorithm": {"sampler": {"type": "TPE"}, "scheduler": {"type": "Hyperband"}},
        "fidelity": {"resource": "epochs", "min": 1, "max": 27, "eta": 3},
    },
    "asha": {
        "trials": 27,
        "algorithm": {"sampler": {"type": "Random"}, "scheduler": {"type": "ASHA"}},
        "fidelity": {"resource": "epochs", "min": 1, "max": 9, "eta": 3},
    },
    "gp": {
        "trials": 24,
        "algorithm": {"sampler": {"type": "GP"}},
        "fidelity": {"resource": "epochs", "min": 1, "max": 9, "eta": 3},
    },
    "freezethaw": {
        "trials": 8,
        "algorithm": {"sampler": {"type": "GP"}, "scheduler": {"type": "FreezeThaw"}},
        "fidelity": {"resource": "epochs", "min": 1, "max": 8, "eta": 2},
    },
}


def made(kind: str, wave: int, parallelism: int, name: str) -> Raw:
    """A study of this kind; ``wave`` is its seed."""
    settings = dict(KINDS[kind])
    study = toy_study(name, settings.pop("trials"), parallelism, mode="epochs", seed=wave, **settings)
    study["spec"]["trainer"]["checkpoints"] = {"claimName": CLAIM}
    return study


def log(study: Raw, trials: Sequence[Raw]) -> str:
    """Incumbent, trials and decisions, without what is of this run alone: names, times, attempts."""
    best = study["status"]["best"]
    rows = [
        {key: trial["spec"][key] for key in ("index", "parameters", "resource", "rationale", "steps")}
        | {"rung": trial["spec"].get("rung", 0), "phase": trial["status"]["phase"]}
        | {"measurements": [_measurement(m) for m in trial["status"].get("measurements", [])]}
        for trial in sorted(trials, key=lambda trial: int(trial["spec"]["index"]))
    ]
    kept = {key: best[key] for key in ("index", "value", "resource", "parameters")}
    return json.dumps({"best": kept, "trials": rows}, sort_keys=True)


def _measurement(raw: Raw) -> Raw:
    return {key: raw[key] for key in ("rung", "resource", "value", "decision")}
