"""Keys, certificates, tokens and kubeconfigs of one control plane, made with the `openssl` command line."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

ADMIN = "admin"
IDENTITIES = {
    ADMIN: ("stand:admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
}
_EXTENSIONS = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost, DNS:kubernetes.default.svc
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True)
class Credentials:
    """The files under one directory, readable by their owner only."""

    directory: Path

    @property
    def authority(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def server_certificate(self) -> Path:
        return self.directory / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.directory / "server.key"

    @property
    def service_account_key(self) -> Path:
        return self.directory / "service-account.key"

    @property
    def token_file(self) -> Path:
        return self.directory / "tokens.csv"

    def token(self, identity: str) -> str:
        """The static token of one of ``IDENTITIES``."""
        user = IDENTITIES[identity][0]
        rows = (line.split(",") for line in self.token_file.read_text().splitlines())
        return next(row[0] for row in rows if row[1] == user)

    def create(self) -> None:
        """Make everything anew."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._create_certificates()
        rows = [f'{secrets.token_hex(16)},{user},{user},"{group}"' for user, group in IDENTITIES.values()]
        self.token_file.touch(mode=0o600)
        self.token_file.write_text("\n".join(rows) + "\n")

    def _create_certificates(self) -> None:
        config = self.directory / "openssl.cnf"
        config.write_text(_EXTENSIONS)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", str(config))
        key, request = self.directory / "ca.key", self.directory / "server.csr"
        authority = ("-x509", "-extensions", "authority", "-days", "3650", "-subj", "/CN=stand-ca")
        self._openssl("req", *curve, *authority, "-keyout", str(key), "-out", str(self.authority))
        self._openssl(
            "req", *curve, "-subj", "/CN=kube-apiserver", "-keyout", str(self.server_key), "-out", str(request)
        )
        signing = ("-CA", str(self.authority), "-CAkey", str(key), "-CAcreateserial", "-days", "3650")
        extensions = ("-extfile", str(config), "-extensions", "server")
        self._openssl("x509", "-req", "-in", str(request), *signing, *extensions, "-out", str(self.server_certificate))
        self._openssl("genrsa", "-out", str(self.service_account_key), "2048")

    def _openssl(self, *arguments: str) -> None:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.directory)}
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, env=environ, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")


def write_kubeconfig(path: Path, server: str, authority: Path, token: str, namespace: str = "default") -> Path:
    """A kubeconfig with one context, for ``token``."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stand", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "stand", "context": {"cluster": "stand", "user": "user", "namespace": namespace}}],
        "current-context": "stand",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
