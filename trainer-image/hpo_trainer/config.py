"""The configuration of the built-in tasks: every field with its type, default and bounds, once.

Pure standard library, so that a bad configuration is refused before anything heavy is imported. The operator declares
the same fields in the study's schema; ``FIELDS`` lets a test hold the two lists together.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hpo_trainer.failures import BadConfig

T = TypeVar("T")
FieldType = Literal["int", "float", "bool", "str", "list[int]"]
TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def option(default: T, minimum: float | None = None, maximum: float | None = None, choices: tuple[str, ...] = ()) -> T:
    """A dataclass field with its bounds (inclusive; of each item, for a list)."""
    return dataclasses.field(default=default, metadata={"bounds": (minimum, maximum), "choices": choices})


@dataclass(frozen=True)
class TaskConfig:
    """What all tasks share. ``dataset`` is relative to the data volume, ``split_file`` to the data set."""

    dataset: str = option(".")
    split_file: str = option("")
    split_column: str = option("split")
    validation_fraction: float = option(0.25, 0.01, 0.9)
    epochs: int = option(10, 1, 100_000)
    batch_size: int = option(8, 1, 4096)
    learning_rate: float = option(0.001, 1e-9, 100.0)
    augmentation: bool = option(False)
    deterministic: bool = option(True)
    validation_interval: int = option(1, 1, 1000)

    def check(self, source: Mapping[str, str]) -> None:
        """Rules between fields; ``source`` tells where each field's value came from. Raises BadConfig."""
        for name in (n for n in ("dataset", "splitFile", "sourceCheckpoint", "sourceDataset") if n in source):
            path = str(getattr(self, snake_case(name)))
            if path.startswith("/") or ".." in path.split("/"):
                raise BadConfig(source[name], f"expected a path inside the data volume, found {path!r}")


@dataclass(frozen=True)
class ClassificationConfig(TaskConfig):
    """The convolutional family of ``networks.BlockNetwork``; ``train_samples_per_class`` 0 means all."""

    train_samples_per_class: int = option(0, 0, 1_000_000)
    image_size: int = option(64, 8, 1024)
    blocks: int = option(5, 1, 8)
    convolutions_per_block: int = option(1, 1, 10)
    filters: int = option(64, 1, 1024)
    kernel_size: int = option(3, 1, 11)
    separable: bool = option(False)
    dense_units: tuple[int, ...] = option((4096, 1024), 1, 65_536)
    dropout: float = option(0.0, 0.0, 0.95)
    optimizer: str = option("SGD", choices=("SGD", "Adam", "AdamW"))
    momentum: float = option(0.9, 0.0, 0.9999)
    learning_rate_decay: float = option(1e-6, 0.0, 1.0)

    def check(self, source: Mapping[str, str]) -> None:
        super().check(source)
        if self.kernel_size % 2 == 0:
            raise BadConfig(source["kernelSize"], f"expected an odd number, found {self.kernel_size}")
        if self.image_size >> self.blocks == 0:
            most = self.image_size.bit_length() - 1
            raise BadConfig(
                source["blocks"],
                f"expected at most {most}, since each block halves the image and imageSize is {self.image_size}, "
                f"found {self.blocks}",
            )
        _at_most("denseUnits", self.dense_units, 8, source)


