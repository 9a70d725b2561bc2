"""``python helm/values_table.py [--check]``: write docs/install.md's table from values.yaml, or say that it is old.

A value's description is the comment ``# -- ...`` right above it, as helm-docs has it; comments without the two dashes
are for the reader of the file. A value without a description is an error, unless its parts have one each.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
VALUES = ROOT / "helm/hpo-operator/values.yaml"
PAGE = ROOT / "docs/install.md"
BEGIN, END = "<!-- values: made by `make manifests` from values.yaml -->\n", "<!-- end of values -->\n"


def descriptions(text: str) -> dict[str, str]:
    """Path of a value -> its description."""
    found: dict[str, str] = {}
    path: list[str] = []
    above = ""
    for line in text.splitlines():
        comment = re.match(r"\s*# -- (.*)", line)
        key = re.match(r"((?:  )*)([A-Za-z]\w*):", line)
        if comment:
            above = comment[1]
        elif key:
            path = [*path[: len(key[1]) // 2], key[2]]
            if above:
                found[".".join(path)] = above
            above = ""
    return found


def rows(values: dict[str, Any], told: dict[str, str], prefix: str = "") -> Iterator[str]:
    """A line of the table per value that has a description."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        if path in told:
            default = (
                json.dumps(value) if isinstance(value, dict | list | str) else yaml.safe_dump(value).split("\n")[0]
            )
            yield f"| `{path}` | `{default}` | {told[path]} |"
        elif isinstance(value, dict) and value:
            yield from rows(value, told, f"{path}.")
        else:
            raise ValueError(f"{VALUES}: {path}: expected a comment `# -- ...` above it that says what it is")


def page() -> str:
    """docs/install.md with the table of the present values."""
    text = VALUES.read_text()
    lines = rows(yaml.safe_load(text), descriptions(text))
    table = "\n".join(["| value | default | is |", "| --- | --- | --- |", *lines])
    before, rest = PAGE.read_text().split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n\n{END}{rest.split(END)[1]}"


def main(arguments: list[str]) -> int:
    wanted = page()
    if wanted == PAGE.read_text():
        return 0
    if "--check" in arguments:
        print(f"{PAGE.relative_to(ROOT)} differs from values.yaml; run `make manifests`", file=sys.stderr)
        return 1
    PAGE.write_text(wanted)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
