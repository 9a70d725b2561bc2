"""``hpo run`` with real processes: to the end, stopped, killed, gone on with, and told what is wrong."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hpo_operator.cli.main import app
from hpo_operator.local.store import ObjectStore, exclusive
from hpo_operator.studies.study_file import StudyFileError, read_study_files
from local.toy_runs import NAME, Runs, results, script, status, toy_study, until

Raw = dict[str, Any]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def running_pods(store: ObjectStore) -> int:
    return sum(pod.get("status", {}).get("phase") == "Running" for pod in store.all("pods"))


def undisturbed(folder: Path, study: Raw) -> dict[int, tuple[str, list[float]]]:
    return results(Runs(folder / "undisturbed").serve(study))


# --- to the end


def test_a_study_runs_to_its_end(runs: Runs) -> None:
    store = runs.serve(toy_study(script(), trials=4, parallelism=2))
    assert status(store)["phase"] == "Succeeded"
    assert status(store)["progress"] == "4/4"
    for x, [value] in results(store).values():
        assert value == pytest.approx((float(x) - 0.7) ** 2)
    assert runs.runs() == {f"{NAME}-{i}": ["began", "ended"] for i in range(4)}
    assert {e["reason"] for e in store.all("events")} >= {"Accepted", "NewIncumbent", "TrialsCompleted"}


def test_more_trials_later_go_on(runs: Runs, tmp_path: Path) -> None:
    runs.serve(toy_study(script(), trials=2))
    store = runs.serve(toy_study(script(), trials=4))
    assert status(store)["progress"] == "4/4"
    assert results(store) == undisturbed(tmp_path, toy_study(script(), trials=4))
    assert all(noted == ["began", "ended"] for noted in runs.runs().values())


def test_only_the_best_checkpoints_and_few_pods_stay(runs: Runs) -> None:
    store = runs.serve(toy_study(script(), trials=6, retention={"bestCheckpoints": 2, "finishedPods": 1}))
    losses = {index: value for index, (_, [value]) in results(store).items()}
    best = sorted(losses, key=lambda index: losses[index])[:2]
    assert set(runs.runs()) == {f"{NAME}-{index}" for index in best}
    pods = {pod["metadata"]["name"] for pod in store.all("pods")}
    assert pods == {f"{NAME}-{index}-r0-a0" for index in {*best, max(set(losses) - set(best))}}
    assert {path.name for path in (runs.state / NAME / "processes").iterdir()} == pods


def test_a_script_that_only_serves_metrics_is_measured(runs: Runs) -> None:
    program = """
import os, time
from hpo_trainer.report import parameters, report
report({"loss": parameters()["x"] ** 2})
time.sleep(1.0)
open(os.environ["HPO_TERMINATION_LOG"], "w").close()
"""
    store = runs.serve(toy_study(program, trials=2, parallelism=2))
    assert status(store)["phase"] == "Succeeded"
    for trial in store.all("trials"):
        [measurement] = trial["status"]["measurements"]
        assert measurement["source"] == "MetricsEndpoint"
        assert measurement["value"] == pytest.approx(float(trial["spec"]["parameters"]["x"]) ** 2)


def test_a_pod_that_can_never_start_ends_with_its_study(runs: Runs) -> None:
    study = toy_study("", trials=2, budget={"trials": 2, "wallClock": "1s"})
    del study["spec"]["trainer"]["podTemplate"]["spec"]["containers"][0]["command"]
    store = runs.serve(study)
    assert status(store)["reason"] == "WallClockExhausted"
    assert store.all("pods") == []


def test_what_a_process_cannot_stand_in_for_is_said_at_once(runs: Runs) -> None:
    study = toy_study(script(), trials=2, budget={"trials": 2, "failedTrials": 0})
    study["spec"]["trainer"]["podTemplate"]["spec"]["containers"].append({"name": "proxy", "image": "proxy"})
    store = runs.serve(study)
    assert status(store)["reason"] == "TooManyFailures"
    [trial] = store.all("trials")
    assert trial["status"]["failure"]["reason"] == "UnsupportedPod"
    assert "trainer, proxy" in trial["status"]["failure"]["message"]


# --- stopped in order

ON_TERM = """
import os, signal, sys, time
from hpo_trainer.report import checkpoint_dir, report
def end(*_):
    time.sleep(0.5)
    sys.exit(75)
mark = checkpoint_dir() / "mark"
if not mark.exists():
    signal.signal(signal.SIGTERM, end)
    mark.touch()
    signal.pause()
