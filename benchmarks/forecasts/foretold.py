"""Of a made-up truth: what ``hpo simulate`` would say of its study, and what the study then costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from forecasts.virtual import Loss, Virtual
from forecasts.worlds import World
from hpo_engine.trial import Parameters
from hpo_operator.api.engine_study import engine_study
from hpo_operator.api.parse import parse_study
from hpo_operator.cli.simulate import DRAWS
from hpo_operator.simulation.costs import Costs, Prices, StatedCosts, measured_costs
from hpo_operator.simulation.summary import Spread
from hpo_operator.simulation.timings import START_SECONDS, Timed, Timings
from hpo_operator.simulation.values import Landscape, learnt_curves, unknown_curves

Raw = dict[str, Any]
BASES = ("pilot", "stated")
FIGURES: dict[str, Callable[[Virtual], float]] = {
    "podSeconds": lambda run: run.pod_seconds,
    "wallSeconds": lambda run: run.now,
    "pods": lambda run: run.pods,
}


def compared(made: World, number: int) -> list[Raw]:
    """On either basis what is foretold, and what comes."""
    chance = np.random.default_rng((number, 7))
    pilot = _true(made, made.pilot, 1.0, chance)
    real = _true(made, made.study, float(np.exp(made.drift * chance.standard_normal())), chance)
    came = {name: figure(real) for name, figure in FIGURES.items()}
    facts = {"world": number, "scheduler": real.study.scheduler, "drift": made.drift, "real": came}
    return [facts | {"basis": basis, "predicted": foretold(made, pilot, basis)} for basis in BASES]


def foretold(made: World, pilot: Virtual, basis: str) -> Raw:
    study = engine_study(parse_study(made.study).spec)
    if basis == "stated":
        costs: Costs = StatedCosts(made.mean, made.startup, START_SECONDS)
        curves = unknown_curves(study)
    else:
        costs = measured_costs(_timings(pilot), None)
        curves = learnt_curves(study, pilot.study, list(pilot.trials.values()))
    runs = []
    for seed in range(DRAWS):
        chance = np.random.default_rng((study.seed, seed))
        runs.append(_draw(made.study, costs.drawn(study.space, chance), curves.drawn(chance)))
    return {name: asdict(Spread.of([figure(run) for run in runs])) for name, figure in FIGURES.items()}


def _draw(raw: Raw, prices: Prices, landscape: Landscape) -> Virtual:
    def loss(index: int, parameters: Parameters, resource: int) -> float:
        return landscape.loss(index, parameters, resource) - prices.gain(parameters)

    return _run(raw, prices, loss)


def _run(raw: Raw, prices: Prices, loss: Loss) -> Virtual:
    spec = parse_study(raw).spec
    resumes = spec.trainer.checkpoints is not None
    return Virtual(engine_study(spec), spec.budget.parallelism, loss, prices, resumes, START_SECONDS).run()


def _true(made: World, raw: Raw, pace: float, chance: np.random.Generator) -> Virtual:
    """``pace``: of this run, by which all its seconds are multiplied."""

    def per_unit(parameters: Parameters) -> float:
        """Asked once for each Pod."""
        return pace * made.per_unit(parameters) * float(np.exp(made.noise * chance.standard_normal()))

    return _run(raw, Prices(pace * made.startup, per_unit), made.loss)


def _timings(pilot: Virtual) -> Timings:
    """What the stored objects of the pilot would tell."""
    timed = []
    for trial in pilot.trials.values():
        before = 0
        for m in sorted(trial.measurements, key=lambda m: m.resource):
            if m.seconds is not None:
                timed.append(Timed(trial.index, max(1, m.resource - before), m.seconds))
                before = m.resource if pilot.resumes else 0
    parameters = {trial.index: trial.parameters for trial in pilot.trials.values()}
    return Timings(pilot.study.space, parameters, tuple(timed), 0.0, START_SECONDS, pilot.study.fidelity is None)
