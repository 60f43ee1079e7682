"""`edge-effnet`: the commands around an artifact."""

from __future__ import annotations

import typer

from apps.cli import exit_codes
from apps.cli.check import EPILOG as CHECK_EPILOG
from apps.cli.check import check_command

app = typer.Typer(
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Check int8 EfficientNet artifacts.",
)
app.command("check", epilog=CHECK_EPILOG, no_args_is_help=True)(check_command)


@app.callback()
def _commands() -> None:
    """Keep `check` a subcommand while it is the only one."""


def main() -> None:
    """Console script."""
    exit_codes.run(app)