report({"loss": 1.0})
"""
"""The first run of a trial waits to be stopped, and then takes its time; the second one ends."""


def test_a_stopped_study_starts_nothing_more_and_charges_nobody(runs: Runs) -> None:
    study = toy_study(ON_TERM, trials=4, parallelism=2)
    marks = lambda _: len(list(runs.state.glob("volumes/work/*/*/mark"))) == 2  # noqa: E731
    store = runs.serve(study, stop_when=marks)
    assert [pod["metadata"]["name"] for pod in store.all("pods")] == [f"{NAME}-0-r0-a0", f"{NAME}-1-r0-a0"]
    assert {pod["status"]["phase"] for pod in store.all("pods")} == {"Failed"}
    assert len(store.all("trials")) == 2


def test_ctrl_c_and_the_same_command_again(runs: Runs, tmp_path: Path) -> None:
    """The script knows nothing of SIGTERM, and dies of it: that is no failure of the trial."""
    held = f'import signal; runs.parent.name == "{NAME}-1" and runs.read_text() == "began\\n" and signal.pause()'
    study = toy_study(script(work=held), trials=4)
    runs.write(study)
    first = runs.start()
    until(lambda: runs.runs().get(f"{NAME}-1", []) == ["began"], first)
    os.kill(first.pid, signal.SIGTERM)
    output, _ = first.communicate(timeout=30)
    assert first.returncode == 130, output
    assert "interrupted; run the same command to go on" in output
    again = runs.start()
    output, _ = again.communicate(timeout=60)
    assert again.returncode == 0, output
    store = runs.stored()
    assert results(store) == undisturbed(tmp_path, toy_study(script(), trials=4))
    assert runs.runs() == {
        f"{NAME}-0": ["began", "ended"],
        f"{NAME}-1": ["began", "began", "ended"],
        f"{NAME}-2": ["began", "ended"],
        f"{NAME}-3": ["began", "ended"],
    }
    assert [t["status"].get("interruptions", 0) for t in store.all("trials")] == [0, 1, 0, 0]


# --- killed


@pytest.mark.long
def test_killed_ten_times(runs: Runs, tmp_path: Path) -> None:
    study = toy_study(script(0.15), trials=12)
    runs.write(study)
    for number in range(10):
        process = runs.start()
        until(lambda number=number: "began" in runs.runs().get(f"{NAME}-{number}", []), process)  # type: ignore[misc]
        process.kill()
        process.communicate()
    store = runs.serve(study)
    assert status(store)["phase"] == "Succeeded"
    assert results(store) == undisturbed(tmp_path, study)
    interruptions = sum(trial["status"].get("interruptions", 0) for trial in store.all("trials"))
    assert 0 < interruptions <= 10
    for noted in runs.runs().values():  # each attempt but the last was cut off before it had reported, or as it ended
        assert noted[-2:] == ["began", "ended"]


def test_an_end_that_was_seen_but_not_yet_stored_counts(runs: Runs) -> None:
    """Killed between a Pod's end and the writing of its status: the result is taken up, nothing runs again."""
    study = toy_study(script(), trials=1)
    store = runs.serve(study)
    before = results(store)
    pod, trial, stored = store.all("pods")[0], store.all("trials")[0], store.get("study", NAME)
    running = {"name": "trainer", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    store.put("pods", pod | {"status": {"phase": "Running", "containerStatuses": [running]}})
    store.put("trials", trial | {"status": {"pod": pod["metadata"]["name"], "phase": "Running"}})
    assert stored is not None
    store.put("study", {key: value for key, value in stored.items() if key != "status"})
    assert results(runs.serve(study)) == before
    assert runs.runs() == {f"{NAME}-0": ["began", "ended"]}


# --- what the command says


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_changed_immutable_section_is_refused(runs: Runs) -> None:
    study = toy_study(script(), trials=2)
    before = results(runs.serve(study))
    runs.write(toy_study(script(), trials=2, seed=5))
    arguments = ["run", str(runs.file), "--state", str(runs.state), "--plain"]
    code, output = invoke(*arguments)
    assert code == 2
    assert "ImmutableFieldChanged: spec.seed: may not change once trials exist" in output
    assert "use --fresh to start over" in output
    assert results(runs.stored()) == before
    runs.write(study)
    assert invoke(*arguments)[0] == 0
    runs.write(toy_study(script(), trials=2, seed=5))
    assert invoke(*arguments, "--fresh")[0] == 0
    assert results(runs.stored()).keys() == before.keys()
    assert results(runs.stored()) != before


def test_two_runs_of_one_study_do_not_meet(runs: Runs) -> None:
    runs.write(toy_study(script(), trials=1))
    arguments = ["run", str(runs.file), "--state", str(runs.state), "--plain"]
    with exclusive(runs.state / NAME):
        code, output = invoke(*arguments)
    assert code == 2
    assert "another hpo run works on this study; stop it, or choose another --state" in output
    assert invoke(*arguments)[0] == 0


def test_a_failed_study_has_an_exit_code_of_its_own(runs: Runs) -> None:
    program = "print('no such scan'); raise SystemExit(3)"
    runs.write(toy_study(program, trials=2, budget={"trials": 2, "failedTrials": 0}))
    code, output = invoke("run", str(runs.file), "--state", str(runs.state))
    assert code == 1
    assert "TooManyFailures" in output
    lines = output.splitlines()
    assert lines[0] == "toy  0/2 trials ended  0 results"
    failed = lines.index(f"failed:  1, the first {NAME}-0: Error: the container gave no reason; see its log")
    assert lines[failed + 1 :] == ["         no such scan", f"logs:    hpo logs TRIAL --state {runs.state}"]


def test_validate_names_the_file_the_path_and_what_to_do(runs: Runs) -> None:
    study = toy_study(script())
    runs.write(study)
    assert invoke("validate", str(runs.file)) == (0, f"{runs.file}: valid\n")
    study["spec"]["parameters"][0]["float"]["min"] = 3.0
    runs.write(study)
    sentence = "spec.parameters[0].float.min: expected min < max, found min 3 and max 2"
    assert invoke("validate", str(runs.file)) == (2, f"{runs.file}: {sentence}\n")
    study["spec"]["budget"] |= {"trails": 4}
    runs.write(study)
    sentence = "spec.budget.trails: unknown field; did you mean trials?"
    assert invoke("validate", str(runs.file)) == (2, f"{runs.file}: {sentence}\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "expected an HPOStudy, found an empty file"),
        ("- 1\n", "expected an object, found list"),
        ("a: [\n", "not readable as YAML"),
        ("kind: HPOStudy\nkind: HPOStudy\n", "the key 'kind' stands twice"),
        ("a: !!python/object/apply:os.system ['true']\n", "not readable as YAML"),
        ("a: 2026-02-30\n", "not readable as YAML"),
        ("\0", "not readable as YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(runs: Runs, content: str, sentence: str) -> None:
    runs.file.write_text(content)
    for command in ("validate", "run"):
        code, output = invoke(command, str(runs.file))
        assert code == 2
        assert output.startswith(f"{runs.file}: ")
        assert sentence in output


def test_a_file_that_is_not_there(runs: Runs) -> None:
    assert invoke("validate", str(runs.file)) == (2, f"{runs.file}: No such file or directory\n")


def test_a_prometheus_server_without_an_address(runs: Runs) -> None:
    runs.write(toy_study(script()))
    code, output = invoke("run", str(runs.file), "--prometheus", "prometheus:9090", "--state", str(runs.state))
    assert (code, output) == (2, "--prometheus: expected NAME=http://ADDRESS, found 'prometheus:9090'\n")


@pytest.mark.parametrize("volume", ["work", "work=/nowhere/at/all"])
def test_a_volume_that_is_none(runs: Runs, volume: str) -> None:
    runs.write(toy_study(script()))
    code, output = invoke("run", str(runs.file), "--volume", volume, "--state", str(runs.state))
    assert code == 2
    assert f"--volume {volume}: expected CLAIM=DIR with a directory that exists" in output.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-5", 1e-5), ("1E5", 1e5), ("-2e+3", -2e3), (".5e1", 5.0), ("1.5e-3", 1.5e-3), ("1e", "1e"), ("e5", "e5")],
)
def test_numbers_are_read_as_kubectl_reads_them(tmp_path: Path, text: str, value: object) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {text}\n")
    [found] = read_study_files(path)
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize("content", ["a: 1\na: 2\n", "x: {a: 1, b: {c: 1, c: 2}}\n", "- {a: 1, 'a': 2}\n"])
def test_a_key_may_stand_only_once(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(StudyFileError, match="stands twice"):
        read_study_files(path)


# --- the store


def test_a_draft_that_a_crash_left_behind_is_no_object(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    assert store.create("pods", {"metadata": {"name": "a"}})
    assert not store.create("pods", {"metadata": {"name": "a"}, "spec": 2})
    (tmp_path / "pods" / "b.draft").write_text('{"metadata"')
    found = ObjectStore(tmp_path).all("pods")
    assert [o["metadata"]["name"] for o in found] == ["a"]
    assert found == store.all("pods")
    assert json.loads((tmp_path / "pods" / "a.json").read_text()) == found[0]
