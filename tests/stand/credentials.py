"""Keys, certificates, tokens and kubeconfigs of one control plane, made with the `openssl` command line."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

ADMIN = "admin"
NODE_NAME = "node-0"
"""The node that the kubelet's credentials are for; the Node authorizer knows it by its user's name."""
IDENTITIES = {
    ADMIN: ("stand:admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
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
subjectAltName = {names}
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
"""
SERVICE = "10.96.0.1"
"""The API server's address in Pods: the first of the Services' range."""
NAMES = ("IP:127.0.0.1", f"IP:{SERVICE}", "DNS:localhost", "DNS:kubernetes.default.svc")


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
    def kubelet_client_certificate(self) -> Path:
        """With it the API server asks a kubelet: for logs, and to run a command in a container."""
        return self.directory / "kubelet-client.crt"

    @property
    def kubelet_client_key(self) -> Path:
        return self.directory / "kubelet-client.key"

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

    def create(self, addresses: Iterable[str] = ()) -> None:
        """Make everything anew. ``addresses``: further IP addresses of the API server."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._create_certificates([*NAMES, *(f"IP:{address}" for address in addresses)])
        rows = [f'{secrets.token_hex(16)},{user},{user},"{group}"' for user, group in IDENTITIES.values()]
        self.token_file.touch(mode=0o600)
        self.token_file.write_text("\n".join(rows) + "\n")

    def _create_certificates(self, names: Iterable[str]) -> None:
        config = self.directory / "openssl.cnf"
        config.write_text(_EXTENSIONS.format(names=", ".join(names)))
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", str(config))
        authority = ("-x509", "-extensions", "authority", "-days", "3650", "-subj", "/CN=stand-ca")
        self._openssl("req", *curve, *authority, "-keyout", str(self._authority_key), "-out", str(self.authority))
        self._sign(curve, "/CN=kube-apiserver", "server", self.server_key, self.server_certificate)
        subject = "/O=system:masters/CN=kube-apiserver-kubelet-client"
        self._sign(curve, subject, "client", self.kubelet_client_key, self.kubelet_client_certificate)
        self._openssl("genrsa", "-out", str(self.service_account_key), "2048")

    @property
    def _authority_key(self) -> Path:
        return self.directory / "ca.key"

    def _sign(self, curve: Iterable[str], subject: str, extensions: str, key: Path, certificate: Path) -> None:
        """A new key and its certificate, with a section of extensions of openssl.cnf."""
        request = certificate.with_suffix(".csr")
        self._openssl("req", *curve, "-subj", subject, "-keyout", str(key), "-out", str(request))
        signing = ("-CA", str(self.authority), "-CAkey", str(self._authority_key), "-CAcreateserial", "-days", "3650")
        added = ("-extfile", str(self.directory / "openssl.cnf"), "-extensions", extensions)
        self._openssl("x509", "-req", "-in", str(request), *signing, *added, "-out", str(certificate))

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
