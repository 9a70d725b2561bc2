"""The objects of a study, kept up to date by the watches and by the answers to the operator's own writes.

A look at it is as safe as a list, since it is never behind what the operator itself has written:

* It begins with a consistent list. An event that is older than that list tells nothing new.
* It is compared with another such list now and then, while it is in use, in case an event was lost anywhere.
* The answer to a write is the object as it was stored, and goes in at once. A write whose outcome is not known
  (no answer, already there, gone) leaves a doubt about its object, which is read before the next look.
* Of two versions of an object the later one stays. What is deleted stays deleted: uids are not used twice.
* A Pod that went is remembered as it was last seen until its trial's status tells of it (``release``). Its end, or at
  least that it ran, would be lost otherwise: statuses of Pods are stored a little later than they are seen.
* A watch that had to list anew may have missed deletions by others, which the next comparison tells; see ``cluster``.

It may be behind what others write, as long as their events are on their way; those wake the study's worker. Versions
are compared as numbers, as in https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions; a study
with one that is none is always in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hpo_operator.kube.packed import Packed, interned
from hpo_operator.manifests.names import TRIAL_LABEL

Raw = Mapping[str, Any]
Kind = Literal["hpostudies", "hpotrials", "pods"]
KINDS: tuple[Kind, ...] = ("hpostudies", "hpotrials", "pods")
Versions = Mapping[tuple[Kind, str], int]


@dataclass(frozen=True, slots=True)
class Entry:
    """An object without what nobody here reads. ``owner``: uid of its controller."""

    name: str
    raw: Raw
    version: int
    uid: str
    owner: str | None


class StudyMirror:
    """One study's objects. Nothing may be decided by it while ``in_doubt``, or before each of ``doubts`` is read.

    Lists of a study take turns. One that ends with ``end_list`` also takes turns with its writes; another, and events,
    come at any time.
    """

    def __init__(self) -> None:
        self.in_doubt = True
        self.doubts: set[tuple[Kind, str]] = set()
        self._entries: dict[Kind, dict[str, Entry]] = {kind: {} for kind in KINDS}
        self._listed: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._gone: set[str] = set()
        self._departed: dict[str, Entry] = {}

    def entries(self, kind: Kind) -> Collection[Entry]:
        """All of a kind."""
        return self._entries[kind].values()

    def get(self, kind: Kind, name: str) -> Entry | None:
        """The one of that name."""
        return self._entries[kind].get(name)

    def departed(self) -> Collection[Entry]:
        """Pods that went, as they were last seen."""
        return tuple(self._departed.values())

    def release(self, pod: str) -> None:
        """Nobody needs to know any more how this Pod went."""
        del self._departed[pod]

    def versions(self) -> Versions:
        """Of all that is kept."""
        return {(kind, name): entry.version for kind in KINDS for name, entry in self._entries[kind].items()}

    def kept(self, kind: Kind, raw: Raw) -> Entry | None:
        """What is kept of this very version of an object, which need not be read again."""
        metadata: Raw = raw["metadata"]
        entry = self._entries[kind].get(metadata["name"])
        same = entry is not None and entry.uid == metadata.get("uid", "")
        return entry if same and entry is not None and entry.version == _number(metadata["resourceVersion"]) else None

    def begin_list(self) -> None:
        """Called before the objects are asked for; what is deleted from now on, the answer may not tell."""
        self._gone.clear()

    def put_list(self, kind: Kind, items: Iterable[Entry], version: str) -> bool:
        """All objects of a kind as of ``version``; what came meanwhile and is later stays. Whether that was news.

        What is as late stays, too: whoever has read that very object need not read it again.
        """
        number, kept = _number(version), self._entries[kind]
        fresh = {entry.name: entry for entry in items if entry.uid not in self._gone}
        for name, entry in kept.items():
            listed = fresh.get(name)
            if entry.version > number >= 0 if listed is None else entry.version >= listed.version >= 0:
                fresh[name] = entry
            elif listed is None:
                self._leave(kind, entry)
        self._entries[kind], self._listed[kind] = fresh, number
        return fresh.keys() != kept.keys() or any(fresh[name] is not entry for name, entry in kept.items())

    def end_list(self) -> None:
        """All kinds were put, and nothing was written meanwhile: nothing is in doubt any more."""
        self.in_doubt = min(self._listed.values()) < 0
        self.doubts.clear()

    def put_one(self, kind: Kind, name: str, found: Iterable[Entry], version: str) -> None:
        """What a list of this name alone, as of ``version``, has ``found``."""
        self.doubts.discard((kind, name))
        kept = self._entries[kind].get(name)
        entries = list(found)
        if kept is not None and kept.version <= _number(version):
            del self._entries[kind][name]
            if kept.uid not in [entry.uid for entry in entries]:
                self._gone.add(kept.uid)
                self._leave(kind, kept)
        for entry in entries:
            self._put_own(kind, entry)

    def put_written(self, kind: Kind, raw: Raw) -> None:
        """The answer to a write of this operator."""
        self._put_own(kind, entry_of(kind, raw))

    def _put_own(self, kind: Kind, entry: Entry) -> None:
        if entry.version < 0:
            self.in_doubt = True
        elif entry.uid not in self._gone:
            self._put_later(kind, entry)

    def put_event(self, kind: Kind, event: str | None, raw: Raw) -> bool:
        """An event of a watch; None: it comes from a list of the watch's own. Whether it tells anything new."""
        metadata: Raw = raw["metadata"]
        version = _number(metadata.get("resourceVersion"))
        if version < 0:
            self.in_doubt = True
            return True
        if event == "DELETED":
            return self._put_deleted(kind, entry_of(kind, raw))
        kept = self._entries[kind].get(metadata["name"])
        if version <= self._listed[kind] or (kept is not None and kept.version >= version):
            return False  # as most are, which echo what was written: they are not even read
        return self._put_later(kind, entry_of(kind, raw))

    def _put_deleted(self, kind: Kind, last: Entry) -> bool:
        """``last``: the object as it was when it went, which may be the first to tell how a Pod ended."""
        self._gone.add(last.uid)
        kept = self._entries[kind].get(last.name)
        if kept is None or kept.uid != last.uid:
            return False
        del self._entries[kind][last.name]
        self._leave(kind, last)
        return True

    def _leave(self, kind: Kind, last: Entry) -> None:
        if kind == "pods":
            self._departed[last.name] = last

    def _put_later(self, kind: Kind, entry: Entry) -> bool:
        """Keep it, unless what is kept is as late; whether it was kept."""
        name = entry.name
        kept = self._entries[kind].get(name)
        if kept is not None and kept.version >= entry.version:
            return False
        self._entries[kind][name] = entry
        return True


