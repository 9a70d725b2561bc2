"""Hyperband + Bayesian optimisation against Hyperband (thesis, section 2.5.3 and Fig. 2.10), R = 27, eta = 3.

python -m documents.figure_2_10 [--runs 8] [--rounds 2] [--seed 0] [PROBLEM ...]

As described and with the liar (``documents.as_described``), beside random Hyperband, the plain GP that trains every
model to the end, and what the planner of this project does with the same budget. Every method gets ``rounds`` times the
357 units of one Hyperband iteration. The thesis had 5 runs of 148 full trainings on CIFAR-10; here real curves
(TaskSet, the first 27 evaluations) and made ones, and the same losses for all methods.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import wilcoxon
from search.problems import problem
from threadpoolctl import threadpool_limits

from documents import as_described
from documents.epochs_saved import resumed
from documents.report import save, table, write
from engine.studies import Cluster
from hpo_engine.fidelity.brackets import hyperband_brackets
from hpo_engine.memory import Memory
from hpo_engine.parameters import FloatArray
from hpo_engine.study import Fidelity, Objective, SamplerName, SamplerSettings, SchedulerName, Study
from hpo_engine.trial import Parameters

FIDELITY = Fidelity("evaluations", 1, 27, 3)
BRACKETS = hyperband_brackets(FIDELITY)
ITERATION = sum(map(resumed, BRACKETS))
CHOOSERS: dict[str, as_described.Chooser] = {
    "Hyperband": as_described.uniform,
    "Hyperband + BO, as described": as_described.as_described,
    "Hyperband + BO, liar": as_described.liar,
}
PLANNED: dict[str, tuple[SamplerName, SchedulerName]] = {
    "GP, every model to the end": ("GP", "None"),
    "planner: GP + Hyperband": ("GP", "Hyperband"),
    "planner: freeze-thaw": ("GP", "FreezeThaw"),
}
"""Sampler and scheduler. The last one is the repaired form: a model of all learning curves decides who trains on."""
CHECKPOINTS = (0.25, 0.5, 1.0)
"""Shares of the budget at which methods are compared."""
Loss = Callable[[Parameters, int], float]
Log = list[tuple[int, float]]
"""Every evaluation: units spent so far, and the loss."""


def losses_of(name: str, seed: int) -> Loss:
    """For one run: each configuration keeps the curve that it drew."""
    fresh, drawn = problem(name).begin(), dict[str, FloatArray]()

    def loss(parameters: Parameters, resource: int) -> float:
        key = fresh.space.key(parameters)
        if key not in drawn:
            drawn[key] = fresh.curve(parameters, seed).observed
        return float(drawn[key][resource - 1])

    return loss


def chosen_run(name: str, choose: as_described.Chooser, rounds: int, seed: int) -> Log:
    generator = np.random.default_rng(seed)
    return as_described.synchronous(problem(name).space, BRACKETS * rounds, choose, losses_of(name, seed), generator)


def planned_run(name: str, sampler: SamplerName, scheduler: SchedulerName, rounds: int, seed: int) -> Log:
    """The planner, sequentially. Units up to a measurement are logged with the losses on the way, as for the others."""
    loss, log, trained = losses_of(name, seed), list[tuple[int, float]](), dict[str, int]()
    space, budget = problem(name).space, ITERATION * rounds

    def logged(parameters: Parameters, resource: int) -> float:
        key = space.key(parameters)
        for unit in range(trained.get(key, 0) + 1, resource + 1):
            log.append((len(log) + 1, loss(parameters, unit)))
        trained[key] = resource
        return loss(parameters, resource)

    trials = {"None": budget // FIDELITY.maximum, "FreezeThaw": budget}  # the latter: as many as it likes
    trials_of = trials.get(scheduler, rounds * sum(bracket.width for bracket in BRACKETS))
    study = Study(space, Objective("loss", False), trials_of, seed, SamplerSettings(sampler), scheduler, FIDELITY)
    cluster = Cluster(study, logged, memory=Memory())
    while len(log) < budget and not (cluster.plans and cluster.plans[-1].done):
        cluster.run(1)
    return log


def incumbents(log: Log, budget: int) -> FloatArray:
    """The lowest loss so far (budget,) after each unit; infinite before the first number."""
    lowest = np.full(budget, np.inf)
    for spent, loss in log:
        if spent <= budget and np.isfinite(loss):
            lowest[spent - 1] = min(lowest[spent - 1], loss)
    return np.asarray(np.minimum.accumulate(lowest))


def running_median(log: Log, budget: int) -> FloatArray:
    """Of all losses seen until each unit (budget,), as on the right of Fig. 2.10; diverged ones count as the worst."""
    losses = np.array([loss if np.isfinite(loss) else np.inf for _, loss in log[:budget]])
    return np.array([np.median(losses[: k + 1]) for k in range(len(losses))])


def uniformity(name: str, seed: int) -> tuple[float, float]:
    """Of the as-described distribution after one Hyperband iteration: effective share, and largest over mean chance."""
    seen = as_described.Seen()
    loss, generator, space = losses_of(name, seed), np.random.default_rng(seed), problem(name).space
    for u in generator.random((49, space.dimension)):
        parameters = space.decode(u)
        for resource in (1, 2, 3):
            seen.add(space.encode(parameters), resource, loss(parameters, resource))
    group = as_described.Group(space, seen, 27, 1, FIDELITY.maximum)
    candidates, posterior, best = as_described._model(group, generator)
    chance = as_described.improvement_distribution(posterior, candidates, best)
    return as_described.effective_share(chance), float(np.max(chance) * len(chance))


def main(problems: Sequence[str], runs: int, rounds: int, seed: int) -> None:
    budget, parts, raw, pictures = ITERATION * rounds, [], {}, {}
    for name in problems:
        logs = {m: [chosen_run(name, choose, rounds, seed + i) for i in range(runs)] for m, choose in CHOOSERS.items()}
        for method, (sampler, scheduler) in PLANNED.items():
            logs[method] = [planned_run(name, sampler, scheduler, rounds, seed + i) for i in range(runs)]
        best = {method: np.array([incumbents(log, budget) for log in found]) for method, found in logs.items()}
        shares = [uniformity(name, seed + i) for i in range(min(runs, 5))]
        parts += [f"## {name}", table(_headings(), _rows(name, best, budget)), _words(shares)]
        raw[name] = {
            "final": {method: [float(v) for v in found[:, -1]] for method, found in best.items()},
            "uniformity": shares,
        }
        medians = {
            m: np.median([_padded(running_median(log, budget), budget) for log in f], axis=0) for m, f in logs.items()
        }
        pictures[name] = best, medians
    parts.append(
        f"{runs} runs of {budget} units ({budget / FIDELITY.maximum:.0f} full trainings) each. Regret 0 is the best "
        "loss that exists, 1 that of a typical configuration. p: Wilcoxon's signed ranks against Hyperband with the "
        'same seeds, at the end, two-sided. In the thesis (5 runs): Hyperband + BO "performed barely better than '
        'Hyperband alone", and BO alone slightly worse than both.'
    )
    parts.append(save(_picture(pictures), "figure_2_10"))
    write("figure_2_10", "Hyperband + Bayesian optimisation (thesis, sections 2.5.2 to 2.5.4)", parts, raw)


def _headings() -> list[str]:
    return ["median regret after", *(f"{share:.0%} of the budget" for share in CHECKPOINTS), "p"]


def _rows(name: str, best: Mapping[str, FloatArray], budget: int) -> list[list[str]]:
    found = problem(name)
    regrets = {method: (np.minimum(b, 1e300) - found.best) / (found.typical - found.best) for method, b in best.items()}
    rows = []
    for method, regret in regrets.items():
        cells = [f"{np.median(regret[:, int(share * budget) - 1]):.4f}" for share in CHECKPOINTS]
        difference = regret[:, -1] - regrets["Hyperband"][:, -1]
        p = f"{wilcoxon(difference).pvalue:.2g}" if np.any(difference) else "-"
        rows.append([method, *cells, p])
    return rows


def _words(shares: Sequence[tuple[float, float]]) -> str:
    effective, largest = np.median(shares, axis=0)
    return (
        f"The distribution that a group is drawn from, after 49 random models: as wide as a uniform one over "
        f"{effective:.0%} of the candidates, the most likely one {largest:.1f} times as likely as the average."
    )


def _median_of_medians(logs: Sequence[Log], budget: int) -> FloatArray:
    """Over the runs (budget,), of the running median of each."""
    return np.asarray(np.median([_padded(running_median(log, budget), budget) for log in logs], axis=0))


def _padded(values: FloatArray, budget: int) -> FloatArray:
    return np.concatenate([values, np.full(budget - len(values), values[-1])])


def _picture(pictures: Mapping[str, tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]]]) -> Figure:
    figure = Figure(figsize=(9, 3 * len(pictures)), layout="constrained")
    panels = np.atleast_2d(figure.subplots(len(pictures), 2))
    for (left, right), (name, (best, medians)) in zip(panels, pictures.items(), strict=True):
        for method in best:
            left.plot(np.median(best[method], axis=0), label=method)
            right.plot(medians[method], label=method)
        left.set(title=name, xlabel="units spent", ylabel="lowest loss (median)", xscale="log")
        right.set(title=name, xlabel="units spent", ylabel="running median of all losses", xscale="log")
    panels[0, 0].legend(fontsize="x-small", frameon=False)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("problems", nargs="*", default=["taskset-gru64", "mixed+curve"])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with threadpool_limits(1):
        main(given.problems, given.runs, given.rounds, given.seed)
