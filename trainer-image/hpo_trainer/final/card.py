"""``model_card.md``: what the model is, how good it is and how we know, and where it must not be trusted.

After Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import torch

from hpo_trainer.config import identity
from hpo_trainer.evaluation.bootstrap import DRAWS, LEVEL
from hpo_trainer.final.model import Model, SegmentingLearner
from hpo_trainer.final.report import Report, Retraining, table

PACKAGES = ("hpo-operator", "torch", "monai", "numpy", "scipy")
MAKE_TEST = "make one before the next study: `hpo data split` draws it; an archive has it in arrays named `test_...`"


def card(study: Mapping[str, Any], model: Model, report: Report, pictures: Sequence[str]) -> str:
    """Markdown. ``model``: the best trial's. ``pictures``: the names of the files in ``pictures``."""
    parts = [
        _headline(study, model, report),
        _test(report),
        _validation(report),
        _choice(report),
        *([_retraining(report.retrained, model)] if report.retrained else []),
        _training(model),
        _search(study),
        _data(model, report),
        _limits(model, report),
        _files(report, pictures),
        _versions(),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _headline(study: Mapping[str, Any], model: Model, report: Report) -> list[str]:
    classes = model.classes if model.classifies else model.classes[1:]
    lines = [
        f"# {study['name']}",
        "",
        f"A model of the task `{model.task}` for {', '.join(classes)}: trial `{model.trial}`, the best of the study "
        f"`{study['name']}` after {model.epoch} epochs.",
    ]
    if report.choice.is_ensemble:
        members = ", ".join(f"{trial} × {weight}" for trial, weight in report.choice.members.items())
        lines.append(f"Beside it an ensemble, which averages probabilities ({report.choice.method}): {members}.")
    if report.retrained:
        lines.append(
            f"What is handed over is its configuration, retrained: the mean of {len(report.retrained.folds)} networks, "
            "one for each fold."
        )
    for name, kept in report.largest.items():
        if kept:
            who = "best trial" if name == "single" else name
            lines.append(f"Of {', '.join(kept)} the {who} keeps the largest connected component of each image only.")
    return lines


def _test(report: Report) -> list[str]:
    title = "## On the test images"
    if report.test is None:
        return [
            title,
            "",
            f"Not judged: {report.no_test}. The figures below are of images that the choice was made on.",
        ]
    look = report.test
    lines = [title, "", f"{look.judged.counted}, whose images no trial has read, with {_interval()}.", ""]
    if look.number > 1:
        lines += [
            f"**Look {look.number} at this test set: its figures are optimistic.** Whoever has seen the earlier ones "
            "and changed anything since has chosen with their help.",
            "",
        ]
    if look.shared:
        lines += [
            f"**{len(look.shared)} of its patients were trained or validated on, too: the figures are optimistic.** "
            f"The first of them: {look.shared[0]}. See `hpo data check`.",
            "",
        ]
    return [*lines, *table(look.judged)]


def _validation(report: Report) -> list[str]:
    return [
        "## On the validation images",
        "",
        f"{report.validation.counted}, on whose images the trials and the ensemble were chosen, so the figures are "
        f"optimistic; with {_interval()}.",
        "",
        *table(report.validation),
    ]


def _interval() -> str:
    return f"{LEVEL:.0%} bootstrap intervals ({DRAWS} draws)"


def _choice(report: Report) -> list[str]:
    rows = [f"| {name} | {loss:.4g} |" for name, loss in report.choice.considered.items()]
    return ["## How it was chosen", "", f"| method | {report.choice.loss} |", "| --- | --- |", *rows, "", *(
        [f"Chosen: {report.choice.method}."]
    )]  # fmt: skip


def _retraining(retraining: Retraining, model: Model) -> list[str]:
    rows = [f"| {f.name} | {f.train} | {f.validation} | {f.value:.4g} |" for f in retraining.folds]
    return [
        "## Retrained on all folds",
        "",
        f"The best trial's configuration was trained anew for {model.epoch} epochs on each of {len(rows)} folds of all "
        f"{retraining.images} images or cases outside the test side ({retraining.origin}; folds.json). The model is "
        "the mean of these networks' probabilities. They have trained on the validation images, so only test images "
        "can tell how good it is; below, what each network makes of its own fold's validation images.",
        "",
        f"| network | train | validation | {retraining.metric} |",
        "| --- | ---: | ---: | ---: |",
        *rows,
    ]


def _training(model: Model) -> list[str]:
    values = identity(model.task, model.config, model.seed) | {"epochs": model.epoch}
    fields = [f"| {name} | {value} |" for name, value in values.items() if name != "task"]
    return ["## The best trial", "", "![Learning curves](pictures/learning_curves.png)", "", "| field | value |",
            "| --- | --- |", *fields]  # fmt: skip


def _search(study: Mapping[str, Any]) -> list[str]:
    spec, status = study["spec"], study["status"]
    budget = ", ".join(f"{name} {value}" for name, value in spec["budget"].items())
    objective = f"{spec['objective']['direction'].lower()} {spec['objective']['metric']}"
    lines = [
        "## The search",
        "",
        f"Study `{study['name']}`, specification {study['digest']}, seed {spec.get('seed', 0)}: {objective} "
        f"by {status.get('algorithm', 'its algorithm')}. Budget: {budget}. Ran {status.get('progress', '?')} trials, "
        f"{study['trainingSeconds'] / 3600:.2f} hours of training in all.",
        "",
        "| parameter | searched |",
        "| --- | --- |",
    ]
    return lines + [f"| {parameter['name']} | {_searched(parameter)} |" for parameter in spec["parameters"]]


def _searched(parameter: Mapping[str, Any]) -> str:
    kind = next(kind for kind in ("float", "int", "categorical", "ordinal") if kind in parameter)
    domain = parameter[kind]
    condition = parameter.get("when")
    when = f", when {condition['parameter']} is {' or '.join(map(str, condition['in']))}" if condition else ""
    if kind in ("float", "int"):
        text = f"{domain['min']:g} to {domain['max']:g}"
        text += ", logarithmic" if domain.get("scale") == "Log" else ""
        return text + (f", steps of {domain['step']:g}" if "step" in domain else "") + when
    return ", ".join(map(str, domain.get("choices") or domain["values"])) + when


def _data(model: Model, report: Report) -> list[str]:
    counts = ", ".join(f"{len(names)} {side}" for side, names in model.learner.data.sides.items())
    lines = [
        "## The data",
        "",
        f"Data set `{model.config.dataset}`, fingerprint {model.data}: {counts} images or cases.",
    ]
    return lines + ([f"Test images: digest {report.test.digest}."] if report.test else [])


def _limits(model: Model, report: Report) -> list[str]:
    lines = [
        "## Limits",
        "",
        "- For research. Not a medical device.",
        "- Judged on the data set that it was trained on, by a split of it: nothing is known of other scanners, sites "
        "or populations.",
        "- The intervals tell how figures vary with the patients drawn, not with the seed of training or search.",
    ]
    if report.latest.units < 20:
        lines.append(f"- Judged on {report.latest.counted} only: that says little about others, whatever the interval.")
    if any(f.low == f.high for f in report.latest.figures["single"].values()):
        lines.append(
            "- An interval without width, such as [1, 1], is no certainty: where none of n was wrong, about 3 in n "
            "others may still be (the rule of three)."
        )
    if not model.classifies and not cast(SegmentingLearner, model.learner).data.source.files:
        lines.append("- The archive tells no spacing: distances are in voxels, not in millimetres.")
    if model.classifies and not report.latest.is_by_patient:
        lines.append("- The patients are not known: images were drawn one by one, and the intervals may be too narrow.")
    if report.test is None:
        lines.append(f"- No honest figure: no test side was judged; {MAKE_TEST}.")
        if report.retrained:
            lines.append("- The retrained model, which is handed over, has no figure at all.")
    return lines


def _files(report: Report, pictures: Sequence[str]) -> list[str]:
    lines = ["## What is here", ""]
    if report.export is None:
        lines += [
            f"- `configs`, `models`: {_handed_over(report)} as a MONAI bundle; put images into `images` and run "
            "`python -m monai.bundle run --config_file configs/inference.json` "
            "(it needs `pip install 'monai[fire,ignite,nibabel,pillow,skimage]'`)",
            "- `models/model.ts`: the network as TorchScript; `models/model.pt`: its weights",
        ]
    else:
        lines += [
            f"- No MONAI bundle and no TorchScript: {report.export}.",
            "- `models/model.pt`: the network's weights",
        ]
    lines.append("- `models/<trial>.checkpoint.pt`: every trial that takes part, as it was trained")
    if report.retrained:
        lines.append("- `models/fold<k>.checkpoint.pt`, `folds.json`: the retrained networks, and who trained each")
    lines.append("- `figures.json`: all figures; `validation_*.csv`, `test_*.csv`: of each image or case")
    return [*lines, "", *(f"![{name.removesuffix('.png').replace('_', ' ')}](pictures/{name})" for name in pictures)]


def _handed_over(report: Report) -> str:
    return "the mean of the retrained networks" if report.retrained else "the best trial"


def _versions() -> list[str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout
            continue
    device = "GPU" if torch.cuda.is_available() else "CPU"
    return [
        "## Versions",
        "",
        ", ".join(f"{name} {number}" for name, number in found.items()) + f"; judged on a {device}.",
    ]
