"""``python -m browser.watched STUDY OUT``: what ``hpo watch`` shows half-way, as OUT-light.png and OUT-dark.png.

The study runs for it, in a folder of its own, and is stopped when it has been photographed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

from browser.__main__ import photograph
from browser.chromium import NoChromiumError
from hpo_operator.cli.followed import changes
from hpo_operator.cli.watch import drawn, exit_code
from hpo_operator.studies.objects import StudyObjects
from hpo_operator.studies.stored_objects import Source

WIDTH = 1200
PAGE = "<!doctype html><meta charset=utf-8><style>body {{ margin: 0 }} svg {{ display: block }}</style>{}"


async def half_way(state: Path, name: str) -> StudyObjects:
    """The study once most of its trials were measured and as many as may train."""
    async for found in changes(Source(state), name):
        budget, counts = found.study["spec"]["budget"], (found.study.get("status") or {}).get("trials") or {}
        measured = sum(counts.get(key, 0) for key in ("waiting", "succeeded", "failed"))
        if 4 * measured >= 3 * budget["trials"] and counts.get("running", 0) >= budget["parallelism"]:
            return found
        if exit_code(found) is not None:
            raise SystemExit("the study ended before it could be photographed")
    raise AssertionError("changes never end")


def take(study: Path, state: Path, volumes: list[str]) -> StudyObjects:
    name = yaml.safe_load(study.read_text())["metadata"]["name"]
    given = [f"--volume={volume}" for volume in volumes]
    command = [sys.executable, "-m", "hpo_operator.cli.main", "run", str(study), "--state", str(state), "--plain"]
    running = subprocess.Popen([*command, *given], stdout=subprocess.DEVNULL)
    try:
        while not (state / name / "study" / f"{name}.json").exists():
            if running.poll() is not None:
                raise SystemExit(f"hpo run ended with {running.returncode}")
            time.sleep(0.1)
        return asyncio.run(half_way(state, name))
    finally:
        running.send_signal(signal.SIGINT)
        running.wait()


def height(svg: str) -> int:
    """Pixels of the picture when it is ``WIDTH`` wide."""
    found = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', svg)
    assert found is not None  # rich writes one
    return round(WIDTH * float(found[2]) / float(found[1]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m browser.watched", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--volume", action="append", default=[], help="CLAIM=DIR, as of hpo run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = take(given.study, Path(folder) / "state", given.volume)
        now = datetime.now(UTC)
        for theme in ("light", "dark"):
            page = Path(folder) / f"{theme}.html"
            svg = drawn(found, now, dark=theme == "dark")
            page.write_text(PAGE.format(svg))
            picture = Path(f"{given.out}-{theme}.png")
            try:
                picture.write_bytes(asyncio.run(photograph(page.as_uri(), WIDTH, height(svg), theme == "dark")))
            except NoChromiumError as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            print(f"wrote {os.path.relpath(picture)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
