"""Raw results: one JSON line per run, one file per method. A line is written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results" / "search"


@dataclass(frozen=True, order=True)
class Key:
    """What a run is of."""

    problem: str
    workers: int
    seed: int


@dataclass(frozen=True)
class Run:
    """One run. ``steps``: see ``cluster.Outcome``; ``error``: what the method died of, where it did."""

    method: str
    version: str
    problem: str
    workers: int
    seed: int
    budget: float
    steps: list[tuple[float, float, float]]
    trials: int
    jobs: int
    units: int
    busy: float
    seconds: float
    cpu: float
    total: float = 0.0
    error: str | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return Key(self.problem, self.workers, self.seed)


class Store:
    """The files of one folder, ``<method>.jsonl``."""

    def __init__(self, folder: Path = RESULTS / "raw") -> None:
        self.folder = folder

    def path(self, method: str) -> Path:
        return self.folder / f"{method}.jsonl"

    def methods(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.jsonl"))

    def load(self, method: str) -> dict[Key, Run]:
        """By what each run is of; the last line counts. A line cut short by a kill is no run."""
        runs: dict[Key, Run] = {}
        if self.path(method).exists():
            for line in self.path(method).read_text().splitlines():
                try:
                    run = Run(**json.loads(line))
                except json.JSONDecodeError:
                    continue
                runs[run.key] = run
        return runs

    def append(self, run: Run) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path(run.method).open("a") as file:
            file.write(_line(run))

    def forget(self, method: str, keys: Collection[Key]) -> None:
        """Drops these runs, so that they are due again."""
        kept = [run for key, run in self.load(method).items() if key not in keys]
        if self.path(method).exists():
            self._replace(method, kept)

    def tidy(self, method: str) -> None:
        """One line per run, in the order of the keys, so that a file depends on its runs alone."""
        self._replace(method, [run for _, run in sorted(self.load(method).items())])

    def _replace(self, method: str, runs: Iterable[Run]) -> None:
        new = self.path(method).with_suffix(".new")
        new.write_text("".join(map(_line, runs)))
        new.replace(self.path(method))


def _line(run: Run) -> str:
    return json.dumps(asdict(run), separators=(",", ":")) + "\n"
