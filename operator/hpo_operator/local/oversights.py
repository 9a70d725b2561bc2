"""What a study's file forgets about this machine, where a trial has neither an image nor a volume of the cluster's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo_operator.api.pod_template import trainer_index
from hpo_operator.api.raw import mapping
from hpo_operator.local.claims import claim_directory
from hpo_operator.mistakes import Mistake

Raw = Mapping[str, Any]
_INTERPRETERS = ("python", "python3")


def refuse_relative_script(manifest: Raw) -> None:
    """A script beside the study's file is not where the process begins. Raises Mistake."""
    container = _container(manifest)
    command = [*(container.get("command") or ()), *(container.get("args") or ())]
    if container.get("workingDir") or len(command) < 2 or command[0] not in _INTERPRETERS:
        return
    script = str(command[1])
    if script.endswith(".py") and not script.startswith(("/", "$(")):
        raise Mistake(
            f"spec.trainer.podTemplate: {command[0]} {script}: on this machine a trial is a process that begins in an "
            f"empty folder of its own; give the whole path of {script}, or put it into a folder that --volume names "
            f"for the data's claim: [{command[0]}, /data/{script}]"
        )


def empty_data(manifest: Raw, claims: Mapping[str, Path], state: Path) -> str:
    """A sentence if nothing stands in for the claim of the data; trials can only read there. Else empty."""
    claim = mapping(_trainer(manifest).get("data")).get("claimName")
    if not isinstance(claim, str) or claim in claims:
        return ""
    folder = claim_directory(claim, claims, state)
    if folder.is_dir() and any(folder.iterdir()):
        return ""
    return f"the data's claim {claim} is empty here: --volume {claim}=DIR names the folder to read"


def _trainer(manifest: Raw) -> Raw:
    return mapping(mapping(manifest.get("spec")).get("trainer"))


def _container(manifest: Raw) -> Raw:
    """That of the trainer; empty without one, and in a file that is not valid."""
    containers = mapping(mapping(_trainer(manifest).get("podTemplate")).get("spec")).get("containers")
    if not isinstance(containers, list) or not all(isinstance(entry, dict) for entry in containers) or not containers:
        return {}
    container: Raw = containers[trainer_index(containers)]
    lists = (container.get("command") or [], container.get("args") or [])
    return container if all(isinstance(entry, list) for entry in lists) else {}
