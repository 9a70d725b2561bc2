"""``hpo finalize`` of a study of the cluster: one Pod does it, and this follows the Pod.

The Pod's name is the lock. One that is there is followed, whoever created it; what came of it is shown again until it
is deleted, or replaced by ``--again``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer

from hpo_operator.api.study import Study
from hpo_operator.cli.finalize_candidates import final_request, final_study
from hpo_operator.cli.options import INTERRUPTED
from hpo_operator.cli.pod_followed import followed
from hpo_operator.kube.errors import NotFoundError
from hpo_operator.manifests.final import Wanted, asked, final_folder, final_manifest
from hpo_operator.manifests.names import final_name
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.mistakes import Mistake
from hpo_operator.reconcile.pod_facts import ENDED, EXIT_INTERRUPTED, PodFacts, PodState, read_pod
from hpo_operator.studies.cluster import Space, connected
from hpo_operator.studies.objects import StudyObjects, study_objects
from hpo_operator.studies.stored_objects import of_space

Raw = Mapping[str, Any]
GONE_SECONDS = 120
"""A Pod that has ended is gone sooner."""


@dataclass(frozen=True)
class Order:
    """What is asked for. ``namespace`` empty: of kubectl's context. ``image`` empty: see ``trainer_image``."""

    study: str
    namespace: str
    candidates: int
    mirrored: bool
    wanted: Wanted
    again: bool
    image: str


def finalized(order: Order) -> int:
    """The exit code of the trainer, after telling where the model lies. Raises Mistake."""
    try:
        return asyncio.run(_finalized(order))
    except KeyboardInterrupt:
        typer.echo("the Pod goes on; the same command follows it again", err=True)
        raise typer.Exit(INTERRUPTED) from None


async def _finalized(order: Order) -> int:
    async with connected(order.namespace, order.study) as space:
        found = study_objects(await of_space(space, order.study))
        for note in found.notes:
            typer.echo(f"warning: {note}", err=True)
        study = cluster_study(found)
        pod = await _pod(space, found, study, order)
        facts = await followed(space, pod)
    return _told(study, facts)


def cluster_study(found: StudyObjects) -> Study:
    """A study whose checkpoints lie on a volume, all of whose trials have ended. Raises Mistake."""
    study = final_study(found)
    where = f"{study.namespace}/{study.name}"
    if study.spec.trainer.checkpoints is None:
        raise Mistake(
            f"{where}: spec.trainer.checkpoints names no volume: the trained networks lay in the trials' Pods and "
            "ended with them. Run the study again with a volume for its checkpoints"
        )
    status = found.study.get("status") or {}
    if "completionTime" not in status:
        raise Mistake(
            f"{where}: the study has not ended ({status.get('phase', 'Pending')}, {status.get('progress') or 'no'} "
            "trials): with more of them another model may be chosen, and the test images should be looked at once. "
            f"Wait: hpo watch {study.name} --cluster -n {study.namespace}; or end it: hpo scale {study.name} --trials N"
        )
    return study


async def trainer_image(space: Space, found: StudyObjects, study: Study, given: str) -> str:
    """``given``, else the study's own, else that of a Pod of the study, which alone tells what the operator was
    installed with: of its final model, of its best trial, of any. Raises Mistake."""
    if given or study.spec.trainer.image:
        return given or str(study.spec.trainer.image)
    best = ((found.study.get("status") or {}).get("best") or {}).get("trial")
    named = {t["metadata"]["name"]: (t.get("status") or {}).get("pod") for t in found.trials}
    for pod in filter(None, dict.fromkeys([final_name(study.name), named.get(best), *named.values()])):
        try:
            return str((await space.pod(str(pod)))["spec"]["containers"][0]["image"])
        except NotFoundError:
            continue
    raise Mistake(
        f"{space.namespace}/{study.name}: none of its trials' Pods is left, which would tell the trainer's image; name "
        "it: --image IMAGE"
    )


async def _pod(space: Space, found: StudyObjects, study: Study, order: Order) -> Raw:
    """The Pod that is there, or a new one. Raises Mistake: it was told something else, or there can be none."""
    request = final_request(found, study, order.candidates, order.mirrored, checkpoint=str)
    there = await _existing(space, study)
    if there is not None and not order.again:
        if asked(there) != asked(final_manifest(study, request, order.wanted, PodSettings(""))):
            raise Mistake(
                f"{space.namespace}/{final_name(study.name)}: the Pod was told other options, or the study has other "
                "candidates now; --again does it anew with these"
            )
        return there
    image = await trainer_image(space, found, study, order.image)
    if there is not None:
        await _deleted(space, there)
    made = await space.create_pod(final_manifest(study, request, order.wanted, PodSettings(image)))
    typer.echo(f"Pod {space.namespace}/{final_name(study.name)} created", err=True)
    return made


async def _existing(space: Space, study: Study) -> Raw | None:
    """Raises Mistake: it is another study's."""
    try:
        pod = await space.pod(final_name(study.name))
    except NotFoundError:
        return None
    if study.uid not in {owner.get("uid") for owner in pod["metadata"].get("ownerReferences") or []}:
        raise Mistake(
            f"{space.namespace}/{final_name(study.name)}: the Pod is not this study's, perhaps of an earlier one of "
            "its name; delete it with kubectl"
        )
    return pod


async def _deleted(space: Space, pod: Raw) -> None:
    """Once it is gone. Raises Mistake: it has not ended, or stays."""
    name = pod["metadata"]["name"]
    if read_pod(pod).state not in ENDED:
        raise Mistake(
            f"{space.namespace}/{name}: the Pod has not ended; follow it without --again, or delete it with kubectl"
        )
    await space.delete_pod(pod)
    for _ in range(GONE_SECONDS):
        try:
            if (await space.pod(name))["metadata"]["uid"] != pod["metadata"]["uid"]:
                return
        except NotFoundError:
            return
        await asyncio.sleep(1)
    raise Mistake(f"{space.namespace}/{name}: the Pod is still there {GONE_SECONDS} s after its deletion")


def _told(study: Study, facts: PodFacts) -> int:
    """The exit code. An error that the trainer has printed stands in the log, which has been shown."""
    command, volume = f"hpo finalize {study.name} -n {study.namespace}", study.spec.trainer.checkpoints
    assert volume is not None  # checked before
    if facts.state is PodState.SUCCEEDED:
        typer.echo(
            f"written to the claim {volume.claim_name}, folder {final_folder(study.uid, volume)}: read model_card.md\n"
            f"bring it here: {command} --fetch final"
        )
        return 0
    last = facts.message or next(reversed(facts.final_message.strip().splitlines()), "")
    typer.echo(
        f"{study.namespace}/{facts.name}: {facts.reason}"
        + (f": {last}" if last else "")
        + f"; anew: {command} --again",
        err=True,
    )
    if facts.state is PodState.INTERRUPTED:
        return EXIT_INTERRUPTED
    return facts.exit_code or 1
