"""Everything that is known of a final model, for programs (``figures.json``) and for the model card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hpo_trainer.evaluation.bootstrap import DRAWS, LEVEL, Figure
from hpo_trainer.final.judgement import Judged
from hpo_trainer.final.request import Choice

SMALLER_IS_BETTER = ("errors", "log_loss", "hausdorff95")


@dataclass(frozen=True)
class TestLook:
    """``number``: which look at these images it was. ``digest``: of the images.

    ``shared``: patients on the test side who were also trained or validated on.
    """

    number: int
    digest: str
    judged: Judged
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoldReport:
    """A network that was trained anew: how many images or cases trained it, and ``value`` of the study's objective on
    the others."""

    name: str
    train: int
    validation: int
    value: float


@dataclass(frozen=True)
class Retraining:
    """``origin``: where the folds come from, in words. ``metric``: the study's objective."""

    origin: str
    metric: str
    folds: tuple[FoldReport, ...]

    @property
    def images(self) -> int:
        """How many images or cases took part."""
        return self.folds[0].train + self.folds[0].validation


@dataclass(frozen=True)
class Report:
    """``largest``: of each model, the classes of which only the largest piece is kept. ``export``: why there is no
    TorchScript, None where there is. ``no_test``: why the test side was not looked at, None where it was.
    ``retrained``: None where the best trial was left as it is."""

    choice: Choice
    validation: Judged
    test: TestLook | None
    no_test: str | None
    largest: Mapping[str, tuple[str, ...]]
    export: str | None
    retrained: Retraining | None = None

    def plain(self) -> dict[str, Any]:
        test = None
        if self.test is not None:
            look = {"look": self.test.number, "digest": self.test.digest, "sharedPatients": list(self.test.shared)}
            test = look | plain(self.test.judged)
        return {
            "single": self.choice.single,
            "members": dict(self.choice.members),
            "method": self.choice.method,
            "loss": self.choice.loss,
            "considered": dict(self.choice.considered),
            "largestPiece": {name: list(classes) for name, classes in self.largest.items()},
            "intervals": {"level": LEVEL, "draws": DRAWS},
            "validation": plain(self.validation),
            "test": test,
            "retrained": None if self.retrained is None else asdict(self.retrained),
        }

    @property
    def latest(self) -> Judged:
        """Of the test images if they were looked at, else of the validation images."""
        return self.test.judged if self.test else self.validation


def table(judged: Judged) -> list[str]:
    """Markdown: each figure with its interval, of each model; and what each other one changes of the best trial's."""
    columns = list(judged.figures)
    headings = [name.replace("single", "best trial") for name in columns]
    lines = ["| figure | " + " | ".join(headings) + " |", "| --- " * (len(columns) + 1) + "|"]
    for figure in judged.figures["single"]:
        cells = [shown(judged.figures[name][figure], signed=name not in judged.models) for name in columns]
        arrow = " ↓" if figure.startswith(SMALLER_IS_BETTER) else ""
        lines.append(f"| {figure}{arrow} | " + " | ".join(cells) + " |")
    return lines


def told(report: Report) -> str:
    """For whoever asked for it."""
    lines = [f"chosen: {report.choice.method}"]
    if report.test is None:
        lines += [f"test images: not judged: {report.no_test}", "validation images:", *table(report.validation)]
    else:
        again = ": its figures are optimistic" if report.test.number > 1 else ""
        lines += [f"test images (look {report.test.number} at this test set{again}):", *table(report.test.judged)]
    if report.retrained:
        lines.append(f"handed over: the mean of {len(report.retrained.folds)} networks, one for each fold")
    if report.export:
        lines.append(f"no TorchScript and no MONAI bundle: {report.export}")
    return "\n".join(lines)


def shown(figure: Figure, signed: bool = False) -> str:
    """``0.871 [0.852, 0.889]``."""
    if math.isnan(figure.value):
        return "unknown"
    sign = "+" if signed else ""
    if math.isnan(figure.low):
        return f"{figure.value:{sign}.4g}"
    return f"{figure.value:{sign}.4g} [{figure.low:{sign}.4g}, {figure.high:{sign}.4g}]"


def plain(judged: Judged) -> dict[str, Any]:
    """For JSON, in which unknown values are null."""
    return {"units": judged.units, **{name: _plain(figures) for name, figures in judged.figures.items()}}


def _plain(figures: Mapping[str, Figure]) -> dict[str, Any]:
    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {name: {"value": known(f.value), "low": known(f.low), "high": known(f.high)} for name, f in figures.items()}
