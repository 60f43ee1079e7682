"""`quantize`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli import exit_codes
from edge_effnet.errors import InputError
from quant.tolerances import DEFAULT_CALIBRATION, MAX_DROP_POINTS

_MAX_SEED = 2**63 - 1  # torch's
app = typer.Typer(add_completion=True, rich_markup_mode="rich", pretty_exceptions_enable=False)

_EPILOG = f"""[bold]Examples[/]

quantize --variant b0 --weights flowers.pth --data photos

quantize --variant b4 --weights b4.safetensors --data photos --max-drop 0.5 --out b4-phone --json

{exit_codes.HELP}"""


@app.command(epilog=_EPILOG, no_args_is_help=True)
def quantize_command(
    variant: Annotated[str, typer.Option(help="b0-b8, l2, lite0-lite4, or a longer name of one.")],
    weights: Annotated[
        str | None, typer.Option(help=".pth or .safetensors of lukemelas, timm or torchvision.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Photographs: train/ and val/ with class folders, or class folders.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option(help="Whose weights, where the file leaves it open: timm, timm-tf, ...")
    ] = None,
    image_size: Annotated[int | None, typer.Option(min=32, max=2048, help="Input side; the weights' own.")] = None,
    activation: Annotated[str | None, typer.Option(help="Swap to swish, hardswish, relu6 or relu.")] = None,
    calibration: Annotated[int, typer.Option(help="Photographs to fit ranges on.")] = DEFAULT_CALIBRATION,
    recipe: Annotated[str, typer.Option(help="How to quantize.")] = "int8",
    backend: Annotated[str, typer.Option(help="Where the program runs.")] = "xnnpack",
    out: Annotated[Path | None, typer.Option(help="Artifact folder; <variant>-<recipe>-<backend>.")] = None,
    max_drop: Annotated[float, typer.Option(help="Top-1 that may be lost, points.")] = MAX_DROP_POINTS,
    seed: Annotated[int, typer.Option(min=0, max=_MAX_SEED, help="Of the calibration draw.")] = 0,
    threads: Annotated[int, typer.Option(help="Of the runtime that times the programs.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> int:
    """Make an int8 program of an EfficientNet and prove that it still sees."""
    if weights is None or data is None:
        missing = " and ".join(name for name, value in (("--weights", weights), ("--data", data)) if value is None)
        raise InputError(
            f"{missing} missing: quantizing needs the float weights (--weights FILE, from EfficientNet-PyTorch, "
            "timm or torchvision) and photographs like those of the phone (--data DIR)."
        )
    # The stack takes seconds to import: `--help` and usage errors need none of it.
    from apps.cli.bars import Bars  # noqa: PLC0415

    bars = Bars()
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        from apps.cli.render import print_outcome  # noqa: PLC0415
        from quant.pipeline import quantize  # noqa: PLC0415

    result = quantize(
        variant,
        weights=weights,
        data=data,
        origin=origin,
        image_size=image_size,
        activation=activation,
        calibration=calibration,
        recipe=recipe,
        backend=backend,
        out=out,
        max_drop=max_drop,
        seed=seed,
        threads=threads,
        progress=bars,
    )
    check = ("edge-effnet", "check", result.outcome.artifact, "--data", str(data), "--max-drop", str(max_drop))
    print_outcome(result.outcome, as_json=as_json, next_command=check)
    return exit_codes.PASS if result.passed else exit_codes.REGRESSION


def main() -> None:
    """Console script."""
    exit_codes.run(app)
