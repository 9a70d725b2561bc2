"""Hyperband + Bayesian optimisation as the thesis on hyper-parameters describes it (section 2.5.2), faults included.

Groups of configurations are trained by synchronous Hyperband, one bracket after the other. The first group is random.
Every later one is drawn by a GP with a squared exponential kernel over all that was evaluated, the training time being
one more hyper-parameter: "the performance of each model at every minute a distinct point". Expected improvement is
predicted at the time of the bracket's first evaluation, for a set of untested configurations, and divided by its sum:
from that distribution the group is drawn.

The thesis names what is wrong with it (section 2.5.4): the distribution is nearly uniform, and predictions at the first
rung favour models that overfit early. ``liar`` cures the first: the largest EI, then again with the lie that the chosen
one was as bad as the worst so far. The second needs another kernel, which is no matter of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hpo_engine.acquisition.log_ei import log_ei
from hpo_engine.fidelity.brackets import Bracket
from hpo_engine.parameters import FloatArray, IntArray
from hpo_engine.space import Space
from hpo_engine.surrogate.fitting import fit_surrogate
from hpo_engine.surrogate.kernels import Metric, metrics
from hpo_engine.surrogate.posterior import Posterior
from hpo_engine.trial import Parameters

CANDIDATES = 2000
"""Untested configurations, drawn anew for each group, that stand for the thesis' 19 200 combinations."""


@dataclass
class Seen:
    """Every evaluation so far: encodings (n, d), resources (n,) and losses (n,), NaN where training diverged."""

    points: list[FloatArray] = field(default_factory=list)
    resources: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def add(self, point: FloatArray, resource: int, loss: float) -> None:
        self.points.append(point)
        self.resources.append(resource)
        self.losses.append(loss)


@dataclass(frozen=True)
class Group:
    """What a chooser is asked: ``size`` configurations that are first evaluated after ``resource`` of ``most``."""

    space: Space
    seen: Seen
    size: int
    resource: int
    most: int


Chooser = Callable[[Group, np.random.Generator], Sequence[Parameters]]


def uniform(group: Group, generator: np.random.Generator) -> list[Parameters]:
    """Hyperband itself."""
    return [group.space.decode(u) for u in generator.random((group.size, group.space.dimension))]


def as_described(group: Group, generator: np.random.Generator) -> list[Parameters]:
    """Drawn without repetition from EI normalised to a distribution."""
    if not group.seen.losses:
        return uniform(group, generator)
    candidates, posterior, best = _model(group, generator)
    chance = improvement_distribution(posterior, candidates, best)
    chosen = generator.choice(len(candidates), group.size, replace=False, p=_positive(chance))
    return _decoded(group.space, candidates[chosen])


def liar(group: Group, generator: np.random.Generator) -> list[Parameters]:
    """The first repair: the largest EI, one after the other, each with the lie that it was as bad as the worst."""
    if not group.seen.losses:
        return uniform(group, generator)
    candidates, posterior, best = _model(group, generator)
    worst, chosen = float(np.max(posterior.y)), list[int]()
    for _ in range(group.size):
        value = log_ei(*posterior.predict(candidates), best)
        value[chosen] = -np.inf
        chosen.append(int(np.argmax(value)))
        posterior = posterior.with_data(candidates[chosen[-1:]], np.array([worst]))
    return _decoded(group.space, candidates[chosen])


def improvement_distribution(posterior: Posterior, candidates: FloatArray, best: float) -> FloatArray:
    """EI (m,) at ``candidates`` (m, d + 1), divided by its sum."""
    value = log_ei(*posterior.predict(candidates), best)
    weights = np.exp(value - np.max(value))
    return np.asarray(weights / np.sum(weights))


def effective_share(chance: FloatArray) -> float:
    """exp(entropy) / m: 1 for the uniform distribution over m candidates, 1/m for a certain choice."""
    positive = chance[chance > 0]
    return float(np.exp(-np.sum(positive * np.log(positive))) / len(chance))


def synchronous(
    space: Space,
    brackets: Sequence[Bracket],
    choose: Chooser,
    loss: Callable[[Parameters, int], float],
    generator: np.random.Generator,
) -> list[tuple[int, float]]:
    """Every evaluation as (units spent so far, loss), in the order of training. Promoted trials are resumed."""
    seen, spent, log = Seen(), 0, list[tuple[int, float]]()
    most = brackets[0].rungs[-1].resource
    for bracket in brackets:
        first = bracket.rungs[0]
        alive = list(choose(Group(space, seen, first.width, first.resource, most), generator))
        trained = 0
        for rung in bracket.rungs:
            alive = alive[: rung.width]
            for parameters in alive:
                for resource in range(trained + 1, rung.resource + 1):
                    spent += 1
                    log.append((spent, loss(parameters, resource)))
                    seen.add(space.encode(parameters), resource, log[-1][1])
            trained = rung.resource
            losses = [_rank(loss(parameters, trained)) for parameters in alive]
            alive = [alive[i] for i in np.argsort(losses, kind="stable")]
    return log


def _model(group: Group, generator: np.random.Generator) -> tuple[FloatArray, Posterior, float]:
    """Candidates (m, d + 1) at the time of the first evaluation, the GP, and its best standardised loss."""
    seen = group.seen
    losses = np.array(seen.losses)
    losses = np.where(np.isfinite(losses), losses, np.max(losses[np.isfinite(losses)]))
    y = (losses - np.mean(losses)) / (np.std(losses) or 1.0)
    X = np.column_stack([np.array(seen.points), np.array(seen.resources) / group.most])
    kinds = (*metrics(group.space), Metric.LINEAR)
    posterior = fit_surrogate("SquaredExponential", kinds, X, y, generator).posterior
    untested = group.space.snap(generator.random((CANDIDATES, group.space.dimension)))
    return np.column_stack([untested, np.full(CANDIDATES, group.resource / group.most)]), posterior, float(np.min(y))


def _positive(chance: FloatArray) -> FloatArray:
    """Drawing k without repetition needs k candidates of some chance; underflow must not take them away."""
    raised = np.maximum(chance, 1e-300)
    return np.asarray(raised / np.sum(raised))


def _decoded(space: Space, candidates: FloatArray | IntArray) -> list[Parameters]:
    return [space.decode(point[:-1]) for point in np.asarray(candidates, dtype=np.float64)]


def _rank(loss: float) -> float:
    return loss if np.isfinite(loss) else np.inf
