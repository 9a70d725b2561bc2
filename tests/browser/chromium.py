"""A headless Chromium for tests: the one on the PATH, or Debian's package, unpacked into the cache, not installed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stand.build import build_lock
from stand.debian import DebianError, PrivateApt, release

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BINARY = "usr/lib/chromium/chromium"
LIBRARIES = ("lib/*-linux-gnu", "usr/lib/*-linux-gnu", "usr/lib/*-linux-gnu/pulseaudio")


class NoChromiumError(Exception):
    """There is no Chromium here and none can be fetched; the message says why and what to do."""


@dataclass(frozen=True)
class Chromium:
    """``libraries``: folders of shared libraries that this machine lacks."""

    binary: Path
    libraries: tuple[Path, ...] = ()

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        path = os.pathsep.join([*map(str, self.libraries), *filter(None, [environ.get("LD_LIBRARY_PATH")])])
        return {**environ, "LD_LIBRARY_PATH": path} if path else dict(environ)


def ensure(environ: Mapping[str, str]) -> Chromium:
    """From the PATH, from the cache, or fetched into it: about 110 MB, once. Two processes may ask at once.

    Raises:
        NoChromiumError: none is here, and this is no Debian 12 or its packages cannot be fetched.
    """
    on_path = next(filter(None, (shutil.which(name, path=environ.get("PATH")) for name in NAMES)), None)
    if on_path is not None:
        return Chromium(Path(on_path))
    home = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = home / "hpo-operator" / "chromium"
    if not target.exists():
        with build_lock(target):
            if not target.exists():
                _fetch(target)
    return Chromium(target / BINARY, tuple(sorted(found for part in LIBRARIES for found in target.glob(part))))


def _fetch(target: Path) -> None:
    advice = "put chromium or google-chrome on the PATH"
    if release() != ("debian", "bookworm") or not shutil.which("apt-get"):
        raise NoChromiumError(f"no Chromium on the PATH, and it is fetched on Debian 12 only: {advice}")
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target.parent) as work:
        apt = PrivateApt(Path(work) / "apt", "bookworm")
        try:
            apt.update()
            (Path(work) / "root").mkdir()
            apt.download(apt.missing("chromium"), Path(work) / "root")
        except DebianError as error:
            raise NoChromiumError(f"no Chromium on the PATH, and none can be fetched: {error}; {advice}") from error
        (Path(work) / "root").rename(target)  # atomic: a directory in the cache is always complete
