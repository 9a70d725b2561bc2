"""The guard process: kills the process groups it was told of once its standard input closes.

Run as a script by `ProcessHost`, never imported. The pipe closes when the program at its other end is gone, however
it went. Lines: `+N` watch over group N, `-N` forget it.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
    for group in groups:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
