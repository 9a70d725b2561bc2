"""A complete study with comments, as ``hpo init`` writes it."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_operator.advice.document import Block, Entry, render
from hpo_operator.advice.fingerprint import Fingerprint
from hpo_operator.advice.machine import Machine
from hpo_operator.advice.spaces import DRAFTS, Draft

SHOWN = 5
"""So many of the check's problems stand at the top of the file."""


@dataclass(frozen=True)
class Wish:
    """``dataset``: its path inside the claim; ``split``: split file and column, () for the trainer's own split."""

    name: str
    task: str
    dataset: str
    claim: str
    split: tuple[str, str] | tuple[()] = ()


def study(wish: Wish, given: Fingerprint, machine: Machine) -> str:
    """The text of ``study.yaml``. ``wish.task`` must be one of DRAFTS."""
    draft = DRAFTS[wish.task](given, machine)
    top = (
        Entry("apiVersion", "hpo.study/v1alpha1", _heading(wish, given)),
        Entry("kind", "HPOStudy"),
        Entry("metadata", (Entry("name", wish.name),)),
        Entry("spec", _spec(wish, given, machine, draft)),
    )
    return "\n".join(render(top)) + "\n"


def _spec(wish: Wish, given: Fingerprint, machine: Machine, draft: Draft) -> Block:
    trials = 40 if machine.has_gpu else 30
    fixed = (Entry("dataset", wish.dataset), *_split(wish), *draft.fixed)
    rest = (
        Entry("data", {"claimName": wish.claim}, "the claim that holds the data set; it is mounted read-only"),
        Entry("checkpoints", {"claimName": "checkpoints"}, "trials go on from here when they are promoted or evicted"),
        Entry("resources", _resources(machine)),
    )
    return (
        Entry("objective", {"metric": draft.metric, "direction": "Maximize"}),
        Entry("parameters", list(draft.parameters), "narrow what you know, delete what you do not want searched"),
        Entry(
            "algorithm",
            (Entry("sampler", {"type": "GP"}), Entry("scheduler", {"type": "FreezeThaw"})),
            "after each report the most promising trial trains on; docs/choosing.md has the others",
        ),
        Entry(
            "fidelity",
            {"resource": "epochs", "min": max(1, draft.epochs // 27), "max": draft.epochs, "eta": 3},
            f"a trial starts with the least and is trained on if it promises more; {given.training} items an epoch",
        ),
        Entry(
            "budget",
            (
                Entry("trials", trials),
                Entry(
                    "parallelism",
                    machine.parallelism,
                    "trials at once, each with its own GPU" if machine.has_gpu else "",
                ),
                Entry("wallClock", "12h"),
            ),
        ),
        Entry("retention", {"bestCheckpoints": 10}, "checkpoints of other ended trials are deleted"),
        Entry("seed", 1),
        Entry("trainer", (Entry(wish.task, fixed), *rest)),
    )


def _heading(wish: Wish, given: Fingerprint) -> str:
    size = " x ".join(map(str, given.size))
    spacing = f" at {' x '.join(f'{s:g}' for s in given.spacing)} mm" if given.spacing else ""
    classes = ", ".join(f"{name} {count}" for name, count in given.classes.items())
    sides = ", ".join(f"{side} {count}" for side, count in given.sides.items())
    lines = [
        f"A first study of the task {wish.task} on {wish.dataset}.",
        f"{given.items} items, median size {size}{spacing}; {classes}.",
        f"Sides: {sides}." if sides else "",
    ]
    if not given.sides.get("test"):
        lines.append(
            "No test side: `hpo data split` draws one, so that the final model can be judged on what no trial saw."
        )
    if given.warnings:
        lines.append(f"`hpo data check` found {len(given.warnings)} problems; mend them first:")
        lines += [f"  {sentence}" for sentence in given.warnings[:SHOWN]]
    return "\n".join(filter(None, lines))


def _split(wish: Wish) -> Block:
    return (Entry("splitFile", wish.split[0]), Entry("splitColumn", wish.split[1])) if wish.split else ()


def _resources(machine: Machine) -> Block:
    if machine.has_gpu:
        return (
            Entry("requests", {"cpu": "4", "memory": "16Gi"}),
            Entry("limits", {"nvidia.com/gpu": "1", "memory": "32Gi"}),
        )
    return (Entry("requests", {"cpu": "1", "memory": "2Gi"}), Entry("limits", {"cpu": "1", "memory": "8Gi"}))
