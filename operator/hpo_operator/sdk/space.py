"""A search space as Python says it shortly, into the API's parameters.

======================================  ============================================================
``(1e-4, 1e-1, "log")``, ``(0.0, 1.0)``  a real number between two, on a logarithmic or linear scale
``(2, 5)``, ``(8, 512, "log")``          a whole number, where both ends are
``["adam", "sgd"]``                      one of several texts, in no order
``[16, 32, 64]``                         one of several numbers, in their order
``{"float": {...}, "when": {...}}``      all that spec.parameters can say
======================================  ============================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpo_operator.mistakes import Mistake

Domain = tuple[Any, ...] | Sequence[Any] | Mapping[str, Any]
Space = Mapping[str, Domain]


def parameters_of(space: Space | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``spec.parameters``; a list is taken to be that already. Raises Mistake."""
    if not isinstance(space, Mapping):
        return [dict(parameter) for parameter in space]
    return [{"name": name} | _domain(name, domain) for name, domain in space.items()]


def _domain(name: str, domain: Domain) -> dict[str, Any]:
    if isinstance(domain, Mapping):
        return dict(domain)
    if isinstance(domain, tuple):
        return _range(name, domain)
    if isinstance(domain, Sequence) and not isinstance(domain, str) and domain:
        if all(isinstance(value, str) for value in domain):
            return {"categorical": {"choices": list(domain)}}
        if all(_is_number(value) for value in domain):
            return {"ordinal": {"values": list(domain)}}
    raise _mistake(name, domain)


def _range(name: str, domain: tuple[Any, ...]) -> dict[str, Any]:
    ends, scale = domain[:2], domain[2:]
    if len(ends) != 2 or not all(map(_is_number, ends)) or scale not in ((), ("log",), ("linear",)):
        raise _mistake(name, domain)
    kind = "int" if all(isinstance(end, int) for end in ends) else "float"
    return {kind: {"min": ends[0], "max": ends[1]} | ({"scale": scale[0].capitalize()} if scale else {})}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mistake(name: str, domain: object) -> Mistake:
    return Mistake(
        f"space[{name!r}]: expected (low, high), (low, high, 'log'), a list of texts or of numbers, or a mapping as in "
        f"spec.parameters; found {domain!r}"
    )
