"""A study's report: one HTML page that needs no network and no script. The same objects give the same bytes."""

from __future__ import annotations

import yaml

from hpo_operator.report.cost import cost_section
from hpo_operator.report.evidence import Evidence
from hpo_operator.report.final import final_section
from hpo_operator.report.html import Html, Section, element, section, table
from hpo_operator.report.sections import sections
from hpo_operator.report.style import STYLE
from hpo_operator.report.summary import summary

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Of content: even markup that slipped in could neither run nor load anything."""


def page(evidence: Evidence) -> str:
    """Complete and self-contained; all text from objects is escaped."""
    parts = [
        summary(evidence),
        *sections(evidence),
        *final_section(evidence),
        cost_section(evidence),
        provenance(evidence),
    ]
    name = evidence.stored.name
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{name}: report"),
        element("style", Html(STYLE)),
    )
    body = element(
        "body",
        element("header", element("h1", name), element("p", _subtitle(evidence)), _contents(parts)),
        element("main", *parts),
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def provenance(evidence: Evidence) -> Section:
    """All that is needed to run it again, and to know that it was run so."""
    study = evidence.stored.object
    rows = [
        ("study", study.name),
        ("namespace", study.namespace),
        ("uid", study.uid),
        ("generation of the spec", str(study.generation)),
        ("seed", str(study.spec.seed)),
        ("started", study.status.start_time or "-"),
        ("ended", study.status.completion_time or "-"),
        ("report by hpo", evidence.version),
        *((f"image {place + 1}", image) for place, image in enumerate(evidence.images)),
        *((f"digest of {name}", digest) for name, digest in study.status.spec_digests.items()),
    ]
    spec = yaml.safe_dump(evidence.raw["spec"], sort_keys=False, allow_unicode=True)
    return section(
        "provenance",
        "Provenance",
        table(("", "value"), rows, "Identity"),
        element("details", element("summary", "The whole spec"), element("pre", spec, tabindex="0")),
    )


def _subtitle(evidence: Evidence) -> str:
    status = evidence.stored.object.status
    words = ", ".join(filter(None, (status.algorithm, f"{status.progress} trials" if status.progress else "")))
    return " · ".join(filter(None, (status.phase, words, evidence.date)))


def _contents(parts: list[Section]) -> Html:
    entries = (element("li", element("a", part.title_text, href=f"#{part.identifier}")) for part in parts)
    return element("nav", element("ul", *entries), aria_label="Contents")
