"""A Pod's volumes for a process: a process has no mounts, so paths are rewritten to the directories of the host.

Cannot be done for a path inside a longer text (a script handed to `sh -c`): such a script reads its paths from the
environment or has `$(VAR)` expanded into it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_operator.local.variables import escape, expand, unknown_references

Json = Mapping[str, Any]
ClaimResolver = Callable[[str, str], Awaitable[Path | None]]
"""Namespace and claim name to the host directory behind the claim; None while there is none."""

_API_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


class ContainerWaitingError(Exception):
    """The container cannot be started yet; ``reason`` and the message are what a kubelet shows for it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def _failed_mount(message: str) -> ContainerWaitingError:
    return ContainerWaitingError("ContainerCreating", f"FailedMount: {message}")


async def host_directories(pod: Json, directory: Path, claims: ClaimResolver) -> dict[str, Path]:
    """Host directory of each volume of the Pod that its container mounts, by volume name.

    Raises:
        ContainerWaitingError: one of them is not there (yet).
    """
    spec = pod["spec"]
    mounted = {mount["name"] for mount in spec["containers"][0].get("volumeMounts") or [] if not _is_api_token(mount)}
    namespace = pod["metadata"].get("namespace", "default")
    volumes: dict[str, Json] = {volume["name"]: volume for volume in spec.get("volumes") or []}
    return {name: await _host_directory(volumes[name], namespace, directory, claims) for name in sorted(mounted)}


async def _host_directory(volume: Json, namespace: str, directory: Path, claims: ClaimResolver) -> Path:
    name = volume["name"]
    if "emptyDir" in volume:
        path = directory / "volumes" / str(name)
        path.mkdir(parents=True, exist_ok=True)
        return path
    if "hostPath" in volume:
        return _host_path(volume["hostPath"], f'volume "{name}"')
    if "persistentVolumeClaim" in volume:
        claim = volume["persistentVolumeClaim"]["claimName"]
        found = await claims(namespace, claim)
        if found is None:
            raise _failed_mount(f'volume "{name}": no volume is bound to the claim {namespace}/{claim}')
        return _host_path({"path": str(found)}, f'volume "{name}" (claim {namespace}/{claim})')
    kind = next((key for key in volume if key != "name"), "emptyDir")
    raise _failed_mount(f'volume "{name}": a process node mounts emptyDir, hostPath and claims, and no {kind}')


def _host_path(source: Json, what: str) -> Path:
    path = Path(source["path"])
    if source.get("type") == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    if not path.is_dir():
        raise _failed_mount(f"{what}: hostPath type check failed: {path} is not a directory")
    return path


def _is_api_token(mount: Json) -> bool:
    """Credentials are not handed to processes: unlike a container, one could read them beyond its Pod's end."""
    return str(mount["mountPath"]) == _API_TOKEN


@dataclass(frozen=True)
class PathTable:
    """Paths inside the container and what they are on the host, the longest first."""

    entries: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, paths: Mapping[str, Path]) -> PathTable:
        entries = ((inside, str(outside)) for inside, outside in paths.items())
        return cls(tuple(sorted(entries, key=lambda entry: len(entry[0]), reverse=True)))

    def expand(self, text: str, variables: Mapping[str, str]) -> str:
        """``text`` rewritten where it is a path, then its ``$(VAR)`` references expanded.

        In this order, since the variables' values are host paths already, and no host path holds a reference.
        """
        return expand(self._escaped().rewrite(text), variables)

    def expand_argument(self, text: str, variables: Mapping[str, str]) -> str:
        """As :meth:`expand`, also for a path behind the ``=`` of ``--option=/path``."""
        return expand(self._escaped().rewrite_argument(text), variables)

    def _escaped(self) -> PathTable:
        return PathTable(tuple((inside, escape(outside)) for inside, outside in self.entries))

    def rewrite(self, text: str) -> str:
        """``text`` if it is no path under an entry; else the host's path."""
        for inside, outside in self.entries:
            if text == inside or text.startswith(f"{inside}/"):
                return f"{outside}{text[len(inside) :]}"
        return text

    def rewrite_argument(self, text: str) -> str:
        """As :meth:`rewrite`, also behind the ``=`` of ``--option=/path``."""
        option, equals, value = text.partition("=")
        return f"{option}={self.rewrite(value)}" if equals and option.startswith("-") else self.rewrite(text)


def mount_paths(container: Json, directories: Mapping[str, Path], variables: Mapping[str, str]) -> dict[str, Path]:
    """Host path of each mountPath of the container, its subPath or subPathExpr (of ``variables``) included."""
    paths: dict[str, Path] = {}
    for mount in container.get("volumeMounts") or []:
        if not _is_api_token(mount):
            inside = str(mount["mountPath"]).rstrip("/") or "/"
            paths[inside] = _sub_path(directories[mount["name"]], _sub_path_text(mount, variables), mount["name"])
    return paths


def _sub_path_text(mount: Json, variables: Mapping[str, str]) -> str:
    expression = mount.get("subPathExpr")
    if not expression:
        return str(mount.get("subPath") or "")
    unknown = unknown_references(expression, variables)
    if unknown:
        raise ContainerWaitingError(
            "CreateContainerConfigError", f'subPathExpr "{expression}": missing value for {", ".join(unknown)}'
        )
    return expand(expression, variables)


def _sub_path(volume: Path, text: str, name: str) -> Path:
    if not text:
        return volume
    path = (volume / text).resolve()
    if Path(text).is_absolute() or not path.is_relative_to(volume.resolve()):
        raise ContainerWaitingError(
            "CreateContainerConfigError", f'subPath "{text}" leads outside of the volume "{name}"'
        )
    if not path.exists():
        path.mkdir(parents=True)
    return path
