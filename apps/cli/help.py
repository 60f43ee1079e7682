"""What `--help` shows: plain lines, so that every command fits one screen of 80 columns."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

EXIT_CODES = "Exit codes: 0 pass, 1 accuracy regression, 2 input, 3 machine, 130 stopped."

SETTINGS: dict[str, Any] = {
    # Panels and a column for types take three lines where one says the same.
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": True,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""Of every `typer.Typer`."""

_VALUES = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}


class Command(TyperCommand):
    """A command whose help says what a value is in words, and that takes the program's `--version` too."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for param in self.params:
            # Before it had descriptors, typer had words.
            kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
            if kind is None:
                continue
            if isinstance(param, TyperOption):
                param.metavar = param.metavar or _VALUES.get(*(get_args(kind) or (kind,)))
            elif isinstance(param, TyperArgument):
                # The name of an argument says it; typer's braces read like a choice.
                many = "..." if param.nargs != 1 else ""
                param.metavar = f"{param.metavar or str(param.name).upper()}{many}"
                param.display_type_rich = lambda **_: None  # type: ignore[method-assign]
                param._usage_display_name = partial(str, param.metavar)  # type: ignore[method-assign]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Tell the version before the command's own options are looked at; `--help` of the program lists it."""
        _show_version("--version" in takewhile(lambda word: word != "--", args))
        return super().parse_args(ctx, args)


def within(least: int, most: int | None = None) -> Callable[[int | None], int | None]:
    """Callback of an option that takes whole numbers from `least` to `most`: typer's range takes a line of help."""
    wanted = f"{least} or more" if most is None else f"a number from {least} to {most}"

    def check(value: int | None) -> int | None:
        if value is not None and not (least <= value and (most is None or value <= most)):
            raise typer.BadParameter(f"{value}: need {wanted}.")
        return value

    return check


def rare_option(*names: str, **settings: Any) -> Any:
    """A `typer.Option` that most people never need: `--help-all` shows it, `--help` does not."""
    return typer.Option(*names, hidden=True, **settings)


def _show_all(context: typer.Context, value: bool) -> None:
    if not value:
        return
    for param in context.command.params:
        if isinstance(param, TyperOption):
            param.hidden = False
    typer.echo(context.get_help())
    raise typer.Exit


def _show_version(value: bool) -> None:
    if not value:
        return
    # Of the metadata: to import the stack for its versions would take seconds.
    found = []
    for name in ("edge-effnet", "torch", "torchao", "executorch"):
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    ours, *stack = found
    typer.echo(f"{ours} ({', '.join([*stack, f'Python {platform.python_version()}'])})")
    raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show versions and exit.")
]
"""Of every program; its default is False."""


HelpAll = Annotated[
    bool, typer.Option("--help-all", is_eager=True, callback=_show_all, help="Show the rarer options too.")
]
"""Of a command with options that `--help` leaves out; its default is False."""

Verbose = Annotated[bool, typer.Option("--verbose", help="Also show lowering's error, what runs where.")]
"""Of what prints an outcome; its default is False."""

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
"""Of what prints results; its default is False."""


def epilog(*examples: str, more: str = "") -> str:
    """Return the end of a command's help: examples as they are typed, the exit codes, and `more` about those."""
    # \b keeps the lines of a paragraph as they are.
    lines = "\n".join(["\b", "Examples:", *(f"  {example}" for example in examples)])
    return f"{lines}\n\n{' '.join([EXIT_CODES, *([more] if more else [])])}"
