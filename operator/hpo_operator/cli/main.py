"""The command ``hpo``: what a user types. A user's mistake is a sentence and an exit code, never a traceback.

Exit codes: 0 well, 1 the study failed, 2 a file or an argument is wrong, 130 interrupted (run again to go on).
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hpo_operator.version import installed_version

COMMANDS = {
    "init": "init:init",
    "validate": "validate:validate",
    "simulate": "simulate:simulate",
    "run": "run:run",
    "watch": "watch:watch",
    "apply": "apply:apply",
    "suspend": "control:suspend",
    "resume": "control:resume",
    "scale": "control:scale",
    "delete": "control:delete",
    "doctor": "doctor:doctor",
    "list": "show:list_studies",
    "show": "show:show",
    "trials": "show:trials",
    "best": "show:best",
    "logs": "logs:logs",
    "analyse": "analysis:analyse",
    "explain": "explain:explain",
    "replay": "replay:replay",
    "report": "report:report",
    "plot": "report:plot",
    "export": "export:export",
    "finalize": "finalize:finalize",
    "data": "data:data",
}
"""Module and function of each, in the order of the help. Only the module of the command that is called is imported:
the engine's statistics take a second, and a shell asks at every Tab."""


class LazyCommands(TyperGroup):
    """The group of all ``COMMANDS``."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(f"hpo_operator.cli.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(cmd_name)(found)
            found = single
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(cls=LazyCommands, no_args_is_help=True, add_completion=True, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hpo {installed_version()}")
        raise typer.Exit


@app.callback()
def hpo(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Say which version this is.")
    ] = False,
) -> None:
    """Hyper-parameter studies, here or on a cluster."""


def main() -> None:
    app()


def kubectl_main() -> None:
    """``kubectl hpo``: the same, but that a study is looked for in the cluster unless ``--local`` is given.

    https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
    """
    app(prog_name="kubectl hpo", default_map={name: {"cluster": True} for name in COMMANDS})


if __name__ == "__main__":
    main()
