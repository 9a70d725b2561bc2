"""The latest objective on a running trial's /metrics page.

The page comes from a user's container: it may be huge, endless, slow or nonsense. Whatever it is, the answer is a
sample or None, within a second and a megabyte.
"""

from __future__ import annotations

import math

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from hpo_operator.reconcile.snapshot import Sample

MAX_PAGE_BYTES = 1 << 20
MAX_LINE_CHARACTERS = 4096
MAX_LINES = 1000
"""The parser's time grows with the square of a line's labels; it may not hold up the event loop."""
TIMEOUT_SECONDS = 1.0
METRIC = "hpo_trial_metric"
CURVE = "hpo_trial_curve"
RESOURCE = "hpo_trial_resource"
INFO = "hpo_trial_info"


async def fetch_sample(
    session: aiohttp.ClientSession, address: str, port: int, objective: str, trial: str | None = None
) -> Sample | None:
    """What stands on ``http://address:port/metrics`` now; see ``read_sample``."""
    host = f"[{address}]" if ":" in address else address
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with session.get(f"http://{host}:{port}/metrics", timeout=timeout, allow_redirects=False) as response:
            if response.status != 200:
                return None
            body = await at_most(response.content, MAX_PAGE_BYTES)
    except (TimeoutError, aiohttp.ClientError, OSError):
        return None
    return None if body is None else read_sample(body.decode(errors="replace"), objective, trial)


def read_sample(page: str, objective: str, trial: str | None = None) -> Sample | None:
    """The objective on a Prometheus text page: ours by name, or the only series of that name.

    A page that says it is another trial's than ``trial`` is none: addresses are handed on quickly. The names stand in
    docs/trainer-contract.md.
    """
    ours: float | None = None
    named: list[float] = []
    curve: dict[int, float] = {}
    resource = 0
    lines = [line for line in page.splitlines() if _matters(line, objective)]
    if len(lines) > MAX_LINES:
        return None
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                if sample.name == METRIC and sample.labels.get("name") == objective:
                    ours = sample.value
                elif sample.name == CURVE and sample.labels.get("name") == objective and math.isfinite(sample.value):
                    curve[int(sample.labels["resource"])] = sample.value
                elif sample.name == objective:
                    named.append(sample.value)
                elif sample.name == INFO and trial is not None and sample.labels.get("trial", trial) != trial:
                    return None
                elif sample.name == RESOURCE and 0 <= sample.value < 2**53:
                    resource = int(sample.value)
    except (ValueError, KeyError, IndexError):
        return None
    value = ours if ours is not None else named[0] if len(named) == 1 else None
    if value is None or not math.isfinite(value):
        return None
    return Sample(value, resource, tuple(sorted((r, v) for r, v in curve.items() if 0 < r < resource)))


def _matters(line: str, objective: str) -> bool:
    if len(line) > MAX_LINE_CHARACTERS:
        return False
    return line.startswith((RESOURCE, INFO, objective)) or (
        line.startswith((METRIC, CURVE)) and f'"{objective}"' in line
    )


async def at_most(stream: aiohttp.StreamReader, limit: int) -> bytes | None:
    """The whole body, or None when it is longer than ``limit``."""
    chunks, size = [], 0
    async for chunk in stream.iter_chunked(65536):
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
