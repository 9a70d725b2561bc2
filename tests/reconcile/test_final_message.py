"""What a container may leave behind in its termination message, from right to hostile."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_operator.reconcile.final_message import Refusal, Report, read_final_message
from reconcile.objects import measured


def test_a_measurement() -> None:
    report = read_final_message(measured(0.9), "dice")
    assert report == Report(0.9, {"dice": 0.9}, resource=9, seconds=12.5)


def test_the_last_line_that_is_ours_counts() -> None:
    text = "\n".join(["log", measured(0.1), measured(0.2), '{"other": 1}', "{broken", ""])
    report = read_final_message(text, "dice")
    assert isinstance(report, Report)
    assert report.value == 0.2


def test_a_failure_line() -> None:
    text = json.dumps({"hpo": "failure", "reason": "OutOfMemory", "message": "at batch 64"})
    assert read_final_message(text, "dice") == Refusal("OutOfMemory", "at batch 64")


@pytest.mark.parametrize("text", ["", "Killed", "{", "[1]", '{"dice": 0.5}', "[" * 10000 + "\n{" * 1000, "{" * 100000])
def test_nothing_of_ours(text: str) -> None:
    assert read_final_message(text, "dice") is None


@pytest.mark.parametrize(
    ("line", "reason", "sentence"),
    [
        (measured("NaN"), "InvalidMeasurement", "expected a finite number for 'dice', found 'NaN'"),
        (
            '{"hpo": "measurement", "metrics": {"dice": NaN}}',
            "InvalidMeasurement",
            "expected a finite number for 'dice', found nan",
        ),
        (
            '{"hpo": "measurement", "metrics": {"dice": 1e999}}',
            "InvalidMeasurement",
            "expected a finite number for 'dice', found inf",
        ),
        (measured(True), "InvalidMeasurement", "expected a finite number for 'dice', found True"),
        (measured(None), "InvalidMeasurement", "expected a finite number for 'dice', found None"),
        (measured(0.5, "dise"), "MetricMissing", "expected the metric 'dice' in the measurement, found dise"),
        ('{"hpo": "measurement"}', "InvalidMeasurement", "expected metrics to be an object, found None"),
        ('{"hpo": 3}', "InvalidMeasurement", "expected hpo to be measurement or failure, found 3"),
        ('{"hpo": "failure"}', "Error", ""),
        ('{"hpo": "failure", "reason": "rm -rf"}', "Error", ""),
    ],
)
def test_what_cannot_be_used_has_a_reason(line: str, reason: str, sentence: str) -> None:
    assert read_final_message(line, "dice") == Refusal(reason, sentence)


def test_metrics_are_bounded_and_finite() -> None:
    metrics = {"dice": 0.5} | {f"m{i}": i for i in range(500)} | {"x": float("nan")}
    report = read_final_message(json.dumps({"hpo": "measurement", "metrics": metrics}), "dice")
    assert isinstance(report, Report)
    assert len(report.metrics) <= 64
    assert all(isinstance(v, float) for v in report.metrics.values())


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda c: st.lists(c) | st.dictionaries(st.text(), c),
)


@given(st.dictionaries(st.sampled_from(["hpo", "metrics", "reason", "message", "resource", "seconds"]), json_values))
def test_no_json_object_raises(value: dict[str, object]) -> None:
    for hpo in ("measurement", "failure", value.get("hpo")):
        read_final_message(json.dumps(value | {"hpo": hpo}), "dice")


@given(st.text())
def test_no_text_raises(text: str) -> None:
    read_final_message(text, "dice")
