"""What the operator may do is what it does, to the last verb, as the API server's audit log tells."""

from __future__ import annotations

import pytest

from hpo_operator.manifests.rbac import LEASE_RULES, RULES
from stand.control_plane import ControlPlane
from stand.operator_process import ACCOUNT, NAMESPACE, OperatorProcess
from stand.rights import Right, granted
from stand.studies import Studies, toy_study

pytestmark = pytest.mark.cluster


def asked_for(plane: ControlPlane) -> dict[Right, set[str]]:
    """RBAC's verdicts by what was asked for. What everybody may do (to see what the server can) is left out."""
    found: dict[Right, set[str]] = {}
    for event in plane.audited(f"{NAMESPACE}:{ACCOUNT}"):
        what = event.get("objectRef")
        if what is None:
            continue
        resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
        right = (what.get("apiGroup", ""), resource, event["verb"])
        found.setdefault(right, set()).add(event["annotations"]["authorization.k8s.io/decision"])
    return found


def test_every_right_is_used_and_none_is_missing(
    studies: Studies, control_plane: ControlPlane, operator: OperatorProcess
) -> None:
    promoted = toy_study(
        "promoted",
        4,
        parallelism=4,
        algorithm={"sampler": {"type": "Random"}, "scheduler": {"type": "SuccessiveHalving"}},
        fidelity={"resource": "epochs", "min": 1, "max": 2, "eta": 2},
    )
    studies.apply(promoted)
    studies.apply(toy_study("suspended", 2, mode="slower"))
    studies.until_pods("suspended", 1)
    studies.kubectl("patch", "hpo", "suspended", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    studies.wait("promoted", "Succeeded")
    studies.wait("suspended", "Suspended")
    control_plane.kill("operator")  # a watch stands in the log when it has ended
    watches = {right for right in granted(RULES) if right[2] == "watch"}
    control_plane.wait_until(lambda: watches <= asked_for(control_plane).keys(), "its watches have not ended")
    operator.start()
    asked = asked_for(control_plane)
    assert asked.keys() == granted(RULES) | granted(LEASE_RULES)
    assert {right for right, verdicts in asked.items() if verdicts != {"allow"}} == set()
