"""A trial in a tenth of a second: ``python -m stand.toy_trainer MODE X``, by the contract of docs/trainer-contract.md.

Modes: report (a final message), metrics (only /metrics, no message), scraped (the same for long enough that a
Prometheus server finds it), nan, silent, crash, oom,
slow and slower (report after 1 and 5 seconds), wait (for ever the first
time, report the second), epochs (one after the other, each noted in the checkpoint folder, from where it goes on).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from hpo_trainer.report import checkpoint_dir, parameters, report, report_failure, resource

EPOCH_SECONDS = 0.02


def loss(reached: int | None = None) -> float:
    p = parameters({"x": 0.5, "kind": "a"})
    amount = reached or resource() or 1
    return (float(p["x"]) - 0.7) ** 2 + (0.1 if p["kind"] == "b" else 0.0) + 1.0 / amount


def main(mode: str, x: str) -> int:
    assert abs(float(x) - float(parameters({"x": 0.0})["x"])) < 1e-12, "$(HPO_PARAM_x) and HPO_PARAMETERS differ"
    if mode in ("metrics", "scraped"):
        report({"loss": loss()}, resource=resource())
        time.sleep(1.5 if mode == "metrics" else 12.0)  # long enough to be read, as a real trial is
        forget_final_message()
    elif mode == "wait" and is_first_run():
        signal.pause()
    elif mode == "epochs":
        train_epochs()
    elif mode == "nan":
        report({"loss": float("nan")})
    elif mode == "crash":
        raise RuntimeError("the trainer has a bug")
    elif mode == "oom":
        return report_failure("OutOfMemory", "CUDA out of memory at batch size 64")
    elif mode != "silent":
        time.sleep({"slow": 1.0, "slower": 5.0}.get(mode, 0.0))
        report({"loss": loss()}, resource=resource())
    return 0


def train_epochs() -> None:
    """One line for each epoch that was trained: what is done already is not done again."""
    done = checkpoint_dir() / "epochs"
    begun = len(done.read_text().splitlines()) if done.exists() else 0
    for epoch in range(begun + 1, (resource() or 1) + 1):
        time.sleep(EPOCH_SECONDS)
        with done.open("a") as lines:
            lines.write(f"{epoch} {loss(epoch)!r}\n")
    report({"loss": loss()}, resource=resource())


def is_first_run() -> bool:
    """Whether no earlier attempt has left its mark among the checkpoints."""
    mark = checkpoint_dir() / "started"
    first = not mark.exists()
    mark.touch()
    return first


def forget_final_message() -> None:
    """As a container that knows nothing of the final message."""
    Path(os.environ["HPO_TERMINATION_LOG"]).write_text("")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
