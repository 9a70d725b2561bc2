"""Persistent volumes of the stand: a claim bound to a directory of this machine, without a StorageClass."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from kubernetes.aio import client

from stand.api import Api, ApiError, Json, connect


async def make_claim(kube: client.ApiClient, namespace: str, name: str, host_dir: Path, size: str = "10Gi") -> None:
    """Make a PersistentVolume for ``host_dir`` and a claim of that name which the controller binds to it.

    The volume is bound in advance (claimRef), so the claim can bind to no other. Deleting the claim keeps the files.
    """
    api = Api(kube)
    volume = f"{namespace}-{name}"
    await api.create("/api/v1/persistentvolumes", _volume(volume, namespace, name, host_dir, size))
    await api.create(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", _claim(volume, name, size))


def local_claim(namespace: str, name: str, host_dir: Path, node: str, size: str = "10Gi") -> list[Json]:
    """A volume of a node's own disk, and its claim. Unlike a hostPath, a kubelet gives it to the Pod's ``fsGroup``."""
    volume = f"{namespace}-{name}"
    made = _volume(volume, namespace, name, host_dir, size)
    path = made["spec"].pop("hostPath")["path"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}
    made["spec"] |= {"local": {"path": path}, "nodeAffinity": affinity}
    claim = _claim(volume, name, size)
    claim["metadata"]["namespace"] = namespace
    return [made, claim]


def volume_folders(volumes: Path, checkpoints: Path) -> dict[str, Path]:
    """Claim name -> folder: those of ``hpo run``, and an empty one for checkpoints, which uids keep apart anyway."""
    shutil.rmtree(checkpoints, ignore_errors=True)
    checkpoints.mkdir(parents=True)
    return {path.name: path for path in sorted(volumes.glob("*")) if path.is_dir()} | {"checkpoints": checkpoints}


async def make_claims(kubeconfig: Path, namespace: str, folders: Mapping[str, Path]) -> None:
    """A bound claim for each folder, by its name."""
    async with await connect(kubeconfig) as kube:
        for name, folder in folders.items():
            await make_claim(kube, namespace, name, folder)


def _volume(volume: str, namespace: str, claim: str, host_dir: Path, size: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "hostPath": {"path": str(host_dir.resolve())},
            "claimRef": {"namespace": namespace, "name": claim},
        },
    }


def _claim(volume: str, name: str, size: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "volumeName": volume,
            "resources": {"requests": {"storage": size}},
        },
    }


async def claim_directory(api: Api, namespace: str, name: str) -> Path | None:
    """Host directory behind a claim; None while the claim is missing, unbound, or bound to no directory of a host."""
    try:
        claim = await api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
        if claim.get("status", {}).get("phase") != "Bound":
            return None
        volume = await api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
    except ApiError as error:
        if error.code != 404:
            raise
        return None
    source = volume["spec"].get("hostPath") or volume["spec"].get("local")
    return Path(source["path"]) if source else None
