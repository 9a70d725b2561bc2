"""What ``hpo doctor`` asks the API server. Nothing is written: a Pod is created as a dry run only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.doctor.access import NEEDED, USEFUL, queue_name
from hpo_operator.doctor.facts import Fact, Facts, Raw, Right, Wanted, rights_of
from hpo_operator.doctor.installation import CRDS
from hpo_operator.doctor.storage import claim_names
from hpo_operator.kube.client import ApiServer
from hpo_operator.kube.errors import ConflictError, NotFoundError, RefusedError
from hpo_operator.manifests.rbac import LEASE_RULES, RULES
from hpo_operator.studies.cluster import Space

REVIEWS = "/apis/authorization.k8s.io/v1"
KUEUE = "/apis/kueue.x-k8s.io/v1beta1"


async def gather_facts(space: Space, wanted: Wanted) -> Facts:
    """All facts, asked for at once.

    Raises:
        ClusterError: the API server does not answer.
    """
    server, inside = space.server, f"/api/v1/namespaces/{wanted.namespace}"
    version = await _asked(server, "/version")  # first and alone: is anybody there
    deployment = await _asked(server, _operator_path("/apis/apps/v1", "deployments", wanted))
    account = _account(deployment, wanted)
    claims, queue = claim_names(wanted.pod), queue_name(wanted.pod)
    asked = {
        "group": _asked(server, f"/apis/{GROUP}/{VERSION}"),
        "lease": _asked(server, _operator_path("/apis/coordination.k8s.io/v1", "leases", wanted)),
        "nodes": _asked(server, "/api/v1/nodes"),
        "pods": _asked(server, "/api/v1/pods"),
        "storage_classes": _asked(server, "/apis/storage.k8s.io/v1/storageclasses"),
        "namespace": _asked(server, inside),
        "quotas": _asked(server, f"{inside}/resourcequotas"),
        "monitoring": _asked(server, "/apis/monitoring.coreos.com/v1"),
        "trial_pod": _asked(server, f"{inside}/pods", "POST", dict(wanted.pod), {"dryRun": "All"}),
        "crds": _each(CRDS, lambda plural: _asked(server, f"{_CRDS}/{plural}.{GROUP}")),
        "claims": _each(claims, lambda name: _asked(server, f"{inside}/persistentvolumeclaims/{name}")),
        "own_rights": _each((*NEEDED, *USEFUL), lambda right: _may(server, right, wanted.namespace)),
        "operator_rights": _operator_rights(server, account, wanted),
    }
    if queue is not None:
        asked["queue"] = _asked(server, f"{KUEUE}/namespaces/{wanted.namespace}/localqueues/{queue}")
    told: Any = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
    now = datetime.now(UTC)
    return Facts(now=now, version=version, deployment=deployment, account=":".join(account), **told)


_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def _operator_path(group: str, kind: str, wanted: Wanted) -> str:
    namespace, name = wanted.operator
    return f"{group}/namespaces/{namespace}/{kind}/{name}"


async def _asked(
    server: ApiServer,
    path: str,
    method: str = "GET",
    body: object | None = None,
    query: Mapping[str, str] | None = None,
) -> Fact:
    """``query`` is not empty only for a dry run. What is there already would be taken as well."""
    try:
        return Fact(await server.request(method, path, body=body, query=query))
    except (NotFoundError, ConflictError):
        return Fact()
    except RefusedError as error:
        return Fact(refused=error.message)


async def _each(keys: Iterable[Any], ask: Any) -> dict[Any, Any]:
    known = list(keys)
    return dict(zip(known, await asyncio.gather(*map(ask, known)), strict=True))


async def _may(server: ApiServer, right: Right, namespace: str) -> bool:
    spec = {"resourceAttributes": _attributes(right, namespace)}
    review = await server.request("POST", f"{REVIEWS}/selfsubjectaccessreviews", body=_review("Self", spec))
    return bool(review["status"]["allowed"])


async def _operator_rights(server: ApiServer, account: tuple[str, str], wanted: Wanted) -> Fact:
    """By ``Right``, whether the operator's service account has it."""
    space, name = account
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{space}", "system:authenticated"]
    user = {"user": f"system:serviceaccount:{space}:{name}", "groups": groups}

    async def may(asked: tuple[Right, str]) -> bool:
        spec = user | {"resourceAttributes": _attributes(*asked)}
        review = await server.request("POST", f"{REVIEWS}/subjectaccessreviews", body=_review("", spec))
        return bool(review["status"]["allowed"])

    places = [(right, wanted.namespace) for right in rights_of(RULES)]
    places += [(right, wanted.operator[0]) for right in rights_of(LEASE_RULES)]
    try:
        allowed = await asyncio.gather(*map(may, places))
    except RefusedError as error:
        return Fact(refused=error.message)
    return Fact({right: granted for (right, _), granted in zip(places, allowed, strict=True)})


def _review(prefix: str, spec: Raw) -> Raw:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": f"{prefix}SubjectAccessReview", "spec": spec}


def _attributes(right: Right, namespace: str) -> Raw:
    resource, _, subresource = right.resource.partition("/")
    return {
        "namespace": namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
    }


def _account(deployment: Fact, wanted: Wanted) -> tuple[str, str]:
    """Namespace and name of the operator's service account; the chart names it as the Deployment."""
    template = ((deployment.value or {}).get("spec") or {}).get("template") or {}
    namespace, name = wanted.operator
    return namespace, (template.get("spec") or {}).get("serviceAccountName") or name
