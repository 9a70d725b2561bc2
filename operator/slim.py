"""``python slim.py SITE_PACKAGES``: take out of the image's packages what the operator never reads, and say what it is.

* tests, C headers, static libraries and type stubs: for developers of these packages, and for compilers and checkers;
* the Kubernetes client's models and the calls made of them, 1,800 generated modules: the operator sends and reads plain
  JSON through the client's connection. Kept are those that kopf imports, if they are there, to recognise such objects;
* the parts of scipy that nothing here imports;
* second copies: numpy and scipy bring the same run-time library, which becomes one file with two names.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

DEVELOPERS = ("tests", "include", "_examples")
SUFFIXES = (".a", ".h", ".c", ".pyi", ".pxd", ".pyx")
COMPILED_TESTS = "_core/_*tests.*.so"
CLIENTS = ("kubernetes/client", "kubernetes/aio/client")
MODELS = ("__init__.py", "v1_object_meta.py", "v1_owner_reference.py", "v1_managed_fields_entry.py")
UNUSED = ("cluster", "datasets", "differentiate", "fftpack", "io", "misc", "odr", "signal")


def size(paths: Iterable[Path]) -> int:
    """Bytes of files and of what lies in folders."""
    files = (file for path in paths for file in ([path] if path.is_file() else path.rglob("*")))
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def remove(what: str, paths: Iterable[Path]) -> None:
    found = [path for path in paths if path.exists()]
    if not found:
        raise SystemExit(f"{what}: nothing of it is here any more; mend {__file__}")
    print(f"{size(found) / 1e6:6.1f} MB  {what}")
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def main(packages: Path) -> None:
    numerical = [packages / name for name in ("numpy", "scipy")]
    folders = [path for root in numerical for name in DEVELOPERS for path in sorted(root.rglob(name), reverse=True)]
    remove("tests and headers", folders)
    remove("compiled tests of numpy", (packages / "numpy").glob(COMPILED_TESTS))
    remove("type stubs, static libraries", [p for p in packages.rglob("*") if p.suffix in SUFFIXES])
    unused = [p for client in CLIENTS for p in (packages / client / "models").iterdir() if p.name not in MODELS]
    calls = [p for client in CLIENTS for p in (packages / client / "api").iterdir() if p.name != "__init__.py"]
    remove("the Kubernetes client's models and calls", unused + calls)
    remove("parts of scipy", [packages / "scipy" / name for name in UNUSED])
    for path in (packages / "scipy.libs").iterdir():
        twin = packages / "numpy.libs" / path.name
        if twin.exists() and filecmp.cmp(path, twin, shallow=False):
            print(f"{path.stat().st_size / 1e6:6.1f} MB  {path.name}, a second copy")
            twin.unlink()
            os.link(path, twin)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
