"""The API server's version, our kinds in it, the operator, and who scrapes what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from hpo_operator.api.crd import study_crd, trial_crd
from hpo_operator.api.differences import ABSENT, differences
from hpo_operator.api.study import GROUP, VERSION
from hpo_operator.api.words import listing
from hpo_operator.doctor.facts import Fact, Facts, Finding, Raw, State, Wanted

OLDEST = (1, 20)
"""The oldest Kubernetes that is supported; the chart's kubeVersion says the same."""
CRDS = {"hpostudies": study_crd, "hpotrials": trial_crd}
NAMED = 3
"""Differences that a sentence names."""
INSTALL = "install the chart (docs/install.md)"
UNCOMPARED = ("description", "x-kubernetes-validations")
"""Words; and rules that the chart leaves out for servers that do not know them."""


def server(facts: Facts) -> Iterator[Finding]:
    told = facts.version.value or {}
    numbers = [re.match(r"\d+", str(told.get(key, ""))) for key in ("major", "minor")]
    name = f"Kubernetes {str(told.get('gitVersion', '')).removeprefix('v')}"
    if None in numbers:
        yield Finding("API server", State.WARNING, "it does not tell its version", f"{_oldest()} or newer is needed")
        return
    version = tuple(int(number[0]) for number in numbers if number is not None)
    if version < OLDEST:
        yield Finding("API server", State.FAILED, f"{name} is too old", f"upgrade the cluster to {_oldest()} or newer")
    else:
        yield Finding("API server", State.OK, name)


def _oldest() -> str:
    return "Kubernetes " + ".".join(map(str, OLDEST))


def kinds(facts: Facts) -> Iterator[Finding]:
    """Both CRDs are there, served, and of this version."""
    served = {resource["name"] for resource in (facts.group.value or {}).get("resources") or ()}
    missing = [f"{plural}.{GROUP}" for plural in CRDS if plural not in served]
    if missing:
        said = f"{listing(missing)} not served as {VERSION}"
        yield Finding("CRDs", State.FAILED, said, f"{INSTALL}, or kubectl apply -f crds/")
        return
    refused = next((fact.refused for fact in facts.crds.values() if fact.refused), "")
    if refused:
        advice = "somebody who may read CustomResourceDefinitions can compare them with this version's"
        yield Finding(
            "CRDs", State.OK, f"{listing(CRDS)} are served as {VERSION}; which version's was not compared", advice
        )
        return
    different = [
        f"{plural}: {text}" for plural, fact in facts.crds.items() for text in crd_differences(plural, fact.value)
    ]
    if different:
        more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
        said = f"not those of this version: {'; '.join(different[:NAMED])}{more}"
        yield Finding(
            "CRDs", State.FAILED, said, "upgrade the chart, or kubectl apply -f crds/; or use the hpo of that version"
        )
    else:
        yield Finding("CRDs", State.OK, f"{listing(CRDS)} are those of this version")


def crd_differences(plural: str, installed: Raw) -> Iterator[str]:
    """What the installed CRD has or lacks, by path."""
    versions = {version["name"]: version for version in installed["spec"]["versions"]}
    ours = _fields(CRDS[plural]()["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "")
    theirs = _fields(versions[VERSION]["schema"]["openAPIV3Schema"], "")
    for path in sorted(ours.keys() | theirs.keys()):
        if path not in theirs:
            yield f"{path} is missing"
        elif path not in ours:
            yield f"{path} is unknown to this version"
        else:
            for difference in differences(ours[path], theirs[path], path):
                there = "absent" if difference.new is ABSENT else difference.new
                yield f"{difference.path} is {there} there"
                break


def _fields(schema: Raw, path: str) -> dict[str, dict[str, Any]]:
    """Each field's own part of the schema, by its path."""
    own = {k: v for k, v in schema.items() if k not in ("properties", "items", "additionalProperties", *UNCOMPARED)}
    found = {path: own} if path else {}
    for name, inner in (schema.get("properties") or {}).items():
        if path or name in ("spec", "status"):
            found |= _fields(inner, f"{path}.{name}" if path else name)
    for keyword, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(keyword), Mapping):
            found |= _fields(schema[keyword], path + mark)
    return found


def operator(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    name = "/".join(wanted.operator)
    elsewhere = "--operator NAMESPACE/NAME if it was installed under another name"
    spec = (facts.lease.value or {}).get("spec") or {}
    if facts.lease.refused and facts.deployment.refused:
        advice = "ask somebody who may read its namespace to run this"
        yield Finding("operator", State.WARNING, f"you may not see whether {name} runs", advice)
        return
    if facts.lease.refused:
        yield _by_deployment(name, facts.deployment)
    elif not spec.get("holderIdentity"):
        state = "has given its Lease back and is stopped" if facts.lease.value else "has no Lease: it never ran there"
        advice = f"{INSTALL}, or look at its Pod: kubectl -n {wanted.operator[0]} get pods; {elsewhere}"
        yield Finding("operator", State.FAILED, f"{name} {state}", advice)
    else:
        yield _by_lease(name, spec, facts.now, wanted.operator[0])
    served = _served(facts.deployment)
    if served and wanted.namespace not in served:
        said = f"{name} serves {listing(served)}, and not {wanted.namespace}"
        yield Finding("operator", State.FAILED, said, "add the namespace to the chart's watchNamespaces")


def _by_lease(name: str, spec: Raw, now: datetime, namespace: str) -> Finding:
    age = (now - datetime.fromisoformat(spec["renewTime"])).total_seconds()
    holder, limit = spec["holderIdentity"], spec.get("leaseDurationSeconds", 15)
    if age <= limit:
        return Finding("operator", State.OK, f"{name} runs as {holder}")
    said = f"{holder} has not renewed the Lease {name} for {age:.0f} s (expected at most {limit} s)"
    advice = f"kubectl -n {namespace} get pods, and their logs; or this machine's clock is ahead of the cluster's"
    return Finding("operator", State.FAILED, said, advice)


def _by_deployment(name: str, deployment: Fact) -> Finding:
    ready = ((deployment.value or {}).get("status") or {}).get("readyReplicas", 0)
    if deployment.value is None or not ready:
        what = "has no ready Pod" if deployment.value else "is not installed"
        return Finding("operator", State.FAILED, f"{name} {what}", INSTALL)
    return Finding("operator", State.OK, f"{name}: {ready} ready")


def _served(deployment: Fact) -> list[str]:
    """Namespaces that it watches; none: all."""
    containers = ((((deployment.value or {}).get("spec") or {}).get("template") or {}).get("spec") or {}).get(
        "containers"
    )
    for container in containers or ():
        for variable in container.get("env") or ():
            if variable.get("name") == "HPO_OPERATOR_NAMESPACES":
                return [part.strip() for part in (variable.get("value") or "").split(",") if part.strip()]
    return []


def monitoring(facts: Facts) -> Iterator[Finding]:
    served = {resource["name"] for resource in (facts.monitoring.value or {}).get("resources") or ()}
    if "podmonitors" in served:
        yield Finding("monitoring", State.OK, "the Prometheus operator's PodMonitor is served")
    else:
        advice = "optional: install the Prometheus operator for metrics, alerts and dashboards (docs/metrics.md)"
        yield Finding("monitoring", State.WARNING, "no PodMonitor is served", advice)
