"""What a node needs beside Kubernetes' own programs: containerd, runc, network plugins, a program that pauses.

Debian's packages are unpacked into the stand's cache; nothing is installed, and no daemon of theirs is started.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stand.build import build_lock, cache_directory
from stand.debian import DebianError, PrivateApt, release

FETCHED = ("containerd", "runc", "containernetworking-plugins", "catatonit")
INSTALLED = {"buildah": "buildah", "iptables": "iptables", "ip": "iproute2", "unshare": "util-linux", "mount": "mount"}
"""Program -> Debian's package: these have dependencies, and must be on the PATH."""


class NoProgramsError(Exception):
    """A program of the node is missing and cannot be had; the message says which and what to do."""


@dataclass(frozen=True)
class Programs:
    """``root``: where the packages were unpacked."""

    root: Path

    @property
    def path(self) -> str:
        """For the PATH of whatever starts containers."""
        own = (self.root / "usr/sbin", self.root / "usr/bin")
        return os.pathsep.join([*map(str, own), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])

    @property
    def network_plugins(self) -> Path:
        return self.root / "usr/lib/cni"

    @property
    def catatonit(self) -> Path:
        """A static program: a small init, and with ``-P`` one that only waits."""
        return self.root / "usr/bin/catatonit"

    def program(self, name: str) -> Path:
        found = shutil.which(name, path=self.path)
        if found is None:
            raise NoProgramsError(f"no {name} in {self.path}")
        return Path(found)


def ensure(environ: Mapping[str, str]) -> Programs:
    """The programs, fetched into the cache if need be: 27 MB, once.

    Raises:
        NoProgramsError: some are missing and cannot be fetched.
    """
    missing = sorted({package for name, package in INSTALLED.items() if not shutil.which(name, path=environ["PATH"])})
    if missing:
        raise NoProgramsError(f"the node needs programs that are not here: apt-get install {' '.join(missing)}")
    name, codename = release()
    target = cache_directory(environ).parent / f"node-{codename}"
    if not target.exists():
        if name != "debian":
            raise NoProgramsError(f"containerd and runc are fetched from Debian's packages, and this is {name}")
        with build_lock(target):
            if not target.exists():
                _fetch(target, codename)
    return Programs(target)


def _fetch(target: Path, codename: str) -> None:
    with tempfile.TemporaryDirectory(prefix=".node-", dir=target.parent) as work:
        root = Path(work, "root")
        root.mkdir()
        try:
            apt = PrivateApt(Path(work, "apt"), codename)
            apt.update()
            apt.download(FETCHED, root)
        except DebianError as error:
            raise NoProgramsError(f"containerd and runc cannot be fetched: {error}") from error
        root.rename(target)  # atomic: what lies in the cache is complete
