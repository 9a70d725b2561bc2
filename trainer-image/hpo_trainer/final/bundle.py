"""The model as a MONAI bundle: configs, weights and TorchScript, for MONAI Deploy, MONAI Label and ``monai.bundle``.

https://docs.monai.io/en/stable/mb_specification.html says what is in one. The network is the TorchScript file, so the
bundle runs where only MONAI is installed; ``models/model.pt`` has the same weights for whoever trains on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from hpo_trainer.final.export import Export, save
from hpo_trainer.final.largest import Largest
from hpo_trainer.final.model import ClassifyingLearner, Model, SegmentingLearner

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
NORMALIZATION: Mapping[str, list[dict[str, Any]]] = {
    "None": [],
    "ZScore": [{"_target_": "NormalizeIntensityd", "keys": "image", "channel_wise": True}],
    "PercentileZScore": [
        {"_target_": "ClipIntensityPercentilesd", "keys": "image", "lower": 0.5, "upper": 99.5, "channel_wise": True},
        {"_target_": "NormalizeIntensityd", "keys": "image", "channel_wise": True},
    ],
    "MinMax": [{"_target_": "ScaleIntensityd", "keys": "image", "channel_wise": True}],
}
"""What ``data.intensity.normalize`` does, in MONAI's transforms."""
Config = dict[str, Any]
PACKAGES = {"fire": "0.4", "nibabel": "5.3", "pillow": "11", "pytorch-ignite": "0.5.0"}
"""What the configurations need besides MONAI, and from which version on."""


def write(model: Model, exported: Export, largest: Largest, facts: Mapping[str, str], folder: Path) -> None:
    """``configs`` and ``models`` in ``folder``. ``facts``: ``version``, ``description`` and ``data_source``."""
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    write_weights(exported.weights, folder)
    save(exported, folder / "models/model.ts")
    for name, config in (("metadata", metadata(model, largest, facts)), ("inference", inference(model, largest))):
        (folder / f"configs/{name}.json").write_text(json.dumps(config, indent=4) + "\n")


def write_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    """``models/model.pt``, for ``torch.load(path, weights_only=True)``."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    torch.save(dict(weights), folder / "models/model.pt")


def metadata(model: Model, largest: Largest, facts: Mapping[str, str]) -> Config:
    size, channels = _shape(model)
    kind = "Classification" if model.classifies else "Segmentation"
    labels = {str(i): name for i, name in enumerate(model.classes)}
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "n/a",
        "num_channels": channels,
        "spatial_shape": size,
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": _is_patch(model),
        "channel_def": {str(i): "image" if channels == 1 else f"channel {i}" for i in range(channels)},
    }
    output = image | {"num_channels": len(labels), "channel_def": labels}
    output |= {"type": "probabilities", "format": "classes"} if model.classifies else {"format": "labels"}
    return {
        "schema": SCHEMA,
        "version": facts["version"],
        "changelog": {facts["version"]: "the model of a finished study"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": PACKAGES | ({"scikit-image": "0.22"} if largest.labels else {}),
        "name": facts["name"],
        "task": f"{kind}: {', '.join(model.classes if model.classifies else model.classes[1:])}",
        "description": facts["description"],
        "authors": "see the model card",
        "copyright": "see the model card",
        "data_source": facts["data_source"],
        "intended_use": "Research. Not a medical device, and not judged on patients of other sites.",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": output}},
    }


def inference(model: Model, largest: Largest) -> Config:
    """Predicts all files of ``dataset_dir`` into ``output_dir``: ``python -m monai.bundle run --config_file ...``."""
    return {
        "imports": ["$import glob", "$import os", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/predictions'",
        "datalist": f"$sorted(glob.glob(os.path.join(@dataset_dir, '*{_suffix(model)}')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location='cpu')",
        "network": "$@network_def.to(@device).eval()",
        "preprocessing": {"_target_": "Compose", "transforms": _reading(model)},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': file} for file in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": _inferer(model),
        "postprocessing": {"_target_": "Compose", "transforms": _writing(model, largest)},
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@evaluator.run()"],
    }


def _suffix(model: Model) -> str:
    """Of the data set's own files; of an archive the usual one."""
    if not model.classifies:
        return ".nii.gz"
    suffix = Path(cast(ClassifyingLearner, model.learner).data.validation.names[0]).suffix
    return suffix if suffix in (".png", ".jpg", ".jpeg") else ".png"


