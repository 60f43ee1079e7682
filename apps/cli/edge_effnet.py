"""`edge-effnet`: the commands around an artifact."""

from __future__ import annotations

import typer

from apps.cli import exit_codes
from apps.cli.commands.analyze import EPILOG as ANALYZE_EPILOG
from apps.cli.commands.analyze import analyze_command
from apps.cli.commands.bench import EPILOG as BENCH_EPILOG
from apps.cli.commands.bench import bench_command
from apps.cli.commands.check import EPILOG as CHECK_EPILOG
from apps.cli.commands.check import check_command
from apps.cli.commands.compare import EPILOG as COMPARE_EPILOG
from apps.cli.commands.compare import compare_command
from apps.cli.commands.deploy import EPILOG as DEPLOY_EPILOG
from apps.cli.commands.deploy import deploy_command
from apps.cli.commands.devices import EPILOG as DEVICES_EPILOG
from apps.cli.commands.devices import devices_command
from apps.cli.commands.diff import EPILOG as DIFF_EPILOG
from apps.cli.commands.diff import diff_command
from apps.cli.commands.doctor import EPILOG as DOCTOR_EPILOG
from apps.cli.commands.doctor import doctor_command
from apps.cli.commands.inspect import EPILOG as INSPECT_EPILOG
from apps.cli.commands.inspect import inspect_command
from apps.cli.commands.job import EPILOG as JOB_EPILOG
from apps.cli.commands.job import job_command
from apps.cli.commands.report import EPILOG as REPORT_EPILOG
from apps.cli.commands.report import report_command
from apps.cli.commands.sbom import EPILOG as SBOM_EPILOG
from apps.cli.commands.sbom import sbom_command
from apps.cli.commands.train import EPILOG as TRAIN_EPILOG
from apps.cli.commands.train import train_command
from apps.cli.help import SETTINGS, epilog

app = typer.Typer(
    **SETTINGS,
    no_args_is_help=True,
    help="Train float EfficientNets; check, analyze, time and compare programs, here and on devices.",
    epilog=epilog("edge-effnet check b0-int8-xnnpack --data photos", "edge-effnet COMMAND --help"),
)
app.command("check", epilog=CHECK_EPILOG, no_args_is_help=True)(check_command)
app.command("analyze", epilog=ANALYZE_EPILOG, no_args_is_help=True)(analyze_command)
app.command("report", epilog=REPORT_EPILOG, no_args_is_help=True)(report_command)
app.command("bench", epilog=BENCH_EPILOG, no_args_is_help=True)(bench_command)
app.command("inspect", epilog=INSPECT_EPILOG, no_args_is_help=True)(inspect_command)
app.command("diff", epilog=DIFF_EPILOG, no_args_is_help=True)(diff_command)
app.command("devices", epilog=DEVICES_EPILOG)(devices_command)
app.command("job", epilog=JOB_EPILOG, no_args_is_help=True)(job_command)
app.command("compare", epilog=COMPARE_EPILOG, no_args_is_help=True)(compare_command)
app.command("deploy", epilog=DEPLOY_EPILOG, no_args_is_help=True)(deploy_command)
app.command("sbom", epilog=SBOM_EPILOG, no_args_is_help=True)(sbom_command)
app.command("doctor", epilog=DOCTOR_EPILOG)(doctor_command)
app.command("train", epilog=TRAIN_EPILOG, no_args_is_help=True)(train_command)


def main() -> None:
    """Console script."""
    exit_codes.run(app)


if __name__ == "__main__":  # torchrun -m
    main()
