"""``python -m medical.hippocampus``: a U-Net searched for the hippocampus, beside nnU-Net on its fold 0.

The study of crds/examples/04-hippocampus.yaml, on a split inside the training side of that fold. Then the winner is
trained on all of that side, ``LOOKS`` times as long, from ``len(SEEDS)`` starts, and judged on nnU-Net's validation
cases, once for each length. nnU-Net's Dice of each case is read from a table; it was not trained here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import yaml

from hpo_trainer.evaluation.bootstrap import Figure, intervals
from hpo_trainer.evaluation.segmentation import dice_of_classes
from hpo_trainer.tasks.segmentation import by_case
from medical import report, trained
from medical.data import ROOT, of_others
from medical.hippocampus_folds import JUDGED, SEARCH, search_data
from medical.runs import Run, Study, run_study, run_trial

EXAMPLE = ROOT / "crds" / "examples" / "04-hippocampus.yaml"
SEEDS = (0, 1)
LOOKS = (2, 5)
"""How many times longer than in the search the winner is trained, in the order in which the results were looked at."""
STRUCTURES = ("anterior", "posterior")
NNUNET = "hippocampus/nnunet_reference_per_case.csv"


@dataclass(frozen=True)
class Judged:
    """Dice of each case, (cases, 2): anterior, posterior."""

    names: tuple[str, ...]
    ours: dict[str, np.ndarray[Any, Any]]
    nnunet: np.ndarray[Any, Any]


def manifest() -> dict[str, Any]:
    """The example, on the search fold."""
    study: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    study["spec"]["trainer"]["segmentation"] |= {"dataset": search_data(), "fold": SEARCH}
    study["spec"]["trainer"]["data"] = {"claimName": "data"}
    return study


def winners_config(study: Study, longer: int) -> dict[str, Any]:
    """The winner on the judged fold, its schedule as much longer as its training; validated at the end alone."""
    spec = study.study["spec"]
    task = dict(spec["trainer"]["segmentation"])
    schedule = {"scheduleEpochs": task["scheduleEpochs"] * longer, "validationInterval": 1000}
    return task | parameters(study.best) | schedule | {"fold": JUDGED}


def probabilities(runs: Sequence[Run]) -> tuple[list[str], list[Any], list[list[Any]]]:
    """Names and masks of the judged cases, and of each run the probabilities (K, *S) of each case."""
    predicted = []
    for run in runs:
        learner = trained.segmenter(run.folder)
        cases = by_case(learner.data.validation)
        with torch.inference_mode():
            predicted.append([learner.probabilities(samples, lambda: None)[0] for samples in cases])
    names = [learner.data.source.case_name(samples[0].case) for samples in cases]
    return names, [samples[0].mask for samples in cases], predicted


def judge(looks: Mapping[int, Sequence[Run]]) -> Judged:
    """Each length's first network, and the mean of all of that length."""
    ours = {}
    for longer, runs in looks.items():
        names, masks, predicted = probabilities(runs)
        ensemble = [torch.stack(of_case).mean(0) for of_case in zip(*predicted, strict=True)]
        for name, maps in (("one network", predicted[0]), (f"mean of {len(runs)}", ensemble)):
            dice = [dice_of_classes(p.argmax(0), mask, 3).numpy() for p, mask in zip(maps, masks, strict=True)]
            ours[f"{longer} × as long, {name}"] = np.stack(dice)
    return Judged(tuple(names), ours, nnunet_dice(names))


def nnunet_dice(names: Sequence[str]) -> np.ndarray[Any, Any]:
    """Of nnU-Net's plain convolutional encoder, in its cross-validation."""
    with of_others(NNUNET).open() as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    return np.array([[float(rows[name][f"ConvolutionalEncoder_{s}"]) for s in STRUCTURES] for name in names])


def bootstrapped(values: np.ndarray[Any, Any], names: Sequence[str]) -> Figure:
    """The mean over cases of (cases,), with its interval."""
    return intervals(lambda rows: {"mean": float(values[rows].mean())}, names)["mean"]


def shown(figure: Figure, digits: int = 4) -> str:
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"


