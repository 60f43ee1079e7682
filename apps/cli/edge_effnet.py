"""`edge-effnet`: the commands around an artifact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from apps.cli import exit_codes
from apps.cli.commands.artifact import analyze_command, deploy_command, sbom_command
from apps.cli.commands.bench import bench_command
from apps.cli.commands.check import check_command
from apps.cli.commands.devices import compare_command, devices_command, doctor_command, job_command
from apps.cli.commands.predict import predict_command
from apps.cli.commands.program import diff_command, inspect_command
from apps.cli.commands.report import report_command
from apps.cli.commands.train import train_command
from apps.cli.help import SETTINGS, Command, Version, epilog
from edge_effnet.errors import InputError


class _Group(TyperGroup):
    """The commands, and where to find the one that people look for among them."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does."""
        if args[:1] == ["quantize"]:
            raise InputError("quantize: is a command of its own; leave out `edge-effnet` (quantize --help).")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    **SETTINGS,
    cls=_Group,
    no_args_is_help=True,
    help="Train float EfficientNets; check, analyze, time and compare programs, here and on devices.",
    epilog=epilog("edge-effnet check b0-int8-xnnpack --data photos", "edge-effnet COMMAND --help"),
)


@app.callback()
def _before_commands(version: Version = False) -> None:
    """Options that stand before the name of a command."""


def _add(command: Callable[..., int | None], *examples: str, more: str = "") -> None:
    """Add a command; examples are its arguments. It shows its help where it is given none, unless one is empty."""
    name = command.__name__.removesuffix("_command")
    lines = (f"edge-effnet {name} {words}".rstrip() for words in examples)
    app.command(name, cls=Command, epilog=epilog(*lines, more=more), no_args_is_help="" not in examples)(command)


# In the order of `--help`.
_add(
    check_command,
    "b0-int8-xnnpack --data photos --baseline b0.json",
    "b0-int8-xnnpack --data photos --device adb --limit 100",
)
_add(
    predict_command,
    "b0-int8-xnnpack cat.jpg dog.jpg",
    "b0-int8-xnnpack photos --csv",
    more="predict gives no verdict: 0 means done.",
)
_add(analyze_command, "b0-int8-xnnpack", "b0-int8-xnnpack --by noise --top 20")
_add(report_command, "b0-int8-xnnpack lite0-int8-xnnpack --out b0-or-lite0.html", "b0-int8-xnnpack --data photos")
_add(
    bench_command,
    "b0-int8-xnnpack --with-float",
    "b0-int8-xnnpack b0-int8-strict-xnnpack --threads 2 --json",
    more="bench gives no verdict: 0 means measured.",
)
_add(inspect_command, "b0-int8-xnnpack/model.pte", "model.pte --layers --json")
_add(
    diff_command,
    "before/model.pte after/model.pte",
    "before/model.pte after/model.pte --json",
    more="diff exits with 0 whether or not the programs differ.",
)
_add(devices_command, "", "--emulator ~/arm64/armpy --json")
_add(job_command, "b0-int8-xnnpack --data photos --out job", "b0-int8-xnnpack --data photos --limit 100 --out job")
_add(compare_command, "host.json pixel8.json", "host.json pixel8.json --artifact b0-int8-xnnpack --json")
_add(deploy_command, "b0-int8-xnnpack --app android", "b0-int8-xnnpack --app ios --project ~/src/flowers")
_add(sbom_command, "b0-int8-xnnpack", "b0-int8-xnnpack > b0.cdx.json")
_add(doctor_command, "", "--project ~/src/flowers")
_add(train_command, "--data photos --weights w.pth --fresh-head", "--variant b0 --data photos --out b0.safetensors")


def main() -> None:
    """Console script."""
    exit_codes.run(app)


if __name__ == "__main__":  # torchrun -m
    main()
