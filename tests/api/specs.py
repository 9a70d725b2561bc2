"""Specs whose types are right and whose rules are right or wrong, as a user could write them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "learningRate", "x_1", "in", "float"])
FLOATS = st.sampled_from([-2.5, -1, 0, 0.0, 1e-9, 0.1, 0.5, 1, 3, 1e6]) | st.floats(-1e9, 1e9)
INTS = st.integers(-4, 9) | st.integers(-(2**53), 2**53)
SCALES = st.sampled_from(["Linear", "Log"])
CHOICES = st.lists(st.sampled_from(["SGD", "Adam", "true", "ä", "a b", "1"]), min_size=2, max_size=4, unique=True)


def record(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


KINDS = {
    "float": record({"min": FLOATS, "max": FLOATS}, {"scale": SCALES, "step": FLOATS}),
    "int": record({"min": INTS, "max": INTS}, {"scale": SCALES, "step": st.integers(1, 20)}),
    "categorical": record({"choices": CHOICES}, {}),
    "ordinal": record({"values": st.lists(st.integers(-9, 9), min_size=2, max_size=4, unique=True)}, {}),
}
WHEN = record({"parameter": NAMES}, {"in": CHOICES, "min": FLOATS, "max": FLOATS})


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly of one kind, sometimes of none or two."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=2) | st.sampled_from([[k] for k in KINDS]))
    parameter = {"name": draw(NAMES)} | {kind: draw(KINDS[kind]) for kind in kinds}
    return parameter | ({"when": draw(WHEN)} if draw(st.booleans()) else {})


PATHS = st.sampled_from(["", ".", "a/b", "..", "a/..", "../a", "a..b", "...", "a/../b"])
TASK = {"dataset": PATHS | st.sampled_from(["/", "/a", "a//b"]), "splitFile": PATHS, "epochs": st.integers(1, 9)}
SIZES = st.lists(st.integers(1, 64), max_size=3)
AXES = st.lists(st.integers(0, 2), max_size=3)
VOLUME = record({"claimName": st.just("c")}, {"subPath": PATHS.filter(lambda path: path != "/")})
AMOUNTS = st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from([1, "2Gi", "500m", 0]))
TRAINER = record(
    {},
    {
        "classification": record({}, TASK | {"kernelSize": st.integers(1, 11), "denseUnits": SIZES}),
        "segmentation": record(
            {}, TASK | {"dimensions": st.sampled_from(["2D", "3D"]), "patchSize": SIZES, "mirrorAxes": AXES}
        ),
        "templateDeformation": record({}, TASK),
        "transferClassification": record({}, TASK | {"weights": PATHS, "microBatchSize": st.integers(0, 4)}),
        "transferSegmentation": record({}, TASK | {"sourceCheckpoint": PATHS, "sourceDataset": PATHS}),
        "podTemplate": st.just({"spec": {"containers": [{"name": "a", "image": "b"}]}}),
        "image": st.just("a:1"),
        "imagePullPolicy": st.just("Never"),
        "data": VOLUME,
        "checkpoints": VOLUME,
        "resources": record({}, {"requests": AMOUNTS, "limits": AMOUNTS}),
    },
)
FIDELITY = record(
    {"resource": st.sampled_from(["epochs", "rounds"]), "max": st.integers(1, 30)},
    {"min": st.integers(1, 30), "eta": st.integers(2, 5)},
)
SAMPLER = record(
    {},
    {
        "type": st.sampled_from(["GP", "TPE", "Random", "Sobol", "Grid"]),
        "initialTrials": st.integers(1, 9),
        "kernel": st.just("Matern52"),
        "acquisition": st.just("EI"),
    },
)
BUDGET = record(
    {"trials": st.integers(1, 9)},
    {"failedTrials": st.integers(0, 12), "wallClock": st.sampled_from(["8h", "0s", "0h00m", "1h30m", "010s", "00h1m"])},
)


def studies() -> st.SearchStrategy[dict[str, Any]]:
    """Specs that the structural schema accepts."""
    return record(
        {
            "objective": st.just({"metric": "dice", "direction": "Maximize"}),
            "parameters": st.lists(parameters(), min_size=1, max_size=3, unique_by=lambda p: p["name"]),
            "budget": BUDGET,
            "trainer": TRAINER,
        },
        {
            "algorithm": record(
                {},
                {
                    "sampler": SAMPLER,
                    "scheduler": record({}, {"type": st.sampled_from(["None", "Hyperband", "ASHA", "MedianStopping"])}),
                },
            ),
            "fidelity": FIDELITY,
            "seed": st.integers(0, 2**31 - 1),
        },
    )
