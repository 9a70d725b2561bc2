"""Judge the chosen models, and hand them over.

The test images are read here and nowhere else, once, after everything has been chosen. The folder ``out`` is written
aside and put in place when it is complete.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from hpo_trainer.failures import BadData
from hpo_trainer.final import bundle, gallery, largest
from hpo_trainer.final.average import Average
from hpo_trainer.final.card import MAKE_TEST, card
from hpo_trainer.final.export import ExportError, export, trained_weights
from hpo_trainer.final.judgement import Judged, Judgement, judge_cases, judge_images, judged
from hpo_trainer.final.largest import Largest
from hpo_trainer.final.looks import Looks
from hpo_trainer.final.model import Model, open_model
from hpo_trainer.final.report import FoldReport, Report, Retraining, TestLook, plain
from hpo_trainer.final.request import Candidate, Choice, Request
from hpo_trainer.final.retrained import FOLDS_FILE, Retrained
from hpo_trainer.final.sides import Images, Side, predict, shared_patients, test_side, validation_side

Averages = Mapping[str, Average]
"""Of each model, ``single`` and perhaps ``ensemble`` and ``retrained``, its mean predictions on one side."""


@dataclass(frozen=True)
class Order:
    """What is asked for. ``looks``: None where the test images are not to be looked at. ``retrained``: None where the
    best trial is handed over as it is."""

    request: Request
    choice: Choice
    data_dir: Path
    work: Path
    out: Path
    looks: Looks | None
    tolerance: float
    draws: int
    retrained: Retrained | None = None

    @property
    def models(self) -> dict[str, Mapping[str, int]]:
        """By name, the networks of each model and their weights."""
        of = self.choice.models
        return of if self.retrained is None else of | {"retrained": dict.fromkeys(self.retrained.names, 1)}

    @property
    def candidates(self) -> list[Candidate]:
        """Every network that takes part, the best trial first."""
        found = [self.request.candidate(trial) for trial in dict.fromkeys((self.choice.single, *self.choice.members))]
        retrained = [self.retrained.candidate(name) for name in self.retrained.names] if self.retrained else []
        return found + [replace(candidate, mirrored=found[0].mirrored) for candidate in retrained]

    @property
    def handed_over(self) -> tuple[str, ...]:
        """The names of the networks whose mean is exported."""
        return self.retrained.names if self.retrained else (self.choice.single,)


def run(order: Order, poll: Callable[[], None]) -> Report:
    models, sides, averages = _predicted(order, poll)
    best, choice = models[order.choice.single], order.choice
    kept = {name: _largest(sides["validation"], average, best) for name, average in averages["validation"].items()}
    validation = _judged(order, sides["validation"], averages["validation"], best, kept)
    if order.retrained:
        kept["retrained"] = kept["single"]  # what helps its configuration; it has trained on the validation images
    test, no_test = None, "it was not asked for (--no-test)"
    if order.looks is not None:
        no_test = f"the data set has no test side; {MAKE_TEST}"
        if "test" in sides:
            test = _look(order, order.looks, sides["test"], averages["test"], best, kept)
    folder = order.out.with_name(order.out.name + ".new")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "models").mkdir(parents=True)
    reason = _exported(order, models, kept["single"], folder)
    named = {name: tuple(best.classes[label] for label in of.labels) for name, of in kept.items()}
    retraining = _retraining(order, order.retrained, models) if order.retrained else None
    report = Report(choice, validation, test, None if test else no_test, named, reason, retraining)
    _write(order, models, report, folder)
    drawn = gallery.draw(order.request, models, report, sides["validation"], averages["validation"], kept, folder)
    (folder / "model_card.md").write_text(card(order.request.study, best, report, drawn))
    shutil.rmtree(order.out, ignore_errors=True)
    folder.replace(order.out)
    return report


def _predicted(order: Order, poll: Callable[[], None]) -> tuple[dict[str, Model], dict[str, Side], dict[str, Averages]]:
    """Every network predicts the sides that it has not trained on; the sides are those of the best trial."""
    judged_on = {"validation": order.choice.models, "test": order.models}
    averages = {side: {name: Average(order.work / side / name) for name in of} for side, of in judged_on.items()}
    models: dict[str, Model] = {}
    sides: dict[str, Side] = {}
    for candidate in order.candidates:
        model = open_model(candidate, order.data_dir, poll)
        own: dict[str, Side | None] = {} if candidate.split else {"validation": validation_side(model)}
        if order.looks is not None:
            own["test"] = test_side(model, poll, with_digest="test" not in sides)
        for name, side in own.items():
            if side is None:
                continue
            _check_unseen(name, side, model)
            sides.setdefault(name, side)
            for of, weights in judged_on[name].items():
                if candidate.trial in weights:
                    averages[name][of].add(predict(model, side, poll), weights[candidate.trial])
        models[candidate.trial] = model
    return models, sides, dict(averages)


def _check_unseen(name: str, side: Side, model: Model) -> None:
    """No test image may have been trained or validated on."""
    seen = {image for names in model.learner.data.sides.values() for image in names}
    both = sorted(seen & set(side.names)) if name == "test" else []
    if both:
        raise BadData(model.config.dataset, f"{both[0]} is on the test side and was trained or validated on")


def _largest(side: Side, average: Average, model: Model) -> Largest:
    return Largest() if isinstance(side, Images) else largest.chosen(side, average.parts(), model.classes)


def _judged(order: Order, side: Side, averages: Averages, model: Model, kept: Mapping[str, Largest]) -> Judged:
    judgements: dict[str, Judgement] = {}
    for name, average in averages.items():
        if isinstance(side, Images):
            judgements[name] = judge_images(side, next(average.parts()), model.classes)
        else:
            judgements[name] = judge_cases(side, average.parts(), model.classes, kept[name], order.tolerance)
    return judged(judgements, order.draws)


def _look(
    order: Order, looks: Looks, side: Side, averages: Averages, model: Model, kept: Mapping[str, Largest]
) -> TestLook:
    assert side.digest is not None
    look = {
        "digest": side.digest,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "study": order.request.study["name"],
        "specification": order.request.study["digest"],
        "judged": {name: dict(weights) for name, weights in order.models.items()},
    }
    number = looks.begin(look)
    seen = _judged(order, side, averages, model, kept)
    looks.complete(look, plain(seen))
    return TestLook(number, side.digest, seen, shared_patients(model, side))


def _retraining(order: Order, retrained: Retrained, models: Mapping[str, Model]) -> Retraining:
    metric = order.request.study["spec"]["objective"]["metric"]
    folds = zip(retrained.names, retrained.folds.folds, strict=True)
    reports = (
        FoldReport(name, len(fold.train), len(fold.validation), models[name].history[retrained.epochs][metric])
        for name, fold in folds
    )
    return Retraining(retrained.folds.origin, metric, tuple(reports))


def _exported(order: Order, models: Mapping[str, Model], kept: Largest, folder: Path) -> str | None:
    """Why there is no bundle; None where there is one."""
    study, best, handed_over = order.request.study, order.choice.single, [models[name] for name in order.handed_over]
    how = f", retrained on {len(handed_over)} folds; the mean of these networks" if order.retrained else ""
    facts = {
        "name": study["name"],
        "version": "1.0.0",
        "description": f"Trial {best} of the study {study['name']}, specification {study['digest']}{how}.",
        "data_source": f"{models[best].config.dataset}, fingerprint {models[best].data}",
    }
    try:
        bundle.write(models[best], export(handed_over), kept, facts, folder)
    except ExportError as error:
        bundle.write_weights(trained_weights(handed_over), folder)
        return str(error)
    return None


def _write(order: Order, models: Mapping[str, Model], report: Report, folder: Path) -> None:
    """The checkpoints of all that take part, the figures, and a table of each model on each side."""
    for trial in models:
        shutil.copyfile(models[trial].path, folder / f"models/{trial}.checkpoint.pt")
    if order.retrained:
        shutil.copyfile(order.retrained.folder / FOLDS_FILE, folder / FOLDS_FILE)
    (folder / "figures.json").write_text(json.dumps(report.plain(), indent=1) + "\n")
    sides = {"validation": report.validation} | ({"test": report.test.judged} if report.test else {})
    for side, of in sides.items():
        for name, judgement in of.models.items():
            with (folder / f"{side}_{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(judgement.rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(judgement.rows)
