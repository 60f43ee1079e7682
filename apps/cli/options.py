"""Options that several commands share: of images and labels, and of devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli.help import rare_option
from edge_effnet.errors import InputError
from quant.thresholds import MAX_DROP_POINTS, NUMBERS_DROP_POINTS

if TYPE_CHECKING:
    from quant.data.readers.label_file import ImageOptions


Folder = Annotated[Path, typer.Argument(help="Artifact folder that `quantize` wrote.")]
Images = Annotated[str, typer.Option(help="Images (val/, if there is one), or `sample`.")]
MaxDrop = Annotated[
    float | None,
    typer.Option(
        help=f"Allowed top-1 drop; default: {MAX_DROP_POINTS:g} point, regression: {NUMBERS_DROP_POINTS:g}."
    ),
]
MinAgreement = Annotated[float | None, typer.Option(help="Images that must keep float's class, %.")]
# A list: of an option given twice only the last would be taken, without a word.
Labels = Annotated[list[str] | None, typer.Option(help="Label file (CSV, TSV, text): image, label.")]
ImageColumn = Annotated[str | None, rare_option(help="Column of image names in --labels, if unusual.")]
LabelColumn = Annotated[str | None, rare_option(help="Column of labels in --labels, if unusual.")]
MaxUnusable = Annotated[float, rare_option(help="Unreadable images that are skipped, at most, %.")]


def one_file(option: str, given: list[str] | None) -> str | None:
    """The value of an option that people may give twice.

    Raises:
        InputError: they did.
    """
    if given is not None and len(given) > 1:
        raise InputError(f"{option}: {len(given)} files were given ({', '.join(given)}); join them into one.")
    return given[0] if given else None


def read_options(
    labels: list[str] | None, image_column: str | None, label_column: str | None, max_unusable: float
) -> ImageOptions:
    """What the options say.

    Raises:
        InputError: two label files, none of that name, or columns without one.
    """
    from quant.data.readers.label_file import ImageOptions  # noqa: PLC0415  (`--help` needs none of it)

    file = one_file("--labels", labels)
    return ImageOptions(labels=file, image_column=image_column, label_column=label_column, max_unusable=max_unusable)


Emulator = Annotated[
    Path | None, typer.Option(help="arm64: program that runs aarch64 Python; default: $EDGE_EFFNET_EMULATOR.")
]
SshConfig = Annotated[Path | None, typer.Option(help="ssh: configuration file (ssh -F).")]
RemotePython = Annotated[str, typer.Option(help="ssh: Python with ExecuTorch on the board.")]
Apk = Annotated[Path | None, typer.Option(help="adb: APK of the app, to install first.")]
ExecutorRunner = Annotated[Path | None, typer.Option(help="adb: executor_runner to use instead of the app.")]
Device = Annotated[
    str | None,
    typer.Option(
        help="host, arm64[:CPU], ssh:USER@HOST[:PORT], adb[:SERIAL] or ios:FILE; default: here.", show_default=False
    ),
]
Runtime = Annotated[str | None, typer.Option(help="Another executorch release, such as 1.5.1.")]
Limit = Annotated[int | None, typer.Option(help="At most this many images, evenly per class.")]
Keep = Annotated[bool, typer.Option("--keep", help="Do not remove copied files from the device.")]
ResultsFile = Annotated[Path | None, typer.Option("--results", help="Results file to write (for compare).")]
