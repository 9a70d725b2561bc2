"""What may stand in a user's Pod template.

The template is the one open leaf of the schema, so its shape is judged here: enough of it that a mistake is a sentence
about the study rather than a Pod that never comes, and nothing in it that the *restricted* Pod security standard
forbids (Kubernetes documentation, "Pod Security Standards").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from hpo_operator.api.errors import SpecError
from hpo_operator.api.quantities import PodQuantity
from hpo_operator.api.sentences import parse_model
from hpo_operator.api.words import clip, listing, show

VOLUME_KINDS = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
"""Volumes that the restricted profile allows."""

SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
)
"""Sysctls that the restricted profile allows on every server that knows it."""

TRAINER_CONTAINER = "trainer"


class _Open(BaseModel):
    """Known fields are checked, all others are the API server's business."""

    model_config = ConfigDict(strict=True, extra="allow", alias_generator=to_camel)


class _Capabilities(_Open):
    add: list[str] = Field(default_factory=list)


class _Seccomp(_Open):
    type: str = "RuntimeDefault"


class _EnvVar(_Open):
    name: str


class _Port(_Open):
    host_port: int = 0


class _SecurityContext(_Open):
    privileged: bool = False
    allow_privilege_escalation: bool = False
    run_as_user: int | None = None
    run_as_non_root: bool = True
    capabilities: _Capabilities = _Capabilities()
    seccomp_profile: _Seccomp = _Seccomp()
    app_armor_profile: _Seccomp = _Seccomp()
    proc_mount: str = "Default"
    sysctls: list[_EnvVar] = Field(default_factory=list)
    se_linux_options: dict[str, str] = Field(default_factory=dict)


class _Resources(_Open):
    requests: dict[str, PodQuantity] = Field(default_factory=dict)
    limits: dict[str, PodQuantity] = Field(default_factory=dict)


class _Container(_Open):
    name: str = Field(min_length=1)
    image: str = Field(min_length=1)
    env: list[_EnvVar] = Field(default_factory=list)
    security_context: _SecurityContext = _SecurityContext()
    resources: _Resources = _Resources()
    volume_mounts: list[dict[str, Any]] = Field(default_factory=list)
    ports: list[_Port] = Field(default_factory=list)


class _PodSpec(_Open):
    containers: list[_Container] = Field(min_length=1)
    init_containers: list[_Container] = Field(default_factory=list)
    volumes: list[dict[str, Any]] = Field(default_factory=list)
    restart_policy: str = "Never"
    host_network: bool = False
    host_pid: bool = Field(False, alias="hostPID")
    host_ipc: bool = Field(False, alias="hostIPC")
    automount_service_account_token: bool = False
    security_context: _SecurityContext = _SecurityContext()


class _Metadata(_Open):
    name: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class _PodTemplate(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    metadata: _Metadata = _Metadata()
    spec: _PodSpec


def pod_template_errors(template: Mapping[str, Any], path: str) -> list[SpecError]:
    """Everything wrong with ``template``; paths begin with ``path``."""
    errors: list[SpecError] = []
    parsed = parse_model(_PodTemplate, template, path, errors)
    if parsed is not None:
        errors.extend(_template_errors(parsed, path))
    return errors


def trainer_index(containers: list[dict[str, Any]]) -> int:
    """Which container is the trial's: the one named ``trainer``, or else the first."""
    return next((i for i, c in enumerate(containers) if c.get("name") == TRAINER_CONTAINER), 0)


def _template_errors(template: _PodTemplate, path: str) -> Iterator[SpecError]:
    spec = template.spec
    if template.metadata.name:
        yield SpecError(
            f"{path}.metadata.name",
            f"expected none, since the operator names the Pods, found {show(template.metadata.name)}",
        )
    if spec.restart_policy != "Never":
        yield SpecError(
            f"{path}.spec.restartPolicy",
            f"expected Never, since the operator starts new attempts, found {show(spec.restart_policy)}",
        )
    flags = {
        "hostNetwork": spec.host_network,
        "hostPID": spec.host_pid,
        "hostIPC": spec.host_ipc,
        "automountServiceAccountToken": spec.automount_service_account_token,
    }
    for flag, wanted in flags.items():
        if wanted:
            yield SpecError(f"{path}.spec.{flag}", "expected false, since trials run restricted, found true")
    yield from _security_errors(spec.security_context, f"{path}.spec.securityContext")
    for group, containers in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for i, container in enumerate(containers):
            at = f"{path}.spec.{group}[{i}]"
            yield from _security_errors(container.security_context, f"{at}.securityContext")
            for j, env in enumerate(container.env):
                if env.name.startswith("HPO_"):
                    yield SpecError(
                        f"{at}.env[{j}].name",
                        f"expected no name beginning with HPO_, which the operator sets, found {show(env.name)}",
                    )
            for j, port in enumerate(container.ports):
                if port.host_port:
                    yield SpecError(f"{at}.ports[{j}].hostPort", f"expected none, found {port.host_port}")
    for i, volume in enumerate(spec.volumes):
        for kind in volume:
            if kind != "name" and kind not in VOLUME_KINDS:
                yield SpecError(
                    f"{path}.spec.volumes[{i}].{kind}",
                    f"expected one of {', '.join(VOLUME_KINDS)}, since trials run restricted, found {kind}",
                )


def _security_errors(context: _SecurityContext, path: str) -> Iterator[SpecError]:
    if context.privileged:
        yield SpecError(f"{path}.privileged", "expected false, since trials run restricted, found true")
    if context.allow_privilege_escalation:
        yield SpecError(f"{path}.allowPrivilegeEscalation", "expected false, since trials run restricted, found true")
    if context.run_as_user == 0:
        yield SpecError(f"{path}.runAsUser", "expected a user other than root, found 0")
    if not context.run_as_non_root:
        yield SpecError(f"{path}.runAsNonRoot", "expected true, since trials do not run as root, found false")
    if context.capabilities.add:
        yield SpecError(
            f"{path}.capabilities.add", f"expected none, found {listing(map(clip, context.capabilities.add))}"
        )
    if context.seccomp_profile.type not in ("RuntimeDefault", "Localhost"):
        yield SpecError(
            f"{path}.seccompProfile.type",
            f"expected RuntimeDefault or Localhost, found {show(context.seccomp_profile.type)}",
        )
    if context.app_armor_profile.type not in ("RuntimeDefault", "Localhost"):
        yield SpecError(
            f"{path}.appArmorProfile.type",
            f"expected RuntimeDefault or Localhost, found {show(context.app_armor_profile.type)}",
        )
    if context.proc_mount != "Default":
        yield SpecError(f"{path}.procMount", f"expected Default, found {show(context.proc_mount)}")
    for i, sysctl in enumerate(context.sysctls):
        if sysctl.name not in SAFE_SYSCTLS:
            yield SpecError(f"{path}.sysctls[{i}].name", f"expected a safe sysctl, found {show(sysctl.name)}")
    for key in ("user", "role"):
        if context.se_linux_options.get(key):
            yield SpecError(
                f"{path}.seLinuxOptions.{key}", f"expected none, found {show(context.se_linux_options[key])}"
            )
