"""Which version of hpo-operator this is."""

from __future__ import annotations

from importlib import metadata


def installed_version() -> str:
    """As its package says; "unknown" in a checkout that is not installed."""
    try:
        return metadata.version("hpo-operator")
    except metadata.PackageNotFoundError:
        return "unknown"
