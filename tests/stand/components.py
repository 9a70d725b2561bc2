"""Command lines of the control plane's four programs."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path

from stand.credentials import Credentials

Command = list[str | Path]


def etcd(binary: Path, data: Path, port: int, peer_port: int) -> Command:
    client, peer = (f"http://127.0.0.1:{each}" for each in (port, peer_port))
    return [
        binary,
        f"--data-dir={data}",
        "--unsafe-no-fsync",  # nothing here has to survive a power cut
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {
            "level": "Request",
            "userGroups": ["system:serviceaccounts"],
            "verbs": ["create"],
            "resources": [{"group": "", "resources": ["pods"]}],
        },
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}
"""What service accounts asked for, but those of the controllers; of Pods that they create, the whole object."""


def apiserver(
    binary: Path, keys: Credentials, etcd_port: int, address: str, port: int, audit_policy: Path, audit: Path
) -> Command:
    """``audit``: the log, to which the server appends a line of JSON for each request that the policy names."""
    audit_policy.write_text(json.dumps(AUDIT_POLICY))
    return [
        binary,
        f"--audit-policy-file={audit_policy}",
        f"--audit-log-path={audit}",
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--bind-address={address}",
        f"--advertise-address={address}",
        *_endpoints(address),
        f"--secure-port={port}",
        f"--cert-dir={keys.directory}",
        f"--tls-cert-file={keys.server_certificate}",
        f"--tls-private-key-file={keys.server_key}",
        f"--token-auth-file={keys.token_file}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--kubelet-preferred-address-types=InternalIP",  # its name is nowhere in a DNS
        f"--kubelet-client-certificate={keys.kubelet_client_certificate}",
        f"--kubelet-client-key={keys.kubelet_client_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys.service_account_key}",
        f"--service-account-signing-key-file={keys.service_account_key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--kubelet-preferred-address-types=InternalIP",  # for logs; a node's name resolves nowhere
    ]


def _endpoints(address: str) -> list[str]:
    """The Service `kubernetes` may not point at a loopback address."""
    return ["--endpoint-reconciler-type=none"] if ipaddress.ip_address(address).is_loopback else []


def controller_manager(binary: Path, kubeconfig: Path, keys: Credentials) -> Command:
    return [
        binary,
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={keys.service_account_key}",
        f"--root-ca-file={keys.authority}",
        "--kube-api-qps=200",  # the default of 20 would be what a test with many Pods measures
        "--kube-api-burst=400",
        *_no_ports(binary),
    ]


def scheduler(binary: Path, kubeconfig: Path) -> Command:
    return [binary, f"--kubeconfig={kubeconfig}", "--leader-elect=false", *_no_ports(binary)]


def _no_ports(binary: Path) -> list[str]:
    """Serve nothing: two stands on one machine would meet. Before 1.24 there was a plain HTTP port as well."""
    return ["--secure-port=0", *(["--port=0"] if minor_version(binary) < 24 else [])]


def minor_version(binary: Path) -> int:
    """Of a Kubernetes program: 20 for 1.20."""
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.strip().rpartition(" v")[2].split(".")[1])
