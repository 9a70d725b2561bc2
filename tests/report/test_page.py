"""The report as a document: complete, well-formed, inert against what objects hold, and the same every time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.small_study import STUDY, dice, stored, trial
from hpo_operator.cli.main import app
from hpo_operator.local.store import ObjectStore
from hpo_operator.report.evidence import Evidence, FinalModel
from hpo_operator.report.html import VOID, element, table
from hpo_operator.report.page import page
from hpo_operator.report.words import duration
from report.reports import evidence

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&$x_1$"


class Document(HTMLParser):
    """Tags with their attributes and text; fails on a tag that is closed wrongly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return evidence(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def text(found: Evidence) -> str:
    return page(found)


def test_sections_and_landmarks(text: str) -> None:
    document = Document(text)
    identifiers = [attributes["id"] for attributes in document.all("section")]
    assert identifiers == [
        "summary", "history", "curves", "configurations", "importances", "beliefs", "rungs", "front", "gains",
        "failures", "cost", "provenance",
    ]  # fmt: skip
    assert [a["href"] for a in document.all("a")] == [f"#{identifier}" for identifier in identifiers]
    assert len(document.all("main")) == len(document.all("h1")) == len(document.all("nav")) == 1
    assert document.all("html") == [{"lang": "en"}]
    assert all(header.get("scope") in ("col", "row") for header in document.all("th"))


def test_what_it_says_is_what_the_engine_says(found: Evidence, text: str) -> None:
    words = re.sub(r"\s+", " ", " ".join(Document(text).words))
    value = dice(10 ** (-4 + 3 * 6.5 / 10)) - 0.1 / 9
    assert f"The best is trial 6 with dice {value:.5g} after 9 epochs; the next best, trial 7, is" in words
    correlation = found.correlations[1]
    assert correlation is not None
    assert f"Kendall's τ = {correlation.tau:.2f}, z = {correlation.z:.2f}" in words
    # 10 trials begin with 1 epoch, 4 of them go on to 3 and 2 to 9: 6 + 2 * 3 + 2 * 9 trained, 10 + 12 + 18 anew.
    assert "10 epochs were not trained again, 25 % of what it would have been" in words
    assert re.search(r"Diverged\s+1\s+10\s+the loss is not finite", words)


def test_ids_are_unique_and_references_lead_somewhere(text: str) -> None:
    identifiers = re.findall(r'\sid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text)) <= set(identifiers)


def test_figures_have_words_and_numbers(text: str) -> None:
    document = Document(text)
    plots = document.all("svg")
    assert len(plots) == len(document.all("figure")) == len(document.all("figcaption")) >= 8
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    assert text.count("<desc>") == len(plots)
    assert len(document.all("details")) == len(plots) + 1  # and the spec
    assert not re.search(r"#0101(0[0-9a-f])", text), "a sentinel colour is left"


def test_nothing_is_loaded(text: str) -> None:
    document = Document(text)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in document.tags}
    assert not re.search(r"(src|href)=\"https?:|@import|url\(['\"]?http", text)


def test_the_same_objects_give_the_same_bytes(text: str, tmp_path: Path) -> None:
    def without_uids(page: str) -> str:
        return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID", page)

    assert without_uids(page(evidence(tmp_path))) == without_uids(text)


def test_hostile_objects_stay_text(tmp_path: Path) -> None:
    choices = [HOSTILE, "b"]
    parameters = [*STUDY["spec"]["parameters"], {"name": "kind", "categorical": {"choices": choices}}]
    store = ObjectStore(tmp_path / "small")
    trainer = {"podTemplate": {"spec": {"containers": [{"name": "trainer", "image": "own"}]}}}
    store.create("study", STUDY | {"spec": STUDY["spec"] | {"parameters": parameters, "trainer": trainer}})
    for index in range(12):
        made = trial(index, (10 ** (-3 + 0.1 * index), 2 + index % 3), (1, 0.5 + 0.01 * index), failed=index == 11)
        made["spec"]["parameters"]["kind"] = choices[index % 2]
        if index == 11:
            made["status"]["failure"]["message"] = HOSTILE
        store.create("trials", made)
    final = tmp_path / "small" / "final"
    (final / "pictures").mkdir(parents=True)
    figures = {"method": HOSTILE, "test": {HOSTILE: {HOSTILE: 3}, "look": HOSTILE}}
    (final / "figures.json").write_text(json.dumps(figures))
    (final / "pictures" / "<b>.png").write_bytes(b"\x89PNG")
    out = tmp_path / "a.html"
    result = CliRunner().invoke(app, ["report", "small", "--state", str(tmp_path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    document = Document(out.read_text())
    assert not {"script", "b"} & {tag for tag, _ in document.tags}
    assert all("onerror" not in attributes for _, attributes in document.tags)
    assert HOSTILE in " ".join(document.words)


def test_a_final_model_is_shown_with_its_intervals(tmp_path: Path) -> None:
    judged = {"units": 40, "single": {"auc": {"value": 0.9531, "low": 0.9352, "high": 0.971}}}
    figures = {"method": "the mean of the 5 best", "intervals": {"level": 0.95}, "test": judged | {"look": 1}}
    text = page(evidence(tmp_path, final=FinalModel(figures, {"confusion.png": b"\x89PNG"})))
    assert "the mean of the 5 best" in text
    assert "0.9531 [0.9352, 0.971]" in text
    assert "95 % bootstrap intervals" in text
    assert 'src="data:image/png;base64,iVBORw=="' in text


def test_a_study_without_a_measurement(tmp_path: Path) -> None:
    ObjectStore(tmp_path / "small").create("study", STUDY)
    out = tmp_path / "a.html"
    result = CliRunner().invoke(app, ["report", "small", "--state", str(tmp_path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    document = Document(out.read_text())
    assert "there is no best configuration yet" in " ".join(document.words)
    assert document.all("svg") == []


@pytest.mark.parametrize("kind", ["history", "curves", "parallel", "importance", "front"])
def test_plots_as_pictures(tmp_path: Path, kind: str) -> None:
    stored(tmp_path / "small")
    out = tmp_path / "new" / "plot.png"
    result = CliRunner().invoke(app, ["plot", "small", kind, "--state", str(tmp_path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_does_not_exist_and_one_that_cannot_be_drawn(tmp_path: Path) -> None:
    ObjectStore(tmp_path / "small").create("study", STUDY)
    wrong = CliRunner().invoke(app, ["plot", "small", "pie", "--state", str(tmp_path)])
    assert (wrong.exit_code, "expected one of history" in wrong.stderr) == (2, True)
    early = CliRunner().invoke(app, ["plot", "small", "history", "--state", str(tmp_path)])
    assert (early.exit_code, "too little was measured" in early.stderr) == (1, True)


def test_only_markup_that_was_made_here_is_markup() -> None:
    assert element("p", "<b>", element("i", "&"), title='"') == '<p title="&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert "<td>&lt;x&gt;</td>" in table(("a", "b"), [("1", "<x>")])


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.6, 308, 7500, 100_000)] == ["0 s", "1 min", "5 min 8 s", "2 h 5 min", "1 d 3 h"]
