"""Evidence for reports, from the small stored study of the tests of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.small_study import STUDY, stored
from hpo_operator.report.evidence import Evidence, FinalModel
from hpo_operator.report.stored_study import understood

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def evidence(folder: Path, study: Mapping[str, Any] = STUDY, final: FinalModel | None = None) -> Evidence:
    store = stored(folder, dict(study))
    raw = store.all("study")[0]
    return Evidence(understood(raw, store.all("trials"), NOW), raw, "1.2.3", ("trainer@sha256:12",), final)
