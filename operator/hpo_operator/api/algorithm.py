"""How a study searches: the sampler, the scheduler, and the resource that makes a trial cheap or exact."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpo_operator.api.model import ApiModel, Rule
from hpo_operator.api.words import listing


class Sampler(ApiModel):
    """How configurations are suggested."""

    type: Literal["GP", "TPE", "Random", "Sobol", "Grid"] = Field(
        "GP",
        description="GP: Bayesian optimisation with a Gaussian process. TPE: a tree-structured Parzen estimator over all parameters at once; with the scheduler Hyperband that is BOHB. Random: uniform, without repetition. Sobol: a scrambled low-discrepancy sequence. Grid: every configuration of a finite space once, in an order that covers it evenly from the start.",
    )
    initial_trials: int | None = Field(
        None,
        ge=1,
        le=10000,
        description="GP and TPE only: space-filling suggestions before the model is used. Absent: chosen from the number of parameters.",
    )
    kernel: Literal["Matern52", "Matern32", "Matern12", "SquaredExponential"] | None = Field(
        None, description="GP only: covariance function. Absent: Matern52."
    )
    acquisition: Literal["LogEI", "EI", "PI", "UCB", "Thompson"] | None = Field(
        None,
        description="GP only: acquisition function. LogEI, EI: expected improvement. PI: probability of improvement, in turns on the best so far and on 25 % better. UCB: confidence bound, wider as the study goes on. Thompson: the best of one function drawn from the model. Absent: LogEI.",
    )

    cost_aware: bool | None = Field(
        None,
        description="GP only: look for the largest gain per second of training instead of per trial. Absent: false.",
    )
    marginalise: bool | None = Field(
        None,
        description="GP only: average over hyperparameters of the model that are drawn from their posterior, instead of using the likeliest. Slower. Absent: false.",
    )
    input_warping: bool | None = Field(
        None,
        description="GP only: stretch the range of each number where the objective changes fast. Absent: false.",
    )

    rules = (
        Rule(
            "self.type in ['GP', 'TPE'] || !has(self.initialTrials)",
            "expected initialTrials only with type GP or TPE",
            lambda s: s.type in ("GP", "TPE") or s.initial_trials is None,
            "type",
            lambda s: f"initialTrials with type {s.type}",
        ),
        Rule(
            "self.type == 'GP' || (!has(self.kernel) && !has(self.acquisition) && !has(self.costAware) && !has(self.marginalise) && !has(self.inputWarping))",
            "expected kernel, acquisition, costAware, marginalise and inputWarping only with type GP",
            lambda s: s.type == "GP" or not _gp_settings(s),
            "type",
            lambda s: f"{listing(_gp_settings(s))} with type {s.type}",
        ),
    )


def _gp_settings(sampler: Sampler) -> list[str]:
    given = {
        "kernel": sampler.kernel,
        "acquisition": sampler.acquisition,
        "costAware": sampler.cost_aware,
        "marginalise": sampler.marginalise,
        "inputWarping": sampler.input_warping,
    }
    return [name for name, value in given.items() if value is not None]


class Scheduler(ApiModel):
    """How much of the fidelity each trial gets."""

    type: Literal[
        "None",
        "SuccessiveHalving",
        "Hyperband",
        "ASHA",
        "AsyncHyperband",
        "ASHAStopping",
        "MedianStopping",
        "FreezeThaw",
    ] = Field(
        "None",
        description="None: every trial gets fidelity.max. SuccessiveHalving: many trials get fidelity.min, the best of them more, from their checkpoints. Hyperband: the same with several least amounts in turn. ASHA, AsyncHyperband: the same without waiting for a rung to be complete. ASHAStopping: trials run to fidelity.max, and are stopped at a rung where they are not among the best. MedianStopping: trials run to fidelity.max, and are stopped when worse than the median of completed ones. The last two judge running trials by what these show on /metrics. FreezeThaw: whenever a slot is free, a model of all learning curves decides whether a paused trial goes on for one rung, and which, or a new one begins; with the sampler GP, and best with fidelity.eta 2.",
    )


class Algorithm(ApiModel):
    """The search algorithm: a sampler and a fidelity scheduler."""

    sampler: Sampler = Field(Sampler(), description="How configurations are suggested.")
    scheduler: Scheduler = Field(Scheduler(), description="How much of the fidelity each trial gets.")

    rules = (
        Rule(
            "self.scheduler.type != 'FreezeThaw' || self.sampler.type == 'GP'",
            "expected GP for the FreezeThaw scheduler, whose decisions are its model's",
            lambda a: a.scheduler.type != "FreezeThaw" or a.sampler.type == "GP",
            "sampler.type",
            lambda a: a.sampler.type,
        ),
        Rule(
            "self.scheduler.type != 'FreezeThaw' || (!has(self.sampler.acquisition) && !has(self.sampler.costAware))",
            "expected neither acquisition nor costAware with the FreezeThaw scheduler, which has its own",
            lambda a: (
                a.scheduler.type != "FreezeThaw" or (a.sampler.acquisition is None and a.sampler.cost_aware is None)
            ),
            "sampler",
            lambda a: "acquisition" if a.sampler.acquisition else "costAware",
        ),
        Rule(
            "self.scheduler.type == 'None' || (!has(self.sampler.marginalise) && !has(self.sampler.inputWarping))",
            "expected marginalise and inputWarping only without a scheduler",
            lambda a: a.scheduler.type == "None" or (a.sampler.marginalise is None and a.sampler.input_warping is None),
            "sampler",
            lambda a: f"scheduler {a.scheduler.type}",
        ),
    )


class Fidelity(ApiModel):
    """The resource that makes a trial cheap or exact, such as epochs. It is cumulative: 9 after 3 means 6 more."""

    resource: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63, description="Its name; `epochs` for the built-in tasks."
    )
    min: int = Field(1, ge=1, le=10**9, description="Least amount a trial is judged by.")
    max: int = Field(ge=1, le=10**9, description="Full amount.")
    eta: int = Field(
        3, ge=2, le=100, description="Each rung keeps one trial in eta and multiplies its resource by eta."
    )

    rules = (
        Rule(
            "self.min <= self.max",
            "expected min <= max",
            lambda s: s.min <= s.max,
            "min",
            lambda s: f"min {s.min} and max {s.max}",
        ),
    )
