"""``python -m browser PAGE PNG [--width N] [--height N] [--dark]``: a picture of a page, for the documentation."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from browser.chromium import NoChromiumError, ensure
from browser.tab import browser, new_tab


async def photograph(url: str, width: int, height: int | None, dark: bool) -> bytes:
    async with browser(ensure(os.environ)) as address, new_tab(address) as tab:
        await tab.open(url, width, "dark" if dark else "light")
        return await tab.picture(height)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m browser", description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, help="only the top of the page")
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    try:
        given.out.write_bytes(
            asyncio.run(photograph(given.page.resolve().as_uri(), given.width, given.height, given.dark))
        )
    except NoChromiumError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
