"""The Pod security standard *restricted* as a check, rule by rule: Kubernetes documentation, "Pod Security Standards".

Written from that page alone, so that it judges a Pod as a namespace with ``pod-security.kubernetes.io/enforce:
restricted`` does. The baseline profile's rules are part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Raw = dict[str, Any]
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(spec: Raw) -> list[str]:
    """What the profile forbids in a Pod's spec, as sentences."""
    containers = [*spec["containers"], *(spec.get("initContainers") or []), *(spec.get("ephemeralContainers") or [])]
    found = list(_pod(spec))
    for container in containers:
        found += [f"{container['name']}: {what}" for what in _container(container, spec.get("securityContext") or {})]
    return found


def _pod(spec: Raw) -> Iterator[str]:
    for flag in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(flag):
            yield flag
    for volume in spec.get("volumes") or []:
        for kind in volume.keys() - {"name"} - VOLUMES:
            yield f"volume {kind}"
    context = spec.get("securityContext") or {}
    if context.get("sysctls"):
        yield "sysctls"
    yield from _either(context)


def _either(context: Raw) -> Iterator[str]:
    """What may stand at the Pod and at a container."""
    if context.get("runAsUser") == 0:
        yield "runAsUser 0"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "hostProcess"
    if (context.get("seLinuxOptions") or {}).get("type", "") not in ("", "container_t", "container_init_t"):
        yield "seLinuxOptions.type"
    if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") == "Unconfined":
        yield "appArmorProfile"
    if (context.get("seccompProfile") or {}).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"


def _container(container: Raw, pod: Raw) -> Iterator[str]:
    context = container.get("securityContext") or {}
    yield from _either(context)
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation must be false"
    if not context.get("runAsNonRoot", pod.get("runAsNonRoot")):
        yield "runAsNonRoot must be true"
    if not (context.get("seccompProfile") or pod.get("seccompProfile")):
        yield "seccompProfile must be set"
    if context.get("procMount", "Default") != "Default":
        yield "procMount"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "capabilities must drop ALL"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield "capabilities add"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "hostPort"
