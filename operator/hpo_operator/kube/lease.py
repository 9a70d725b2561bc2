"""One operator acts, however many run: it holds a Lease of coordination.k8s.io, as in client-go's leader election.

A holder that does not renew for DURATION_SECONDS has lost it. Whether time has passed is judged by the observer's own
clock since the record last changed, so the machines' clocks need not agree. A holder that cannot renew stops acting
after RENEW_SECONDS, well before anybody else may begin. https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hpo_operator.kube.client import ApiServer
from hpo_operator.kube.errors import ClusterError, ConflictError, NotFoundError

log = logging.getLogger(__name__)

Raw = Mapping[str, Any]
DURATION_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 15, 10.0, 2.0


@dataclass(frozen=True)
class Sighting:
    """What a Lease said, and when (seconds on a monotonic clock) it was first seen to say so."""

    holder: str
    renewed: str
    at: float


def sight(lease: Raw, last: Sighting | None, now: float) -> Sighting:
    """``last``, if the Lease has not changed since."""
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
    if last is not None and (last.holder, last.renewed) == (holder, renewed):
        return last
    return Sighting(holder, renewed, now)


def is_free(sighting: Sighting, identity: str, now: float) -> bool:
    """Whether ``identity`` may write its name: it stands there already, nobody's does, or its owner is silent."""
    return sighting.holder in ("", identity) or now - sighting.at > DURATION_SECONDS


class Lease:
    """``path``: namespace/name. ``identity``: of this process, no other's."""

    def __init__(self, server: ApiServer, path: str, identity: str, clock: Callable[[], datetime]) -> None:
        namespace, _, name = path.partition("/")
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._server, self._name, self._identity, self._clock = server, name, identity, clock
        self._sighting: Sighting | None = None

    async def acquire(self) -> None:
        """Returns once it is held. Cancel it to give up."""
        told = ""
        while not await self._tried():
            holder = self._sighting.holder if self._sighting else ""
            if holder and holder != told:
                log.info("standing by: %s holds the lease %s", holder, self._name)
                told = holder
            await asyncio.sleep(RETRY_SECONDS)
        log.info("holding the lease %s as %s", self._name, self._identity)

    async def keep(self) -> None:
        """Renews it; returns when it is lost, or could not be renewed in time."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while loop.time() - renewed < RENEW_SECONDS:
            await asyncio.sleep(RETRY_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(renewed + RENEW_SECONDS - loop.time()):
                    if await self._tried():
                        renewed = loop.time()
                    elif self._sighting is not None and self._sighting.holder not in ("", self._identity):
                        log.error("the lease %s is %s's now", self._name, self._sighting.holder)
                        return
        log.error("the lease %s could not be renewed for %.0f s", self._name, RENEW_SECONDS)

    async def release(self) -> None:
        """Let a successor begin at once. Says nothing if that fails: the lease then runs out by itself."""
        with suppress(ClusterError):
            lease = await self._read()
            if lease is not None and (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                await self._put(lease, "", 1)

    async def _tried(self) -> bool:
        """Take or renew it, if that is allowed; False if not, or if the API server did not answer well."""
        try:
            lease = await self._read()
            now = asyncio.get_running_loop().time()
            if lease is None:
                await self._create()
                return True
            self._sighting = sight(lease, self._sighting, now)
            if not is_free(self._sighting, self._identity, now):
                return False
            await self._put(lease, self._identity, DURATION_SECONDS)
        except ConflictError:  # another was quicker
            return False
        except ClusterError as error:
            log.warning("lease %s: %s", self._name, error.message)
            return False
        return True

    async def _read(self) -> Raw | None:
        try:
            found: Raw = await self._server.request("GET", f"{self._folder}/{self._name}")
        except NotFoundError:
            return None
        return found

    async def _create(self) -> None:
        spec = self._spec({}, self._identity, DURATION_SECONDS)
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": spec,
        }
        await self._server.request("POST", self._folder, body=body)

    async def _put(self, lease: Raw, holder: str, seconds: int) -> None:
        """With the resourceVersion that was read: of two who try, one meets a conflict."""
        body = {**lease, "spec": self._spec(lease.get("spec") or {}, holder, seconds)}
        await self._server.request("PUT", f"{self._folder}/{self._name}", body=body)

    def _spec(self, old: Raw, holder: str, seconds: int) -> dict[str, Any]:
        now = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        same = old.get("holderIdentity") == holder
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "acquireTime": old.get("acquireTime", now) if same else now,
            "renewTime": now,
            "leaseTransitions": old.get("leaseTransitions", 0) + (0 if same or not old else 1),
        }
