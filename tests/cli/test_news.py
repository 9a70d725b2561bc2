"""Lines of progress where there is no terminal, and what the first trial that failed printed."""

from __future__ import annotations

from pathlib import Path

from cli.small_study import stored
from hpo_operator.cli.news import SECONDS, News, first_failure
from hpo_operator.studies.objects import StudyObjects


def test_a_line_when_something_is_new_and_not_too_often(tmp_path: Path) -> None:
    store, news = stored(tmp_path), News()
    study = store.get("study", "small")
    assert study is not None
    trials = tuple(store.all("trials"))
    assert news.line(StudyObjects(study), 5.0) == "small  0/12 trials ended  0 results"
    found = StudyObjects(study | {"status": {"best": {"value": 0.81234567, "trial": "small-6"}}}, trials)
    assert news.line(found, 5.0 + SECONDS / 2) == ""
    expected = "small  11/12 trials ended  16 results  1 failed  best 0.81235 (small-6)"
    assert news.line(found, 5.0 + SECONDS) == expected
    assert news.line(found, 5.0 + 3 * SECONDS) == ""


def test_the_first_failure_ends_with_the_end_of_its_log(tmp_path: Path) -> None:
    store = stored(tmp_path)
    [trial] = [trial for trial in store.all("trials") if trial["metadata"]["name"] == "small-10"]
    assert list(first_failure(store, tmp_path)) == ["failed:  1, the first small-10: Diverged: "]
    store.put("trials", trial | {"status": trial["status"] | {"pod": "small-10-r0-a0", "message": "see its log"}})
    log = tmp_path / "processes" / "small-10-r0-a0" / "log"
    log.parent.mkdir(parents=True)
    log.write_text("\n".join(f"line {i}" for i in range(9)))
    lines = list(first_failure(store, tmp_path))
    assert lines[0] == "failed:  1, the first small-10: Diverged: see its log"
    assert [line.strip() for line in lines[1:]] == [f"line {i}" for i in range(4, 9)]
