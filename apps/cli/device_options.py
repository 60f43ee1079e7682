"""Options of the commands that reach devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Emulator = Annotated[Path | None, typer.Option(help="arm64: program that runs aarch64 Python.")]
SshConfig = Annotated[Path | None, typer.Option(help="ssh: file for its -F (keys, ports).")]
RemotePython = Annotated[str, typer.Option(help="ssh: interpreter with ExecuTorch on the board.")]
Apk = Annotated[Path | None, typer.Option(help="adb: the app, to install it first.")]
ExecutorRunner = Annotated[Path | None, typer.Option(help="adb: executor_runner to use instead of the app.")]
Device = Annotated[
    str | None,
    typer.Option(
        help="host, arm64[:CPU], ssh:USER@HOST[:PORT], adb[:SERIAL] or ios:FILE.",
        show_default=False,
    ),
]
Runtime = Annotated[str | None, typer.Option(help="Another release of executorch: 1.5.1.")]
Limit = Annotated[int | None, typer.Option(help="At most so many images, evenly per class.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave what was copied on the device.")]
ResultsFile = Annotated[Path | None, typer.Option("--results", help="Write the device's results file.")]
