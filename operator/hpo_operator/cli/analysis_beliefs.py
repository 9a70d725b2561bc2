"""What the model of a study believes, and what more trials may be expected to bring, in tables and plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from hpo_engine.analysis.belief import Belief
from hpo_engine.analysis.remaining_gain import RemainingGain, remaining_gain
from hpo_engine.analysis.slices import Slice, best_value, marginal_slices, slices_at_best
from hpo_engine.parameters import FloatArray
from hpo_engine.trial import Value
from hpo_operator.cli.analysis_parts import heading, table
from hpo_operator.cli.table import BARS
from hpo_operator.report.words import after, percent

MORE = (1, 5, 10, 20)


def beliefs_view(belief: Belief) -> Iterator[RenderableType]:
    """A row for each parameter: alone at the best configuration, and averaged over all others."""
    objective = belief.study.objective
    at_best, averages = slices_at_best(belief), _averages(marginal_slices(belief))
    yield heading(f"What does the model believe of {objective.metric}?")
    rows = table("parameter", "at best", "better alone", f"{objective.metric} there", "± sd", "from … to", "on average")
    for name, value in belief.study.space.decode(belief.best).items():
        rows.add_row(name, _value(value), *_alone(at_best[name], objective.maximize), *averages[name])
    for name in [name for name in averages if name not in at_best]:
        rows.add_row(name, "-", "-", "-", "-", *averages[name])
    yield rows
    yield Text(
        "“At best” is what the model would recommend today; “better alone” the best value of one parameter while all "
        "others stay, with one standard deviation of the belief. The bars average over all other parameters, from the "
        f"parameter's lowest value to its highest{after(belief.study, belief.resource)}, and share one scale: the "
        f"tallest of all is the largest {objective.metric}."
    )


def gain_view(belief: Belief) -> Iterator[RenderableType]:
    """Stop now?"""
    study, metric = belief.study, belief.study.objective.metric
    gains = remaining_gain(belief, MORE)
    if not gains:
        return
    yield heading("Stop now?")
    rows = table("more trials", "expected gain", "at most", "random search", "chance of random")
    for gain in gains:
        numbers = (f"{value:.3g}" for value in (gain.model, gain.ceiling, gain.random))
        rows.add_row(str(gain.trials), *numbers, percent(gain.random_chance))
    yield rows
    yield Text(
        f"Gains of {metric} over today's best{after(study, belief.resource)}, by functions drawn from the model: of "
        "the search's next trials, of a search that knew the function, and of blind draws. Believe them as far as the "
        "model predicts. The last column needs no model: that random draws beat the best of as many as were measured."
    )
    yield Text(_advice(belief, gains))


def _advice(belief: Belief, gains: tuple[RemainingGain, ...]) -> str:
    """The largest batch asked for, beside the noise of one measurement."""
    most, metric = gains[-1], belief.study.objective.metric
    centre = float(np.min(belief.posterior.predict(belief.posterior.X)[0]))
    sd = belief.posterior.noise**0.5
    low, high = belief.values(np.array([centre - sd, centre + sd]))
    noise = abs(float(high - low)) / 2
    words = f"One measurement near the best is taken to be off by about {noise:.2g}: "
    trials = f"{most.trials} more trial" + ("s are" if most.trials > 1 else " is")
    if most.model < noise:
        return words + f"{trials} not expected to gain more {metric} than that."
    return words + f"{trials} expected to gain {most.model / noise:.1f} times that."


def _alone(found: Slice, maximize: bool) -> tuple[str, str, str]:
    best = best_value(found, maximize)
    place = found.values.index(best)
    half = float(found.high[place] - found.low[place]) / 2
    return _value(best), f"{found.middle[place]:.4g}", f"{half:.2g}"


def _averages(marginal: Mapping[str, Slice]) -> dict[str, tuple[str, str]]:
    """Range and bars of each, all on one scale, so that a parameter that does nothing looks flat."""
    heights = np.concatenate([found.middle for found in marginal.values()])
    low, high = float(np.min(heights)), float(np.max(heights))
    return {
        name: (f"{_value(found.values[0])} … {_value(found.values[-1])}", bars(found.middle, low, high))
        for name, found in marginal.items()
    }


def bars(heights: FloatArray, low: float, high: float) -> str:
    """One character for each of ``heights`` (m,), which lie between ``low``, the lowest bar, and ``high``."""
    steps = (heights - low) / (high - low) if high > low else np.zeros(len(heights))
    return "".join(BARS[round(step * (len(BARS) - 1))] for step in steps.tolist())


def _value(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
