"""`edge-effnet diff`: parse, call, print, exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli import exit_codes
from apps.cli.help import epilog
from apps.cli.plain import plain

EPILOG = epilog(
    "edge-effnet diff before/model.pte after/model.pte",
    "edge-effnet diff before/model.pte after/model.pte --json",
    more="diff exits with 0 whether or not the programs differ.",
)


def diff_command(
    first: Annotated[Path, typer.Argument(help="A .pte.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> int:
    """Say what differs between two programs."""
    from apps.cli.plain import write  # noqa: PLC0415
    from quant.inspection import compare_programs  # noqa: PLC0415

    found = compare_programs(first, second)
    if as_json:
        values = {key: {"first": one, "second": two} for key, (one, two) in found.items()}
        write(json.dumps({"same": not found, "differences": values}, indent=2) + "\n")
    elif not found:
        write("The programs are the same, byte for byte.\n")
    else:
        write(plain("".join(f"{key}\n  - {_word(one)}\n  + {_word(two)}\n" for key, (one, two) in found.items())))
    return exit_codes.PASS


def _word(value: Any) -> str:
    return "(none)" if value is None else str(value)
