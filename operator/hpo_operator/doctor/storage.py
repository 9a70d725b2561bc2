"""Volumes: is there a storage class, and are the study's claims fit for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpo_operator.api.words import listing
from hpo_operator.doctor.facts import Facts, Finding, Raw, State, Wanted

DEFAULT = "storageclass.kubernetes.io/is-default-class"
LATE = "WaitForFirstConsumer"


def claim_names(pod: Raw) -> tuple[str, ...]:
    """Of a Pod, in order, each once."""
    volumes = pod["spec"].get("volumes") or ()
    found = (volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume)
    return tuple(dict.fromkeys(found))


def storage(facts: Facts, wanted: Wanted) -> Iterator[Finding]:
    yield _classes(facts, wanted)
    for name in claim_names(wanted.pod):
        yield _claim(name, facts, wanted)


def _classes(facts: Facts, wanted: Wanted) -> Finding:
    check = "storage class"
    if facts.storage_classes.refused:
        return Finding(check, State.WARNING, "you may not list storage classes", "ask somebody who may to run this")
    names = [each["metadata"]["name"] for each in facts.storage_classes.items]
    default = [each["metadata"]["name"] for each in facts.storage_classes.items if _is_default(each)]
    if default:
        return Finding(
            check, State.OK, f"{listing(default)} is the default" + (f" of {listing(names)}" if len(names) > 1 else "")
        )
    if names:
        return Finding(check, State.WARNING, f"{listing(names)}, none of them the default", "name one in each claim")
    claims = claim_names(wanted.pod)
    if wanted.study is not None and all(_phase(facts.claims[name].value) == "Bound" for name in claims):
        return Finding(
            check,
            State.OK,
            "none, and all claims of the study are bound without one" if claims else "none, and the study needs none",
        )
    advice = "install a volume provisioner and a StorageClass, or make PersistentVolumes by hand"
    return Finding(check, State.FAILED, "none: claims for data and checkpoints find no volume", advice)


def _is_default(storage_class: Raw) -> bool:
    return bool((storage_class["metadata"].get("annotations") or {}).get(DEFAULT) == "true")


def _claim(name: str, facts: Facts, wanted: Wanted) -> Finding:
    check, fact = f"claim {name}", facts.claims[name]
    if fact.refused:
        return Finding(check, State.WARNING, "you may not look at it", "ask somebody who may to run this")
    if fact.value is None:
        said = f"there is none in {wanted.namespace}"
        return Finding(check, State.FAILED, said, "create the claim, or correct its name in the study")
    phase = _phase(fact.value)
    if phase == "Lost":
        return Finding(check, State.FAILED, "its volume is gone", "restore the volume, or make the claim anew")
    if phase != "Bound" and not _binds_late(fact.value, facts):
        advice = "kubectl describe pvc says why no volume fits it"
        return Finding(check, State.FAILED, "it is not bound", advice)
    return _shared(check, phase, fact.value, wanted)


def _shared(check: str, phase: str, claim: Raw, wanted: Wanted) -> Finding:
    """Whether its access modes let all trials that run at once have it."""
    modes = (claim.get("status") or {}).get("accessModes") or claim["spec"].get("accessModes") or []
    said = f"{'bound' if phase == 'Bound' else 'bound when the first Pod comes'}, {listing(modes)}"
    if wanted.parallelism > 1 and not {"ReadWriteMany", "ReadOnlyMany"} & set(modes):
        if modes == ["ReadWriteOncePod"]:
            return Finding(check, State.FAILED, f"{said}: one trial at a time", "use ReadWriteMany, or parallelism 1")
        return Finding(
            check, State.WARNING, f"{said}: all trials run on one node", "use ReadWriteMany to use more nodes"
        )
    return Finding(check, State.OK, said)


def _phase(claim: Mapping[str, Raw] | None) -> str:
    return str(((claim or {}).get("status") or {}).get("phase", "Pending"))


def _binds_late(claim: Raw, facts: Facts) -> bool:
    """Its class makes a volume when the first Pod that uses it is placed."""
    chosen = claim["spec"].get("storageClassName")
    return any(
        each.get("volumeBindingMode") == LATE
        for each in facts.storage_classes.items
        if each["metadata"]["name"] == chosen
    )
