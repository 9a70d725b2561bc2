"""How often the /metrics pages of training Pods are read, whoever's they are."""

from __future__ import annotations

from hpo_operator.kube.cluster import StudyKey

PAGES_PER_SECOND = 50.0
"""Of all studies. Reading a page takes the operator 2 ms of processor time."""


class SamplePace:
    """Every page once in ``seconds``; with many Pods less often. Shared by the workers of all studies."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._training: dict[StudyKey, int] = {}

    def note(self, key: StudyKey, pods: int) -> None:
        """So many Pods of the study train now."""
        if pods:
            self._training[key] = pods
        else:
            self._training.pop(key, None)

    @property
    def seconds(self) -> float:
        """Between two samples of the same Pod."""
        return max(self._seconds, sum(self._training.values()) / PAGES_PER_SECOND)
