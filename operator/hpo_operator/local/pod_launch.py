"""What to execute for a Pod: argument list, environment, working directory, taken from its manifest as a kubelet would.

Every question here has the kubelet's answer; where a process cannot do what a container can, the answer is a waiting
reason with a message, never a guess.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from hpo_operator.local.pod_volumes import ContainerWaitingError, PathTable, mount_paths

Json = Mapping[str, Any]
_INTERPRETERS = ("python", "python3")
_LABEL = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_DECIMAL = {"m": Decimal("0.001")} | {unit: Decimal(1000) ** power for power, unit in enumerate(("", *"kMGTP"))}
_BINARY = {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTP", start=1)}
_FACTORS = _DECIMAL | _BINARY


@dataclass(frozen=True)
class ImageConfig:
    """What an image says about running it; used where the container gives no command or no arguments."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()


@dataclass(frozen=True)
class Launch:
    """Everything that starting the process takes."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    termination_log: Path
    memory_limit: int | None


def base_environment(environ: Mapping[str, str], python_path: Sequence[Path] = ()) -> dict[str, str]:
    """What a process gets besides the Pod's own variables: the stand-in for what an image brings."""
    interpreter = str(Path(sys.executable).parent)
    kept = {name: environ[name] for name in ("HOME", "LANG") if name in environ}
    path = os.pathsep.join([interpreter, environ.get("PATH", os.defpath)])
    return kept | {"PATH": path} | ({"PYTHONPATH": os.pathsep.join(map(str, python_path))} if python_path else {})


def plan_launch(
    pod: Json,
    directory: Path,
    volumes: Mapping[str, Path],
    environment: Mapping[str, str],
    images: Mapping[str, ImageConfig],
    facts: Mapping[str, str],
) -> Launch:
    """The launch of the Pod's first container.

    Args:
        directory: the Pod's own directory; its working directory, temporary files and termination message lie there.
        volumes: host directory of each mounted volume, see ``pod_volumes.host_directories``.
        environment: the variables of :func:`base_environment`.
        facts: what ``fieldRef`` may ask for and the manifest does not tell: ``status.podIP``, ``spec.nodeName``.

    Raises:
        ContainerWaitingError: the container cannot be started as the manifest stands.
    """
    container = pod["spec"]["containers"][0]
    termination_log = directory / "termination-log"
    inside = container_variables(container, pod, facts, PathTable(()))
    paths = mount_paths(container, volumes, inside)
    temporary = paths.get("/tmp", directory / "tmp")
    paths[container.get("terminationMessagePath") or "/dev/termination-log"] = termination_log
    table = PathTable.of(paths)
    variables = container_variables(container, pod, facts, table)
    work = container.get("workingDir")
    return Launch(
        argv=_argv(container, images, table, variables),
        env={**environment, "TMPDIR": str(temporary), **variables},
        cwd=Path(table.rewrite(work)) if work else directory / "work",
        termination_log=termination_log,
        memory_limit=_memory_limit(container),
    )


def container_variables(container: Json, pod: Json, facts: Mapping[str, str], table: PathTable) -> dict[str, str]:
    """The container's environment: references expanded in order, paths under a mount rewritten."""
    if container.get("envFrom"):
        raise ContainerWaitingError(
            "CreateContainerConfigError", "envFrom: a process node has no ConfigMaps or Secrets"
        )
    variables: dict[str, str] = {}
    for entry in container.get("env") or []:
        if entry.get("valueFrom"):
            variables[entry["name"]] = _value_from(entry, pod, facts)
        else:
            variables[entry["name"]] = table.expand(entry.get("value") or "", variables)
    return variables


def _value_from(entry: Json, pod: Json, facts: Mapping[str, str]) -> str:
    source = entry["valueFrom"]
    field = (source.get("fieldRef") or {}).get("fieldPath")
    if field is None:
        kind = ", ".join(source)
        raise ContainerWaitingError(
            "CreateContainerConfigError", f"env {entry['name']}: a process node knows fieldRef, and no {kind}"
        )
    metadata = pod["metadata"]
    known = {f"metadata.{name}": str(metadata.get(name, "")) for name in ("name", "namespace", "uid")} | dict(facts)
    keyed = _LABEL.fullmatch(field)
    if keyed:
        return str((metadata.get(keyed[1]) or {}).get(keyed[2], ""))
    if field not in known:
        raise ContainerWaitingError(
            "CreateContainerConfigError",
            f"env {entry['name']}: unsupported fieldPath {field}; known: {', '.join(known)}",
        )
    return known[field]


def _argv(
    container: Json, images: Mapping[str, ImageConfig], table: PathTable, variables: Mapping[str, str]
) -> tuple[str, ...]:
    image = images.get(container.get("image", ""), ImageConfig())
    command, args = container.get("command") or [], container.get("args") or []
    program = list(command or image.entrypoint)
    arguments = list(args) if args or command else list(image.cmd)
    argv = [table.expand_argument(text, variables) for text in (*program, *arguments)]
    if not argv or (args and not program):
        raise ContainerWaitingError(
            "ImagePullBackOff",
            f"a process node cannot run an image without a command: give the container of image "
            f"{container.get('image', '')!r} a command, or run the Pod on a node with a container engine",
        )
    return (sys.executable, *argv[1:]) if argv[0] in _INTERPRETERS else tuple(argv)


def _memory_limit(container: Json) -> int | None:
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    return None if limit is None else parse_bytes(str(limit))


def parse_bytes(quantity: str) -> int:
    """A Kubernetes quantity of memory in bytes: ``512Mi``, ``1.5G``, ``1e9``, ``128974848``."""
    match = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?", quantity)
    try:
        number = Decimal(match[1]) if match else None
    except InvalidOperation:
        number = None
    if match is None or number is None:
        raise ContainerWaitingError(
            "CreateContainerConfigError",
            f"resources.limits.memory: expected a quantity such as 512Mi, found {quantity!r}",
        )
    return int(number * _FACTORS[match[2] or ""])
