"""Nodes: which GPUs they offer, how many are free, and whether a trial fits on any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from hpo_operator.api.words import listing, number
from hpo_operator.doctor.amounts import amounts, is_gpu, requested
from hpo_operator.doctor.facts import Facts, Finding, Raw, State, Wanted

PLUGIN = "install the GPU vendor's driver and device plugin (for NVIDIA: the GPU operator), or add nodes with GPUs"
OVER = ("Succeeded", "Failed")
KEPT_AWAY = ("NoSchedule", "NoExecute")


def gpus(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    """What is offered, whatever the study; a study that asks for none needs none."""
    if facts.nodes.refused:
        yield Finding("GPUs", State.WARNING, "you may not list nodes", "ask somebody who may to run this")
        return
    offered: Counter[str] = Counter()
    for node in _ready(facts.nodes.items):
        offered.update({name: value for name, value in _allocatable(node).items() if is_gpu(name) and value})
    asked = sorted(name for name in requested(wanted.pod["spec"]) if is_gpu(name))
    if not offered:
        if wanted.study is not None and not asked:
            yield Finding("GPUs", State.OK, "no node offers any, and the study asks for none")
        else:
            yield Finding("GPUs", State.FAILED, f"none of {_nodes(facts)} offers a GPU", PLUGIN)
        return
    yield _free(facts, offered, asked, wanted)


def _free(facts: Facts, offered: Mapping[str, float], asked: Sequence[str], wanted: Wanted) -> Finding:
    said = listing(f"{number(value)} {name}" for name, value in sorted(offered.items()))
    if facts.pods.refused:
        return Finding("GPUs", State.OK, f"{said}; how many are free you may not see")
    taken = _taken(facts.pods.items, [node["metadata"]["name"] for node in _ready(facts.nodes.items)])
    free = {name: value - taken.get(name, 0.0) for name, value in offered.items()}
    said += ", free: " + listing(f"{number(value)} {name}" for name, value in sorted(free.items()))
    of_interest = [name for name in asked if name in offered] or list(offered)
    if not any(free[name] > 0 for name in of_interest):
        return Finding("GPUs", State.WARNING, said, "trials wait until other Pods end")
    need = {name: value * wanted.parallelism for name, value in requested(wanted.pod["spec"]).items()}
    short = [name for name in of_interest if need.get(name, 0.0) > offered[name]]
    if wanted.study is not None and short:
        said += f"; {wanted.parallelism} trials at once ask for {listing(f'{number(need[n])} {n}' for n in short)}"
        return Finding("GPUs", State.WARNING, said, "fewer run at once; lower budget.parallelism to what there is")
    return Finding("GPUs", State.OK, said)


def fits(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    """Whether one trial of the study has a node."""
    if wanted.study is None or facts.nodes.refused:
        return
    spec, need = wanted.pod["spec"], requested(wanted.pod["spec"])
    nodes = [node for node in _ready(facts.nodes.items) if _selected(node, spec.get("nodeSelector") or {})]
    if not nodes:
        labels = listing(f"{key}={value}" for key, value in (spec.get("nodeSelector") or {}).items())
        said = f"none of {_nodes(facts)} is ready" + (f" and has the labels {labels}" if labels else "")
        yield Finding("a node for a trial", State.FAILED, said, "correct nodeSelector, or label nodes")
        return
    rooms = {node["metadata"]["name"]: _allocatable(node) for node in nodes}
    fitting = [name for name, room in rooms.items() if all(room.get(r, 0.0) >= value for r, value in need.items())]
    if not fitting:
        yield Finding("a node for a trial", State.FAILED, _too_large(need, rooms), "ask for less, or add larger nodes")
        return
    open_ = [node for node in nodes if node["metadata"]["name"] in fitting and not _taints(node)]
    if not open_ and not spec.get("tolerations"):
        taints = listing(sorted({taint for node in nodes for taint in _taints(node)}))
        said = f"{listing(fitting)} would fit, but for the taints {taints}"
        yield Finding(
            "a node for a trial", State.WARNING, said, "unless the cluster adds it, tolerate them in a podTemplate"
        )
        return
    yield Finding("a node for a trial", State.OK, f"fits on {len(fitting)} of {_nodes(facts)}")


def _too_large(need: Mapping[str, float], rooms: Mapping[str, Mapping[str, float]]) -> str:
    largest = {r: max(room.get(r, 0.0) for room in rooms.values()) for r in need}
    short = [
        f"{r}: a trial asks for {number(value)}, the largest node has {number(largest[r])}"
        for r, value in sorted(need.items())
        if value > largest[r]
    ]
    return listing(short) or "no single node has all that a trial asks for"


def _nodes(facts: Facts) -> str:
    many = len(facts.nodes.items)
    return f"{many} node" + ("" if many == 1 else "s")


def _ready(nodes: Sequence[Raw]) -> list[Raw]:
    """Without those that are cordoned."""
    return [node for node in nodes if _is_ready(node) and not (node.get("spec") or {}).get("unschedulable")]


def _is_ready(node: Raw) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _allocatable(node: Raw) -> dict[str, float]:
    return amounts((node.get("status") or {}).get("allocatable"))


def _selected(node: Raw, selector: Raw) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _taints(node: Raw) -> list[str]:
    taints = (node.get("spec") or {}).get("taints") or ()
    return [str(taint["key"]) for taint in taints if taint.get("effect") in KEPT_AWAY]


def _taken(pods: Sequence[Raw], nodes: Sequence[str]) -> dict[str, float]:
    taken: Counter[str] = Counter()
    for pod in pods:
        running = (pod.get("status") or {}).get("phase") not in OVER
        if running and pod["spec"].get("nodeName") in nodes:
            taken.update(requested(pod["spec"]))
    return dict(taken)
