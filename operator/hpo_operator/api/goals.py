"""What is wanted besides the objective, and what is known before the first trial."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from hpo_operator.api.model import ApiModel, Rule
from hpo_operator.api.parameters import ParameterName
from hpo_operator.api.words import number

MetricName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_:][A-Za-z0-9_:]*$", max_length=128)]
ValueText = Annotated[str, StringConstraints(max_length=128)]


class PrometheusQuery(ApiModel):
    """Where else the objective comes from: a PromQL query at the moment in which the trial's Pod ended."""

    server: str = Field(
        "default",
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=63,
        description="Name of a Prometheus server that the operator was installed with.",
    )
    query: str = Field(
        min_length=1,
        max_length=2048,
        description="PromQL with one series as its result. $(namespace), $(study), $(trial) and $(pod) stand for their names.",
    )
    timeout_seconds: int = Field(10, ge=1, le=60, description="The server has this long to answer.")


class SecondObjective(ApiModel):
    """Something else to optimise: the search is then for the Pareto front of both."""

    metric: MetricName = Field(description="Name of a metric that trials report besides the objective.")
    direction: Literal["Maximize", "Minimize"] = Field(description="Whether large or small values are good.")


class Constraint(ApiModel):
    """A bound on a metric that trials report besides the objective. Only a trial that keeps it can be the best."""

    metric: MetricName = Field(description="Name of the metric.")
    min: float | None = Field(None, description="Smallest value that will do.")
    max: float | None = Field(None, description="Largest value that will do.")

    rules = (
        Rule(
            "has(self.min) != has(self.max)",
            "expected exactly one of min and max",
            lambda c: (c.min is None) != (c.max is None),
            "",
            lambda c: "none" if c.min is None else "both",
        ),
    )


class Belief(ApiModel):
    """Where the best value of a parameter is thought to be. It guides the first trials and fades."""

    parameter: ParameterName = Field(description="Name of the parameter.")
    value: ValueText = Field(description='The value, as text: "0.001", "AdamW".')
    spread: float = Field(
        0.25,
        description="How sure it is: a standard deviation as a share of the range, or the probability of another choice. Above 0 and below 1.",
    )

    rules = (
        Rule(
            "self.spread > 0.0 && self.spread < 1.0",
            "expected a spread above 0 and below 1",
            lambda b: 0 < b.spread < 1,
            "spread",
            lambda b: number(b.spread),
        ),
    )
