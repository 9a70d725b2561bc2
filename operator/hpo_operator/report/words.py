"""Numbers, times and shares as people write them: the same words on the terminal and in a report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo_engine.study import Study

if TYPE_CHECKING:  # scipy.stats behind them would double the start-up time of commands that only want words
    from hpo_engine.analysis.importance import Importances
    from hpo_engine.analysis.rank_correlation import RankCorrelation

SIGNIFICANT = 0.05
BELIEVABLE, PER_PARAMETER = 0.5, 5
"""Leave-one-out R², and trials for each parameter, below which importances are called into question: with a handful of
trials the length scales themselves are fitted to chance, which leaving one out does not show."""


def after(study: Study, resource: int) -> str:
    return f" after {resource} {study.fidelity.resource}" if study.fidelity is not None and resource else ""


def percent(share: float) -> str:
    """Never 100 % of what is less, nor 0 % of what is more."""
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def number(value: float | str | None, digits: int = 5) -> str:
    """To ``digits`` significant digits; text as it is, nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.{digits}g}"


def count(amount: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{amount} {noun}" + ("" if amount == 1 else "s")


def duration(seconds: float) -> str:
    """``41 s``, ``5 min 8 s``, ``2 h 5 min``, ``3 d 4 h``: the two largest units."""
    if not math.isfinite(seconds):
        return "unknown"
    left, parts = round(seconds), list[str]()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
        elif parts:
            break
        left %= size
    return " ".join(parts[:2])


def predicts(unit: str, c: RankCorrelation) -> str:
    """What a rank correlation says of short runs; ``unit`` of the fidelity."""
    sentence = (
        f"From {c.resource} to {c.reached} {unit}: of two trials, the one ahead at first was ahead later as well in "
        f"{percent(c.agreement)} of the pairs (chance: 50 %)."
    )
    if c.p >= SIGNIFICANT:
        sentence += f" That can be chance, p = {c.p:.2g}."
    return sentence + (f" With {c.trials} trials p is only a hint." if c.is_rough else "")


def doubts(found: Importances) -> str | None:
    """Why importances should not be believed; None: nothing speaks against them."""
    if found.explained < BELIEVABLE:
        return "That is little: do not rely on these shares."
    if found.trials < PER_PARAMETER * len(found.effects):
        return f"{found.trials} trials are few for {len(found.effects)} parameters: do not rely on these shares."
    return None


def foundation(study: Study, found: Importances) -> str:
    """What the shares are shares of, and how well the model behind them predicts."""
    return (
        f"Shares of the variance of {study.objective.metric} over the whole search space, by a model of "
        f"{found.trials} trials{after(study, found.resource)}. Predicting each trial from the others, it explains "
        f"{percent(max(0.0, found.explained))} of their variance."
    )
