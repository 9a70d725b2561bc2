"""Which trials Prometheus shall scrape, over HTTP: Debian's build lacks the discovery of Kubernetes' own objects.

It serves what a PodMonitor would select: each running Pod's port ``hpo-metrics``, with the meta labels of Prometheus'
own discovery. (prometheus.io/docs/prometheus/latest/http_sd)
"""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path

from aiohttp import web

from stand.api import Api, Json, connect

PORT_NAME = "hpo-metrics"


def targets(pods: list[Json]) -> list[Json]:
    """Target groups of the Pods that have an address and have not ended."""
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
            "labels": _meta(pod),
        }
        for pod in pods
        if pod["status"].get("podIP") and pod["status"].get("phase") == "Running"
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or []
        if port.get("name") == PORT_NAME
    ]


def _meta(pod: Json) -> dict[str, str]:
    metadata = pod["metadata"]
    labels = {f"pod_label_{re.sub('[^a-zA-Z0-9_]', '_', k)}": v for k, v in (metadata.get("labels") or {}).items()}
    names = {"namespace": metadata["namespace"], "pod_name": metadata["name"]}
    return {f"__meta_kubernetes_{name}": value for name, value in {**names, **labels}.items()}


async def serve(kubeconfig: Path, port: int) -> None:
    """Until it is ended."""
    async with await connect(kubeconfig) as kube:
        api = Api(kube)

        async def show(_: web.Request) -> web.Response:
            return web.json_response(targets((await api.get("/api/v1/pods"))["items"]))

        app = web.Application()
        app.add_routes([web.get("/targets", show)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stand.discovery")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.kubeconfig, options.port))


if __name__ == "__main__":
    main()
