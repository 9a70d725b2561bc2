"""``python docs/tutorial/check.py ARCHIVE``: every command of docs/tutorial.md, in order, in an empty folder.

``ARCHIVE``: MedNIST, as a tar of any compression. Ends with the first command that fails.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
DOWNLOAD = "curl"
"""What the archive that is given stands for."""


def commands(page: Path) -> list[str]:
    """Lines that begin with a prompt; one that ends with a backslash goes on in the next."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                found.append(line.removeprefix("$ "))
    return found


def main(archive: Path) -> int:
    roots = os.pathsep.join(str(ROOT / name) for name in ("operator", "trainer-image"))
    hpo = f'hpo() {{ {shlex.quote(sys.executable)} -m hpo_operator.cli.main "$@"; }}'
    python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}'
    with tempfile.TemporaryDirectory(prefix="tutorial-") as folder:
        (Path(folder) / "MedNIST.tar.gz").symlink_to(archive.resolve())
        (Path(folder) / "sample.txt").symlink_to(HERE / "sample.txt")
        for command in commands(HERE.parent / "tutorial.md"):
            print(f"$ {command}", flush=True)
            if command.startswith(DOWNLOAD):
                continue
            script = f"{hpo}\n{python}\n{command.replace('tar -xzf', 'tar -xf')}"
            environ = os.environ | {"PYTHONPATH": roots, "COLUMNS": "100"}
            code = subprocess.run(["bash", "-c", script], cwd=folder, env=environ, check=False).returncode
            if code:
                print(f"exit code {code}: {command}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
