"""values.schema.json: what it accepts, what it refuses, and with which words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stand.helm import Helm, HelmError

Raw = dict[str, Any]

REFUSED: list[tuple[Raw, str]] = [
    ({"imgae": {"tag": "1"}}, "additional properties 'imgae' not allowed"),
    (
        {"image": {"pullPolicy": "Sometimes"}},
        "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
    ),
    ({"image": {"digest": "sha256:12"}}, "at '/image/digest': 'sha256:12' does not match pattern"),
    ({"logLevel": "debug"}, "at '/logLevel': value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
    ({"sampleSeconds": 0}, "at '/sampleSeconds': exclusiveMinimum: got 0, want 0"),
    (
        {"prometheusServers": {"default": "prometheus:9090"}},
        "at '/prometheusServers/default': 'prometheus:9090' does not match",
    ),
    ({"watchNamespaces": "imaging"}, "at '/watchNamespaces': got string, want array"),
    ({"watchNamespaces": ["Imaging"]}, "at '/watchNamespaces/0': 'Imaging' does not match pattern"),
    ({"port": 80}, "at '/port': minimum: got 80, want 1,024"),
    ({"runAsUser": 0}, "at '/runAsUser': minimum: got 0, want 1"),
    ({"replicaCount": -1}, "at '/replicaCount': minimum: got -1, want 0"),
    ({"serviceAccount": {"create": False}}, "at '/serviceAccount/name': minLength: got 0, want 1"),
    ({"serviceMonitor": {"enabled": "yes"}}, "at '/serviceMonitor/enabled': got string, want boolean"),
    ({"podMonitor": {"interval": "soon"}}, "at '/podMonitor/interval': 'soon' does not match pattern"),
    ({"tolerations": {"key": "gpu"}}, "at '/tolerations': got object, want array"),
    ({"networkPolicy": {"apiServer": {"ports": []}}}, "at '/networkPolicy/apiServer/ports': minItems: got 0, want 1"),
]


@pytest.mark.parametrize(
    ("values", "words"), REFUSED, ids=lambda each: json.dumps(each) if isinstance(each, dict) else ""
)
def test_a_wrong_value_is_refused_with_its_place(helm: Helm, chart: Path, values: Raw, words: str) -> None:
    with pytest.raises(HelmError) as refusal:
        helm.template(chart, values=values)
    assert words in str(refusal.value)


def test_values_and_schema_name_the_same(chart: Path) -> None:
    values = yaml.safe_load((chart / "values.yaml").read_text())
    schema = json.loads((chart / "values.schema.json").read_text())

    def same(value: Raw, part: Raw, path: str) -> None:
        named = part["properties"].keys() - {"global"}  # Helm's own
        assert part["additionalProperties"] is False, path
        if path != ".resources":  # whose present keys are only an example
            assert value.keys() == named, path
        for name in value.keys() & named:
            if part["properties"][name].get("properties"):
                same(value[name], part["properties"][name], f"{path}.{name}")

    same(values, schema, "")


def test_every_value_is_described_and_the_page_is_current(chart: Path) -> None:
    script = chart.parent / "values_table.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.stderr == ""
