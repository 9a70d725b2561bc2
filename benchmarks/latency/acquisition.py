"""Whose optimiser finds more: log EI of one posterior, maximised by the engine and by BoTorch's ``optimize_acqf``.

BoTorch is given the engine's hyperparameters, data and target; both points are valued under the engine's posterior. It
searches twice: by default, and with starting points around the best observations as well. The better
one counts; its seconds are those of both.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from benchmarks.latency.clock import timed
from benchmarks.latency.ours import SPACE
from benchmarks.latency.problem import DIMENSION, losses, points

from hpo_engine.acquisition.functions import LogEI
from hpo_engine.acquisition.maximise import maximise
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import metrics
from hpo_engine.surrogate.outputs import fit_outputs

SEEDS = 3


def measure(n: int) -> dict[str, object]:
    """Values found with SEEDS seeds each, the two models' disagreement at one point, and processor seconds."""
    X = np.array([SPACE.encode(SPACE.decode(u)) for u in points(n)])
    y = fit_outputs(losses(X)).forward(losses(X))
    posterior = fit_surrogate("Matern52", metrics(SPACE), X, y, np.random.default_rng(0)).posterior
    function = LogEI(posterior, float(np.min(posterior.fitted)))
    anchors = X[np.argsort(y, kind="stable")[:5]]
    ours, theirs, seconds, their_seconds, apart = [], [], [], [], []
    for seed in range(SEEDS):
        choice, _, processor = timed(partial(maximise, SPACE, function, (), anchors, np.random.default_rng(seed)))
        assert choice is not None
        ours.append(choice.value)
        seconds.append(processor)
        (point, claimed), _, processor = timed(partial(botorch_maximum, function, seed))
        theirs.append(float(function(point[None, :])[0]))
        apart.append(abs(claimed - theirs[-1]))
        their_seconds.append(processor)
    return {
        "ours": ours,
        "botorch": theirs,
        "ours_processor": seconds,
        "botorch_processor": their_seconds,
        "models_apart": max(apart),
    }


def botorch_maximum(function: LogEI, seed: int) -> tuple[np.ndarray, float]:
    """BoTorch's point (8,) and the value that it claims."""
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.models import SingleTaskGP
    from botorch.optim import optimize_acqf
    from gpytorch.kernels import MaternKernel, ScaleKernel

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    p = function.posterior
    kernel = ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=DIMENSION))
    X, Y = torch.tensor(p.X), -torch.tensor(p.y - p.mean)[:, None]
    model = SingleTaskGP(X, Y, torch.full_like(Y, p.noise), covar_module=kernel, outcome_transform=None)
    model.mean_module.initialize(constant=0.0)
    kernel.base_kernel.lengthscale = torch.tensor(p.kernel.lengthscales)
    kernel.outputscale = p.kernel.signal
    model.eval()
    bounds = torch.tensor([[0.0] * DIMENSION, [1.0] * DIMENSION], dtype=torch.double)
    acquisition = LogExpectedImprovement(model, best_f=-(function.best - p.mean))
    ends = [
        optimize_acqf(acquisition, bounds, q=1, num_restarts=10, raw_samples=512, options=options)
        for options in ({}, {"sample_around_best": True})
    ]
    point, value = max(ends, key=lambda end: float(end[1]))
    return point[0].numpy(), float(value)
