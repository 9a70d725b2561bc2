"""The report in a real Chromium: on a phone and on a desk, in light and dark."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from browser.chromium import Chromium, NoChromiumError, ensure
from browser.tab import Scheme, browser, new_tab
from hpo_operator.report.page import page
from report.reports import evidence

SIZES = "[...document.querySelectorAll('svg.plot')].map(e => e.getBoundingClientRect()).map(r => [r.width, r.height])"
SMALLEST_TEXT = """Math.min(...[...document.querySelectorAll('svg.plot text')].map(
  e => parseFloat(getComputedStyle(e).fontSize) * e.closest('svg').getBoundingClientRect().width
    / e.closest('svg').viewBox.baseVal.width))"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
COLOURS = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('svg text')).fill]"
FOCUS = """[...document.querySelectorAll('a, summary, [tabindex]')].every(
  e => { e.focus(); return document.activeElement === e; })"""
LEGIBLE = 7.5
"""Pixels."""


@pytest.fixture(scope="module")
def chromium() -> Chromium:
    try:
        return ensure(os.environ)
    except NoChromiumError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    file = folder / "report.html"
    file.write_text(page(evidence(folder / "small")), encoding="utf-8")
    return file


@pytest_asyncio.fixture
async def address(chromium: Chromium) -> AsyncIterator[str]:
    async with browser(chromium) as address:
        yield address


def brightness(colour: str) -> float:
    """Of ``rgb(1, 2, 3)``, from 0 to 255."""
    parts = colour[colour.index("(") + 1 : -1].split(",")[:3]
    return sum(weight * float(part) for weight, part in zip((0.299, 0.587, 0.114), parts, strict=True))


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_can_be_read(report: Path, address: str, width: int, scheme: Scheme) -> None:
    async with new_tab(address) as tab:
        await tab.open(report.as_uri(), width, scheme)
        sizes = await tab.value(SIZES)
        assert len(sizes) >= 8
        assert all(100 < across <= width and high > 60 for across, high in sizes)
        assert await tab.value(SMALLEST_TEXT) >= LEGIBLE
        assert await tab.value(OVERFLOW) <= 0
        ground, ink = map(brightness, await tab.value(COLOURS))
        assert abs(ground - ink) > 100
        assert (ground > ink) is (scheme == "light")
        assert tab.complaints == []
        assert [url for url in tab.requests if not url.startswith("data:")] == [report.as_uri()]


async def test_the_keyboard_reaches_everything_that_opens_or_scrolls(report: Path, address: str) -> None:
    async with new_tab(address) as tab:
        await tab.open(report.as_uri(), 800, "light")
        await tab.value("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert await tab.value(FOCUS) is True


@pytest.fixture
def with_script(report: Path, tmp_path: Path) -> Path:
    file = tmp_path / "report.html"
    file.write_text(report.read_text().replace("<main>", "<main><script>document.title = 'run'</script>"))
    return file


async def test_a_script_that_slipped_in_could_not_run(with_script: Path, address: str) -> None:
    """The content policy is a second line of defence, behind the escaping that test_page tests."""
    async with new_tab(address) as tab:
        await tab.open(with_script.as_uri(), 800, "light")
        assert await tab.value("document.title") == "small: report"
        assert any("Content Security Policy" in complaint for complaint in tab.complaints)
