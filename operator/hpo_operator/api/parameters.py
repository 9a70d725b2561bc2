"""The search space of a study, as a user writes it: a list of named parameters, each of exactly one kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from pydantic.config import JsonDict

from hpo_operator.api.model import ApiModel, Rule
from hpo_operator.api.words import listing, number, show

ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=63)]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Scale = Literal["Linear", "Log"]
SET: JsonDict = {"x-kubernetes-list-type": "set"}


class FloatRange(ApiModel):
    """A real number between two bounds, both included."""

    min: float = Field(description="Smallest value.")
    max: float = Field(description="Largest value.")
    scale: Scale = Field(
        "Linear", description="Linear, or Log to search orders of magnitude evenly; Log needs min > 0."
    )
    step: float | None = Field(
        None, description="Only min, min + step, min + 2 * step, ... up to max; not with scale Log."
    )

    rules = (
        Rule(
            "self.min < self.max",
            "expected min < max",
            lambda s: s.min < s.max,
            "min",
            lambda s: f"min {number(s.min)} and max {number(s.max)}",
        ),
        Rule(
            "self.scale != 'Log' || self.min > 0.0",
            "expected min > 0 with scale Log",
            lambda s: s.scale != "Log" or s.min > 0,
            "min",
            lambda s: number(s.min),
        ),
        Rule(
            "!has(self.step) || self.scale == 'Linear'",
            "expected no step with scale Log",
            lambda s: s.step is None or s.scale == "Linear",
            "step",
            lambda s: number(s.step),
        ),
        Rule(
            "!has(self.step) || self.min >= self.max || (self.step > 0.0 && self.step <= self.max - self.min)",
            "expected a step above 0 and at most max - min",
            lambda s: s.step is None or s.min >= s.max or 0 < s.step <= s.max - s.min,
            "step",
            lambda s: number(s.step),
        ),
    )


class IntRange(ApiModel):
    """A whole number between two bounds, both included."""

    min: int = Field(ge=-(2**53), le=2**53, description="Smallest value.")
    max: int = Field(ge=-(2**53), le=2**53, description="Largest value.")
    scale: Scale = Field(
        "Linear", description="Linear, or Log to search orders of magnitude evenly; Log needs min > 0."
    )
    step: int = Field(1, ge=1, le=2**53, description="Only min, min + step, min + 2 * step, ... up to max.")

    rules = (
        Rule(
            "self.min < self.max",
            "expected min < max",
            lambda s: s.min < s.max,
            "min",
            lambda s: f"min {s.min} and max {s.max}",
        ),
        Rule(
            "self.scale != 'Log' || self.min > 0",
            "expected min > 0 with scale Log",
            lambda s: s.scale != "Log" or s.min > 0,
            "min",
            lambda s: str(s.min),
        ),
        Rule(
            "self.min >= self.max || self.step <= self.max - self.min",
            "expected a step of at most max - min",
            lambda s: s.min >= s.max or s.step <= s.max - s.min,
            "step",
            lambda s: str(s.step),
        ),
    )


class Categories(ApiModel):
    """One of several strings, in no order."""

    choices: list[Choice] = Field(
        min_length=2,
        max_length=64,
        description="The values to choose from. Quote yes, no, true, false and numbers.",
        json_schema_extra=SET,
    )

    rules = (
        Rule(
            None,
            "expected distinct choices",
            lambda s: len(set(s.choices)) == len(s.choices),
            "choices",
            lambda s: _first_repeated(s.choices),
        ),
    )


class OrderedValues(ApiModel):
    """One of several numbers whose order matters, and nothing between them: 3, 5, 7."""

    values: list[float] = Field(
        min_length=2, max_length=64, description="The numbers, in ascending order.", json_schema_extra=SET
    )

    rules = (
        Rule(
            None,
            "expected distinct values",
            lambda s: len(set(s.values)) == len(s.values),
            "values",
            lambda s: _first_repeated([number(v) for v in s.values]),
        ),
    )


class When(ApiModel):
    """The parameter exists only when another one has one of these values."""

    parameter: ParameterName = Field(description="Name of the other parameter.")
    in_: list[Choice] | None = Field(
        None, alias="in", min_length=1, max_length=64, description="Its values, when it is categorical."
    )
    min: float | None = Field(None, description="Its smallest value, when it is numeric.")
    max: float | None = Field(None, description="Its largest value, when it is numeric.")

    rules = (
        Rule(
            "has(self.__in__) != (has(self.min) || has(self.max))",
            "expected either in (for a categorical parameter) or min and max (for a numeric one)",
            lambda s: (s.in_ is not None) != (s.min is not None or s.max is not None),
            "",
            lambda s: "neither" if s.in_ is None else "both",
        ),
        Rule(
            "!has(self.min) || !has(self.max) || self.min <= self.max",
            "expected min <= max",
            lambda s: s.min is None or s.max is None or s.min <= s.max,
            "min",
            lambda s: f"min {number(s.min)} and max {number(s.max)}",
        ),
    )


class Parameter(ApiModel):
    """One dimension of the search space."""

    name: ParameterName = Field(
        description="Name, unique in the study. For a built-in task: the field of its configuration that is tuned."
    )
    float_: FloatRange | None = Field(None, alias="float", description="A real number.")
    int_: IntRange | None = Field(None, alias="int", description="A whole number.")
    categorical: Categories | None = Field(None, description="One of several strings, in no order.")
    ordinal: OrderedValues | None = Field(
        None, description="One of several numbers in order, such as kernel sizes 3, 5, 7."
    )
    when: When | None = Field(None, description="Only active when another parameter has certain values.")

    rules = (
        Rule(
            "[has(self.float), has(self.int), has(self.categorical), has(self.ordinal)].filter(x, x).size() == 1",
            "expected exactly one of float, int, categorical, ordinal",
            lambda s: len(_kinds(s)) == 1,
            "",
            lambda s: listing(_kinds(s)) or "none",
        ),
        Rule(
            "!has(self.when) || self.when.parameter != self.name",
            "expected a condition on another parameter",
            lambda s: s.when is None or s.when.parameter != s.name,
            "when.parameter",
            lambda s: f"the parameter itself ({show(s.name)})",
        ),
    )

    @property
    def kind(self) -> str:
        """float, int, categorical or ordinal."""
        return _kinds(self)[0]


def _kinds(p: Parameter) -> list[str]:
    kinds = {"float": p.float_, "int": p.int_, "categorical": p.categorical, "ordinal": p.ordinal}
    return [name for name, kind in kinds.items() if kind is not None]


def _first_repeated(values: list[str]) -> str:
    return next((f"{show(v)} twice" for i, v in enumerate(values) if v in values[:i]), "no repetition")
