"""The real images, unpacked once into ``.hpo/medical/data``, which is the data volume of every trial here."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".hpo" / "medical"
VOLUME = WORK / "data"
OTHERS = Path(os.environ.get("HPO_DATA") or ROOT.parent / "shared" / "data")


def hippocampus() -> Path:
    """260 MR volumes of the Medical Segmentation Decathlon, with nnU-Net's five folds."""
    return _unpacked("hippocampus/Task04_Hippocampus_260.tar", "Task04_Hippocampus")


def mednist() -> Path:
    """Six body regions; ``splits.csv`` lies in the data set."""
    folder = _unpacked("mednist/MedNIST_subset_12000_jpeg.tar.xz", "MedNIST")
    _copied("mednist/splits.csv", folder / "splits.csv")
    return folder


def children() -> Path:
    """Chest X-rays of children in MedMNIST's layout, with a test side."""
    return _copied("chest-xray/pneumoniamnist_rebuilt.npz", VOLUME / "pneumonia.npz")


def adults() -> Path:
    """Chest X-rays, mostly of adults, as they are: see the readers in the benchmarks."""
    return _copied("chest-xray/nih_adult_cxr1000.npz", VOLUME / "adults_original.npz")


def of_others(name: str) -> Path:
    path = OTHERS / name
    if not path.exists():
        raise SystemExit(f"real data absent: no {path}; set HPO_DATA to the folder that holds it")
    return path


def _unpacked(archive: str, folder: str) -> Path:
    target = VOLUME / folder
    if not target.exists():
        source, draft = of_others(archive), VOLUME / f"{folder}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        with tarfile.open(source) as tar:
            tar.extractall(draft, filter="data")
        (draft / folder).rename(target)
        draft.rmdir()
    return target


def _copied(name: str, target: Path) -> Path:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(of_others(name), target)
    return target