def entry_of(kind: Kind, raw: Raw) -> Entry:
    """What is kept of an object that the API server sent."""
    metadata: Raw = raw["metadata"]
    owner = next((o["uid"] for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    version = _number(metadata.get("resourceVersion"))
    return Entry(metadata["name"], _SLIM[kind](raw), version, metadata.get("uid", ""), owner)


def is_known(versions: Versions, kind: Kind, event: str | None, raw: Raw) -> bool:
    """Whether an event (see ``put_event``) tells of what was there already."""
    known = versions.get((kind, raw["metadata"]["name"]), -1)
    return event != "DELETED" and 0 <= _number(raw["metadata"].get("resourceVersion")) <= known


def _number(version: object) -> int:
    """-1 for what is no number."""
    return int(version) if isinstance(version, str) and version.isdecimal() else -1


def _slim_study(raw: Raw) -> Raw:
    return {**raw, "metadata": {k: v for k, v in raw["metadata"].items() if k != "managedFields"}}


def _slim_trial(raw: Raw) -> Raw:
    metadata = interned(_only(raw["metadata"], (*METADATA, "ownerReferences")))
    return Packed({**raw, "metadata": metadata}, ("spec", "status"))


def _slim_pod(raw: Raw) -> Raw:
    """What ``reconcile`` and the worker read of it; the arguments tell what a cleaning Pod cleans."""
    metadata, spec = _only(raw["metadata"], METADATA), _only(raw["spec"], ("nodeName", "schedulingGates"))
    labels = _only(raw["metadata"].get("labels") or {}, (TRIAL_LABEL,))
    containers = [
        _only(container, ("name",) if labels else ("name", "args")) for container in raw["spec"]["containers"]
    ]
    kept = {
        "metadata": interned(metadata | {"labels": labels}),
        "spec": spec | {"containers": containers},
        "status": _only(raw.get("status") or {}, POD_STATUS),
    }
    return Packed(kept, ("spec", "status"))


METADATA = ("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp")
POD_STATUS = ("phase", "reason", "message", "podIP", "conditions", "containerStatuses", "initContainerStatuses")
_SLIM: Mapping[Kind, Callable[[Raw], Raw]] = {
    "hpostudies": _slim_study,
    "hpotrials": _slim_trial,
    "pods": _slim_pod,
}


def _only(raw: Raw, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: raw[key] for key in keys if key in raw}
