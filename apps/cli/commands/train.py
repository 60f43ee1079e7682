"""`edge-effnet train`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.help import HelpAll, rare_option
from apps.cli.options import ImageColumn, LabelColumn, Labels, read_options
from apps.cli.render.bars import Bars
from edge_effnet.errors import InputError
from quant.thresholds import UNUSABLE_SHARE

if TYPE_CHECKING:
    from edge_effnet.variants import VariantSpec


def train_command(
    data: Annotated[str, typer.Option(help="Folder of train/ and val/, or sample.")],
    variant: Annotated[str | None, typer.Option(help="b0, lite0, v2-s, ...; default: the weights'.")] = None,
    labels: Labels = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    out: Annotated[Path, typer.Option(help="Weights to write.")] = Path("trained.safetensors"),
    weights: Annotated[Path | None, typer.Option(help="Weights to start from; default: random.")] = None,
    head: Annotated[str | None, rare_option(help="Head layers, if unclear: linear-relu-linear.")] = None,
    fresh_head: Annotated[bool, typer.Option("--fresh-head", help="Reinitialize the classifier.")] = False,
    freeze: Annotated[str, typer.Option(help="Freeze the backbone, or none.")] = "none",
    epochs: Annotated[float, typer.Option(help="Passes over the training images.")] = 30,
    image_size: Annotated[int | None, typer.Option(help="Pixels per side; default: the variant's.")] = None,
    stages: Annotated[str | None, typer.Option(help="SIZE:EPOCHS,... replaces --epochs, --image-size.")] = None,
    steps: Annotated[int | None, typer.Option(help="Stop after this many steps; default: none.")] = None,
    batch_size: Annotated[int, typer.Option(help="Images per step, all processes.")] = 64,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    optimizer: Annotated[str, typer.Option(help="Optimizer: adamw or rmsprop.")] = "adamw",
    weight_decay: Annotated[float, typer.Option(help="Not on BatchNorm, biases.")] = 0.02,
    warmup: Annotated[float, typer.Option(help="Warm-up, share of steps.")] = 0.05,
    label_smoothing: Annotated[float, typer.Option(help="0 (none) to below 1.")] = 0.1,
    ema_decay: Annotated[float, typer.Option(help="Weight averaging; 0: none.")] = 0.998,
    clip_norm: Annotated[float, typer.Option(help="Clip gradients to this norm.")] = 2.0,
    dropout: Annotated[float | None, typer.Option(help="Before the classifier; default: the variant's.")] = None,
    drop_connect: Annotated[float, typer.Option(help="Rate of the last block.")] = 0.1,
    augment: Annotated[float, typer.Option(help="Strength, 0 (off) to 2.")] = 1.0,
    padding: Annotated[str | None, typer.Option(help="same, same-static or symmetric (new weights).")] = None,
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    half: Annotated[bool, typer.Option("--half", help="Save fp16 weights.")] = False,
    workers: Annotated[int, typer.Option(help="Threads that read images ahead.")] = 2,
    threads: Annotated[int | None, typer.Option(help="CPU threads per step; default: PyTorch's choice.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint beside --out.")] = False,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 200,
    sample_images: Annotated[int, typer.Option(help="Images to draw for --data sample.")] = 8000,
    cache: Annotated[Path | None, rare_option(help="Folder that keeps the drawn sample images.")] = None,
    _help_all: HelpAll = False,
) -> None:
    """Train or fine-tune float weights, ready for `quantize --weights`."""
    given: dict[str, Any] = dict(locals())
    # The stack takes seconds to import: `--help` and usage errors need none of it.
    from edge_effnet.samples import SAMPLE  # noqa: PLC0415
    from quant.common.rank import is_leader  # noqa: PLC0415
    from quant.training import Stage, TrainConfig, parse_stages, train  # noqa: PLC0415

    for name in ("labels", "image_column", "label_column", "_help_all"):
        del given[name]
    given["images"] = read_options(labels, image_column, label_column, 100 * UNUSABLE_SHARE)
    spec = spec_of(variant, weights, head)
    given["variant"] = variant or spec.name
    size, passes = given.pop("image_size") or spec.resolution, given.pop("epochs")
    given["data"] = SAMPLE if data == SAMPLE else Path(data)
    given["stages"] = parse_stages(stages) if stages else (Stage(image_size=size, epochs=passes),)
    result = train(TrainConfig(**given), Bars(quiet=not is_leader(), lines=True))
    if is_leader():
        drawn = f", drawn in {result.curve_png}" if result.curve_png else ""
        typer.echo(f"{result.weights}: top-1 {100 * result.top1:.1f} % of {result.val_images} validation images.")
        typer.echo(f"{result.curve_csv}: the learning curve{drawn}.")


def spec_of(variant: str | None, weights: Path | None, head: str | None = None) -> VariantSpec:
    """Return the variant that is named, or the one that the weights are.

    Raises:
        InputError: neither is given, or neither is usable.
    """
    from edge_effnet.variants import resolve_variant  # noqa: PLC0415
    from edge_effnet.weights.load import load_checkpoint  # noqa: PLC0415

    if variant is not None:
        return resolve_variant(variant)
    if weights is None:
        raise InputError("--variant missing: name the network to train (--variant b0), or start from --weights.")
    return load_checkpoint(weights, head=head).spec
