"""Rights, quotas, policies: what the cluster allows the user, the operator, and a trial's Pod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpo_operator.api.study import GROUP
from hpo_operator.api.words import listing, number
from hpo_operator.doctor.amounts import amounts, requested
from hpo_operator.doctor.facts import Facts, Finding, Raw, Right, State, Wanted
from hpo_operator.reconcile.stalls import why_refused

NEEDED = (
    *(Right(GROUP, "hpostudies", verb) for verb in ("create", "get", "list", "watch", "patch", "delete")),
    *(Right(GROUP, "hpotrials", verb) for verb in ("get", "list", "watch")),
)
"""To run studies and to look at them."""
USEFUL = (
    Right(GROUP, "hpostudies/scale", "patch"),
    Right(GROUP, "hpotrials", "create"),
    Right("", "pods", "get"),
    Right("", "pods/log", "get"),
)
"""To scale them, to add trials, to read logs."""
LABEL = "pod-security.kubernetes.io/enforce"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
ADMINISTRATOR = "somebody who may grant rights binds the role edit in this namespace to you"


def rights(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    lacking = [str(right) for right in NEEDED if not facts.own_rights[right]]
    useful = [str(right) for right in USEFUL if not facts.own_rights[right]]
    if lacking:
        yield Finding(
            "your rights", State.FAILED, f"in {wanted.namespace} you may not {listing(lacking)}", ADMINISTRATOR
        )
    elif useful:
        yield Finding("your rights", State.WARNING, f"you may run studies, but not {listing(useful)}", ADMINISTRATOR)
    else:
        yield Finding("your rights", State.OK, f"you may run studies in {wanted.namespace}")


def operator_rights(facts: Facts) -> Iterator[Finding]:
    check = "operator's rights"
    if facts.operator_rights.refused:
        advice = "somebody who may create subjectaccessreviews can run this"
        yield Finding(check, State.WARNING, f"you may not ask what {facts.account} may do", advice)
        return
    allowed: Mapping[Right, bool] = facts.operator_rights.value
    lacking = [str(right) for right, granted in allowed.items() if not granted]
    if lacking:
        said = f"{facts.account} may not {listing(lacking)}"
        yield Finding(
            check, State.FAILED, said, "upgrade the chart with rbac.create, or grant helm/hpo-operator/rbac-rules.yaml"
        )
    else:
        yield Finding(check, State.OK, f"{facts.account} may do all that it has to")


def trial_pod(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    """A dry run of a first trial's Pod: quotas, limit ranges, Pod security, webhooks, classes, accounts."""
    check, refused = "a trial's Pod", facts.trial_pod.refused
    enforced = (((facts.namespace.value or {}).get("metadata") or {}).get("labels") or {}).get(LABEL)
    if 'cannot create resource "pods"' in refused:
        yield Finding(check, State.WARNING, "you may not create Pods, so that it was not tried", "ask somebody who may")
    elif facts.namespace.value is None and not facts.namespace.refused:
        yield Finding(
            check,
            State.FAILED,
            f"there is no namespace {wanted.namespace}",
            f"kubectl create namespace {wanted.namespace}",
        )
    elif refused:
        stall = why_refused(refused)
        yield Finding(check, State.FAILED, f"{stall.reason}: {refused}", stall.message.removesuffix(f" ({refused})"))
    else:
        policy = f" (Pod security: {enforced})" if enforced else ""
        yield Finding(check, State.OK, f"the cluster would take it{policy}")


def quotas(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    """Whether all trials that run at once have room; quotas for some Pods only (scopes) are left to the dry run."""
    need = _counted(wanted.pod["spec"])
    for quota in facts.quotas.items:
        if (quota.get("spec") or {}).get("scopes") or (quota.get("spec") or {}).get("scopeSelector"):
            continue
        status = quota.get("status") or {}
        hard, used = amounts(status.get("hard")), amounts(status.get("used"))
        rooms = {
            name: int((hard[name] - used.get(name, 0.0)) // value)
            for name, value in need.items()
            if name in hard and value
        }
        tight = {name: max(0, room) for name, room in rooms.items() if room < wanted.parallelism}
        check = f"quota {quota['metadata']['name']}"
        if tight:
            said = listing(
                f"{name}: room for {number(room)} of {wanted.parallelism} trials at once"
                for name, room in tight.items()
            )
            yield Finding(check, State.WARNING, said, "lower budget.parallelism or resources, or raise the quota")
        elif rooms:
            yield Finding(check, State.OK, f"room for {wanted.parallelism} trials at once")


def _counted(pod_spec: Raw) -> dict[str, float]:
    """What a Pod counts against quotas. https://kubernetes.io/docs/concepts/policy/resource-quotas/"""
    asked, limited = requested(pod_spec), requested(pod_spec, "limits")
    plain = {name: value for name, value in asked.items() if name in ("cpu", "memory")}
    counted = {"pods": 1.0, "count/pods": 1.0} | plain
    counted |= {f"requests.{name}": value for name, value in asked.items()}
    return counted | {f"limits.{name}": value for name, value in limited.items()}


def queue(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    """The local queue of Kueue that the study's Pods name, if they do."""
    name = queue_name(wanted.pod)
    if name is None:
        return
    if facts.queue.refused:
        yield Finding("queue", State.WARNING, f"you may not look at the queue {name}", "ask somebody who may")
    elif facts.queue.value is None:
        said = f"there is no LocalQueue {name} in {wanted.namespace}, or no Kueue"
        yield Finding(
            "queue", State.FAILED, said, f"install Kueue and make the queue, or take the label {QUEUE_LABEL} away"
        )
    else:
        yield Finding("queue", State.OK, f"Pods are admitted by the LocalQueue {name}")


def queue_name(pod: Raw) -> str | None:
    found: str | None = (pod["metadata"].get("labels") or {}).get(QUEUE_LABEL)
    return found