@dataclass(frozen=True)
class SegmentationConfig(TaskConfig):
    """A U-Net of ``depth`` resolution levels; an empty ``patch_size`` trains on whole images."""

    dimensions: str = option("2D", choices=("2D", "3D"))
    fold: int = option(0, 0, 99)
    depth: int = option(3, 1, 6)
    channels: int = option(16, 1, 512)
    channel_multiplier: float = option(2.0, 0.5, 4.0)
    residual_units: int = option(0, 0, 4)
    normalization: str = option("ZScore", choices=("None", "ZScore", "PercentileZScore", "MinMax"))
    loss: str = option("DiceCE", choices=("Dice", "DiceCE", "GeneralizedDice", "DiceFocal"))
    optimizer: str = option("Adam", choices=("Adam", "AdamW", "SGD"))
    weight_decay: float = option(0.0, 0.0, 1.0)
    dropout: float = option(0.0, 0.0, 0.95)
    patch_size: tuple[int, ...] = option((), 1, 65_536)

    @property
    def axes(self) -> int:
        return int(self.dimensions[0])

    def check(self, source: Mapping[str, str]) -> None:
        super().check(source)
        if self.patch_size and len(self.patch_size) != self.axes:
            raise BadConfig(
                source["patchSize"],
                f"expected {self.axes} numbers for {self.dimensions}, or none, found {list(self.patch_size)}",
            )
        step = 2 ** (self.depth - 1)
        for i, size in enumerate(self.patch_size):
            if size % step or size < 2 * step:
                raise BadConfig(
                    f"{source['patchSize']}[{i}]",
                    f"expected a multiple of {step} and at least {2 * step}, since depth is {self.depth}, found {size}",
                )


@dataclass(frozen=True)
class TemplateDeformationConfig(TaskConfig):
    """``networks.template.TemplateNetwork``; a ``field_level`` below the bottom of the network means the bottom.

    ``edge_width``: voxels over which the template's edge goes from outside to inside in the training loss.
    """

    dimensions: str = option("2D", choices=("2D", "3D"))
    fold: int = option(0, 0, 99)
    depth: int = option(4, 2, 6)
    channels: int = option(16, 1, 512)
    channel_multiplier: float = option(2.0, 0.5, 4.0)
    field_level: int = option(1, 0, 5)
    head_layers: int = option(2, 0, 4)
    transformation: str = option("Both", choices=("Both", "Global", "Local"))
    deformation_penalty: float = option(10.0, 0.0, 1e6)
    edge_width: float = option(1.0, 0.1, 16.0)
    normalization: str = option("ZScore", choices=("None", "ZScore", "PercentileZScore", "MinMax"))
    optimizer: str = option("Adam", choices=("Adam", "AdamW", "SGD"))
    weight_decay: float = option(0.0, 0.0, 1.0)

    @property
    def axes(self) -> int:
        return int(self.dimensions[0])


@dataclass(frozen=True)
class TransferSegmentationConfig(TaskConfig):
    """Another population for a trained U-Net, whose checkpoint also says how images are read.

    An empty ``source_dataset`` is the data set that the checkpoint was trained on.
    """

    fold: int = option(0, 0, 99)
    source_checkpoint: str = option("checkpoint.pt")
    source_dataset: str = option("")
    method: str = option(
        "GeometricIntensity",
        choices=("None", "Full", "Partial", "FixedConvolutions", "Geometric", "Intensity", "GeometricIntensity"),
    )
    trained_blocks: int = option(1, 1, 11)
    trained_end: str = option("Last", choices=("First", "Last"))
    layer_channels: int = option(16, 1, 256)
    loss: str = option("DiceCE", choices=("Dice", "DiceCE", "GeneralizedDice", "DiceFocal"))
    optimizer: str = option("Adam", choices=("Adam", "AdamW", "SGD"))
    weight_decay: float = option(0.0, 0.0, 1.0)


CONFIGS: Mapping[str, type[TaskConfig]] = {
    "classification": ClassificationConfig,
    "segmentation": SegmentationConfig,
    "templateDeformation": TemplateDeformationConfig,
    "transferSegmentation": TransferSegmentationConfig,
}


@dataclass(frozen=True)
class FieldSpec:
    """One field, by the name that users write. Bounds are inclusive and of each item, for a list."""

    name: str
    type: FieldType
    default: int | float | bool | str | tuple[int, ...]
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    def expected(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        noun = {
            "int": "an integer",
            "float": "a number",
            "bool": "true or false",
            "str": "a text",
            "list[int]": "a list of integers",
        }[self.type]
        return noun if self.minimum is None else f"{noun} from {self.minimum:g} to {self.maximum:g}"


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: "_" + m[1].lower(), name)


def camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda m: m[1].upper(), name)


_TYPES: Mapping[type, FieldType] = {int: "int", float: "float", bool: "bool", str: "str", tuple: "list[int]"}


