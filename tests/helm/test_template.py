"""What the chart renders, and that it agrees with the code it installs."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_operator.manifests.pod import METRICS_PORT
from hpo_operator.manifests.rbac import LEASE_RULES, RULES
from hpo_operator.settings import Settings, read_settings
from hpo_operator.telemetry.metrics import OperatorMetrics
from hpo_trainer.telemetry import Telemetry
from reconcile.restricted import violations
from stand.helm import Helm, HelmError

ROOT = Path(__file__).resolve().parents[2]
CI = sorted((ROOT / "helm/hpo-operator/ci").glob("*-values.yaml"))
Raw = dict[str, Any]


def of_kind(objects: list[Raw], kind: str) -> list[Raw]:
    return [each for each in objects if each["kind"] == kind]


def only(objects: list[Raw], kind: str) -> Raw:
    (found,) = of_kind(objects, kind)
    return found


def pod_specs(objects: list[Raw]) -> Iterator[Raw]:
    for each in objects:
        if each["kind"] == "Deployment":
            yield each["spec"]["template"]["spec"]
        if each["kind"] == "Pod":
            yield each["spec"]


def settings_of(objects: list[Raw]) -> Settings:
    """What the operator itself makes of the Deployment's environment."""
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    environ = {e["name"]: "a-pod" if "valueFrom" in e else e["value"] for e in container["env"]}
    return read_settings({name: value for name, value in environ.items() if name.startswith("HPO_OPERATOR_")})


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_lints_and_its_pods_are_restricted(helm: Helm, chart: Path, values: Path) -> None:
    helm("lint", "--strict", chart, "--values", values)
    rendered = helm.template(chart, "--values", values)
    specs = list(pod_specs(rendered))
    assert len(specs) == 2  # the operator's and that of `helm test`
    assert [violations(spec) for spec in specs] == [[], []]
    assert all(spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] for spec in specs)


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_no_object_stands_twice_and_each_says_where_it_is(helm: Helm, chart: Path, values: Path) -> None:
    rendered = helm.template(chart, "--values", values)
    where = [(e["kind"], e["metadata"].get("namespace"), e["metadata"]["name"]) for e in rendered]
    assert len(set(where)) == len(where)
    cluster_wide = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    assert all((namespace is None) == (kind in cluster_wide) for kind, namespace, _ in where)


def test_environment_is_what_the_operator_reads(helm: Helm, chart: Path) -> None:
    assert settings_of(helm.template(chart)) == Settings(
        trainer_image="hpo-trainer:0.1.0", lease="hpo-system/hpo-hpo-operator", identity="a-pod"
    )
    full = helm.template(chart, "--values", chart / "ci/full-values.yaml", "--set", "watchNamespaces={a,b}")
    assert settings_of(full) == Settings(
        trainer_image="registry.example.com/hpo/hpo-trainer:cuda-0.1.0",
        namespaces=("a", "b"),
        port=9090,
        sample_seconds=2.5,
        prometheus={"default": "http://prometheus.monitoring:9090", "far": "https://prometheus.example.com/eu"},
        log_level="DEBUG",
        lease="hpo-system/tuning",
        identity="a-pod",
    )


def test_a_service_of_the_releases_name_cannot_become_a_setting(helm: Helm, chart: Path) -> None:
    """A kubelet would announce it as HPO_OPERATOR_PORT=tcp://..., which the operator refuses."""
    rendered = helm.template(chart, "--set", "fullnameOverride=hpo-operator")
    assert only(rendered, "Service")["metadata"]["name"] == "hpo-operator"
    assert [spec["enableServiceLinks"] for spec in pod_specs(rendered)] == [False, False]


def test_the_service_finds_the_operator_and_not_the_test(helm: Helm, chart: Path) -> None:
    rendered = helm.template(chart, "--set", "podLabels.team=imaging")
    selector = only(rendered, "Service")["spec"]["selector"].items()
    deployment = only(rendered, "Deployment")["spec"]
    assert selector == deployment["selector"]["matchLabels"].items()
    assert selector <= deployment["template"]["metadata"]["labels"].items()
    assert not selector <= only(rendered, "Pod")["metadata"]["labels"].items()


def test_images_by_tag_and_by_digest(helm: Helm, chart: Path) -> None:
    digest = "sha256:" + "ab" * 32
    chosen = {"image": {"repository": "r.example/op", "tag": "1", "digest": digest}}
    images = {spec["containers"][0]["image"] for spec in pod_specs(helm.template(chart, values=chosen))}
    assert images == {f"r.example/op@{digest}"}
    assert {spec["containers"][0]["image"] for spec in pod_specs(helm.template(chart))} == {"hpo-operator:0.1.0"}


def test_roles_are_the_generated_rules(helm: Helm, chart: Path) -> None:
    cluster_wide = helm.template(chart, "--set", "rbac.aggregateToDefaultRoles=false")
    assert only(cluster_wide, "ClusterRole")["rules"] == RULES
    assert only(cluster_wide, "Role")["rules"] == LEASE_RULES
    namespaced = helm.template(chart, "--set", "watchNamespaces={a,b}", "--set", "rbac.aggregateToDefaultRoles=false")
    roles = {(e["metadata"]["namespace"], e["metadata"]["name"]): e["rules"] for e in of_kind(namespaced, "Role")}
    assert roles == {
        ("a", "hpo-hpo-operator"): RULES,
        ("b", "hpo-hpo-operator"): RULES,
        ("hpo-system", "hpo-hpo-operator-lease"): LEASE_RULES,
    }
    bindings = {(e["metadata"]["namespace"], e["roleRef"]["name"]) for e in of_kind(namespaced, "RoleBinding")}
    assert bindings == roles.keys()
    assert not of_kind(namespaced, "ClusterRole") + of_kind(namespaced, "ClusterRoleBinding")


