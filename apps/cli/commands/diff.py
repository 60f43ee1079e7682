"""`edge-effnet diff`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli import exit_codes
from apps.cli.help import AsJson, epilog
from apps.cli.render.plain import one_line, write, write_json

EPILOG = epilog(
    "edge-effnet diff before/model.pte after/model.pte",
    "edge-effnet diff before/model.pte after/model.pte --json",
    more="diff exits with 0 whether or not the programs differ.",
)


def diff_command(
    first: Annotated[Path, typer.Argument(help="A .pte.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    as_json: AsJson = False,
) -> int:
    """Say what differs between two programs."""
    from quant.program.inspect import compare_programs  # noqa: PLC0415

    found = compare_programs(first, second)
    if as_json:
        values = {key: {"first": one, "second": two} for key, (one, two) in found.items()}
        write_json({"same": not found, "differences": values})
    elif not found:
        write("The programs are the same, byte for byte.\n")
    else:
        facts = ((key, f"  - {_word(one)}", f"  + {_word(two)}") for key, (one, two) in found.items())
        write("".join(f"{one_line(line)}\n" for fact in facts for line in fact))
    return exit_codes.PASS


def _word(value: Any) -> str:
    return "(none)" if value is None else str(value)
