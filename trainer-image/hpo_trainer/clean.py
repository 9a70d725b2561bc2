"""``python -m hpo_trainer.clean TRIAL...``: delete the checkpoints of these trials.

Reads the folder with one folder for each trial from HPO_CHECKPOINT_DIR. What is gone already is fine, so that it may be
killed and run again. Links are removed, never followed: a trial's container may have left anything there.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

FAILED, BAD_CONFIG = 1, 78
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def main(names: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code; what could not be deleted is said, and does not keep the others."""
    folder = environment.get("HPO_CHECKPOINT_DIR")
    wrong = [name for name in names if not NAME.fullmatch(name)]
    if not folder or wrong:
        what = f"expected names of trials, found {wrong[0]!r}" if wrong else "HPO_CHECKPOINT_DIR: expected a folder"
        print(what, file=sys.stderr)
        return BAD_CONFIG
    problems = [problem for name in names if (problem := clean(Path(folder), name))]
    print("\n".join(problems[:10]) or f"deleted the checkpoints of {len(names)} trials", file=sys.stderr)
    return FAILED if problems else 0


def clean(folder: Path, trial: str) -> str:
    """Empty the trial's folder, and remove it where that is allowed; what went wrong, or an empty text.

    The folder itself was made by the node, and on some volumes only its content belongs to the trial's user.
    """
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{folder}: {error.strerror}"
    try:
        _empty(root, trial)
        with suppress(PermissionError):
            os.rmdir(trial, dir_fd=root)
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"{folder / trial}: {error.filename or trial}: {error.strerror}"
    finally:
        os.close(root)
    return ""


def _empty(root: int, name: str) -> None:
    """Relative to open folders throughout, so that no link that is put in the way can lead elsewhere."""
    inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root)
    try:
        with os.scandir(inside) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.name, dir_fd=inside)
                else:
                    os.unlink(entry.name, dir_fd=inside)
    finally:
        os.close(inside)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
