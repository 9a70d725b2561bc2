"""Memory of process groups, read from /proc, so that a container's memory limit holds without a cgroup.

Where there is no /proc (macOS) every group reads as empty, and no limit is enforced.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_PROC = Path("/proc")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


def resident_bytes_by_group() -> dict[int, int]:
    """Sum of the resident sets of each process group, in bytes; pages shared by members count once for each."""
    page = os.sysconf("SC_PAGE_SIZE")
    totals: dict[int, int] = {}
    for _, group, pages in _processes():
        totals[group] = totals.get(group, 0) + pages * page
    return totals


def proportional_bytes(group: int) -> int:
    """Memory of one group in bytes, each shared page divided among those who share it: what a cgroup would charge.

    Costs a walk over the page tables, hence only for a group whose plain sum looks too large.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(_pss(pid, pages * page) for pid, owner, pages in _processes() if owner == group)


def _pss(pid: int, otherwise: int) -> int:
    try:
        match = _PSS.search((_PROC / str(pid) / "smaps_rollup").read_bytes())
    except OSError:
        return otherwise
    return int(match[1]) * 1024 if match else otherwise


def _processes() -> list[tuple[int, int, int]]:
    """(process id, process group, resident pages) of every process that can be read."""
    found = []
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_bytes()
        except OSError:  # ended meanwhile
            continue
        fields = stat[stat.rindex(b")") + 2 :].split()  # proc(5): after the command, field 3 and on
        found.append((int(entry.name), int(fields[2]), int(fields[21])))
    return found
