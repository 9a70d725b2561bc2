"""Weights of a backbone from a file: as torchvision, MONAI, EfficientNet-PyTorch and RadImageNet publish them.

Only plain tensors are read (``weights_only``), so a file cannot run code. The head that comes with them is left out.
Every weight of the backbone must be there, in its shape, and none too many: a network half of which starts at random,
or whose blocks are built in another way, would pass for transfer and be none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpo_trainer.data.files import reading
from hpo_trainer.failures import BadData

Weights = dict[str, Tensor]
HEADS = ("fc.", "classifier.", "class_layers.", "_fc.", "head.")
"""How the names of a published network's last layer start."""
SHOWN = 3
"""Names in a message."""
RENAMED: tuple[tuple[str, str], ...] = (
    (r"^module\.", ""),  # saved under DataParallel
    # RadImageNet: Sequential(*children) of torchvision's network, all but the head
    (r"^backbone\.0\.(?=(conv|norm|denseblock|transition))", "features."),
    (r"^backbone\.0\.(?=weight)", "conv1."),
    (r"^backbone\.1\.", "bn1."),
    *((rf"^backbone\.{stage + 3}\.", f"layer{stage}.") for stage in range(1, 5)),
    # torchvision's dense layers, of today and before 2018, as MONAI names them
    (r"(\.denselayer\d+)\.(norm|conv)\.?([12])\.", r"\1.layers.\2\3."),
)


def read_state(path: Path) -> Mapping[str, Any]:
    """What ``torch.save`` wrote, if it holds nothing but tensors and plain values. Raises BadData."""
    with reading(path, "PyTorch weights"):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # of a foreign file torch raises whatever its readers stumble over
            if isinstance(error, OSError):
                raise
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadData(path, f"cannot be read as weights that torch.save wrote, tensors alone: {first}") from error
    if not isinstance(state, Mapping):
        raise BadData(path, f"expected a state_dict, found a {type(state).__name__}; save the network's state_dict()")
    return state


def published(state: Mapping[str, Any], backbone: nn.Module, path: Path) -> tuple[Weights, tuple[str, ...]]:
    """The weights in ``state`` by the names and in the shapes of ``backbone``, and the names of others beside it.

    Raises BadData if one is missing, of another shape or too many. The head counts as none of these.
    """
    inner = next((state[key] for key in ("state_dict", "model") if isinstance(state.get(key), Mapping)), state)
    found = {_renamed(str(name), backbone): value for name, value in inner.items() if isinstance(value, Tensor)}
    found = {name: value for name, value in found.items() if not name.startswith(HEADS)}
    wanted = backbone.state_dict()
    # counted since PyTorch 0.4.1 and used by no backbone: its batch normalisation has a fixed momentum
    counters = {name: value for name, value in wanted.items() if name.endswith("num_batches_tracked")}
    missing = [name for name in wanted if name not in counters | found]
    if missing:
        raise BadData(path, f"no weights for {some(missing)}; are they of another backbone?")
    weights = {name: _grey(found.get(name, counters.get(name)), value) for name, value in wanted.items()}
    for name, value in wanted.items():
        if weights[name].shape != value.shape:
            raise BadData(
                path,
                f"{name} has shape {tuple(weights[name].shape)}, expected {tuple(value.shape)}; "
                "are they of another backbone, width or stem?",
            )
    rest = [name for name in found if name not in wanted]
    foreign = [name for name in rest if name.split(".")[0] in dict(backbone.named_children())]
    if foreign:
        raise BadData(path, f"no place for {some(foreign)}; are they of another backbone, or another make of it?")
    return weights, tuple(rest)


def _renamed(name: str, backbone: nn.Module) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    block = re.match(r"^_blocks\.(\d+)\.(?=_)", name)  # EfficientNet-PyTorch: one number, MONAI: stage and number
    if block:
        stages = {n: stage for stage, blocks in backbone.named_modules() for n in _numbers(stage, blocks)}
        return f"{stages.get(block[1], '_blocks')}.{name.removeprefix('_blocks.')}"
    return name


def _numbers(stage: str, blocks: nn.Module) -> Iterable[str]:
    return (n for n, _ in blocks.named_children()) if re.fullmatch(r"_blocks\.\d+", stage) else ()


def _grey(found: Any, wanted: Tensor) -> Tensor:
    """A first convolution's weights summed over its channels: a grey image has the same value in all of them."""
    weight: Tensor = found
    grey = weight.ndim == 4 and wanted.ndim == 4 and wanted.shape[1] == 1 and weight.shape[1] == 3
    return weight.sum(1, keepdim=True) if grey else weight


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
