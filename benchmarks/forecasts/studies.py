"""Studies whose trials take a known time: they sleep, epoch by epoch, and report a smooth function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Raw = dict[str, Any]
EXAMPLE = Path(__file__).resolve().parents[2] / "crds/examples/01-brain-tissue.yaml"
LOADING = 0.5
"""Seconds that the toy sleeps before it trains; Python and its imports come on top."""
EPOCH = {1: 0.4, 2: 0.6, 3: 0.9, 4: 1.3}
"""Seconds of an epoch by the parameter ``width``."""
TOY = f"""
import time
from hpo_trainer.report import checkpoint_dir, parameters, report, resource
time.sleep({LOADING})
state = checkpoint_dir() / "epoch"
epoch = int(state.read_text()) if state.exists() else 0
while epoch < resource():
    epoch += 1
    time.sleep({EPOCH}[parameters()["width"]])
    state.write_text(str(epoch))
    report({{"loss": (parameters()["x"] - 0.7) ** 2 + 0.1 / parameters()["width"] + 1.0 / epoch}}, resource=epoch)
"""
ALGORITHMS: dict[str, Raw] = {
    "Hyperband": {"sampler": {"type": "Random"}, "scheduler": {"type": "Hyperband"}},
    "ASHA": {"sampler": {"type": "Random"}, "scheduler": {"type": "ASHA"}},
    "GP": {"sampler": {"type": "GP", "initialTrials": 4}},
    "Random": {"sampler": {"type": "Random"}},
}
TRIALS = {"Hyperband": 17, "ASHA": 17, "GP": 10, "Random": 10}


def toy(name: str, algorithm: Raw, trials: int, parallelism: int, most: int = 9, seed: int = 1) -> Raw:
    container = {"name": "trainer", "image": "toy", "command": ["python", "-c", TOY]}
    container |= {"resources": {"limits": {"nvidia.com/gpu": 1}}}
    return {
        "apiVersion": "hpo.study/v1alpha1",
        "kind": "HPOStudy",
        "metadata": {"name": name},
        "spec": {
            "objective": {"metric": "loss", "direction": "Minimize"},
            "parameters": [
                {"name": "x", "float": {"min": -2.0, "max": 2.0}},
                {"name": "width", "int": {"min": 1, "max": 4}},
            ],
            "algorithm": algorithm,
            "fidelity": {"resource": "epochs", "min": 1, "max": most, "eta": 3},
            "budget": {"trials": trials, "parallelism": parallelism},
            "seed": seed,
            "trainer": {
                "podTemplate": {"spec": {"containers": [container]}},
                "checkpoints": {"claimName": "work"},
            },
        },
    }


def toy_pilot() -> Raw:
    """A short study of another seed: eight trials, a few of them promoted once."""
    halving = {"sampler": {"type": "Random"}, "scheduler": {"type": "SuccessiveHalving"}}
    return toy("pilot", halving, trials=8, parallelism=2, most=3, seed=2)


def brain() -> Raw:
    """The first example as it is."""
    study: Raw = yaml.safe_load(EXAMPLE.read_text())
    return study


def brain_pilot() -> Raw:
    """Six trials of the first example, of another seed, to 4 and some to 12 epochs."""
    study = brain()
    study["metadata"] = {"name": "brain-pilot"}
    study["spec"]["algorithm"] = {"sampler": {"type": "Sobol"}, "scheduler": {"type": "SuccessiveHalving"}}
    study["spec"]["fidelity"] = {"resource": "epochs", "min": 4, "max": 12, "eta": 3}
    study["spec"]["budget"] = {"trials": 6, "parallelism": 2}
    study["spec"]["seed"] = 1
    return study
