"""The final model, if ``hpo finalize`` was run: what it is, how it was judged, and its pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from typing import Any

from hpo_operator.api.raw import mapping
from hpo_operator.report.evidence import Evidence, FinalModel
from hpo_operator.report.html import Html, Section, element, paragraphs, section, table
from hpo_operator.report.words import count, number

Raw = Mapping[str, Any]


def final_section(evidence: Evidence) -> Iterator[Section]:
    """None without a final model. The figures are those of a file that a user may have touched: anything may be in."""
    if evidence.final is None:
        return
    figures = evidence.final.figures
    test = mapping(figures.get("test"))
    judged = test or mapping(figures.get("validation"))
    where = "test images, which no trial has read" if test else "validation images, on which the search was guided"
    look = f" This was look {test.get('look')} at them." if test.get("look") else ""
    units, intervals = judged.get("units"), mapping(figures.get("intervals"))
    words = (
        f"Chosen: {figures.get('method', 'unknown')}. Judged on {where}"
        + (f" ({count(units, 'patient or case')})." if isinstance(units, int) else ".")
        + look
    )
    level = intervals.get("level")
    note = ""
    if isinstance(level, int | float) and not isinstance(level, bool):
        note = f"In brackets: {100 * level:.0f} % bootstrap intervals, where there are enough patients or cases."
    yield section("final", "The final model", paragraphs(words, note), _judged(judged), *_pictures(evidence.final))


def _judged(judged: Raw) -> Html:
    models = {name: figures for name, figures in judged.items() if isinstance(figures, Mapping)}
    names = list(dict.fromkeys(figure for figures in models.values() for figure in figures))
    rows = [(name, *(_shown(mapping(figures.get(name))) for figures in models.values())) for name in names]
    headings = ("figure", *(name.replace("single", "best trial") for name in models))
    return table(headings, rows, "Figures of the final model")


def _shown(figure: Raw) -> str:
    value, low, high = (_number(figure.get(key)) for key in ("value", "low", "high"))
    if value is None:
        return "unknown"
    interval = "" if low is None or high is None else f" [{number(low, 4)}, {number(high, 4)}]"
    return number(value, 4) + interval


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _pictures(final: FinalModel) -> Iterator[Html]:
    for name, data in sorted(final.pictures.items()):
        words = name.removesuffix(".png").replace("_", " ")
        image = element("img", src=f"data:image/png;base64,{base64.b64encode(data).decode()}", alt=words)
        yield element("figure", image, element("figcaption", words.capitalize()))