def test_crds_are_those_of_crds_and_are_kept(helm: Helm, chart: Path) -> None:
    rendered = of_kind(helm.template(chart), "CustomResourceDefinition")
    for each in rendered:
        assert each["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    expected = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert sorted(rendered, key=lambda crd: str(crd["metadata"]["name"])) == expected
    assert not of_kind(helm.template(chart, "--set", "crds.install=false"), "CustomResourceDefinition")


def test_crds_for_a_server_that_knows_no_cel(helm: Helm, chart: Path) -> None:
    """Servers before 1.25 refuse the rules; all else of the CRDs stays."""

    def without_rules(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without_rules(part) for name, part in value.items() if name != "x-kubernetes-validations"}
        return [without_rules(part) for part in value] if isinstance(value, list) else number(value)

    def number(value: Any) -> Any:
        """1e-09 as Go writes it is text to YAML 1.1, and 1.0 becomes 1."""
        if isinstance(value, str) and not re.fullmatch(r"[0-9.]+e-?[0-9]+", value):
            return value
        return value if isinstance(value, bool) else float(value)

    new, old = (
        of_kind(helm.template(chart, "--kube-version", version), "CustomResourceDefinition")
        for version in ("1.25.0", "1.24.17")
    )
    assert "x-kubernetes-validations" not in str(old)
    assert without_rules(new) == without_rules(old)
    assert "x-kubernetes-validations" in str(new)


def test_monitoring_and_network_policies_only_when_asked(helm: Helm, chart: Path) -> None:
    usual = {e["kind"] for e in helm.template(chart)}
    full = {e["kind"] for e in helm.template(chart, "--values", chart / "ci/full-values.yaml")}
    assert full - usual == {"ServiceMonitor", "PodMonitor", "PrometheusRule", "NetworkPolicy", "ConfigMap"}
    closed = {"networkPolicy": {"trials": {"enabled": True}}}
    with pytest.raises(HelmError, match=r"networkPolicy.trials.namespaces: expected the trials' namespaces"):
        helm.template(chart, values=closed)
    policy = only(helm.template(chart, values=closed | {"watchNamespaces": ["a"]}), "NetworkPolicy")
    assert policy["metadata"]["namespace"] == "a"
    assert policy["spec"]["egress"] == []
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": METRICS_PORT, "protocol": "TCP"}]


def test_alerts_read_series_that_exist_and_have_a_runbook(helm: Helm, chart: Path) -> None:
    rendered = helm.template(chart, "--values", chart / "ci/full-values.yaml")
    rules = [rule for group in only(rendered, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    registries = (OperatorMetrics().registry, Telemetry("a-trial").registry)
    families = itertools.chain.from_iterable(registry.collect() for registry in registries)
    # An empty family of labels has no sample yet: its names follow from its type.
    endings = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}
    series = {family.name + ending for family in families for ending in endings.get(family.type, ("",))}
    used = {name for rule in rules for name in re.findall(r"\bhpo_\w+", rule["expr"])}
    assert len(used) >= 5
    assert used <= series
    assert {job for rule in rules for job in re.findall(r'job="([^"]+)"', rule["expr"])} == {"tuning"}
    sections = set(re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), flags=re.MULTILINE))
    assert {rule["alert"] for rule in rules} == sections
    for rule in rules:
        assert rule["annotations"]["runbook_url"] == f"https://example.com/runbooks#{rule['alert'].lower()}"


def test_alerts_fire_when_they_should(promtool: Path, helm: Helm, chart: Path, tmp_path: Path) -> None:
    """Prometheus itself evaluates the rendered rules over made-up series."""
    rendered = helm.template(chart, "--set", "prometheusRule.enabled=true", "--set", "fullnameOverride=hpo-operator")
    rules = only(rendered, "PrometheusRule")["spec"]
    (tmp_path / "alerts-of-the-chart.yaml").write_text(yaml.safe_dump(rules))
    cases = shutil.copy(Path(__file__).with_name("alerts.yaml"), tmp_path)
    done = subprocess.run([promtool, "test", "rules", cases], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tests = yaml.safe_load(Path(cases).read_text())["tests"]
    tested = {case["alertname"] for test in tests for case in test["alert_rule_test"]}
    assert tested == {rule["alert"] for group in rules["groups"] for rule in group["rules"]}


def test_dashboards_are_current_and_for_grafanas_sidecar(helm: Helm, chart: Path) -> None:
    done = subprocess.run([sys.executable, chart.parent / "dashboards.py", "--check"], capture_output=True, text=True)
    assert done.stderr == ""
    rendered = of_kind(helm.template(chart, "--set", "grafanaDashboards.enabled=true"), "ConfigMap")
    boards = {name: json.loads(text) for each in rendered for name, text in each["data"].items()}
    assert boards.keys() == {"hpo-study.json", "hpo-trial.json", "hpo-operator.json"}
    assert all(each["metadata"]["labels"]["grafana_dashboard"] == "1" for each in rendered)
    for board in boards.values():
        places = [panel["gridPos"] for panel in board["panels"]]
        cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
        assert len(set(cells)) == len(cells), "panels overlap"
        assert max(x for x, _ in cells) < 24


def test_versions_are_the_projects(chart: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (project["version"], project["version"])
