"""What is kept of ended trials: never is a checkpoint deleted that somebody needs; the others are, and Pods are few."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from hpo_operator.api.crd import MAX_STUDY_NAME
from hpo_operator.api.parse import parse_study
from hpo_operator.manifests.cleaner import cleaner_manifest
from hpo_operator.reconcile.retention import BATCH
from reconcile.objects import SETTINGS, study
from reconcile.restricted import violations
from reconcile.simulation import Raw, Run, SimulatedCluster, dice, performed_in_part
from reconcile.studies import HYPERBAND, SEEDS, SOBOL, assert_ended, event_reasons, failing, made, ran, undisturbed

CLEANER = "demo-clean"


def retaining(trials: int = 9, parallelism: int = 2, algorithm: Raw = HYPERBAND, **retention: Any) -> Raw:
    """A study with a checkpoint volume and ``spec.retention``."""
    raw = made(trials, parallelism, algorithm)
    raw["spec"]["retention"] = retention
    raw["spec"]["trainer"]["checkpoints"] = {"claimName": "checkpoints", "subPath": "lab"}
    return raw


def best_names(cluster: SimulatedCluster, number: int) -> set[str]:
    """The best of the trials that came to the highest resource."""
    last = {name: t["status"]["measurements"][-1] for name, t in cluster.trials.items()}
    top = max(m["resource"] for m in last.values())
    there = [name for name, m in last.items() if m["resource"] == top]
    return set(sorted(there, key=lambda name: -last[name]["value"])[:number])


def until_cleaning(cluster: SimulatedCluster) -> None:
    while CLEANER not in cluster.running():
        assert cluster.step()
        cluster.settle()
        cluster.start_pods()


def test_only_the_best_keep_their_checkpoints() -> None:
    cluster = ran(retaining(bestCheckpoints=1))
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.checkpoints == best_names(cluster, 1) == {cluster.status["best"]["trial"]}
    marked = {name for name, t in cluster.trials.items() if t["status"]["checkpointDeleted"]}
    assert marked == set(cluster.trials) - cluster.checkpoints
    assert cluster.results() == undisturbed("Hyperband", 9, 2)
    assert CLEANER not in cluster.pods
    assert event_reasons(cluster).count("CheckpointsDeleted") == 1


@pytest.mark.parametrize("raw", [retaining(), made(9, 2, HYPERBAND)], ids=["not asked for", "no volume"])
def test_nothing_is_deleted_unless_it_is_asked_for(raw: Raw) -> None:
    cluster = ran(raw)
    assert cluster.checkpoints == set(cluster.trials)
    assert CLEANER not in cluster.created_pods


def test_while_a_study_runs_checkpoints_go_in_batches() -> None:
    cluster = SimulatedCluster(retaining(3 * BATCH, algorithm=SOBOL, bestCheckpoints=2))
    until_cleaning(cluster)
    assert "completionTime" not in cluster.status
    assert len(cluster.checkpoints) <= BATCH + 2 + 2  # the batch, the best, those that run
    cluster.run()
    assert cluster.checkpoints == best_names(cluster, 2)


@settings(max_examples=10)
@given(SEEDS)
def test_whatever_happens_nothing_that_may_go_on_is_deleted(seed: int) -> None:
    chance = Random(seed)

    def train(parameters: dict[str, Any], resource: int) -> Run:
        return (
            Run("", code=chance.choice([1, 75]), seconds=9.0) if chance.random() < 0.2 else dice(parameters, resource)
        )

    cluster = SimulatedCluster(retaining(27, 4, bestCheckpoints=2), train)
    performed_in_part(cluster, chance)
    assert {phase for _, phase in cluster.cleaned} <= {"Succeeded", "Failed", "Stopped"}
    names = [name for name, _ in cluster.cleaned]
    assert len(cluster.checkpoints) <= 2 and cluster.checkpoints.isdisjoint(names)
    assert not cluster.alive()


def test_a_larger_budget_promotes_no_trial_into_a_folder_that_is_being_emptied() -> None:
    cluster = SimulatedCluster(retaining(3, 3, bestCheckpoints=1))
    until_cleaning(cluster)
    cluster.edit_budget(trials=9)
    while CLEANER in cluster.pods:
        promoted = {name for name, t in cluster.trials.items() if t["spec"]["rung"] > 0}
        assert not [pod for pod in cluster.running() for name in promoted if pod.startswith(f"{name}-r1")]
        assert cluster.step()
        cluster.settle()
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert cluster.checkpoints == best_names(cluster, 1)
    marked = {name for name, t in cluster.trials.items() if t["status"]["checkpointDeleted"]}
    assert marked == set(cluster.trials) - cluster.checkpoints


def test_a_cleaning_that_fails_is_told_once_and_tried_again_when_its_pod_is_deleted() -> None:
    cluster = SimulatedCluster(retaining(bestCheckpoints=1))
    until_cleaning(cluster)
    cluster._end(CLEANER, Run("demo-3: Permission denied", code=1))
    cluster.run()
    assert_ended(cluster, "TrialsCompleted")
    assert "demo-3: Permission denied; delete the Pod demo-clean" in cluster.status["cleaning"]
    assert event_reasons(cluster).count("CleaningFailed") == 1
    assert cluster.created_pods.count(CLEANER) == 1
    cluster.lose(CLEANER)
    cluster.run()
    assert cluster.checkpoints == best_names(cluster, 1)
    assert "cleaning" not in cluster.status


def test_a_cleaning_that_is_interrupted_begins_anew() -> None:
    cluster = SimulatedCluster(retaining(bestCheckpoints=1))
    until_cleaning(cluster)
    cluster.evict(CLEANER)
    cluster.run()
    assert cluster.created_pods.count(CLEANER) == 2
    assert cluster.checkpoints == best_names(cluster, 1)


def test_a_cleaning_that_is_refused_is_asked_for_again_later() -> None:
    cluster = SimulatedCluster(retaining(bestCheckpoints=1))
    cluster.refusals[CLEANER] = "exceeded quota"
    while "completionTime" not in cluster.status:
        cluster.step()
    assert cluster.settle().wake_at is not None
    assert CLEANER not in cluster.created_pods
    cluster.refusals.clear()
    cluster.run()
    assert cluster.checkpoints == best_names(cluster, 1)


def test_a_suspended_study_starts_no_cleaning() -> None:
    cluster = SimulatedCluster(retaining(3 * BATCH, algorithm=SOBOL))
    while cluster.status.get("trials", {}).get("succeeded", 0) < 2 * BATCH:
        cluster.step()
    cluster.edit(suspend=True, retention={"bestCheckpoints": 1})
    cluster.run()
    assert CLEANER not in cluster.created_pods
    cluster.edit(suspend=False)
    cluster.run()
    assert cluster.checkpoints == best_names(cluster, 1)


def test_the_pods_that_stay() -> None:
    cluster = ran(retaining(40, 4, SOBOL, bestCheckpoints=3, finishedPods=5))
    assert cluster.results() == undisturbed("Sobol", 40, 4)
    kept = {name.removesuffix("-r0-a0") for name in cluster.pods}
    best = best_names(cluster, 3)
    assert best <= kept and len(kept - best) == 5
    ends = {n: t["status"]["completionTime"] for n, t in cluster.trials.items()}
    assert min(ends[name] for name in kept - best) >= max(ends[name] for name in set(ends) - kept)


def test_failed_pods_are_bounded_by_themselves() -> None:
    raw = retaining(30, 1, SOBOL, finishedPods=0, failedPods=4)
    raw["spec"]["budget"]["failedTrials"] = 20
    cluster = ran(raw, failing)
    assert_ended(cluster, "TooManyFailures", success=False)
    assert set(cluster.pods) == {f"demo-{i}-r0-a0" for i in range(17, 21)}


@settings(max_examples=10)
@given(SEEDS)
def test_no_pod_goes_before_its_measurement_is_stored(seed: int) -> None:
    cluster = SimulatedCluster(retaining(9, 1, finishedPods=0, failedPods=0))
    performed_in_part(cluster, Random(seed))
    assert cluster.results() == undisturbed("Hyperband", 9, 1)
    assert len(cluster.created_pods) == len(set(cluster.created_pods))


def template_study(**spec: Any) -> Raw:
    container = {"name": "main", "image": "mine:1"}
    raw = study(
        trainer={
            "podTemplate": {"spec": {"containers": [container]} | spec},
            "checkpoints": {"claimName": "c"},
            "nodeSelector": {"disk": "fast"},
        }
    )
    raw["metadata"]["name"] = "s" * MAX_STUDY_NAME
    return raw


def test_the_cleaning_pod_sees_its_study_s_folder_alone() -> None:
    pod = cleaner_manifest(parse_study(retaining()), ["demo-1", "demo-2"], SETTINGS)
    (container,) = pod["spec"]["containers"]
    assert container["volumeMounts"] == [
        {"name": "hpo-checkpoints", "mountPath": "/checkpoints", "subPath": "lab/study-uid"}
    ]
    assert [v["name"] for v in pod["spec"]["volumes"]] == ["hpo-checkpoints"]
    assert container["args"] == ["demo-1", "demo-2"]
    assert container["image"] == SETTINGS.trainer_image
    assert violations(pod["spec"]) == []
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["metadata"]["ownerReferences"][0]["uid"] == "study-uid"


def test_the_cleaning_pod_runs_where_and_as_whom_the_template_s_do() -> None:
    placed = {
        "securityContext": {"runAsUser": 1000, "fsGroup": 7},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "nodeSelector": {"zone": "a"},
    }
    pod = cleaner_manifest(parse_study(template_study(**placed)), ["t-1"], SETTINGS)
    assert pod["spec"]["securityContext"] | placed["securityContext"] == pod["spec"]["securityContext"]
    assert pod["spec"]["tolerations"] == placed["tolerations"]
    assert pod["spec"]["nodeSelector"] == {"zone": "a", "disk": "fast"}
    assert len(pod["metadata"]["name"]) <= 63
    assert violations(pod["spec"]) == []
