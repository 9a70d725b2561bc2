"""``--volume CLAIM=DIR``: directories of this machine that stand in for a cluster's volume claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hpo_operator.mistakes import Mistake


def parse_claims(texts: Iterable[str]) -> dict[str, Path]:
    """The directory of each claim. Raises Mistake."""
    claims = {}
    for text in texts:
        name, separator, directory = text.partition("=")
        if not separator or not Path(directory).is_dir():
            raise Mistake(f"--volume {text}: expected CLAIM=DIR with a directory that exists")
        claims[name] = Path(directory).resolve()
    return claims


def claim_directory(name: str, claims: Mapping[str, Path], state: Path) -> Path:
    """What stands in for the claim: the directory that was named, or the one that ``hpo run`` makes by itself."""
    return claims.get(name, state.resolve() / "volumes" / name)
