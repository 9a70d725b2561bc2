"""`$(VAR)` references in a container's command, args and environment, expanded exactly as a kubelet does.

The rules (k8s.io/kubernetes/third_party/forked/golang/expansion): `$(X)` becomes X's value, a reference to an unknown
variable stays as it is, `$$` is an escaped `$`, and a `$` before anything else is only a `$`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """``text`` with its references replaced; values are not expanded a second time."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else variables.get(name, match[0])

    return _REFERENCE.sub(value, text)


def unknown_references(text: str, variables: Mapping[str, str]) -> list[str]:
    """Names that ``text`` refers to and ``variables`` lacks."""
    return [match[1] for match in _REFERENCE.finditer(text) if match[1] is not None and match[1] not in variables]


def escape(text: str) -> str:
    """``text`` so that :func:`expand` gives it back unchanged."""
    return text.replace("$", "$$")
