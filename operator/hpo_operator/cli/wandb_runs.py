"""A study as offline runs of Weights & Biases, for ``wandb sync``. Needs the package wandb, which nothing else does."""

from __future__ import annotations

from pathlib import Path

import wandb

from hpo_operator.cli.run_histories import RunHistory, run_histories
from hpo_operator.mistakes import Mistake
from hpo_operator.report.stored_study import StoredStudy


def store(stored: StoredStudy, folder: Path) -> int:
    """How many runs were written below ``folder``/wandb: all trials that ended. Nothing is sent anywhere.

    Raises:
        Mistake: the folder cannot be written.
    """
    histories = run_histories(stored)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for history in histories:
            _write(stored.name, history, folder)
    except (OSError, wandb.Error) as error:
        raise Mistake(f"{folder}: {' '.join(str(error).split())}") from None
    return len(histories)


def _write(project: str, history: RunHistory, folder: Path) -> None:
    quiet = wandb.Settings(mode="offline", silent=True, console="off", x_disable_stats=True, x_disable_meta=True)
    run = wandb.init(
        project=project,
        name=history.name,
        group=project,
        tags=[history.phase],
        config={**history.parameters, "hpo": dict(history.tags)},
        dir=folder,
        reinit="finish_previous",
        settings=quiet,
    )
    for step, metrics in history.steps():
        run.log(metrics, step=step)
    run.finish(exit_code=1 if history.phase == "Failed" else 0)
