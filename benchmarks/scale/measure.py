"""What a process used, by proc(5); and what a Prometheus page says."""

from __future__ import annotations

import os
import re
import urllib.request
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    user, system = stat[stat.rindex(")") + 2 :].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, float]:
    """Megabytes (10^6) of resident memory: ``now`` and ``peak``."""
    text = Path(f"/proc/{pid}/status").read_text()
    kib = {name: int(amount) for name, amount in re.findall(r"(VmHWM|VmRSS):\s+(\d+) kB", text)}
    return {"now": kib["VmRSS"] * 1024 / 1e6, "peak": kib["VmHWM"] * 1024 / 1e6}


def scrape(port: int) -> list[Metric]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        return list(text_string_to_metric_families(response.read().decode()))


def total(page: Iterable[Metric], name: str, *labels: str) -> Counter[str]:
    """The sample's value by the given labels, joined by blanks, summed over the others."""
    found: Counter[str] = Counter()
    for family in page:
        for sample in family.samples:
            if sample.name == name:
                found[" ".join(sample.labels.get(label, "") for label in labels)] += sample.value  # type: ignore[assignment]
    return found


def histogram_quantile(page: Iterable[Metric], name: str, share: float) -> float:
    """Upper bound of the histogram's bucket in which this share of the observations ends; infinity if above all."""
    buckets = total(page, f"{name}_bucket", "le")
    everything = buckets["+Inf"]
    reached = (float(bound) for bound, count in buckets.items() if count >= share * everything)
    return min(reached, default=float("inf"))


def quantile(values: list[float], share: float) -> float:
    """The smallest value that this share of them does not exceed; NaN of none."""
    if not values:
        return float("nan")
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
