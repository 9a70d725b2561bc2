"""The harness of the operator's load: it really loads it, counts what it counts, and its page says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from scale import report
from scale.load import ALGORITHMS, Load, manifests
from scale.measure import cpu_seconds, histogram_quantile, memory, quantile, total
from scale.run import run

from stand.build import Assets

PAGE = """# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.1"} 90
lag_seconds_bucket{le="1.0"} 99
lag_seconds_bucket{le="+Inf"} 100
lag_seconds_count 100
lag_seconds_sum 9
# TYPE asked_total counter
asked_total{verb="GET",code="200"} 3
asked_total{verb="GET",code="500"} 1
asked_total{verb="POST",code="200"} 2
"""


def test_a_page_is_summed_and_its_quantiles_are_upper_bounds() -> None:
    page = list(text_string_to_metric_families(PAGE))
    assert total(page, "asked_total", "verb") == {"GET": 4, "POST": 2}
    assert histogram_quantile(page, "lag_seconds", 0.9) == 0.1
    assert histogram_quantile(page, "lag_seconds", 0.91) == 1.0
    assert histogram_quantile(page, "lag_seconds", 1.0) == float("inf")
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0


def test_a_process_is_measured() -> None:
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) == before:
        sum(range(100_000))
    assert 10 < memory(os.getpid())["now"] <= memory(os.getpid())["peak"]


def test_ten_studies_have_the_algorithms_that_the_page_tells_of() -> None:
    made = list(manifests(Load(20, 5, 2, 1.0)))
    for name, count, algorithm in ALGORITHMS:
        assert [m["spec"]["algorithm"] for m in made if m["metadata"]["name"].startswith(name)] == [
            algorithm
        ] * 2 * count


def test_growth_is_a_power() -> None:
    results: list[dict[str, Any]] = [{"trials": n, "cpu_seconds": {"operator": 0.01 * n**1.5}} for n in (10, 30, 100)]
    assert report.exponent(results) == pytest.approx(1.5)


@pytest.mark.cluster
def test_a_small_load(stand_assets: Assets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Load(studies=3, trials=3, parallelism=2, seconds=0.5)
    found = run(load, tmp_path / "plane", stand_assets, limit_seconds=200)
    assert found["studies"] == {"Succeeded TrialsCompleted": 3}
    assert (found["requests"]["POST hpotrials"], found["tracebacks"]) == (9, 0)
    assert found["gaps"] == 3  # each of three studies: two at once, and one after the first of them
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    report.write_page("small", [found])
    assert "| studies ended well | all | 3 of 3 |" in (tmp_path / "results/small.md").read_text()
