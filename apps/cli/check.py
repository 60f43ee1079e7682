"""`edge-effnet check`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli import exit_codes
from quant.tolerances import MAX_DROP_POINTS

EPILOG = f"""[bold]Examples[/]

edge-effnet check b0-int8-xnnpack --data photos

edge-effnet check b0-int8-xnnpack --data photos --baseline b0.json --max-drop 0.5

{exit_codes.HELP}"""


def check_command(
    folder: Annotated[Path, typer.Argument(help="Artifact folder that `quantize` wrote.")],
    data: Annotated[str, typer.Option(help="Photographs: val/ of it, or class folders; or `sample`.")],
    max_drop: Annotated[float, typer.Option(help="Top-1 that may be lost, points.")] = MAX_DROP_POINTS,
    min_agreement: Annotated[float | None, typer.Option(help="Photographs that keep float's class, %.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="File with earlier figures to hold.")] = None,
    update_baseline: Annotated[bool, typer.Option(help="Write this run's figures to --baseline.")] = False,
    threads: Annotated[int, typer.Option(help="Of the runtime.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> int:
    """Run an artifact's .pte over photographs; exit 0 if it still sees what float sees, 1 if not."""
    # The stack takes seconds to import: `--help` and usage errors need none of it.
    from apps.cli.bars import Bars  # noqa: PLC0415

    bars = Bars()
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        from apps.cli.render import print_outcome  # noqa: PLC0415
        from quant.verify import check  # noqa: PLC0415

    outcome = check(
        folder,
        data=data,
        max_drop=max_drop,
        min_agreement=min_agreement,
        baseline=baseline,
        update_baseline=update_baseline,
        threads=threads,
        progress=bars,
    )
    print_outcome(outcome, as_json=as_json)
    return exit_codes.PASS if outcome.passed else exit_codes.REGRESSION
