"""A study as it is from moment to moment: by the watches of the cluster, or by the files that ``hpo run`` writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpo_operator.manifests.names import STUDY_LABEL
from hpo_operator.mistakes import Mistake
from hpo_operator.studies.cluster import connected
from hpo_operator.studies.objects import StudyObjects, study_objects
from hpo_operator.studies.stored_objects import RawObjects, Source, belongs, of_folder, study_folder

if TYPE_CHECKING:
    from hpo_operator.kube.follow import Follower

LOOK_SECONDS = 0.5
"""Between two looks at the files' times."""


def changes(source: Source, target: str) -> AsyncGenerator[StudyObjects]:
    """The study that ``target`` means to the source, at once and after each change, for ever.

    Raises:
        Mistake: there is none, it is gone now, or it cannot be read.
    """
    if source.cluster:
        return _of_cluster(source.namespace, target)
    return _of_folder(study_folder(target, source.state))


async def _of_folder(folder: Path) -> AsyncGenerator[StudyObjects]:
    """Another process replaces whole files there, and removes them with ``hpo run --fresh``."""
    seen: dict[Path, int] = {}
    while True:
        times = _times(folder)
        if times == seen:
            await asyncio.sleep(LOOK_SECONDS)
            continue
        seen = times
        yield study_objects(of_folder(folder))


def _times(folder: Path) -> dict[Path, int]:
    times = {}
    for kind in ("study", "trials"):
        for path in folder.glob(f"{kind}/*.json"):
            with suppress(FileNotFoundError):
                times[path] = path.stat().st_mtime_ns
    return times


async def _of_cluster(namespace: str, name: str) -> AsyncGenerator[StudyObjects]:
    # Imported here, since the client takes a quarter of a second, which commands that stay here do not pay.
    from hpo_operator.kube.follow import Follower

    async with connected(namespace, name) as space:
        await space.study(name)  # what is wrong at first is a sentence, not a retry
        news = asyncio.Event()
        study = Follower(space.server, space.studies(), {"fieldSelector": f"metadata.name={name}"}, news.set)
        trials = Follower(space.server, space.trials(), {"labelSelector": f"{STUDY_LABEL}={name}"}, news.set)
        tasks = [asyncio.create_task(follower.run()) for follower in (study, trials)]
        try:
            while True:
                await _event_or_failure(news, tasks)
                news.clear()
                if study.listed and trials.listed:
                    yield _seen(f"{space.namespace}/{name}", name, study, trials)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _event_or_failure(news: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Returns on news; raises what one of ``tasks``, which never end well, ended by."""
    waiting = asyncio.create_task(news.wait())
    try:
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    for task in tasks:
        if task.done():
            task.result()


def _seen(where: str, name: str, study: Follower, trials: Follower) -> StudyObjects:
    """Raises Mistake: it was deleted, or cannot be read."""
    if name not in study.objects:
        raise Mistake(f"{where}: the study was deleted")
    raw = study.objects[name]
    found = study_objects(RawObjects(where, raw, [trial for trial in trials.objects.values() if belongs(trial, raw)]))
    trouble = study.trouble or trials.trouble
    return replace(found, notes=(*found.notes, f"not up to date: {trouble}")) if trouble else found
