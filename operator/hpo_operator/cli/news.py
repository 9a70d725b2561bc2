"""What ``hpo run`` prints where there is no terminal for a table, and of trials that failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hpo_operator.api.raw import mapping
from hpo_operator.cli.progress import ENDED
from hpo_operator.local.store import ObjectStore
from hpo_operator.studies.objects import StudyObjects

SECONDS = 10.0
"""Between two lines at least, so that a log of many short trials stays readable."""
TAIL_LINES, TAIL_BYTES = 5, 2000


class News:
    """A line for each change of what was measured, failed or is the best; the study's last state is not among them."""

    def __init__(self) -> None:
        self._told, self._at = "", float("-inf")

    def line(self, found: StudyObjects, now: float) -> str:
        """Empty while there is nothing new. ``now``: seconds of any clock."""
        if now - self._at < SECONDS:
            return ""
        text = _line(found)
        if text == self._told:
            return ""
        self._told, self._at = text, now
        return text


def _line(found: StudyObjects) -> str:
    status = [trial.get("status") or {} for trial in found.trials]
    ended = sum(trial.get("phase") in ENDED for trial in status)
    failed = sum(trial.get("phase") == "Failed" for trial in status)
    measured = sum(len(trial.get("measurements") or ()) for trial in status)
    of = mapping(found.study["spec"].get("budget")).get("trials", len(status))
    best = (found.study.get("status") or {}).get("best")
    parts = [f"{found.name}  {ended}/{of} trials ended", f"{measured} results"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"best {best['value']:.5g} ({best['trial']})"] if best else []
    return "  ".join(parts)


def first_failure(store: ObjectStore, folder: Path) -> Iterator[str]:
    """What the first trial that failed printed last: of a study of many failures it tells the most."""
    failed = [trial for trial in store.all("trials") if (trial.get("status") or {}).get("phase") == "Failed"]
    if not failed:
        return
    first = min(failed, key=lambda trial: int(trial["spec"]["index"]))
    name, status = first["metadata"]["name"], first["status"]
    yield f"failed:  {len(failed)}, the first {name}: {status.get('reason', '')}: {status.get('message', '')}"
    for line in _tail(folder / "processes" / str(status.get("pod")) / "log"):
        yield f"         {line}"


def _tail(log: Path) -> list[str]:
    """Nothing of a Pod that is gone."""
    if not log.is_file():
        return []
    return log.read_bytes()[-TAIL_BYTES:].decode(errors="replace").splitlines()[-TAIL_LINES:]
