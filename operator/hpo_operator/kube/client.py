"""Plain JSON to and from the API server.

The generated client's connection, TLS and credentials are used; its models are not: they cost memory and time, and
lose fields that they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

from hpo_operator.kube.errors import TemporaryError, from_status

REQUEST_TIMEOUT_SECONDS = 30
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


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
        await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    except config.ConfigException as error:
        if kubeconfig is not None:
            raise ConfigurationError(f"{kubeconfig}: {error}") from error
        _load_service_account(configuration)
    return configuration


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


class ApiServer:
    """An async context manager. ``request`` returns parsed JSON or raises a ClusterError."""

    def __init__(self, configuration: Any) -> None:
        self._client = client.ApiClient(configuration)

    @classmethod
    async def connect(cls, kubeconfig: str | None = None) -> Self:
        """See ``load_configuration``."""
        return cls(await load_configuration(kubeconfig))

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
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if body is not None else {})
        prepared = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._client.call_api(*prepared, _request_timeout=REQUEST_TIMEOUT_SECONDS)
            text = (await response.read()).decode()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise TemporaryError(f"{method} {path}: {error or type(error).__name__}") from error
        if response.status >= 400:
            raise from_status(response.status, _message(text))
        return json.loads(text)


def _message(text: str) -> str:
    """The sentence inside a Kubernetes Status object."""
    try:
        return str(json.loads(text).get("message") or text)[:2000]
    except (ValueError, AttributeError):
        return text[:2000]
