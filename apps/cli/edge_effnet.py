"""`edge-effnet`: the commands around an artifact."""

from __future__ import annotations

import typer

from apps.cli import exit_codes
from apps.cli.commands import (
    analyze,
    bench,
    check,
    compare,
    deploy,
    devices,
    diff,
    doctor,
    inspect,
    job,
    predict,
    report,
    sbom,
    train,
)
from apps.cli.help import SETTINGS, Version, epilog

app = typer.Typer(
    **SETTINGS,
    no_args_is_help=True,
    help="Train float EfficientNets; check, analyze, time and compare programs, here and on devices.",
    epilog=epilog("edge-effnet check b0-int8-xnnpack --data photos", "edge-effnet COMMAND --help"),
)


@app.callback()
def _before_commands(version: Version = False) -> None:
    """Options that stand before the name of a command."""


app.command("check", epilog=check.EPILOG, no_args_is_help=True)(check.check_command)
app.command("predict", epilog=predict.EPILOG, no_args_is_help=True)(predict.predict_command)
app.command("analyze", epilog=analyze.EPILOG, no_args_is_help=True)(analyze.analyze_command)
app.command("report", epilog=report.EPILOG, no_args_is_help=True)(report.report_command)
app.command("bench", epilog=bench.EPILOG, no_args_is_help=True)(bench.bench_command)
app.command("inspect", epilog=inspect.EPILOG, no_args_is_help=True)(inspect.inspect_command)
app.command("diff", epilog=diff.EPILOG, no_args_is_help=True)(diff.diff_command)
app.command("devices", epilog=devices.EPILOG)(devices.devices_command)
app.command("job", epilog=job.EPILOG, no_args_is_help=True)(job.job_command)
app.command("compare", epilog=compare.EPILOG, no_args_is_help=True)(compare.compare_command)
app.command("deploy", epilog=deploy.EPILOG, no_args_is_help=True)(deploy.deploy_command)
app.command("sbom", epilog=sbom.EPILOG, no_args_is_help=True)(sbom.sbom_command)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor_command)
app.command("train", epilog=train.EPILOG, no_args_is_help=True)(train.train_command)


def main() -> None:
    """Console script."""
    exit_codes.run(app)


if __name__ == "__main__":  # torchrun -m
    main()
