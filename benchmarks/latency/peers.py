"""The peers, each as its documentation calls it: told all results, then asked for the next point, or the next 8.

Each builds its model anew for every suggestion, so one suggestion is their amortised cost as well.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.latency.clock import timed
from benchmarks.latency.problem import DIMENSION, losses, points

if TYPE_CHECKING:
    import optuna

REPEATS_BELOW = 5.0
"""A first suggestion that took fewer seconds is followed by two more, and the median counts."""


def measure(name: str, n: int) -> dict[str, object]:
    warnings.simplefilter("ignore")
    make = {"botorch": botorch, "optuna-gp": optuna_gp, "optuna-tpe": optuna_tpe, "skopt": skopt}[name]
    one = [timed(make(n, 1))]
    if one[0][2] < REPEATS_BELOW:
        one += [timed(make(n, 1)) for _ in range(2)]
    middle = sorted(one, key=lambda measured: measured[2])[len(one) // 2]
    result: dict[str, object] = {"wall": middle[1], "processor": middle[2], "suggestions": len(one)}
    print_early(result)
    _, result["batch_wall"], result["batch_processor"] = timed(make(n, 8))
    return result


def print_early(result: dict[str, object]) -> None:
    """One suggestion's figure survives when the batch runs into the limit."""
    import json

    print(json.dumps(result), flush=True)


def botorch(n: int, q: int) -> Callable[[], object]:
    import torch
    from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.optim import optimize_acqf
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.set_num_threads(1)
    X = torch.tensor(points(n))
    Y = -torch.tensor(losses(points(n)))[:, None]
    bounds = torch.tensor([[0.0] * DIMENSION, [1.0] * DIMENSION], dtype=torch.double)

    def suggest() -> object:
        model = SingleTaskGP(X, Y, outcome_transform=Standardize(1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        kind = LogExpectedImprovement if q == 1 else qLogExpectedImprovement
        return optimize_acqf(
            kind(model, best_f=Y.max()), bounds, q=q, num_restarts=10, raw_samples=512, sequential=q > 1
        )

    return suggest


def optuna_gp(n: int, q: int) -> Callable[[], object]:
    import optuna

    return _optuna(optuna.samplers.GPSampler(seed=0), n, q)


def optuna_tpe(n: int, q: int) -> Callable[[], object]:
    import optuna

    return _optuna(optuna.samplers.TPESampler(seed=0), n, q)


def _optuna(sampler: optuna.samplers.BaseSampler, n: int, q: int) -> Callable[[], object]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {f"x{i}": optuna.distributions.FloatDistribution(0.0, 1.0) for i in range(DIMENSION)}
    study = optuna.create_study(sampler=sampler)
    for u, y in zip(points(n), losses(points(n)), strict=True):
        params = {f"x{i}": float(v) for i, v in enumerate(u)}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=float(y)))
    return lambda: [study.ask(space) for _ in range(q)]


def skopt(n: int, q: int) -> Callable[[], object]:
    from skopt import Optimizer

    def suggest() -> object:
        optimizer = Optimizer([(0.0, 1.0)] * DIMENSION, base_estimator="GP", n_initial_points=1, random_state=0)
        optimizer.tell(points(n).tolist(), losses(points(n)).tolist())
        return optimizer.ask() if q == 1 else optimizer.ask(n_points=q)

    return suggest
