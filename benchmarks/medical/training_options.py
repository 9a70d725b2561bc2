"""``python -m medical.training_options``: what each option of the segmentation's training is worth, one at a time.

On the demo's brain MRI, whose middle slab validates, after a short and a long training, over several seeds. The plain
training is that of the defaults with augmentation; each other row changes what its name says, and nothing else.
"""

from __future__ import annotations

from statistics import mean
from typing import Any

from hpo_trainer import checkpoint, demo_data
from medical import report
from medical.data import VOLUME
from medical.runs import Run, run_trial

SEEDS = range(3)
SHORT, LONG = 12, 36
PLAIN: dict[str, Any] = {
    "dataset": demo_data.FILE,
    "fold": 2,
    "depth": 3,
    "channels": 8,
    "learningRate": 0.01,
    "augmentation": True,
    "validationInterval": SHORT,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no augmentation": {"augmentation": False},
    "weight averaging 0.95": {"weightAveraging": 0.95},
    "weight averaging 0.99": {"weightAveraging": 0.99},
    "decay to epoch 36": {"scheduleEpochs": LONG},
    "decay and averaging 0.95": {"scheduleEpochs": LONG, "weightAveraging": 0.95},
    "warm-up of 3 epochs": {"warmupEpochs": 3},
    "clipping at 1": {"gradientClipping": 1.0},
    "SGD, Nesterov 0.99, rate 0.01": {"optimizer": "SGD", "momentum": 0.99},
    "elastic 0.2": {"elastic": 0.2},
    "full resolution": {"fullResolution": True},
    "bfloat16": {"precision": "BFloat16"},
}


def dice(run: Run, epoch: int) -> float:
    """After ``epoch``, which was validated; a checkpoint keeps the metrics of each."""
    history = checkpoint.decode(run.folder / checkpoint.CURRENT)["history"]
    return float(history[epoch]["dice"])


def main() -> None:
    if not (VOLUME / demo_data.FILE).exists():
        demo_data.main([str(VOLUME)])
    rows, raw = [], {}
    for name, changes in OPTIONS.items():
        runs = [run_trial("segmentation", PLAIN | changes, seed=seed, epochs=LONG) for seed in SEEDS]
        early, late = ([dice(run, epoch) for run in runs] for epoch in (SHORT, LONG))
        raw[name] = {"changes": changes, SHORT: early, LONG: late, "cpu_seconds": [run.cpu_seconds for run in runs]}
        seconds = f"{mean(run.cpu_seconds for run in runs):.1f}"
        rows.append([name, report.spread(early), report.spread(late), seconds])
        print(rows[-1], flush=True)
    headings = ["", f"Dice after {SHORT} epochs", f"after {LONG}", "processor seconds"]
    text = (
        f"Mean and standard deviation over {len(SEEDS)} seeds. Plain: a U-Net of three levels and 8 channels, Adam at "
        "rate 0.01, Dice and cross-entropy, augmentation with its defaults. The seconds are those of the whole trial. "
        "No option was tuned."
    )
    report.write("training_options", "What each option of training is worth", [report.table(headings, rows), text], raw)


if __name__ == "__main__":
    main()
