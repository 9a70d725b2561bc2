"""Plain JSON to and from the API server.

The generated client's connection, TLS and credentials are used; its models are not: they cost memory and time, and
lose fields that they do not know.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode
from urllib.request import getproxies_environment

import aiohttp
from kubernetes.aio import client, config

from hpo_operator.kube.errors import ClusterError, TemporaryError, from_status

REQUEST_TIMEOUT_SECONDS = 30
AT_ONCE = 16
"""Requests in flight. More do not make an API server faster, and whoever else asks it, such as for a Lease, waits."""
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML. https://kubernetes.io/docs/reference/using-api/server-side-apply/"""
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class ConfigurationError(Exception):
    """There is no usable way to an API server; the message says where one was looked for."""


async def load_configuration(kubeconfig: str | None = None) -> Any:
    """By ``kubeconfig`` (a path, or None for the usual places), else by the Pod's own service account.

    Raises ConfigurationError.
    """
    if kubeconfig is not None:
        _require_file(kubeconfig)
    configuration = client.Configuration()
    try:
        if kubeconfig is None and not _usual_kubeconfig():  # the client would warn of a Pod that has none
            _load_service_account(configuration)
        else:
            await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    except config.ConfigException as error:
        raise ConfigurationError(f"{kubeconfig or config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION}: {error}") from error
    # Else each request would look into ~/.netrc, in another thread, for credentials that no API server takes.
    configuration.client_session_kwargs = {"trust_env": bool(getproxies_environment())}
    return configuration


def _usual_kubeconfig() -> bool:
    """Whether there is a file where ``$KUBECONFIG`` says, or ``~/.kube/config``."""
    places = config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION.split(config.kube_config.ENV_KUBECONFIG_PATH_SEPARATOR)
    return any(Path(place).expanduser().is_file() for place in places if place)


def context_namespace(kubeconfig: str | None = None) -> str:
    """Where kubectl works when it is told no namespace: of the current context, or the Pod's own; else ``default``."""
    if kubeconfig is None and not _usual_kubeconfig():
        return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.is_file() else "default"
    try:
        _, context = config.list_kube_config_contexts(kubeconfig)
    except config.ConfigException:  # which whoever connects is told
        return "default"
    return str(context["context"].get("namespace") or "default")


def _require_file(kubeconfig: str) -> None:
    if not Path(kubeconfig).is_file():
        raise ConfigurationError(f"{kubeconfig}: no such kubeconfig")


def _load_service_account(configuration: Any) -> None:
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise ConfigurationError(
            "no API server: expected HPO_OPERATOR_KUBECONFIG, KUBECONFIG, ~/.kube/config or a Pod's service account"
        ) from error


Tell = Callable[[str, str, str], None]
"""Called after each request: its verb, its resource (``pods``, ``hpotrials/status``), its HTTP status or ``none``."""


class ApiServer:
    """An async context manager. ``request`` returns parsed JSON or raises a ClusterError."""

    def __init__(self, configuration: Any, tell: Tell = lambda verb, resource, code: None) -> None:
        self._client, self._tell = client.ApiClient(configuration), tell
        self._at_once = asyncio.Semaphore(AT_ONCE)

    @classmethod
    async def connect(cls, kubeconfig: str | None = None, tell: Tell = lambda verb, resource, code: None) -> Self:
        """See ``load_configuration``."""
        return cls(await load_configuration(kubeconfig), tell)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: object | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        limit = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        # Waiting for the semaphore is not counted as the server's time.
        async with self._at_once, self._sent(method, path, body, query, content_type, limit) as response:
            return json.loads(await response.read())

    async def stream(self, path: str, query: Mapping[str, str], seconds: float | None) -> AsyncIterator[bytes]:
        """The pieces of an answer as they come, for at most so many seconds; raises a ClusterError."""
        limit = aiohttp.ClientTimeout(total=seconds, sock_connect=REQUEST_TIMEOUT_SECONDS)
        async with self._sent("GET", path, None, query, "application/json", limit) as response:
            async for piece in response.content.iter_any():
                yield piece

    @asynccontextmanager
    async def _sent(
        self,
        method: str,
        path: str,
        body: object | None,
        query: Mapping[str, str] | None,
        content_type: str,
        limit: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, if it is none of refusal; what goes wrong while it is read is a ClusterError, too."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        url = f"{self._client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            # Not through the client's own serialisation of models: bodies are plain JSON here, and it takes its time.
            await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            answer = await self._client.rest_client.request(method, url, headers, body, _request_timeout=limit)
            response: aiohttp.ClientResponse = answer.response
            async with response:
                if response.status >= 400:
                    text = (await response.read()).decode()
                    wait = _seconds(response.headers.get("Retry-After"))
                    raise from_status(response.status, _message(text), wait)
                yield response
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._tell(method, resource_of(path), "none")
            raise TemporaryError(f"{method} {path}: {str(error) or type(error).__name__}") from error
        except ClusterError as error:
            self._tell(method, resource_of(path), str(error.status))
            raise
        self._tell(method, resource_of(path), str(response.status))


def resource_of(path: str) -> str:
    """The resource, with its subresource, that a path of the Kubernetes API names; empty for a path of no resource.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#standard-api-terminology
    """
    found = re.fullmatch(r"(?:/api/[^/]+|/apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/([^/]+)(?:/[^/]+(/[^/]+)?)?", path)
    return "" if found is None else found[1] + (found[2] or "")


def _seconds(retry_after: str | None) -> float:
    """Of the header Retry-After; API servers send seconds, and a date counts as 0."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else 0.0


def _message(text: str) -> str:
    """The sentence inside a Kubernetes Status object."""
    try:
        return str(json.loads(text).get("message") or text)[:2000]
    except (ValueError, AttributeError):
        return text[:2000]
