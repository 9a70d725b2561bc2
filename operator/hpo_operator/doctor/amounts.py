"""Quantities of Kubernetes as numbers, and what a Pod asks for in them.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Raw = Mapping[str, Any]
_SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_SUFFIXES |= {f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", 1)}


def amount(quantity: int | float | str) -> float:
    """``500m`` -> 0.5, ``16Gi`` -> 2^34. Raises ValueError."""
    found = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]{0,2})", str(quantity))
    if found is None or found[2] not in _SUFFIXES:
        raise ValueError(f"expected a quantity, found {quantity!r}")
    return float(found[1]) * _SUFFIXES[found[2]]


def amounts(quantities: Raw | None) -> dict[str, float]:
    return {name: amount(quantity) for name, quantity in (quantities or {}).items()}


def requested(pod_spec: Raw, kind: str = "requests") -> dict[str, float]:
    """What a scheduler reserves: the sum over the containers, or one init container if it asks for more."""
    total: dict[str, float] = {}
    for container in pod_spec.get("containers") or ():
        for name, value in _of_container(container, kind).items():
            total[name] = total.get(name, 0.0) + value
    for container in pod_spec.get("initContainers") or ():
        for name, value in _of_container(container, kind).items():
            total[name] = max(total.get(name, 0.0), value)
    return total


def _of_container(container: Raw, kind: str) -> dict[str, float]:
    """A limit is a request where none is given."""
    resources = container.get("resources") or {}
    limits = amounts(resources.get("limits"))
    return limits | amounts(resources.get("requests")) if kind == "requests" else limits


def is_gpu(resource: str) -> bool:
    """``nvidia.com/gpu``, ``amd.com/gpu``; ``nvidia.com/mig-1g.5gb``."""
    return re.fullmatch(r"[^/]+/(gpu|mig-.+)", resource) is not None
