"""The exported model, loaded, verified and run by MONAI's own functions alone."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from hpo_trainer.final import sides
from hpo_trainer.final.export import export
from hpo_trainer.final.largest import Largest
from hpo_trainer.final.model import Model, open_model
from hpo_trainer.final.sides import Cases, predict
from trainer.final_support import Finished, finished

TENSOR = {
    "type": "object",
    "required": ["type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data",
                 "channel_def"],
    "properties": {
        "type": {"enum": ["image", "series", "tuples", "probabilities"]},
        "format": {"enum": ["magnitude", "hounsfield", "labels", "classes", "segmentation"]},
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array"},
        "dtype": {"type": "string"},
        "value_range": {"type": "array"},
        "is_patch_data": {"type": "boolean"},
        "channel_def": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}  # fmt: skip
SPECIFICATION = {
    "type": "object",
    "required": ["version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task",
                 "description", "authors", "copyright", "network_data_format"],
    "properties": {
        "version": {"type": "string"},
        "required_packages_version": {"type": "object", "additionalProperties": {"type": "string"}},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {side: {"type": "object", "additionalProperties": TENSOR} for side in ("inputs", "outputs")},
        },
    },
}  # fmt: skip
"""The mandatory keys of https://docs.monai.io/en/stable/mb_specification.html as a JSON schema."""


RUN = """
import hashlib, sys
from pathlib import Path
from monai.bundle import ConfigWorkflow, verify_metadata, verify_net_in_out
schema, *roots = sys.argv[1:]
digest = hashlib.sha256(Path(schema).read_bytes()).hexdigest()
for root in roots:
    config, meta = f"{root}/configs/inference.json", f"{root}/configs/metadata.json"
    verify_metadata(meta_file=meta, filepath=schema, hash_val=digest, hash_type="sha256")  # a file that is there
    verify_net_in_out("network_def", meta_file=meta, config_file=config, device="cpu", bundle_root=root)
    workflow = ConfigWorkflow(
        config_file=config, meta_file=meta, workflow_type="infer", logging_file=False, bundle_root=root
    )
    workflow.initialize()
    assert not workflow.check_properties(), workflow.check_properties()
    workflow.run()
"""
"""In a process of its own, which knows MONAI alone."""


def built(folder: Path, task: str, config: dict[str, Any] | None = None) -> tuple[Finished, Model]:
    study = finished(folder, task, config, trials=1)
    assert study.build({"tiny-0": 1}, looks=False) == 0
    [candidate] = study.request().candidates
    return study, open_model(candidate, study.data, lambda: None)


SEGMENTATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "slices": ("segmentation", {}),
    "volumes": ("segmentation", {"dimensions": "3D"}),
    "patches": ("segmentation", {"dimensions": "3D", "patchSize": [16, 16, 4], "normalization": "PercentileZScore"}),
    "averaged": ("segmentation", {"weightAveraging": 0.9, "normalization": "MinMax"}),
    "residual": ("segmentation", {"residualUnits": 2, "dropout": 0.1, "normalization": "None"}),
    "resampled": ("segmentation", {"dimensions": "3D", "resampling": "MedianSpacing"}),
    "resampled slices": ("segmentation", {"resampling": "MeanSpacing"}),
    "resampled patches": ("segmentation", {"dimensions": "3D", "resampling": "MeanSpacing", "patchSize": [16, 16, 4]}),
    "template": ("templateDeformation", {}),
    "transfer": ("transferSegmentation", {}),
}


CLASSIFICATIONS = ("classification", "transferClassification")
Built = dict[str, tuple[Finished, Model]]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Built, and run by MONAI on files: the volumes of the test side, the images of a class."""
    kinds = SEGMENTATIONS | {task: (task, {}) for task in CLASSIFICATIONS}
    made = {kind: built(tmp_path_factory.mktemp(kind), task, config) for kind, (task, config) in kinds.items()}
    for kind, (study, _) in made.items():
        folder, pattern = ("class1", "*.png") if kind in CLASSIFICATIONS else ("imagesTr", "case_[56].nii.gz")
        (study.out / "images").mkdir()
        for file in (study.data / folder).glob(pattern):
            shutil.copy(file, study.out / "images")
    folder = tmp_path_factory.mktemp("run")
    (folder / "schema.json").write_text(json.dumps(SPECIFICATION))
    roots = [str(study.out) for study, _ in made.values()]
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, str(folder / "schema.json"), *roots]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


@pytest.mark.parametrize("kind", SEGMENTATIONS)
def test_the_bundle_segments_as_the_trial_did(bundles: Built, kind: str) -> None:
    """Files went in, files came out; the masks are those of the trial's own network."""
    study, model = bundles[kind]
    side = sides.test_side(model, lambda: None)
    assert isinstance(side, Cases)
    kept = study.figures()["largestPiece"]["single"]
    for case, part in zip(side.cases, predict(model, side, lambda: None), strict=True):
        written: Any = nibabel.load(study.out / f"predictions/{case.name}_seg.nii.gz")
        assert written.get_data_dtype() == np.uint8
        expected, found = case.assembled(part)[0].argmax(0), np.asarray(written.dataobj)
        expected = Largest(tuple(model.classes.index(name) for name in kept)).applied(expected.astype(np.uint8))
        assert (found != expected).mean() < 1e-3  # where two classes are as good as equal


@pytest.mark.parametrize("task", CLASSIFICATIONS)
def test_the_bundle_classifies_as_the_trial_did(bundles: Built, task: str) -> None:
    study, _ = bundles[task]
    with (study.out / "validation_single.csv").open() as file:
        expected = {row["image"]: row for row in csv.DictReader(file)}
    with (study.out / "predictions/predictions.csv").open() as file:
        found = {Path(row[0]).name: [float(p) for p in row[1:]] for row in csv.reader(file)}
    assert len(found) == 12
    for name in ("006.png", "007.png", "008.png"):
        row = expected[f"class1/{name}"]
        assert found[name] == pytest.approx([float(row[f"p_class{c}"]) for c in range(3)], abs=1e-4)


def test_the_weights_are_the_trained_ones(tmp_path: Path) -> None:
    study, model = built(tmp_path, "segmentation")
    weights = torch.load(study.out / "models/model.pt", weights_only=True)
    trained = model.learner.model.state_dict()
    assert weights.keys() == trained.keys()
    assert all(torch.equal(weights[name], trained[name]) for name in weights)


def test_torchscript_takes_larger_images(tmp_path: Path) -> None:
    """Padded to a multiple, and cut again."""
    _, model = built(tmp_path, "segmentation")
    module = export([model]).module
    assert module(torch.randn(2, 1, 37, 41)).shape == (2, 3, 37, 41)


def test_networks_of_different_spacings_have_no_bundle_and_it_is_said(tmp_path: Path) -> None:
    """Each fold's common spacing is that of its own training side."""
    study = finished(tmp_path, "segmentation", {"resampling": "MeanSpacing", "dimensions": "3D"}, trials=1)
    assert study.retrain(2) == 0
    assert study.build({"tiny-0": 1}, looks=False, retrained=True) == 0
    assert not (study.out / "configs").exists()
    assert (study.out / "models/model.pt").exists()
    assert "No MONAI bundle and no TorchScript: its networks take images of different spacings" in study.card()


def test_the_configs_hold_no_paths_of_this_machine(tmp_path: Path) -> None:
    study, _ = built(tmp_path, "segmentation")
    for config in (study.out / "configs").iterdir():
        assert str(tmp_path) not in config.read_text()