def _field_spec(field: dataclasses.Field[Any]) -> FieldSpec:
    minimum, maximum = field.metadata["bounds"]
    default: Any = field.default
    choices = field.metadata["choices"]
    return FieldSpec(camel_case(field.name), _TYPES[type(default)], default, minimum, maximum, choices)


FIELDS: Mapping[str, tuple[FieldSpec, ...]] = {
    task: tuple(_field_spec(field) for field in dataclasses.fields(config)) for task, config in CONFIGS.items()
}
"""Every field of every task, common ones first."""


def parse(task: str, config: Mapping[str, Any], parameters: Mapping[str, Any], epochs: int | None = None) -> TaskConfig:
    """The configuration of ``task``: its fields, overridden by the trial's parameters and the fidelity's ``epochs``.

    Raises BadConfig, whose path is HPO_TASK, HPO_CONFIG.<field>, HPO_PARAMETERS.<field> or HPO_RESOURCE.
    """
    if task not in CONFIGS:
        raise BadConfig(
            "HPO_TASK", f"expected one of {', '.join(CONFIGS)}, found {task!r}{did_you_mean(task, CONFIGS)}"
        )
    specs = {spec.name: spec for spec in FIELDS[task]}
    values: dict[str, Any] = {}
    source = {name: f"HPO_CONFIG.{name}" for name in specs}
    layers = [("HPO_CONFIG", config), ("HPO_PARAMETERS", parameters)]
    for origin, layer in layers:
        for name, value in layer.items():
            path = f"{origin}.{name}"
            if name not in specs:
                raise BadConfig(path, f"no field of the task {task}{did_you_mean(name, specs)}")
            values[snake_case(name)] = convert(specs[name], value, path)
            source[name] = path
    if epochs is not None:
        values["epochs"] = convert(specs["epochs"], epochs, "HPO_RESOURCE")
    parsed = CONFIGS[task](**values)
    parsed.check(source)
    return parsed


def convert(spec: FieldSpec, value: Any, path: str) -> Any:
    """``value`` as the field's type, within its bounds. Raises BadConfig."""
    if spec.type == "list[int]":
        if not isinstance(value, (list, tuple)):
            raise _unexpected(spec, value, path)
        item = dataclasses.replace(spec, type="int")
        return tuple(convert(item, v, f"{path}[{i}]") for i, v in enumerate(value))
    converted = _CONVERTERS[spec.type](value)
    if converted is None or (spec.choices and converted not in spec.choices):
        raise _unexpected(spec, value, path)
    if spec.minimum is not None and spec.maximum is not None and not spec.minimum <= converted <= spec.maximum:
        raise _unexpected(spec, value, path)
    return converted


def _integer(value: Any) -> int | None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value != int(value)
    ):
        return None
    return int(value)


def _number(value: Any) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)


def _boolean(value: Any) -> bool | None:
    return TRUTH.get(value.lower()) if isinstance(value, str) else value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


_CONVERTERS: Mapping[str, Any] = {"int": _integer, "float": _number, "bool": _boolean, "str": _text}


def _unexpected(spec: FieldSpec, value: Any, path: str) -> BadConfig:
    hint = did_you_mean(value, spec.choices) if isinstance(value, str) else ""
    return BadConfig(path, f"expected {spec.expected()}, found {json.dumps(value)}{hint}")


def did_you_mean(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """The closest known name as the end of a sentence, or all of them when none is close."""
    lower = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return f"; did you mean {lower[close[0]]}?" if close else ""


def _at_most(name: str, items: tuple[int, ...], length: int, source: Mapping[str, str]) -> None:
    if len(items) > length:
        raise BadConfig(source[name], f"expected at most {length} numbers, found {len(items)}")


def identity(task: str, config: TaskConfig, seed: int) -> dict[str, Any]:
    """What training depends on, as plain values: all fields but ``epochs``, by external name, the task and the seed."""
    fields = {camel_case(k): v for k, v in dataclasses.asdict(config).items() if k != "epochs"}
    return {"task": task, "seed": seed} | fields


def fingerprint(values: Mapping[str, Any]) -> str:
    """SHA-256 of ``values`` in canonical JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
