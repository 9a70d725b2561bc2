"""``python -m hpo_operator.cli.reference [--check]``: the page of all commands, from their own help."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from hpo_operator.cli.main import app

PAGE = Path("docs/reference/cli.md")
WIDTH = 100
HEAD = """# The command hpo

Made by `make manifests` from the commands' own help. `kubectl hpo` is the same program, which looks for a study in the
cluster unless it is given `--local`. Exit codes: 0 well, 1 the study failed, 2 a file or an argument is wrong, 130
interrupted: run it again to go on.
"""


def reference() -> str:
    """Markdown: a section for each command, in the order of the help."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="hpo", terminal_width=WIDTH)
    sections = (section for name in group.list_commands(context) for section in _sections(group, context, name))
    return "\n".join([HEAD, *sections])


def _sections(group: Any, parent: Any, name: str) -> Iterator[str]:
    command = group.get_command(parent, name)
    context = command.context_class(command, info_name=name, parent=parent, terminal_width=WIDTH)
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"## {context.command_path}\n\n```text\n{text.strip()}\n```\n"
    if hasattr(command, "list_commands"):
        for inner in command.list_commands(context):
            yield from _sections(command, context, inner)


def main(arguments: list[str]) -> int:
    content = reference()
    if PAGE.exists() and PAGE.read_text() == content:
        return 0
    if "--check" in arguments:
        print(f"{PAGE} differs from the commands; run `make manifests`", file=sys.stderr)
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(content)
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
