"""What the installation decides, as values. Only ``__main__`` reads the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpo_operator.mistakes import Mistake


@dataclass(frozen=True)
class Settings:
    """The operator's settings; each field is an environment variable: HPO_OPERATOR_ and its name in capitals."""

    trainer_image: str = "hpo-trainer:latest"
    """Image of the built-in tasks."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch, comma-separated; none: the whole cluster."""
    port: int = 8080
    """Where /metrics, /healthz and /readyz are served."""
    sample_seconds: float = 5.0
    """Seconds between two reads of a running trial's /metrics."""
    prometheus: Mapping[str, str] = field(default_factory=dict)
    """Prometheus servers that studies may ask for an objective, comma-separated: default=http://prometheus:9090"""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    lease: str = ""
    """namespace/name of the Lease that the acting operator holds; absent: every operator acts."""
    identity: str = ""
    """Name on the Lease, such as the Pod's, whose restarted container takes it again at once; absent: a random one."""
    kubeconfig: str | None = None
    """Path of a kubeconfig; absent: KUBECONFIG, ~/.kube/config, or the Pod's service account."""


class SettingsError(Mistake):
    """A variable that cannot be used; the message names it."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in ``environ``.

    Raises:
        SettingsError: naming the variable, what was expected, and what was found.
    """
    prefix = "HPO_OPERATOR_"
    given = {key.removeprefix(prefix).lower(): value for key, value in environ.items() if key.startswith(prefix)}
    known = set(Settings.__dataclass_fields__)
    for name in given.keys() - known:
        names = ", ".join(sorted(prefix + field.upper() for field in known))
        raise SettingsError(f"{prefix}{name.upper()}: unknown setting; expected one of {names}")
    values: dict[str, object] = dict(given)
    if "namespaces" in given:
        values["namespaces"] = tuple(part.strip() for part in given["namespaces"].split(",") if part.strip())
    if "prometheus" in given:
        values["prometheus"] = read_servers(given["prometheus"], f"{prefix}PROMETHEUS")
    for name, kind in (("port", int), ("sample_seconds", float)):
        if name in given:
            try:
                values[name] = kind(given[name])
            except ValueError:
                raise SettingsError(f"{prefix}{name.upper()}: expected a number, found {given[name]!r}") from None
    if values.get("log_level", "INFO") not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError(f"{prefix}LOG_LEVEL: expected DEBUG, INFO, WARNING or ERROR, found {values['log_level']!r}")
    if given.get("lease") and not all(given["lease"].partition("/")):
        raise SettingsError(f"{prefix}LEASE: expected namespace/name, found {given['lease']!r}")
    return Settings(**values)  # type: ignore[arg-type]


def read_servers(text: str, where: str) -> dict[str, str]:
    """Addresses by name out of ``name=http://address, ...``.

    Raises:
        SettingsError: ``where``, and what is wrong there.
    """
    servers: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, address = part.partition("=")
        if not name or not address.startswith(("http://", "https://")):
            raise SettingsError(f"{where}: expected NAME=http://ADDRESS, found {part!r}")
        servers[name] = address
    return servers
