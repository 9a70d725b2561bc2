"""A Pod of the cluster from its creation to its end, on the terminal: why it waits, then what it prints."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import typer

from hpo_operator.kube.errors import NotFoundError, RefusedError, TemporaryError
from hpo_operator.mistakes import Mistake
from hpo_operator.reconcile.pod_facts import ENDED, PodFacts, PodState, read_pod
from hpo_operator.studies.cluster import Space

Raw = Mapping[str, Any]
LOOK_SECONDS, RETRY_SECONDS = 1.0, 5.0
LOG_TRIES = 3
"""For the log of a Pod that has ended: its node may be gone for good."""
WAITING = 400
"""HTTP status of the log of a container that has not started."""


async def followed(space: Space, pod: Raw) -> PodFacts:
    """How it ended. An API server that does not answer is asked again, for ever: the Pod goes on without it.

    Raises:
        Mistake: it was deleted.
    """
    where, told, log = f"{space.namespace}/{pod['metadata']['name']}", "", _Log(space, pod)
    while True:
        said, pause = "", LOOK_SECONDS
        try:
            facts = read_pod(await _same(space, pod))
            if facts.state is PodState.WAITING:
                said = f"{where} waits: {facts.reason}: {facts.message}"
            else:
                await log.print_on(facts.state in ENDED)
            if facts.state in ENDED:
                return facts
        except TemporaryError as error:
            said, pause = f"{where}: no answer, asking again: {error}", RETRY_SECONDS
        if said and said != told:
            typer.echo(said, err=True)
            told = said
        await asyncio.sleep(pause)


async def _same(space: Space, pod: Raw) -> Raw:
    """As it is now. Raises Mistake."""
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    try:
        now = await space.pod(name)
    except NotFoundError:
        now = None
    if now is None or now["metadata"]["uid"] != uid:
        raise Mistake(f"{space.namespace}/{name}: the Pod was deleted before it had ended")
    return now


class _Log:
    """What the Pod has printed, each byte once."""

    def __init__(self, space: Space, pod: Raw) -> None:
        self._space, self._printed, self._tries = space, 0, LOG_TRIES
        container = pod["spec"]["containers"][0]["name"]
        self._path = f"{space.pods(pod['metadata']['name'])}/log"
        self._query = {"container": container, "follow": "true"}

    async def print_on(self, ended: bool) -> None:
        """Until the container has ended; not at all where it cannot be read, which is said once.

        Raises TemporaryError: the connection has ended.
        """
        if not self._tries:
            return
        try:
            await self._print()
        except NotFoundError:  # of a Pod that never came to a node
            return
        except TemporaryError as error:
            self._tries -= ended
            if self._tries:
                raise
            typer.echo(f"its log cannot be read: {error}", err=True)
        except RefusedError as error:
            if error.status != WAITING:
                self._tries = 0
                typer.echo(f"its log cannot be read: {error}", err=True)

    async def _print(self) -> None:
        passed = 0
        async for piece in self._space.server.stream(self._path, self._query, None):
            new = piece[max(0, self._printed - passed) :]
            passed += len(piece)
            self._printed += len(new)
            sys.stdout.buffer.write(new)
            sys.stdout.buffer.flush()
