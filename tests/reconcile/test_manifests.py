"""The objects that the operator creates: restricted, told what docs/trainer-contract.md promises, and well named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hpo_engine.planner import Rationale, Suggestion
from hpo_operator.api.crd import MAX_STUDY_NAME
from hpo_operator.api.errors import InvalidObject
from hpo_operator.api.parse import parse_study, parse_trial
from hpo_operator.api.trial import Step
from hpo_operator.local.variables import expand
from hpo_operator.manifests.pod import pod_manifest, trial_seed
from hpo_operator.manifests.trial import trial_manifest
from reconcile.objects import SETTINGS, study, trial
from reconcile.restricted import violations

Raw = dict[str, Any]
CONTRACT = Path(__file__).resolve().parents[2] / "docs" / "trainer-contract.md"
FIDELITY: Raw = {"resource": "epochs", "min": 1, "max": 9}
START = Step(decision=1, kind="Start", slots=1, trials=4)


def template(**spec: Any) -> Raw:
    """A study whose trainer is a Pod template with these parts."""
    container = {"name": "main", "image": "mine:1", "command": ["python", "train.py"]} | spec.pop("container", {})
    return study(
        trainer={"podTemplate": {"metadata": spec.pop("metadata", {}), "spec": {"containers": [container]} | spec}}
        | spec.pop("trainer", {})
    )


def pod_of(raw: Raw, trial_raw: Raw | None = None) -> Raw:
    return pod_manifest(parse_study(raw), parse_trial(trial_raw or trial()), SETTINGS)


def environment(pod: Raw, container: int = 0) -> Raw:
    """Variable -> value, or its source."""
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in pod["spec"]["containers"][container]["env"]}


# --- restricted

TEMPLATES: dict[str, Raw] = {
    "built-in": study(),
    "bare": template(),
    "with sidecar": template(containers=[{"name": n, "image": "i"} for n in ("proxy", "trainer")]),
    "with init container": template(initContainers=[{"name": "fetch", "image": "i", "command": ["true"]}]),
    "with its own user": template(
        securityContext={"runAsUser": 1000, "runAsGroup": 100, "seccompProfile": {"type": "Localhost"}}
    ),
    "with capabilities dropped": template(container={"securityContext": {"capabilities": {"drop": ["NET_RAW"]}}}),
    "with a writable root": template(container={"securityContext": {"readOnlyRootFilesystem": False}}),
}


@pytest.mark.parametrize("raw", TEMPLATES.values(), ids=list(TEMPLATES))
def test_every_pod_is_restricted_and_holds_no_token(raw: Raw) -> None:
    spec = pod_of(raw)["spec"]
    assert violations(spec) == []
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["restartPolicy"] == "Never"


FORBIDDEN: dict[str, Raw] = {
    "host network": {"hostNetwork": True},
    "host processes": {"hostPID": True},
    "host IPC": {"hostIPC": True},
    "a path of the node": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]},
    "root": {"securityContext": {"runAsUser": 0}},
    "perhaps root": {"securityContext": {"runAsNonRoot": False}},
    "no seccomp": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
    "privileged": {"container": {"securityContext": {"privileged": True}}},
    "capabilities": {"container": {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}},
    "escalation": {"container": {"securityContext": {"allowPrivilegeEscalation": True}}},
    "container root": {"container": {"securityContext": {"runAsUser": 0}}},
    "container perhaps root": {"container": {"securityContext": {"runAsNonRoot": False}}},
    "container no seccomp": {"container": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}},
}


@pytest.mark.parametrize("parts", FORBIDDEN.values(), ids=list(FORBIDDEN))
def test_a_template_that_asks_for_more_is_refused(parts: Raw) -> None:
    with pytest.raises(InvalidObject, match=r"spec\.trainer\.podTemplate\.spec"):
        parse_study(template(**parts))


def test_the_check_itself_finds_what_is_forbidden() -> None:
    """Of a Pod that nobody has restricted."""
    bare: Raw = {"containers": [{"name": "c", "ports": [{"hostPort": 80}]}], "volumes": [{"name": "v", "hostPath": {}}]}
    assert violations(bare) == [
        "volume hostPath",
        "c: allowPrivilegeEscalation must be false",
        "c: runAsNonRoot must be true",
        "c: seccompProfile must be set",
        "c: capabilities must drop ALL",
        "c: hostPort",
    ]


# --- the contract


def documented() -> set[str]:
    """The variables in the table of docs/trainer-contract.md."""
    rows = [line.split("|")[1] for line in CONTRACT.read_text().splitlines() if re.match(r"\| `[A-Z]", line)]
    return {name for row in rows for name in re.findall(r"`([A-Z_]+(?:<name>)?)`", row)}


ALWAYS = {
    *("HPO_STUDY", "HPO_TRIAL", "HPO_TRIAL_INDEX", "HPO_PARAMETERS", "HPO_PARAM_<name>", "HPO_OBJECTIVE", "HPO_SEED"),
    *("HPO_CHECKPOINT_DIR", "HPO_METRICS_HOST", "HPO_METRICS_PORT", "HPO_TERMINATION_LOG", "LOGNAME"),
}
CPUS: Raw = {"resources": {"limits": {"cpu": "2"}}}
DATA: Raw = {"data": {"claimName": "mri"}}
CIRCUMSTANCES: list[tuple[Raw, set[str]]] = [
    (study(), {"HPO_TASK", "HPO_CONFIG", "HPO_DATA_DIR"}),
    (study(fidelity=FIDELITY), {"HPO_TASK", "HPO_CONFIG", "HPO_DATA_DIR", "HPO_RESOURCE_NAME", "HPO_RESOURCE"}),
    (study(trainer={"segmentation": {}} | DATA | CPUS), {"HPO_TASK", "HPO_CONFIG", "HPO_DATA_DIR", "HPO_THREADS"}),
    (template(), set()),
    (template(trainer=DATA), {"HPO_DATA_DIR"}),
    (template(container=CPUS), {"HPO_THREADS"}),
]


@pytest.mark.parametrize(("raw", "more"), CIRCUMSTANCES)
def test_the_environment_is_what_the_contract_lists(raw: Raw, more: set[str]) -> None:
    given = {re.sub(r"^HPO_PARAM_.*", "HPO_PARAM_<name>", name) for name in environment(pod_of(raw))}
    assert given == ALWAYS | more
    assert given <= documented()


def test_every_documented_variable_is_set_in_some_circumstance() -> None:
    assert ALWAYS.union(*(more for _, more in CIRCUMSTANCES)) == documented()


def test_the_values() -> None:
    env = environment(pod_of(study(fidelity=FIDELITY, seed=5), trial(3, resource=9)))
    assert json.loads(env["HPO_PARAMETERS"]) == {"learningRate": 0.01, "depth": 3}
    assert (env["HPO_PARAM_learningRate"], env["HPO_PARAM_depth"]) == ("0.01", "3")
    assert (env["HPO_STUDY"], env["HPO_TRIAL"], env["HPO_TRIAL_INDEX"]) == ("demo", "demo-3", "3")
    assert (env["HPO_RESOURCE_NAME"], env["HPO_RESOURCE"], env["HPO_OBJECTIVE"]) == ("epochs", "9", "dice")
    assert env["HPO_SEED"] == str(trial_seed(5, 3))
    assert env["HPO_METRICS_HOST"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert env["HPO_TASK"] == "segmentation"
    assert isinstance(json.loads(env["HPO_CONFIG"]), dict)
    paths = {m["mountPath"]: m for m in pod_of(study())["spec"]["containers"][0]["volumeMounts"]}
    assert paths[env["HPO_DATA_DIR"]]["readOnly"] is True
    assert "readOnly" not in paths[env["HPO_CHECKPOINT_DIR"]]
    assert "/tmp" in paths


@pytest.mark.parametrize(
    ("cpu", "threads"),
    [(2, "2"), ("2", "2"), ("1500m", "1"), ("500m", "1"), ("3.9", "3"), (0.5, "1"), ("16000m", "16"), ("1k", None)],
)
def test_threads_are_whole_cpus(cpu: object, threads: str | None) -> None:
    env = environment(pod_of(template(container={"resources": {"limits": {"cpu": cpu}}})))
    assert env.get("HPO_THREADS") == threads


@given(st.integers(0, 2**31 - 1), st.integers(0, 99_999))
def test_seeds_fit_and_differ_from_trial_to_trial(seed: int, index: int) -> None:
    assert 0 <= trial_seed(seed, index) < 2**31
    assert trial_seed(seed, index) != trial_seed(seed, index + 1)


@example("$(HPO_SEED)$$(HPO_SEED)$$")
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=128))
def test_parameters_arrive_as_they_are_whatever_they_hold(choice: str) -> None:
    """Also after Kubernetes has expanded what looks like a reference to a variable."""
    assume(choice != "another")
    raw = template()
    raw["spec"]["parameters"] = [{"name": "norm", "categorical": {"choices": [choice, "another"]}}]
    env: dict[str, str] = {}
    for entry in pod_of(raw, trial(parameters={"norm": choice}))["spec"]["containers"][0]["env"]:
        env[entry["name"]] = expand(entry["value"], env) if "value" in entry else "10.0.0.1"
    assert json.loads(env["HPO_PARAMETERS"]) == {"norm": choice}
    assert env["HPO_PARAM_norm"] == choice
    assert expand("--norm=$(HPO_PARAM_norm)", env) == f"--norm={choice}"


# --- templates keep what is theirs


def test_a_templates_own_settings_stay() -> None:
    raw = template(
        metadata={"labels": {"team": "radiology"}, "annotations": {"note": "x"}},
        container={
            "env": [{"name": "LR", "value": "$(HPO_PARAM_learningRate)"}],
            "ports": [{"name": "web", "containerPort": 80}],
            "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
            "resources": {"limits": {"nvidia.com/gpu": 1}},
            "securityContext": {"readOnlyRootFilesystem": False},
        },
        volumes=[{"name": "cache", "emptyDir": {}}],
        nodeSelector={"gpu": "a100"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        securityContext={"runAsUser": 1000, "fsGroup": 100},
        terminationGracePeriodSeconds=120,
        priorityClassName="low",
        trainer={"nodeSelector": {"zone": "b"}},
    )
    made = pod_of(raw)
    spec, [container] = made["spec"], made["spec"]["containers"]
    assert made["metadata"]["labels"]["team"] == "radiology"
    assert made["metadata"]["annotations"] == {"note": "x"}
    assert container["env"][-1] == {"name": "LR", "value": "$(HPO_PARAM_learningRate)"}
    assert [port["name"] for port in container["ports"]] == ["web", "hpo-metrics"]
    assert container["volumeMounts"][0] == {"name": "cache", "mountPath": "/cache"}
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 1}}
    assert container["securityContext"]["readOnlyRootFilesystem"] is False
    assert spec["volumes"][0] == {"name": "cache", "emptyDir": {}}
    assert spec["nodeSelector"] == {"gpu": "a100", "zone": "b"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["fsGroup"]) == (1000, 100)
    assert (spec["terminationGracePeriodSeconds"], spec["priorityClassName"]) == (120, "low")
    assert violations(spec) == []


@pytest.mark.parametrize("path", ["/dev/shm", "/tmp", "/tmp/"])
def test_a_template_may_bring_its_own_scratch(path: str) -> None:
    """Two mounts at one path would make the Pod invalid."""
    own = {"name": "mine", "mountPath": path}
    spec = pod_of(template(container={"volumeMounts": [own]}, volumes=[{"name": "mine", "emptyDir": {}}]))["spec"]
    mounts = spec["containers"][0]["volumeMounts"]
    assert [m["name"] for m in mounts if m["mountPath"].rstrip("/") == path.rstrip("/")] == ["mine"]
    assert {m["name"] for m in mounts} == {v["name"] for v in spec["volumes"]}


def test_only_the_trainer_container_is_told_of_the_trial() -> None:
    raw = template(containers=[{"name": n, "image": "i"} for n in ("proxy", "trainer")])
    proxy, trainer = pod_of(raw)["spec"]["containers"]
    assert "env" not in proxy
    assert {e["name"] for e in trainer["env"]} >= ALWAYS - {"HPO_PARAM_<name>"}


def test_a_template_is_not_changed_by_its_pods() -> None:
    raw = template(container={"env": [{"name": "A", "value": "1"}]}, volumes=[{"name": "cache", "emptyDir": {}}])
    parsed = parse_study(raw)
    first = pod_manifest(parsed, parse_trial(trial()), SETTINGS)
    assert pod_manifest(parsed, parse_trial(trial()), SETTINGS) == first
    assert parsed.spec.trainer.pod_template == raw["spec"]["trainer"]["podTemplate"]


# --- names, labels, owners

LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
study_names = st.from_regex(rf"[a-z0-9]([-a-z0-9]{{0,{MAX_STUDY_NAME - 2}}}[a-z0-9])?", fullmatch=True)


@given(study_names, st.integers(0, 99_999), st.integers(0, 99), st.integers(0, 51))
def test_names_and_labels_are_within_their_limits(name: str, index: int, rung: int, attempt: int) -> None:
    raw = study()
    raw["metadata"]["name"] = name
    parsed = parse_study(raw)
    made = trial_manifest(parsed, Suggestion(index, {"learningRate": 0.01, "depth": 3}, 9, Rationale("Sobol")), START)
    assert DNS_LABEL.fullmatch(made["metadata"]["name"])
    stored = made | {"metadata": made["metadata"] | {"uid": "u"}, "status": {"attempt": attempt}}
    stored["spec"] = stored["spec"] | {"rung": rung, "resource": 9}
    pod = pod_manifest(parsed, parse_trial(stored), SETTINGS)
    assert DNS_LABEL.fullmatch(pod["metadata"]["name"])  # which is its host name, too
    for value in (*made["metadata"]["labels"].values(), *pod["metadata"]["labels"].values()):
        assert LABEL.fullmatch(value)


def test_a_longer_name_is_refused_before_anything_is_created() -> None:
    raw = study()
    raw["metadata"]["name"] = "a" * (MAX_STUDY_NAME + 1)
    with pytest.raises(InvalidObject, match=r"metadata\.name: expected at most"):
        parse_study(raw)


def test_owners() -> None:
    """The study owns its trials and each trial its Pods, so that deleting a study deletes everything."""
    made = trial_manifest(parse_study(study()), Suggestion(0, {"depth": 3}, 0, Rationale("Sobol")), START)
    [owner] = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("HPOStudy", "demo", "study-uid", True)
    [owner] = pod_of(study())["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("HPOTrial", "demo-0", "trial-0", True)


# --- checkpoints


def checkpoint_mount(raw: Raw, index: int = 0, **status: Any) -> Raw:
    mounts = pod_of(raw, trial(index, status or None))["spec"]["containers"][0]["volumeMounts"]
    found: Raw = next(m for m in mounts if m["mountPath"] == "/checkpoints")
    return found


def test_checkpoints_are_apart_per_study_and_trial_and_shared_by_rungs_and_attempts() -> None:
    raw = study(trainer={"segmentation": {}} | DATA | {"checkpoints": {"claimName": "work", "subPath": "runs/a"}})
    folder = checkpoint_mount(raw)["subPath"]
    assert folder == "runs/a/study-uid/demo-0"
    assert checkpoint_mount(raw, attempt=4)["subPath"] == folder
    assert checkpoint_mount(raw, index=1)["subPath"] == "runs/a/study-uid/demo-1"
    raw["metadata"]["uid"] = "a-later-study-of-the-same-name"
    assert checkpoint_mount(raw)["subPath"] == "runs/a/a-later-study-of-the-same-name/demo-0"


def test_without_a_claim_checkpoints_end_with_their_pod() -> None:
    volumes = {v["name"]: v for v in pod_of(study())["spec"]["volumes"]}
    assert volumes["hpo-checkpoints"] == {"name": "hpo-checkpoints", "emptyDir": {}}
