"""Studies whose trials take a known time: they sleep, epoch by epoch, and report a smooth function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Raw = dict[str, Any]
EXAMPLE = Path(__file__).resolve().parents[2] / "crds/examples/01-brain-tissue.yaml"
LOADING = 1.0
"""Seconds that the toy sleeps before it trains; Python and its imports come on top."""
EVEN = dict.fromkeys((1, 2, 3, 4), 2.0)
UNEVEN = {1: 1.0, 2: 1.5, 3: 2.2, 4: 3.3}
"""Seconds of an epoch by the parameter ``width``."""
TOY = """
import time
from hpo_trainer.report import checkpoint_dir, parameters, report, resource
time.sleep({loading})
state = checkpoint_dir() / "epoch"
epoch = int(state.read_text()) if state.exists() else 0
while epoch < resource():
    epoch += 1
    time.sleep({epochs}[parameters()["width"]])
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


def toy(name: str, epochs: dict[int, float], algorithm: Raw, trials: int, parallelism: int, most: int = 9) -> Raw:
    program = TOY.format(loading=LOADING, epochs=epochs)
    container = {"name": "trainer", "image": "toy", "command": ["python", "-c", program]}
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
            "seed": 1,
            "trainer": {
                "podTemplate": {"spec": {"containers": [container]}},
                "checkpoints": {"claimName": "work"},
            },
        },
    }


def toy_pilot() -> Raw:
    """The uneven toy's first eight trials for an epoch, and the best of them for three."""
    halving = {"sampler": {"type": "Random"}, "scheduler": {"type": "SuccessiveHalving"}}
    return toy("pilot", UNEVEN, halving, trials=8, parallelism=2, most=3)


def brain() -> Raw:
    """The first example as it is."""
    study: Raw = yaml.safe_load(EXAMPLE.read_text())
    return study


def brain_pilot() -> Raw:
    """The first example's first six trials, to 4 and the best of them to 12 epochs."""
    study = brain()
    study["metadata"] = {"name": "brain-pilot"}
    study["spec"]["algorithm"] = {"sampler": {"type": "GP", "initialTrials": 6}}
    study["spec"]["algorithm"]["scheduler"] = {"type": "SuccessiveHalving"}
    study["spec"]["fidelity"] = {"resource": "epochs", "min": 4, "max": 12, "eta": 3}
    study["spec"]["budget"] = {"trials": 6, "parallelism": 2}
    return study
