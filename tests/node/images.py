"""Images for a node without a registry: out of buildah's storage into archives, and from those into containerd."""

from __future__ import annotations

import subprocess
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
OPERATOR, TRAINER = "localhost/hpo-operator", "localhost/hpo-trainer"
PAUSE = "localhost/pause:catatonit"


class ImageError(Exception):
    """An image is missing or cannot be read; the message says which, and what to do."""


@dataclass(frozen=True)
class Image:
    """``size``: bytes of its archive, whose layers are not compressed; ``pulled``: as a registry sends it, by gzip."""

    name: str
    archive: Path
    size: int
    pulled: int


def archive(repository: str, folder: Path) -> Image:
    """An image that buildah holds, as an archive for ``ctr images import``."""
    name = f"{repository}:{VERSION}"
    target = folder / f"{repository.rpartition('/')[2]}.tar"
    if _buildah("inspect", "--type", "image", name).returncode:
        raise ImageError(f"no image {name}: make image-operator image-trainer VARIANT=cpu")
    _do("push", "--quiet", name, f"docker-archive:{target}:{name}")
    return Image(name, target, target.stat().st_size, _compressed(target))


def pause(program: Path, folder: Path) -> Image:
    """The image of a Pod's first container, which holds its namespaces: one static program that waits."""
    target = folder / "pause.tar"
    container = _do("from", "scratch").strip()
    try:
        _do("copy", "--quiet", container, str(program), "/pause")
        _do("config", "--entrypoint", '["/pause", "-P"]', container)
        _do("commit", "--quiet", container, f"docker-archive:{target}:{PAUSE}")
    finally:
        _do("rm", container)
    return Image(PAUSE, target, target.stat().st_size, _compressed(target))


def _compressed(archive: Path) -> int:
    """The layers are nearly all of an archive, and gzip's window is small: it takes what its layers take one by one."""
    packer, size = zlib.compressobj(level=6, wbits=31), 0
    with archive.open("rb") as source:
        while piece := source.read(1 << 20):
            size += len(packer.compress(piece))
    return size + len(packer.flush())


def _do(*arguments: str) -> str:
    done = _buildah(*arguments)
    if done.returncode:
        raise ImageError(f"`buildah {' '.join(arguments)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _buildah(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=False)
