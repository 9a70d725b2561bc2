"""Small data sets made on the spot, and trials run as the operator runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from hpo_trainer.__main__ import main
from hpo_trainer.config import SegmentationConfig

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINER = REPOSITORY / "trainer-image"

SMALL_NETWORK: dict[str, Any] = {
    "imageSize": 16, "blocks": 2, "filters": 8, "denseUnits": [16], "learningRate": 0.01, "batchSize": 4,
}  # fmt: skip
SMALL_U_NET: dict[str, Any] = {"depth": 2, "channels": 4, "batchSize": 4, "learningRate": 0.01}


def source_config(dimensions: str = "2D", **changes: Any) -> SegmentationConfig:
    """A U-Net of three levels, small."""
    return SegmentationConfig(dimensions=dimensions, depth=3, channels=4, **changes)


def image_folder(root: Path, *, classes: int = 3, count: int = 12, size: int = 16) -> Path:
    """PNG files of stripes whose direction is the class's, with noise: easy, but not at once."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    for label in range(classes):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        angle = np.pi * label / classes
        for i in range(count):
            wave = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) * 1.2 + rng.uniform(0, 6))
            pixels = 128 + 60 * wave + rng.normal(0, 30, wave.shape)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i:03}.png")
    return root


def discs(count: int, size: tuple[int, int] = (20, 24)) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Bright discs (label 1) with a brighter core (label 2) on noise: images (N, H, W) float32, masks uint8."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[: size[0], : size[1]]
    centres = rng.uniform([7, 7], [size[0] - 7, size[1] - 7], (count, 2))[:, :, None, None]
    distance = np.hypot(rows - centres[:, 0], columns - centres[:, 1])
    masks = ((distance < 6).astype(np.uint8) + (distance < 3)).astype(np.uint8)
    images = masks * 0.4 + rng.normal(0, 0.15, masks.shape)
    return images.astype(np.float32), masks


def segmentation_archive(path: Path, *, groups: int = 4, per_group: int = 4) -> Path:
    images, masks = discs(groups * per_group)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=images, masks=masks, groups=np.repeat(np.arange(groups), per_group))
    return path


def decathlon_folder(root: Path, *, cases: int = 4, spacing: float = 0.0) -> Path:
    """NIfTI volumes of different depths, each a stack of one disc. ``spacing``: by how much theirs differ, in mm."""
    images, masks = discs(cases)
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    training = []
    for i in range(cases):
        depth = 6 + i
        pair = {"image": f"./imagesTr/case_{i}.nii.gz", "label": f"./labelsTr/case_{i}.nii.gz"}
        affine = np.diag([1 + spacing * i, 1 + spacing * (i % 2), 1 + spacing * (i % 3), 1.0])
        save_volume(root / pair["image"], np.repeat(images[i][:, :, None], depth, axis=2), affine)
        save_volume(root / pair["label"], np.repeat(masks[i][:, :, None], depth, axis=2), affine)
        training.append(pair)
    labels = {"0": "background", "1": "rim", "2": "inner core"}
    document = {"modality": {"0": "MRI"}, "labels": labels, "training": training, "test": ["./imagesTs/absent.nii.gz"]}
    (root / "dataset.json").write_text(json.dumps(document))
    return root


def save_volume(path: Path, voxels: np.ndarray[Any, Any], affine: np.ndarray[Any, Any] | None = None) -> None:
    image: Any = nibabel.Nifti1Image
    nibabel.save(image(voxels, np.eye(4) if affine is None else affine), path)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: exit code, and the message as the operator would read it."""

    code: int
    message: dict[str, Any]

    @property
    def metrics(self) -> dict[str, float]:
        values: dict[str, float] = self.message["metrics"]
        return values


class TrialRunner:
    """Runs of one trial on one data set, with a checkpoint folder of its own."""

    def __init__(self, folder: Path, data: Path, task: str, config: Mapping[str, Any]) -> None:
        self.folder, self.checkpoints, self.log = folder, folder / "checkpoints", folder / "termination-log"
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "HPO_TASK": task,
            "HPO_CONFIG": json.dumps(config),
            "HPO_DATA_DIR": str(data),
            "HPO_CHECKPOINT_DIR": str(self.checkpoints),
            "HPO_TERMINATION_LOG": str(self.log),
            "HPO_RESOURCE_NAME": "epochs",
            "HPO_SEED": "7",
            "HPO_THREADS": "1",
        }

    def run(self, epochs: int, parameters: Mapping[str, Any] | None = None, **variables: str) -> Outcome:
        """In this process."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            code = main(self._environment(epochs, parameters, variables))
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self.outcome(code)

    def start(
        self, epochs: int, parameters: Mapping[str, Any] | None = None, **variables: str
    ) -> subprocess.Popen[str]:
        """As a process of its own, whose standard error can be read line by line."""
        environment = self._environment(epochs, parameters, variables)
        environment |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(TRAINER)}
        command = [sys.executable, "-m", "hpo_trainer"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def outcome(self, code: int) -> Outcome:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return Outcome(code, json.loads(lines[-1]) if lines else {})

    def variables(self, epochs: int) -> dict[str, str]:
        """What the trial is given, for a process that is started in another way."""
        return self._environment(epochs, None, {})

    def _environment(
        self, epochs: int, parameters: Mapping[str, Any] | None, variables: Mapping[str, str]
    ) -> dict[str, str]:
        given = {"HPO_PARAMETERS": json.dumps(parameters or {}), "HPO_RESOURCE": str(epochs)}
        return {**self.environment, **given, **variables}


def wait_for(process: subprocess.Popen[str], text: str) -> list[str]:
    """Lines of standard error up to the first that holds ``text``."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    pytest.fail(f"the trainer ended without writing {text!r}:\n{''.join(lines)}")


def data_of_others(name: str) -> Path:
    """A file of the real data that is kept beside the project; skips where it is absent."""
    root = Path(os.environ.get("HPO_DATA") or REPOSITORY.parent / "shared" / "data")
    path = root / name
    if not path.exists():
        pytest.skip(f"real data absent: no {path} (set HPO_DATA to the folder that holds it)")
    return path


def extract(archive: Path, target: Path, wanted: Callable[[str], bool]) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and wanted(member.name):
                tar.extract(member, target, filter="data")


@contextmanager
def unprivileged() -> Iterator[None]:
    """As nobody, if the tests run as root, whom no permission stops."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everyone may enter; pytest's own are of the user alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