def _reading(model: Model) -> list[Config]:
    if model.classifies:  # 8-bit files become [0, 1], as in training; rows stay rows
        return [
            {"_target_": "LoadImaged", "keys": "image", "reader": "PILReader", "reverse_indexing": False}
            | {"converter": "$lambda image: image.convert('L')"},
            {"_target_": "EnsureChannelFirstd", "keys": "image", "channel_dim": "no_channel"},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 0, "a_max": 255, "b_min": 0, "b_max": 1},
        ]
    given = cast(SegmentingLearner, model.learner).network_input
    return [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        *NORMALIZATION[given.normalization],
        *_resampling("image", "" if given.spacing is None else _size_at(given.spacing)),
        {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
    ]


def _resampling(key: str, size: str) -> list[Config]:
    """As ``data.resampling`` does. ``size``: an expression's inside, of the variable ``key``; empty: not at all.

    Its affine stays the file's, to whose grid the masks go back.
    """
    if not size:
        return []
    mode = f"'trilinear' if {key}.ndim == 4 else 'bilinear'"
    new = f"torch.nn.functional.interpolate({key}[None].float(), size=[{size}], mode={mode}, align_corners=False)[0]"
    return [{"_target_": "Lambdad", "keys": key, "func": f"$lambda {key}: {new}", "track_meta": True}]


def _size_at(spacing: Sequence[float]) -> str:
    """Voxels along each axis of an image whose spacing becomes this; a further axis, of slices, stays."""
    old = "zip(image.shape[1:], image.pixdim.tolist())"
    return f"max(1, round(n * s / t)) if t else n for (n, s), t in zip({old}, {[*spacing, 0.0][:3]})"


def _inferer(model: Model) -> Config:
    """As ``tasks.segmentation`` predicts. A network of slices goes through a volume along its last axis."""
    if model.classifies:
        return {"_target_": "SimpleInferer"}
    learner = cast(SegmentingLearner, model.learner)
    given = learner.network_input
    window: Config = (
        {"sw_batch_size": 4, "overlap": 0.5, "mode": "gaussian"} if given.is_patch else {"sw_batch_size": 1}
    )
    window["roi_size"] = list(given.size) if given.is_patch else [-1] * given.axes
    if len(learner.data.source.spacing(learner.data.validation[0].item)) > given.axes:
        return {"_target_": "SliceInferer", "spatial_dim": 2, **window}
    return {"_target_": "SlidingWindowInferer", **window} if given.is_patch else {"_target_": "SimpleInferer"}


def _writing(model: Model, largest: Largest) -> list[Config]:
    saving: Config = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "separate_folder": False}
    if model.classifies:
        return [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "Lambdad", "keys": "image", "func": "$lambda image: image.meta"}
            | {"overwrite": "image_meta_dict", "track_meta": False},
            {"_target_": "SaveClassificationd", "keys": "pred", "output_dir": "@output_dir"}
            | {"filename": "predictions.csv", "meta_keys": "image_meta_dict"},
        ]
    pieces: Sequence[Config] = [
        {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": list(largest.labels)}
    ]
    spacing = cast(SegmentingLearner, model.learner).network_input.spacing
    return [
        *_resampling("pred", "" if spacing is None else "int(n) for n in pred.meta['spatial_shape']"),
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        *(pieces if largest.labels else []),
        saving | {"output_postfix": "seg", "output_dtype": "$__import__('numpy').uint8", "resample": False},
    ]


def _shape(model: Model) -> tuple[list[int], int]:
    if model.classifies:
        size: int = getattr(model.config, "image_size")  # noqa: B009
        return [size, size], 1
    learner = cast(SegmentingLearner, model.learner)
    return list(learner.network_input.size), learner.data.channels


def _is_patch(model: Model) -> bool:
    return not model.classifies and cast(SegmentingLearner, model.learner).network_input.is_patch
