"""Processes that stand in for containers: each leads a process group, and none outlives the program that started it.

A container ends as a whole; here the process group plays that part: its members are signalled, measured and killed
together. If this program dies, even by SIGKILL, a guard process sees its end of a pipe close and kills every group
that is still listed. The guard was chosen over PR_SET_PDEATHSIG because the latter reaches the direct child only (not
`sh -c`'s children nor data loaders), follows the life of the *thread* that forked, exists on Linux alone, and needs
either a `preexec_fn`, which is unsafe in a program with threads, or a launcher started once per container.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO

from hpo_operator.local import process_memory

_GUARD = Path(__file__).with_name("guard.py")
_POLL_SECONDS = 0.2
_MEMORY_SAMPLE_SECONDS = 0.5


class ProcessHost:
    """Starts process groups and answers for their end; one for all Pods of a node. A context manager."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._guard = _start_guard()
        self._sample: dict[int, int] = {}
        self._sampled = -float("inf")

    def spawn(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, output: BinaryIO) -> ProcessGroup:
        """Start ``argv`` in a session of its own with exactly ``env``; raises ``OSError`` if it cannot be executed."""
        process = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.guard(process.pid)
        return ProcessGroup(process, self)

    def guard(self, group: int) -> None:
        """Have ``group`` killed if this program dies."""
        self._groups.add(group)
        self._tell(f"+{group}")

    def release(self, group: int) -> None:
        """``group`` has ended: its number may soon belong to someone else."""
        self._groups.discard(group)
        self._tell(f"-{group}")

    def _tell(self, line: str) -> None:
        if self._pipe.closed:  # the guard has killed every group already
            return
        try:
            self._pipe.write(f"{line}\n".encode())
        except BrokenPipeError:  # someone killed the guard; a new one takes over what is running
            self.close()
            self._guard = _start_guard()
            self._pipe.write("".join(f"+{group}\n" for group in self._groups).encode())

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._guard.stdin is not None
        return self._guard.stdin

    def memory_bytes(self, group: int, above: int) -> int:
        """Resident memory of a group; when over ``above``, pages shared by its members are counted once."""
        now = time.monotonic()
        if now - self._sampled > _MEMORY_SAMPLE_SECONDS:
            self._sample, self._sampled = process_memory.resident_bytes_by_group(), now
        resident = self._sample.get(group, 0)
        return process_memory.proportional_bytes(group) if resident > above else resident

    def close(self) -> None:
        """End the guard, which kills the groups that are still running."""
        self._pipe.close()
        self._guard.wait()

    def __enter__(self) -> ProcessHost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _start_guard() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", str(_GUARD)]
    silent, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=silent, start_new_session=True)


class ProcessGroup:
    """A started process, the leader of its group."""

    def __init__(self, process: subprocess.Popen[bytes], host: ProcessHost) -> None:
        self.group = process.pid
        self._process = process
        self._host = host

    async def wait(self) -> int:
        """Return code of the leader (negative: the signal that ended it); what else is in its group is killed."""
        await self._exited()
        self._signal_group(signal.SIGKILL)  # the leader is not yet reaped, so the number is still this group's
        self._host.release(self.group)
        return self._process.wait()

    async def _exited(self) -> None:
        try:
            descriptor = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):  # not Linux, or an old one
            await self._polled()
            return
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(descriptor, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    async def _polled(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if self._process.poll() is not None:
                return

    def terminate(self) -> None:
        """SIGTERM to the leader alone, as a container's first process gets it: its data loaders must outlive it."""
        if self._process.returncode is None:
            self._process.terminate()

    def kill_all(self) -> None:
        """SIGKILL to the whole group; nothing once it has ended."""
        if self._process.returncode is None:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self.group, number)

    def memory_bytes(self, above: int) -> int:
        return self._host.memory_bytes(self.group, above)

    def close(self) -> None:
        """Kill what is still running, and reap it."""
        if self._process.returncode is None:
            self.kill_all()
            self._process.wait()
            self._host.release(self.group)