def results(judged: Judged) -> str:
    rows = []
    for name, dice in {**judged.ours, "nnU-Net": judged.nnunet}.items():
        difference = dice.mean(1) - judged.nnunet.mean(1)
        beside = "" if name == "nnU-Net" else shown(bootstrapped(difference, judged.names))
        mean = shown(bootstrapped(dice.mean(1), judged.names))
        rows.append([name, *(f"{dice[:, i].mean():.4f}" for i in range(2)), mean, beside])
    return report.table(["", *STRUCTURES, "Dice", "minus nnU-Net's, case by case"], rows)


def search_table(study: Study) -> str:
    """The trials by how far they were trained, then by their Dice."""
    rows = []
    for trial in study.trials:
        measurements = trial["status"].get("measurements", [])
        if measurements:
            last = measurements[-1]
            told = ", ".join(f"{name} {_short(value)}" for name, value in parameters(trial).items())
            rows.append((last["resource"], last["value"], trial["metadata"]["name"].rsplit("-", 1)[1], told))
    rows.sort(reverse=True)
    shown_rows = [[name, epochs, f"{dice:.4f}", told] for epochs, dice, name, told in rows]
    return report.table(["trial", "epochs", "Dice", "parameters"], shown_rows)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def parameters(trial: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's object holds them as text."""
    return {name: _value(text) for name, text in trial["spec"]["parameters"].items()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def draw(judged: Judged) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 5))
    for i, structure in enumerate(STRUCTURES):
        axes.plot(judged.nnunet[:, i], list(judged.ours.values())[-1][:, i], "o", label=structure, alpha=0.7)
    low = float(min(judged.nnunet.min(), *(dice.min() for dice in judged.ours.values()))) - 0.01
    axes.plot([low, 1], [low, 1], color="grey", linewidth=1)
    axes.set(xlabel="nnU-Net's Dice", ylabel="ours", xlim=(low, 0.96), ylim=(low, 0.96), title="Cases of fold 0")
    axes.legend()
    figure.savefig(report.RESULTS / "hippocampus.png", dpi=120, bbox_inches="tight")


def costs(study: Study, looks: Mapping[int, Sequence[Run]]) -> dict[str, float]:
    """Processor seconds by what they went into."""
    trained_anew = {
        f"{longer} × as long, seed {seed}": run.cpu_seconds
        for longer, runs in looks.items()
        for seed, run in zip(SEEDS, runs, strict=True)
    }
    return {"search": study.cpu_seconds, **trained_anew}


def remarks(judged: Judged) -> str:
    first, *later = LOOKS
    return (
        f"{len(judged.names)} cases of nnU-Net's fold 0, which no choice was made on; in brackets: bootstrap over "
        f"cases, 95 %. The winner was first trained {first} times as long as in its search, and judged. The rows of "
        f"{' and '.join(map(str, later))} times are a later look at the same cases: nothing but the length was "
        "changed. nnU-Net's figures are read from its own evaluation: 1,000 epochs on a GPU, predictions averaged over "
        "mirrored images. What the example fixes (resolution, patches, batch, averaging) was chosen by a few short "
        "runs on the search fold; their time is not in the table."
    )


def main() -> None:
    study = run_study(manifest())
    configs = {longer: winners_config(study, longer) for longer in LOOKS}
    looks = {
        longer: [run_trial("segmentation", config, seed=s, epochs=config["scheduleEpochs"]) for s in SEEDS]
        for longer, config in configs.items()
    }
    judged, seconds = judge(looks), costs(study, looks)
    hours = report.table(
        ["", "processor seconds"], [[k, f"{v:.0f}"] for k, v in {**seconds, "all": sum(seconds.values())}.items()]
    )
    raw = {
        "study": study.study["spec"],
        "config": configs[LOOKS[-1]],
        "seconds": seconds,
        "search dice": study.study["status"]["best"],
        "cases": list(judged.names),
        "nnU-Net": judged.nnunet.tolist(),
        "ours": {name: dice.tolist() for name, dice in judged.ours.items()},
    }
    parts = [
        results(judged),
        remarks(judged),
        "![](hippocampus.png)",
        "## Processor time",
        hours,
        "## The search",
        search_table(study),
    ]
    report.RESULTS.mkdir(parents=True, exist_ok=True)
    draw(judged)
    report.write("hippocampus", "The hippocampus: a searched U-Net beside nnU-Net", parts, raw)


if __name__ == "__main__":
    main()
