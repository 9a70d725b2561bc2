"""`promtool`, Prometheus' own checker of rules: the one on the PATH, else out of Debian's package, in the cache."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stand.build import build_lock, cache_directory
from stand.debian import DebianError, PrivateApt, release


class NoPromtoolError(Exception):
    """There is none here and none can be had; the message says why and what to do."""


def ensure(environ: Mapping[str, str]) -> Path:
    """The binary.

    Raises:
        NoPromtoolError: there is none, and this machine cannot fetch one.
    """
    on_path = shutil.which("promtool", path=environ.get("PATH"))
    if on_path:
        return Path(on_path)
    name, codename = release()
    target = cache_directory(environ).parent / f"promtool-{codename}"
    if target.exists():
        return target
    if name != "debian" or not shutil.which("apt-get", path=environ.get("PATH")):
        raise NoPromtoolError("promtool is fetched from Debian's packages only: put it on the PATH")
    with build_lock(target), tempfile.TemporaryDirectory(prefix=".promtool-", dir=target.parent) as work:
        if not target.exists():
            try:
                apt = PrivateApt(Path(work) / "apt", codename)
                apt.update()
                apt.download(["prometheus"], Path(work) / "root")
            except DebianError as error:
                raise NoPromtoolError(f"no promtool on the PATH, and it cannot be fetched: {error}") from error
            (Path(work) / "root/usr/bin/promtool").rename(target)
    return target
