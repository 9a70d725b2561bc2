"""``Study.wait`` while the cluster comes and goes, over real HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from hpo_operator import Mistake, Study
from kube.fake_api import FakeApi
from reconcile.objects import study


def kubeconfig(folder: Path, url: str) -> str:
    named: dict[str, Any] = {"name": "lab"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [named | {"cluster": {"server": url}}],
        "users": [named | {"user": {"token": "t"}}],
        "contexts": [named | {"context": {"cluster": "lab", "user": "lab", "namespace": "lab"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return str(path)


async def test_waiting_outlasts_an_outage(tmp_path: Path) -> None:
    """The study ends while nobody can ask; that there is nobody to ask at first is a mistake."""
    api, raw = FakeApi(), study()
    api.put("hpostudies", raw)
    looked, refused = asyncio.Event(), asyncio.Event()

    async def there(_: web.Request) -> None:
        looked.set()

    async def away(_: web.Request) -> web.StreamResponse:
        refused.set()
        return web.json_response({"message": "etcd is away"}, status=503)

    async with api.served():
        found = await asyncio.to_thread(Study.attach, "demo", "lab", kubeconfig(tmp_path, api.url))
        api.fault = there
        waiting = asyncio.create_task(asyncio.to_thread(found.wait, 60))
        await looked.wait()
        api.fault = away
        await refused.wait()
        with pytest.raises(Mistake, match=r"lab/demo: .*etcd is away"):
            await asyncio.to_thread(found.wait)
        api.put("hpostudies", raw | {"status": {"phase": "Succeeded", "completionTime": "2026-11-22T07:00:00Z"}})
        api.fault = there
        assert await waiting is found
