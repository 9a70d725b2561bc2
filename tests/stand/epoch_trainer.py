"""A trial in epochs, with a checkpoint after each: ``python -m stand.epoch_trainer SECONDS X``.

Its folder has a diary, ``epochs``, that outlives every attempt: ``begin 3``, ``end 3``. An epoch's end is noted once
its checkpoint is on the disk.
"""

from __future__ import annotations

import sys
import time

from hpo_trainer.report import checkpoint_dir, report, resource


def main(seconds: float, x: float) -> int:
    folder = checkpoint_dir()
    checkpoint, draft = folder / "epoch", folder / "epoch.new"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    epochs = resource() or 1
    with (folder / "epochs").open("a", buffering=1) as diary:
        for epoch in range(done + 1, epochs + 1):
            diary.write(f"begin {epoch}\n")
            time.sleep(seconds)
            draft.write_text(str(epoch))
            draft.replace(checkpoint)
            diary.write(f"end {epoch}\n")
    report({"loss": (x - 0.7) ** 2}, resource=epochs)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:3])))
