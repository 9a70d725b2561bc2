"""Markup that cannot be injected into: text is escaped unless it was made here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Text that is markup already. Everything else that becomes a child is escaped."""

    __slots__ = ()


VOID = ("br", "img", "meta")


def element(tag: str, *children: str, **attributes: str) -> Html:
    """``class_`` and ``aria_label`` stand for ``class`` and ``aria-label``; values of attributes are escaped always."""
    given = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{given}>" + ("" if tag in VOID else f"{joined(children)}</{tag}>"))


def joined(children: Iterable[str]) -> Html:
    return Html("".join(child if isinstance(child, Html) else escape(child, quote=False) for child in children))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> Html:
    """The first cell of each row is its header. Wide tables scroll inside, and take the keyboard's focus for it."""
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    ]
    parts = [element("caption", caption)] if caption else []
    made = element("table", *parts, element("thead", head), element("tbody", *body))
    return element("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption or headings[0])


def paragraphs(*sentences: str) -> Html:
    return joined(element("p", sentence) for sentence in sentences if sentence)


def items(entries: Iterable[str]) -> Html:
    return element("ul", *(element("li", entry) for entry in entries))


class Section(Html):
    """With what a table of contents needs."""

    identifier: str
    title_text: str


def section(identifier: str, title: str, *children: str) -> Section:
    heading = element("h2", title, id=f"{identifier}-title")
    made = Section(element("section", heading, *children, id=identifier, aria_labelledby=f"{identifier}-title"))
    made.identifier, made.title_text = identifier, title
    return made
