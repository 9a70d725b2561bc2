"""The complete state of a trial on disk, such that a run killed at any instant goes on as if nothing had happened.

``checkpoint.pt`` is the last completed epoch, ``checkpoint.prev.pt`` the one before. A new one is written beside them,
flushed to the disk and renamed into place, so a kill leaves the old or the new one. Its end carries a SHA-256 of the
rest: a file torn by a crash of the machine is noticed and the previous one taken. Both are plain ``torch.save`` files
(the reader ignores what follows the archive), for ``torch.load(path, weights_only=True)["model"]``.

A trial's Pod that was taken away by force may still run for a moment while the next one has begun. The one that came
last has claimed the checkpoints, with a word of its own in ``checkpoint.writer``; the other notices before it replaces
anything, and ends.

The seed and the epoch are the whole state of the random numbers, see ``seeding``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hpo_trainer.config import completed, fingerprint
from hpo_trainer.failures import Interrupted, TrainerError
from hpo_trainer.loop import Learner, Progress

FORMAT = 1
MARK = b"HPO-SHA256:"
CURRENT, PREVIOUS, ASIDE = "checkpoint.pt", "checkpoint.prev.pt", "checkpoint.foreign.pt"
WRITER = "checkpoint.writer"


class TornError(TrainerError):
    """Not a checkpoint, or not all of one."""


class ForeignError(TrainerError):
    """A checkpoint of another configuration, seed or data set."""


@dataclass(frozen=True)
class Owner:
    """What a checkpoint belongs to: everything that training depends on, and the data set's fingerprint."""

    identity: Mapping[str, Any]
    data: str


class Checkpoints:
    """The checkpoints of one trial. ``warn`` receives one sentence for each checkpoint that is not used."""

    def __init__(self, folder: Path, owner: Owner, warn: Callable[[str], None] = print) -> None:
        self._folder, self._owner, self._warn = folder, owner, warn
        self._word = secrets.token_hex(8)
        folder.mkdir(parents=True, exist_ok=True)

    def claim(self) -> None:
        """From now on only this object may save: called before ``restore``, by one process of a trial."""
        write_durably(self._folder / WRITER, self._word.encode())
        for draft in self._folder.glob(f"{CURRENT}.*.new"):  # of one that was killed
            draft.unlink(missing_ok=True)

    def save(self, learner: Learner, progress: Progress) -> None:
        """Write the state after ``progress.epoch`` epochs; on return it has reached the disk.

        Raises Interrupted when another process has claimed the checkpoints; its own stand.
        """
        state = {
            "format": FORMAT,
            "identity": json.dumps(self._owner.identity),
            "fingerprint": fingerprint(self._owner.identity),
            "data": self._owner.data,
            "seed": self._owner.identity["seed"],
            "epoch": progress.epoch,
            "history": progress.history,
            "model": learner.model.state_dict(),
            "optimizer": learner.optimizer.state_dict(),
        }
        current, previous = self._folder / CURRENT, self._folder / PREVIOUS
        new = self._folder / f"{CURRENT}.{self._word}.new"
        self._check_claim(progress.epoch)
        write_durably(new, encode(state))
        self._check_claim(progress.epoch)
        if current.exists():
            current.replace(previous)
        new.replace(current)
        flush_folder(self._folder)

    def _check_claim(self, epoch: int) -> None:
        writer = self._folder / WRITER
        if not writer.exists() or writer.read_bytes() != self._word.encode():
            (self._folder / f"{CURRENT}.{self._word}.new").unlink(missing_ok=True)
            raise Interrupted(
                f"epoch {epoch} is not kept: a later attempt of this trial has begun, or cleaned, {self._folder}"
            )

    def restore(self, learner: Learner) -> Progress:
        """Load the newest usable checkpoint into ``learner``; Progress() if there is none.

        A torn one is removed. A foreign one is set aside as ``checkpoint.foreign.pt``, and training starts anew: the
        measurement is then of this configuration alone.
        """
        for path in (self._folder / CURRENT, self._folder / PREVIOUS):
            if not path.exists():
                continue
            try:
                state = self._owned(path)
            except TornError as error:
                self._warn(f"checkpoint not used, removed: {error}")
                path.unlink()
            except ForeignError as error:
                self._warn(f"checkpoint not used, kept as {ASIDE}: {error}")
                path.replace(self._folder / ASIDE)
            else:
                learner.model.load_state_dict(state["model"])
                learner.optimizer.load_state_dict(state["optimizer"])
                return Progress(state["epoch"], state["history"])
        return Progress()

    def _owned(self, path: Path) -> dict[str, Any]:
        state = decode(path)
        if state["fingerprint"] != fingerprint(self._owner.identity):
            there, here = (
                json.loads(json.dumps(completed(values)))
                for values in (json.loads(state["identity"]), self._owner.identity)
            )
            differing = [
                f"{name} is {there.get(name)!r} there and {here.get(name)!r} here"
                for name in here | there
                if there.get(name) != here.get(name)
            ]
            if differing:
                raise ForeignError(f"{path}: of another configuration: {', '.join(differing)}")
        if state["data"] != self._owner.data:
            raise ForeignError(f"{path}: the data set is not the one that it was trained on")
        return state


def encode(state: Mapping[str, Any]) -> bytes:
    """``torch.save``'s archive, followed by MARK and the SHA-256 of the archive."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    archive = buffer.getvalue()
    return archive + MARK + hashlib.sha256(archive).digest()


def decode(path: Path) -> dict[str, Any]:
    """Raises TornError with the reason."""
    content = path.read_bytes()
    tail = len(MARK) + hashlib.sha256().digest_size
    archive, mark, digest = content[:-tail], content[-tail : -tail + len(MARK)], content[-tail + len(MARK) :]
    if mark != MARK or hashlib.sha256(archive).digest() != digest:
        raise TornError(f"{path}: incomplete or damaged ({len(content)} bytes)")
    state: dict[str, Any] = torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)
    if state.get("format") != FORMAT:
        raise TornError(f"{path}: format {state.get('format')}, expected {FORMAT}")
    return state


def write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """A rename is durable once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
