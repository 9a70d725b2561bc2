"""Who may take a Lease, and when: judged by one's own clock since the record last changed."""

from __future__ import annotations

from typing import Any

import pytest

from hpo_operator.kube.lease import DURATION_SECONDS, Sighting, is_free, sight


def lease(holder: str | None, renewed: str = "2026-03-01T12:00:00.000000Z") -> dict[str, Any]:
    return {"spec": {"holderIdentity": holder, "renewTime": renewed}}


@pytest.mark.parametrize(
    ("holder", "silent_for", "free"),
    [
        ("", 0, True),
        ("me", 0, True),
        ("me", 1000, True),
        ("other", 0, False),
        ("other", DURATION_SECONDS, False),
        ("other", DURATION_SECONDS + 0.1, True),
    ],
)
def test_who_may_take_it(holder: str, silent_for: float, free: bool) -> None:
    assert is_free(Sighting(holder, "then", at=100.0), "me", 100.0 + silent_for) is free


def test_time_counts_from_the_last_change_that_was_seen() -> None:
    first = sight(lease("other"), None, 5.0)
    assert sight(lease("other"), first, 19.0) is first
    renewed = sight(lease("other", "2026-03-01T12:00:10.000000Z"), first, 19.0)
    assert renewed.at == 19.0
    assert sight(lease("third", "2026-03-01T12:00:10.000000Z"), renewed, 20.0).at == 20.0


@pytest.mark.parametrize("empty", [{}, {"spec": None}, lease(None)])
def test_a_lease_that_nobody_holds(empty: dict[str, Any]) -> None:
    assert is_free(sight(empty, None, 1.0), "me", 1.0)
