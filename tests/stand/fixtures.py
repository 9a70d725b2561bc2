"""The stand for pytest: `pytest_plugins = ["stand.fixtures"]`. One control plane a session, one namespace a test."""

from __future__ import annotations

import os
import urllib.error
from collections.abc import AsyncIterator, Iterator

import pytest
from kubernetes.aio import client

from stand.api import connect
from stand.build import Assets, cannot_build, ensure, find
from stand.cluster import THREADS, start_process_node
from stand.control_plane import ControlPlane
from stand.daemons import Daemon

for _name, _value in THREADS.items():
    os.environ.setdefault(_name, _value)


@pytest.fixture(scope="session")
def stand_assets() -> Assets:
    """The binaries, built if need be; a machine that has none and can build none skips, and says why."""
    if find(os.environ) is None:
        reason = cannot_build(os.environ)
        if reason:
            pytest.skip(f"no control plane here: {reason}")
    return ensure(os.environ)


@pytest.fixture(scope="session")
def control_plane(stand_assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with its controllers and its scheduler, and no node. Its logs stay with pytest's."""
    with ControlPlane(tmp_path_factory.mktemp("stand"), stand_assets) as plane:
        yield plane


@pytest.fixture(scope="session")
def process_node(control_plane: ControlPlane) -> Daemon:
    """A node that runs Pods as processes; ends with the control plane."""
    return start_process_node(control_plane)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of its own, deleted (not awaited) afterwards."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "test-"}}
    name = control_plane.request("POST", "/api/v1/namespaces", body)["metadata"]["name"]
    control_plane.wait_until(lambda: _has_service_account(control_plane, name), f"no service account in {name}")
    yield name
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


def _has_service_account(plane: ControlPlane, namespace: str) -> bool:
    """Pods are refused before the namespace's default service account is there with its token."""
    try:
        account = plane.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False
    return bool(account.get("secrets")) or plane.minor_version >= 24


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[client.ApiClient]:
    """An asyncio client of the test's own event loop, as admin."""
    async with await connect(control_plane.kubeconfig) as api_client:
        yield api_client
