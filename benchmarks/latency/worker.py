"""One method at one size in a process of its own: the last line that it prints is its result as JSON.

python -m benchmarks.latency.worker METHOD N LIMIT    LIMIT: seconds of processor time, after which it is killed
"""

from __future__ import annotations

import json
import resource
import sys


def main(method: str, n: int, limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    if method == "ours":
        from benchmarks.latency import ours

        result = ours.measure(n)
    elif method == "acquisition":
        from benchmarks.latency import acquisition

        result = acquisition.measure(n)
    else:
        from benchmarks.latency import peers

        result = peers.measure(method, n)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
