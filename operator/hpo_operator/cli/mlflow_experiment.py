"""A study as an MLflow experiment, a run for each trial. Needs the package mlflow, which nothing else here does."""

from __future__ import annotations

from datetime import datetime

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from hpo_operator.cli.run_histories import RunHistory, run_histories
from hpo_operator.mistakes import Mistake
from hpo_operator.report.stored_study import StoredStudy

STATUS = {"Succeeded": "FINISHED", "Stopped": "KILLED", "Failed": "FAILED"}


def store(stored: StoredStudy, uri: str) -> int:
    """How many runs were written: all trials that ended. ``uri``: of the tracking server or a database.

    Raises:
        Mistake: it cannot be reached, or has an experiment of this name.
    """
    histories = run_histories(stored)
    try:
        client = MlflowClient(tracking_uri=uri)
        if client.get_experiment_by_name(stored.name) is not None:
            raise Mistake(f"{uri}: has an experiment {stored.name} already; choose another place with --out")
        experiment = client.create_experiment(stored.name)
        for history in histories:
            _write(client, experiment, history)
    except MlflowException as error:
        raise Mistake(f"{uri}: {' '.join(str(error).split())}") from None
    return len(histories)


def _write(client: MlflowClient, experiment: str, history: RunHistory) -> None:
    run = client.create_run(experiment, start_time=_milliseconds(history.began), run_name=history.name)
    at = _milliseconds(history.ended)
    metrics = [Metric(name, value, at, step) for step, values in history.steps() for name, value in values.items()]
    params = [Param(name, str(value)) for name, value in history.parameters.items()]
    tags = [RunTag(f"hpo.{name}", value) for name, value in history.tags.items()]
    client.log_batch(run.info.run_id, metrics, params, tags)
    client.set_terminated(run.info.run_id, STATUS[history.phase], at)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
