"""A study's mirror against an API server whose events come late, twice, and in any order between objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo_operator.kube.mirror import Entry, StudyMirror, entry_of

Raw = dict[str, Any]


def pod(name: str, version: int, uid: str, **status: Any) -> Raw:
    return {
        "metadata": {
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "managedFields": [{"manager": "kubelet"}],
            "labels": {"hpo.study/trial": "demo-0", "app": "x"},
            "ownerReferences": [{"uid": "owner", "controller": True}],
        },
        "spec": {"containers": [{"name": "trainer", "image": "large", "args": ["x"]}], "nodeName": "n"},
        "status": status,
    }


class Server:
    """Pods as etcd has them, and per object the events that are still on their way."""

    def __init__(self) -> None:
        self.version = 0
        self.pods: dict[str, Raw] = {}
        self.events: dict[str, list[tuple[str, Raw]]] = {}

    def write(self, name: str) -> Raw:
        """Create or change."""
        self.version += 1
        old = self.pods.get(name)
        uid = old["metadata"]["uid"] if old else f"{name}-{self.version}"
        self.pods[name] = pod(name, self.version, uid, phase=f"v{self.version}")
        self.events.setdefault(uid, []).append(("MODIFIED" if old else "ADDED", self.pods[name]))
        return self.pods[name]

    def delete(self, name: str) -> None:
        if name in self.pods:
            self.version += 1
            last = self.pods.pop(name)
            uid = last["metadata"]["uid"]
            gone = pod(name, self.version, uid, **last["status"])
            self.events.setdefault(uid, []).append(("DELETED", gone))

    def deliver(self, mirror: StudyMirror, choice: int) -> None:
        """The next event of one object."""
        waiting = [uid for uid, events in sorted(self.events.items()) if events]
        if waiting:
            kind, raw = self.events[waiting[choice % len(waiting)]].pop(0)
            mirror.put_event("pods", kind, raw)

    def listed(self) -> tuple[list[Entry], str]:
        return [entry_of("pods", raw) for raw in self.pods.values()], str(self.version)


def put_list(mirror: StudyMirror, items: Iterable[Entry], version: str, ends: bool = True) -> None:
    """``ends``: nothing was written meanwhile; else it only compares."""
    for kind in ("hpostudies", "hpotrials"):
        mirror.put_list(kind, [], version)  # type: ignore[arg-type]
    mirror.put_list("pods", items, version)
    if ends:
        mirror.end_list()


def phases(mirror: StudyMirror) -> dict[str, str]:
    return {entry.name: entry.raw["status"]["phase"] for entry in mirror.entries("pods")}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["own", "other", "delete", "deliver", "deliver", "list", "compare", "answer", "lost answer", "check"]
        ),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 5),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_never_behind_its_own_writes_and_in_the_end_right(steps: list[tuple[str, str, int]]) -> None:
    server, mirror = Server(), StudyMirror()
    mirror.begin_list()
    put_list(mirror, *server.listed())
    own: dict[str, int] = {}
    waiting: tuple[list[Entry], str, bool] | None = None  # a list that was made and has not been put yet
    for what, name, choice in steps:
        match what:
            case "own" | "lost answer" | "check" if waiting is not None and waiting[2]:
                continue  # a study's worker does one thing at a time
            case "own":
                mirror.put_written("pods", server.write(name))
            case "lost answer":
                server.write(name)
                mirror.doubts.add(("pods", name))
            case "other":
                server.write(name)
            case "delete":
                server.delete(name)
            case "deliver":
                server.deliver(mirror, choice)
            case "list" | "compare" if waiting is None:
                mirror.begin_list()
                waiting = (*server.listed(), what == "list")
            case "answer" if waiting is not None:
                put_list(mirror, *waiting)
                waiting = None
            case "check":
                found = [entry_of("pods", raw) for raw in (server.pods.get(name),) if raw is not None]
                mirror.put_one("pods", name, found, str(server.version))
        if what in ("own", "lost answer"):
            own[name] = server.version
        for written, version in own.items():
            seen = phases(mirror).get(written)
            deleted = written not in server.pods or int(server.pods[written]["status"]["phase"][1:]) > version
            assert deleted or ("pods", written) in mirror.doubts or seen == f"v{version}"
    if waiting is not None:
        put_list(mirror, *waiting)
    while any(server.events.values()):
        server.deliver(mirror, 0)
    for _, name in tuple(mirror.doubts):
        found = [entry_of("pods", raw) for raw in (server.pods.get(name),) if raw is not None]
        mirror.put_one("pods", name, found, str(server.version))
    assert phases(mirror) == {name: raw["status"]["phase"] for name, raw in server.pods.items()}


def test_an_echo_of_an_own_write_is_no_news() -> None:
    mirror = StudyMirror()
    put_list(mirror, [], "1")
    mirror.put_written("pods", pod("a", 2, "u", phase="Pending"))
    assert not mirror.put_event("pods", "ADDED", pod("a", 2, "u", phase="Pending"))
    assert mirror.put_event("pods", "MODIFIED", pod("a", 3, "u", phase="Running"))
    assert phases(mirror) == {"a": "Running"}


def test_what_was_looked_for_and_is_gone_stays_so_while_an_older_list_comes_in() -> None:
    """As after a deletion without an answer, while all studies are compared."""
    mirror, old = StudyMirror(), entry_of("pods", pod("a", 1, "u", phase="Running"))
    put_list(mirror, [old], "1")
    mirror.begin_list()
    mirror.put_one("pods", "a", [], "3")
    put_list(mirror, [old], "2", ends=False)
    assert phases(mirror) == {}


def test_what_a_watch_had_to_list_anew_is_news_if_it_is_later() -> None:
    mirror = StudyMirror()
    put_list(mirror, [entry_of("pods", pod("a", 1, "u"))], "1")
    assert not mirror.put_event("pods", None, pod("a", 1, "u"))
    assert mirror.put_event("pods", None, pod("a", 2, "u"))
    assert not mirror.in_doubt


def test_versions_that_are_no_numbers_are_always_in_doubt() -> None:
    """An API server that is not backed by etcd may have such."""
    mirror = StudyMirror()
    put_list(mirror, [entry_of("pods", pod("a", 0, "u") | {})], "opaque-7")
    assert mirror.in_doubt
    raw = pod("a", 0, "u")
    raw["metadata"]["resourceVersion"] = "opaque-8"
    put_list(mirror, [], "3")
    assert not mirror.in_doubt
    mirror.put_written("pods", raw)
    assert mirror.in_doubt


def test_only_what_is_read_is_kept() -> None:
    mirror = StudyMirror()
    put_list(mirror, [entry_of("pods", pod("a", 1, "u", phase="Running", hostIP="10.0.0.1"))], "1")
    (entry,) = mirror.entries("pods")
    kept = entry.raw
    assert entry.owner == "owner"
    assert kept["spec"] == {"nodeName": "n", "containers": [{"name": "trainer"}]}
    assert kept["status"] == {"phase": "Running"}
    assert kept["metadata"]["labels"] == {"hpo.study/trial": "demo-0"}


def test_a_version_that_is_kept_is_not_read_again() -> None:
    mirror = StudyMirror()
    put_list(mirror, [entry_of("pods", pod("a", 1, "u"))], "1")
    (entry,) = mirror.entries("pods")
    assert mirror.kept("pods", pod("a", 1, "u")) is entry
    assert mirror.kept("pods", pod("a", 2, "u")) is None
    assert mirror.kept("pods", pod("a", 1, "another")) is None
    assert mirror.kept("pods", pod("b", 1, "u")) is None


def departed(mirror: StudyMirror) -> dict[str, str]:
    return {entry.name: entry.raw["status"]["phase"] for entry in mirror.departed()}


def test_a_pod_that_went_is_remembered_as_it_was_last_seen() -> None:
    mirror = StudyMirror()
    running = [entry_of("pods", pod(name, 1, f"u-{name}", phase="Running")) for name in "abcd"]
    put_list(mirror, running, "1")
    assert mirror.put_event("pods", "DELETED", pod("a", 2, "u-a", phase="Succeeded"))  # the first to tell of its end
    assert mirror.put_event("pods", "DELETED", pod("b", 3, "an earlier b", phase="Failed")) is False
    mirror.put_one("pods", "c", [], "4")
    mirror.begin_list()
    put_list(mirror, [entry for entry in running if entry.name == "b"], "5", ends=False)
    assert departed(mirror) == {"a": "Succeeded", "c": "Running", "d": "Running"}
    assert phases(mirror) == {"b": "Running"}
    mirror.release("a")
    assert departed(mirror) == {"c": "Running", "d": "Running"}
