"""Our own kinds at the API server: whoever watches before they are served, watches nothing."""

from __future__ import annotations

import asyncio
import logging

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.kube.client import ApiServer
from hpo_operator.kube.errors import NotFoundError, TemporaryError

log = logging.getLogger(__name__)

KINDS = ("hpostudies", "hpotrials")
RETRY_SECONDS = 2.0


async def wait_until_served(server: ApiServer) -> None:
    """Returns once the API server knows both kinds; says what it waits for. Cancel it to give up.

    Raises:
        RefusedError: the account may not even ask.
    """
    told = ""
    while missing := await _missing(server):
        if missing != told:
            log.warning("waiting for %s; are the CRDs installed?", missing)
            told = missing
        await asyncio.sleep(RETRY_SECONDS)


async def _missing(server: ApiServer) -> str:
    """What is not there yet, in words; empty if all is."""
    try:
        found = await server.request("GET", f"/apis/{GROUP}/{VERSION}")
    except NotFoundError:
        return f"the API group {GROUP}/{VERSION}"
    except TemporaryError as error:
        return f"the API server ({error.message})"
    served = {resource["name"] for resource in found.get("resources") or []}
    return ", ".join(f"{kind}.{GROUP}" for kind in KINDS if kind not in served)
