"""Who may write what no trial waits for. When the API server is short, people wait for news, and Pods do not."""

from __future__ import annotations

from collections.abc import Callable

from hpo_operator.kube.cluster import StudyKey

PLACES = 2


class Turns:
    """``PLACES`` studies at a time, in the order in which they asked. Shared by the workers of all studies."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._having: set[StudyKey] = set()
        self._waiting: dict[StudyKey, Callable[[], None]] = {}

    def ask(self, key: StudyKey, wake: Callable[[], None]) -> bool:
        """Whether it is the study's turn, until ``release``; else ``wake`` is called when it is."""
        if key not in self._having and len(self._having) >= self._places:
            self._waiting.setdefault(key, wake)
            return False
        self._having.add(key)
        return True

    def release(self, key: StudyKey) -> None:
        """The study's turn is over, if it had one; the next comes."""
        self._having.discard(key)
        while self._waiting and len(self._having) < self._places:
            following = next(iter(self._waiting))
            self._having.add(following)
            self._waiting.pop(following)()

    def leave(self, key: StudyKey) -> None:
        """The study neither has a turn nor waits for one."""
        self._waiting.pop(key, None)
        self.release(key)
