"""The workers of all studies, each begun with the first event of its study."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hpo_operator.kube.cluster import StudyKey
from hpo_operator.kube.worker import StudyWorker

log = logging.getLogger(__name__)


class StudyWorkers:
    """The workers of all studies. ``wake`` starts one where there is none, until ``stop``. ``ended``: told of ends."""

    def __init__(
        self, make: Callable[[StudyKey], StudyWorker], ended: Callable[[StudyKey], None] = lambda key: None
    ) -> None:
        self._make, self._ended = make, ended
        self._workers: dict[StudyKey, StudyWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def wake(self, key: StudyKey) -> None:
        """Look at this study soon."""
        if self._stopped:
            return
        worker = self._workers.get(key)
        if worker is not None:
            worker.wake()
            return
        worker = self._workers[key] = self._make(key)
        task = asyncio.get_running_loop().create_task(self._serve(worker), name=f"study {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, worker: StudyWorker) -> None:
        try:
            await worker.run()
        except Exception:
            log.exception("study %s: unexpected error; it is looked at again with its next event", worker.key)
        finally:
            del self._workers[worker.key]
            self._ended(worker.key)
        if worker.is_woken:  # an event came while it ended
            self.wake(worker.key)

    def is_serving(self, key: StudyKey) -> bool:
        """Whether there may be something left to do for this study."""
        return key in self._workers

    async def stop(self) -> None:
        """Cancel all; what was not performed is decided again by the next process. Later events wake nobody."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
