"""The API server in plain dicts: what a node and the tests need of the asyncio client, without its models.

A kubelet passes on whatever fields an object has; the typed models of one client version would drop some.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
UNREACHABLE = (aiohttp.ClientError, OSError, TimeoutError)
_WATCH_SECONDS = 240


class ApiError(Exception):
    """The API server's refusal: ``code`` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Api:
    """Requests by path; ``kube`` is a ``kubernetes.aio.client.ApiClient``, and stays its owner's to close."""

    def __init__(self, kube: client.ApiClient) -> None:
        self._kube = kube

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Json:
        return await self._json("GET", path, query=query)

    async def create(self, path: str, body: Json) -> Json:
        return await self._json("POST", path, body)

    async def patch(self, path: str, body: Json, kind: str = MERGE_PATCH) -> Json:
        return await self._json("PATCH", path, body, kind)

    async def delete(self, path: str, options: Json | None = None) -> Json:
        return await self._json("DELETE", path, options)

    async def watch(self, path: str, query: Mapping[str, Any]) -> AsyncIterator[Json]:
        """Events (``{"type", "object"}``) until the server ends the watch; raises ``ApiError`` for an ERROR event."""
        asked = {**query, "watch": "true", "timeoutSeconds": _WATCH_SECONDS}
        timeout = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 30, sock_connect=5)
        response = await self._send("GET", path, asked, limit=timeout)
        try:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), event["object"].get("message", ""))
                yield event
        finally:
            response.close()

    async def _json(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = "application/json",
        query: Mapping[str, Any] | None = None,
    ) -> Json:
        timeout = aiohttp.ClientTimeout(total=30, sock_connect=5)
        response = await self._send(method, path, query or {}, body, content_type, timeout)
        answer: Json = json.loads(await response.read())
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Json | None = None,
        content_type: str = "application/json",
        limit: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        await self._kube.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._kube.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        answer = await self._kube.call_api(method, url, headers, body, _request_timeout=limit)
        response: aiohttp.ClientResponse = answer.response
        if response.status >= 400:
            text = await response.text()
            message = json.loads(text).get("message", "") if text.startswith("{") else text
            raise ApiError(response.status, f"{method} {path}: {message}")
        return response


async def connect(kubeconfig: Path) -> client.ApiClient:
    """A client for the kubeconfig's current context, to be closed by the caller."""
    made: client.ApiClient = await config.new_client_from_config(  # type: ignore[no-untyped-call]
        config_file=str(kubeconfig), persist_config=False
    )
    return made
