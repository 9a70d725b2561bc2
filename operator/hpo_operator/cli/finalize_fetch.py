"""``hpo finalize --fetch``: a final model from the study's volume to this machine.

A Pod has ended when its model is there, and nothing can be read through it any more. So a small one is created, which
only waits; ``kubectl exec`` reads an archive from it, and it is deleted.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import typer

from hpo_operator.cli.finalize_cluster import cluster_study, trainer_image
from hpo_operator.cli.options import INTERRUPTED
from hpo_operator.kube.errors import ClusterError
from hpo_operator.manifests.final import PLACES, fetch_manifest
from hpo_operator.manifests.pod import PodSettings
from hpo_operator.mistakes import Mistake
from hpo_operator.reconcile.pod_facts import PodState, read_pod
from hpo_operator.studies.cluster import Space, connected
from hpo_operator.studies.objects import study_objects
from hpo_operator.studies.stored_objects import of_space

START_SECONDS = 600
"""In which the Pod should run; its image is on the nodes that trained."""


def fetched(target: str, namespace: str, folder: Path, image: str) -> str:
    """What was brought into ``folder``, which is made. Raises Mistake: all that can go wrong."""
    if folder.exists():
        raise Mistake(f"--fetch {folder}: expected a folder that is not there yet, found one")
    if shutil.which("kubectl") is None:
        raise Mistake("--fetch reads through kubectl exec, and there is no kubectl on the PATH")
    try:
        return asyncio.run(_fetched(target, namespace, folder, image))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


async def _fetched(target: str, namespace: str, folder: Path, image: str) -> str:
    async with connected(namespace, target) as space:
        found = study_objects(await of_space(space, target))
        study = cluster_study(found)
        settings = PodSettings(await trainer_image(space, found, study, image))
        pod = await space.create_pod(fetch_manifest(study, settings))
        try:
            name = pod["metadata"]["name"]
            await _until_running(space, name)
            command = ["kubectl", "exec", "-n", space.namespace, name, "--", "tar", "-cf", "-", "-C", PLACES.out, "."]
            count = await asyncio.to_thread(received, command, folder)
        finally:
            with suppress(ClusterError):  # it ends by itself
                await space.delete_pod(pod)
    return f"{count} files written to {folder}: read model_card.md"


async def _until_running(space: Space, name: str) -> None:
    """Raises Mistake."""
    for _ in range(START_SECONDS):
        facts = read_pod(await space.pod(name))
        if facts.state is not PodState.WAITING:
            break
        await asyncio.sleep(1)
    if facts.state is not PodState.RUNNING:
        raise Mistake(f"{space.namespace}/{name}: the Pod does not run: {facts.reason}: {facts.message}")


def received(command: Sequence[str], folder: Path) -> int:
    """How many files of the archive that ``command`` prints were written; all, or there is no folder.

    Raises:
        Mistake: the command failed, or the archive has something in it that is no file below ``folder``.
    """
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        count = _unpacked_output(command, new)
        new.replace(folder)
        return count
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _unpacked_output(command: Sequence[str], folder: Path) -> int:
    broken = ""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            count = _unpacked(process.stdout, folder)
        except tarfile.TarError as error:
            broken = str(error)
        told = process.stderr.read().decode(errors="replace").strip()
    if process.returncode or broken:
        raise Mistake(f"{' '.join(command)}: {told or broken or f'exit code {process.returncode}'}")
    return count


def _unpacked(stream: IO[bytes], folder: Path) -> int:
    """Files and folders only: a trainer may have written anything into an archive. Raises Mistake and TarError."""
    count, root = 0, folder.resolve()
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = (root / member.name).resolve()
            if not path.is_relative_to(root) or not (member.isreg() or member.isdir()):
                raise Mistake(f"{member.name}: expected a file or a folder of the model, found something else")
            (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
            if member.isreg():
                content = archive.extractfile(member)
                assert content is not None  # a file has one
                with path.open("wb") as file:
                    shutil.copyfileobj(content, file)
                count += 1
    return count
