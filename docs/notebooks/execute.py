"""``python docs/notebooks/execute.py``: runs every notebook of this folder anew and keeps what it showed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
ROOTS = [str(HERE.parents[1] / name) for name in ("operator", "trainer-image")]
VOLATILE = ("execution",)
"""Metadata of cells that differ from run to run."""


def execute(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(book, timeout=900, resources={"metadata": {"path": folder}}).execute()
    for cell in book.cells:
        for key in VOLATILE:
            cell.metadata.pop(key, None)
    book.metadata.pop("language_info", None)
    nbformat.write(book, path)
    print(f"{path}: {sum(cell.cell_type == 'code' for cell in book.cells)} cells")


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join(ROOTS)
    for path in sorted(HERE.glob("*.ipynb")):
        execute(path)
