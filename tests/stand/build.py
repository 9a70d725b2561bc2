"""`python -m stand.build`: find the control plane's binaries, or build them from Debian's source package.

Debian 12 packages only the client of Kubernetes, but its source package `kubernetes` is the complete tree; etcd and Go
are ordinary packages. About five minutes on two cores, once: the binaries stay in the user's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stand.debian import DebianError, PrivateApt, release

KUBERNETES_VERSION = "1.20.2"
RECIPE = Path(__file__).with_name("build_kubernetes.sh")
SERVERS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
OF_A_NODE = ("kubelet", "kube-proxy")
PACKAGES = (
    "golang-1.19-go",
    "golang-1.19-src",
    "golang-github-modern-go-reflect2-dev",
    "etcd-server",
    "kubernetes-client",
    *("make", "rsync", "libpopt0", "libxxhash0", "jq", "libjq1", "libonig5"),
)


class BuildError(Exception):
    """The binaries are not there and cannot be built here; the message says why and what to do."""


@dataclass(frozen=True)
class Assets:
    """Where each binary of the control plane lies; those of a node only where they were built here."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubectl: Path
    kubelet: Path | None
    kube_proxy: Path | None


def cache_directory(environ: Mapping[str, str]) -> Path:
    """The cache of this recipe: another version or another recipe builds into another directory."""
    recipe = hashlib.sha256(RECIPE.read_bytes() + " ".join(PACKAGES).encode()).hexdigest()[:12]
    home = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(environ.get("HPO_STAND_CACHE") or home / "hpo-operator" / "stand")
    return root / f"{KUBERNETES_VERSION}-{recipe}"


def find(environ: Mapping[str, str]) -> Assets | None:
    """The binaries, from ``KUBEBUILDER_ASSETS`` first, then from the cache; None when any is missing."""
    given = environ.get("KUBEBUILDER_ASSETS")
    places = [Path(given)] if given else []
    places.append(cache_directory(environ))
    found = {name: _first(places, name) for name in ("etcd", *SERVERS)}
    on_path = shutil.which("kubectl", path=environ.get("PATH"))
    found["kubectl"] = _first(places[:-1], "kubectl") or (Path(on_path) if on_path else _first(places, "kubectl"))
    kubelet, kube_proxy = (_first(places, name) for name in OF_A_NODE)
    paths = {name.replace("-", "_"): path for name, path in found.items() if path is not None}
    return Assets(kubelet=kubelet, kube_proxy=kube_proxy, **paths) if len(paths) == len(found) else None


def _first(places: list[Path], name: str) -> Path | None:
    return next((place / name for place in places if os.access(place / name, os.X_OK)), None)


def ensure(environ: Mapping[str, str]) -> Assets:
    """The binaries, built into the cache if need be. Safe when two processes ask at once: one builds, the other waits.

    Raises:
        BuildError: this machine can neither find nor build them.
    """
    assets = find(environ)
    if assets is None:
        target = cache_directory(environ)
        with build_lock(target):
            if not target.exists():
                _build_into(target, environ)
        assets = find(environ)
    if assets is None:
        raise BuildError(f"{cache_directory(environ)} is incomplete: remove it and run `python -m stand.build` again")
    return assets


@contextmanager
def build_lock(target: Path) -> Iterator[None]:
    """Held by the one process that makes ``target``; the lock lies beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_into(target: Path, environ: Mapping[str, str]) -> None:
    reason = cannot_build(environ)
    if reason:
        raise BuildError(reason)
    print(f"building Kubernetes {KUBERNETES_VERSION} into {target}, once: minutes", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as work:
        out = Path(work) / "out"
        out.mkdir()
        try:
            _build(Path(work), out)
        except DebianError as error:
            raise BuildError(f"cannot fetch the packages that the control plane is built from: {error}") from error
        out.rename(target)  # atomic: a directory in the cache is always complete


def _build(work: Path, out: Path) -> None:
    apt = PrivateApt(work / "apt", release()[1])
    apt.update()
    tools = work / "tools"
    apt.download(PACKAGES, tools)
    archive = apt.download_source("kubernetes")
    if KUBERNETES_VERSION not in archive.name:
        raise BuildError(f"expected the source of Kubernetes {KUBERNETES_VERSION}, found {archive.name}")
    log = work.parent / f"build-{KUBERNETES_VERSION}.log"
    with log.open("w") as file:
        command = ["bash", str(RECIPE), str(archive), KUBERNETES_VERSION, str(tools), str(out)]
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=_with_temporary(work), check=False)
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BuildError(f"the build ended with {done.returncode}; its log is {log}, and ends with:\n{tail}")
    for name in ("etcd", "kubectl"):
        shutil.copy2(tools / "usr" / "bin" / name, out / name)


def _with_temporary(work: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(work)}  # the build tree takes 3 GB: beside the cache, not in a small /tmp


def cannot_build(environ: Mapping[str, str]) -> str | None:
    """Why this machine cannot build the binaries; None if nothing speaks against it."""
    advice = "set KUBEBUILDER_ASSETS to a directory with " + ", ".join(("etcd", *SERVERS, "kubectl"))
    name, codename = release()
    if (name, codename) != ("debian", "bookworm"):
        return f"the binaries are built on Debian 12 (bookworm), and this is {name or 'unknown'} {codename}: {advice}"
    missing = [tool for tool in ("apt-get", "dpkg-deb", "bash", "tar") if not shutil.which(tool, path=environ["PATH"])]
    return f"the build needs {', '.join(missing)}: install it, or {advice}" if missing else None


def main() -> int:
    try:
        assets = ensure(os.environ)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, path in vars(assets).items():
        print(f"{name.replace('_', '-'):<24} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
