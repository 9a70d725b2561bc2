"""What a trial is told through its environment variables, as typed values; docs/trainer-contract.md is the source.

Pure: takes the variables as a mapping, and touches no file. ``__main__`` alone hands in ``os.environ``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_trainer.config import TaskConfig, did_you_mean, parse
from hpo_trainer.failures import BadConfig

SEED_LIMIT = 2**31


@dataclass(frozen=True)
class Settings:
    """One run of a trial. ``config.epochs`` is the cumulative number of epochs to reach.

    ``processes``: that train together; None: one for each GPU that is visible, or one.
    """

    task: str
    config: TaskConfig
    seed: int
    data_dir: Path
    checkpoint_dir: Path | None
    objective: str | None
    trial: str | None
    metrics_address: tuple[str, int] | None
    threads: int | None
    processes: int | None = None


def parse_settings(environment: Mapping[str, str]) -> Settings:
    """Raises BadConfig, whose path starts with the variable's name."""
    if "HPO_TASK" not in environment:
        raise BadConfig("HPO_TASK", "expected the name of a task, found none; is this a Pod of a study's trial?")
    task = environment["HPO_TASK"]
    config = parse(
        task, _object(environment, "HPO_CONFIG"), _object(environment, "HPO_PARAMETERS"), _epochs(environment)
    )
    if not environment.get("HPO_DATA_DIR"):
        raise BadConfig("HPO_DATA_DIR", "expected the folder of the data volume, found none")
    return Settings(
        task=task,
        config=config,
        seed=_integer(environment, "HPO_SEED", 0, SEED_LIMIT - 1) or 0,
        data_dir=Path(environment["HPO_DATA_DIR"]),
        checkpoint_dir=Path(environment["HPO_CHECKPOINT_DIR"]) if environment.get("HPO_CHECKPOINT_DIR") else None,
        objective=environment.get("HPO_OBJECTIVE"),
        trial=environment.get("HPO_TRIAL"),
        metrics_address=_address(environment),
        threads=_integer(environment, "HPO_THREADS", 1, 4096) or _integer(environment, "OMP_NUM_THREADS", 1, 4096),
        processes=_integer(environment, "HPO_PROCESSES", 1, 64),
    )


def check_objective(objective: str | None, reported: tuple[str, ...]) -> None:
    """Refuse, before training, an objective that the task will never report. Raises BadConfig."""
    if objective is not None and objective not in reported:
        hint = did_you_mean(objective, reported)
        raise BadConfig("HPO_OBJECTIVE", f"expected one of {', '.join(reported)}, found {objective!r}{hint}")


def _object(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    def refuse(token: str) -> None:
        raise ValueError(f"{token} is no number in JSON")

    text = environment.get(name) or "{}"
    try:
        value = json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise BadConfig(name, f"expected a JSON object, found {text[:80]!r}: {error}") from None
    if not isinstance(value, dict):
        raise BadConfig(name, f"expected a JSON object, found {text[:80]!r}")
    return value


def _integer(environment: Mapping[str, str], name: str, minimum: int, maximum: int) -> int | None:
    """None for a variable that is absent or empty."""
    text = environment.get(name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not minimum <= int(text) <= maximum:
        raise BadConfig(name, f"expected an integer from {minimum} to {maximum}, found {text!r}")
    return int(text)


def _epochs(environment: Mapping[str, str]) -> int | None:
    name = environment.get("HPO_RESOURCE_NAME")
    if not name:
        return None
    if name != "epochs":
        raise BadConfig(
            "HPO_RESOURCE_NAME", f"expected epochs, the only resource of the built-in tasks, found {name!r}"
        )
    epochs = _integer(environment, "HPO_RESOURCE", 1, 100_000)
    if epochs is None:
        raise BadConfig("HPO_RESOURCE", "expected the number of epochs to train to, found none")
    return epochs


def _address(environment: Mapping[str, str]) -> tuple[str, int] | None:
    host, port = environment.get("HPO_METRICS_HOST"), _integer(environment, "HPO_METRICS_PORT", 0, 65_535)
    return (host, port) if host and port is not None else None
