"""What ``decide`` sees: the objects of one study as the API server holds them, and what its running Pods expose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpo_operator.reconcile.queries import Answer

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Sample:
    """The objective on a Pod's /metrics page, and the fidelity it belongs to (0 if the page does not tell).

    ``curve``: (fidelity, objective) of what the run reported before, ascending, as far as the page shows it.
    """

    value: float
    resource: int = 0
    curve: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """One study, its trials, its Pods; by a Pod's name, its latest sample, why it was refused at creation, and what a
    Prometheus server said of it.

    ``departed``: Pods that are gone, as they were last seen, of trials whose status does not tell of it yet.
    ``strays``: trials with the study's label that it does not own.
    """

    study: Raw
    trials: tuple[Raw, ...] = ()
    pods: tuple[Raw, ...] = ()
    samples: Mapping[str, Sample] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    departed: tuple[Raw, ...] = ()
    strays: tuple[Raw, ...] = ()
