"""`quantize`: parse, call, print, exit code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli import exit_codes
from apps.cli.help import SETTINGS, AsJson, Command, HelpAll, Verbose, Version, epilog, rare_option, within
from apps.cli.options import ImageColumn, LabelColumn, Labels, MaxDrop, MaxUnusable, MinAgreement, one_file
from apps.cli.render.bars import Bars
from edge_effnet.errors import InputError
from edge_effnet.samples.trained import SAMPLE, sample_weights
from quant.common.rank import is_leader
from quant.data.halves import require_folder
from quant.lower.choices import DEFAULT_BACKEND, check_given, choose
from quant.lower.options import BackendOptions
from quant.lower.table import BACKENDS
from quant.program.qnn_socs import DEFAULT_SOC
from quant.recipes import DEFAULT_RECIPE, RECIPES, find_recipe
from quant.thresholds import DEFAULT_CALIBRATION, UNUSABLE_SHARE

_MAX_SEED = 2**63 - 1  # torch's


app = typer.Typer(**SETTINGS)


@app.command(
    cls=Command,
    epilog=epilog(
        "quantize --weights flowers.pth --data photos", "quantize --weights flowers.pth --data photos --backend all"
    ),
    no_args_is_help=True,
)
def quantize_command(
    variant: Annotated[str | None, typer.Option(help="b0, lite0, v2-s, ...; default: the weights'.")] = None,
    weights: Annotated[str | None, typer.Option(help="Float weights: file, folder or hf://REPOSITORY.")] = None,
    data: Annotated[str | None, typer.Option(help="Images: train/ and val/, class folders, or .npz.")] = None,
    calibration_data: Annotated[
        str | None, rare_option(help="Calibration images; default: train/ of --data.")
    ] = None,
    evaluation_data: Annotated[str | None, rare_option(help="Evaluation images; default: val/ of --data.")] = None,
    labels: Labels = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    classes: Annotated[
        str | None, rare_option(help="File of class names, one per line, in the order of the outputs.")
    ] = None,
    max_unusable: MaxUnusable = 100 * UNUSABLE_SHARE,
    origin: Annotated[str | None, rare_option(help="Library of the weights, if unclear: timm, timm-tf, ...")] = None,
    image_size: Annotated[
        int | None, typer.Option(callback=within(32, 2048), help="Pixels per side, 32 to 2048; default: file's.")
    ] = None,
    resize: Annotated[
        str | None, rare_option(help="N (shorter side), HxW (both) or none; default: the weights'.")
    ] = None,
    crop: Annotated[int | None, rare_option(help="Side of the center crop; the same as --image-size.")] = None,
    interpolation: Annotated[str | None, rare_option(help="bilinear or bicubic; default: the weights'.")] = None,
    resize_mode: Annotated[
        str | None, rare_option(help="shorter, squash, pad, pad-black or none; default: the weights'.")
    ] = None,
    mean: Annotated[
        str | None, rare_option(help="Of pixels in 0..1: 0.5, or 0.49,0.46,0.41; default: the weights'.")
    ] = None,
    std: Annotated[
        str | None, rare_option(help="Standard deviation, likewise; both are required from 4 channels on.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Head layers, such as linear-relu-linear, or none.")] = None,
    task: Annotated[
        str, typer.Option(help="What outputs mean: classes, binary, multilabel, regression or embedding.")
    ] = "classes",
    threshold: Annotated[
        float | None,
        rare_option(help="binary, multilabel: probability from which an output means yes; default: 0.5."),
    ] = None,
    output: Annotated[str | None, typer.Option(help="logits (default), softmax or sigmoid; append :int8.")] = None,
    trained_activation: Annotated[
        str | None, rare_option(help="Activation that replaced SiLU before training.")
    ] = None,
    ema: Annotated[
        bool, rare_option("--ema/--no-ema", help="Use the averaged (EMA) weights, if there are any.")
    ] = True,
    activation: Annotated[str | None, typer.Option(help="swish, hardswish, relu6 or relu; default: as is.")] = None,
    calibration: Annotated[int, typer.Option(help="Number of calibration images.")] = DEFAULT_CALIBRATION,
    recipe: Annotated[str, typer.Option(help=f"How to quantize: {', '.join(RECIPES)}.")] = DEFAULT_RECIPE,
    backend: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(BACKENDS)}; NAME:PRECISION, NAME:all or all; repeatable; default: xnnpack."),
    ] = None,
    compute_units: Annotated[
        str | None, rare_option(help="Core ML: all, cpu_only, cpu_and_gpu or cpu_and_ne; default: all.")
    ] = None,
    ios: Annotated[int | None, rare_option(help="Core ML: oldest iOS, 17 or 18; default: 17.")] = None,
    soc: Annotated[str | None, rare_option(help=f"QNN: the phone's chip; default: {DEFAULT_SOC}.")] = None,
    out: Annotated[Path | None, typer.Option(help="Artifact folder; default: VARIANT-RECIPE-BACKEND.")] = None,
    max_drop: MaxDrop = None,
    min_agreement: MinAgreement = None,
    seed: Annotated[
        int,
        typer.Option(
            callback=within(0, _MAX_SEED),
            help="Random seed for calibration sampling; default: 0.",
            show_default=False,
        ),
    ] = 0,
    threads: Annotated[
        int, typer.Option(help="CPU threads for timing and evaluation; default: 1.", show_default=False)
    ] = 1,
    epochs: Annotated[float | None, rare_option(help="qat-int8: passes over the images; default: 6.")] = None,
    steps: Annotated[int | None, rare_option(help="qat-int8: stop after this many steps; default: none.")] = None,
    teacher: Annotated[str | None, rare_option(help="qat-int8: network to distil from; only: float.")] = None,
    resume: Annotated[
        bool, rare_option("--resume", help="qat-int8: resume from the checkpoint beside --out.")
    ] = False,
    embed_preprocess: Annotated[
        bool, typer.Option("--embed-preprocess", help="The program takes uint8 pixels, normalises them.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    help_all: HelpAll = False,
    version: Version = False,
) -> int:
    """Quantize an EfficientNet to int8 and compare its accuracy with float's.

    Without --weights and --data it takes a sample model. With --min-agreement or
    --max-drop, layers stay in float where the target needs that.
    """
    given: dict[str, Any] = dict(locals())
    data = _both_halves(data, calibration_data, evaluation_data)
    weights, data = _sources(variant, weights, data)
    names = backend or [DEFAULT_BACKEND]
    # Light: an impossible recipe or backend is refused before the stack is imported.
    find_recipe(recipe)
    told = _told(compute_units=compute_units, ios=ios, soc=soc)
    options = BackendOptions(**told)
    check_given(choose(names), told)
    bars = Bars(quiet=not is_leader(), lines=not as_json)
    if weights == SAMPLE:
        sample_weights(variant)
        bars.say(f"No --weights: the sample {variant} and synthetic images, for a first look.")
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        # They take seconds to import: `--help` and usage errors need none of them.
        from apps.cli.render.outcome import print_outcome  # noqa: PLC0415
        from apps.cli.render.programs import print_run  # noqa: PLC0415
        from quant.pipeline.config import QuantizeConfig  # noqa: PLC0415
        from quant.pipeline.quantize import QuantizeResult, RunResult, run_quantize  # noqa: PLC0415
        from quant.qat.options import QatOptions  # noqa: PLC0415

    training = _told(epochs=epochs, steps=steps, teacher=teacher, resume=resume or None)
    taken = {each.name: given[each.name] for each in fields(QuantizeConfig) if each.name in given}
    read = {"mean": _numbers("--mean", mean), "std": _numbers("--std", std), "labels": one_file("--labels", labels)}
    config = QuantizeConfig(
        **{**taken, **read, "weights": weights, "data": data, "backend": tuple(names)},
        backend_options=options,
        qat=QatOptions(**training) if training else None,
    )
    result = run_quantize(config, bars)
    if is_leader() and isinstance(result, RunResult):
        print_run(result.outcome, as_json=as_json, report=str(result.folder / "report.html"), data=data)
    elif is_leader() and isinstance(result, QuantizeResult):
        named = () if variant is None else ("--variant", variant)
        own = ("quantize", *named, "--weights", "WEIGHTS.pth", "--data", "PHOTOS")
        print_outcome(
            result.outcome,
            as_json=as_json,
            verbose=verbose,
            report=str(result.folder / "report.html"),
            # What a newcomer, who has seen the sample, runs next.
            next_command=own if weights == SAMPLE and result.passed else result.next_command,
        )
    return exit_codes.of_verdict(passed=result.passed)


def _told(**options: Any) -> dict[str, Any]:
    """Those of the options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def _both_halves(data: str | None, calibration_data: str | None, evaluation_data: str | None) -> str | None:
    """Let two folders stand for `--data`, never one of them alone."""
    halves = {"--calibration-data": calibration_data, "--evaluation-data": evaluation_data}
    missing = [option for option, folder in halves.items() if folder is None]
    if data is not None or len(missing) == len(halves):
        return data
    if missing:
        raise InputError(f"{missing[0]} missing: name both halves, or the folder of the other one with --data DIR.")
    return evaluation_data


def _sources(variant: str | None, weights: str | None, data: str | None) -> tuple[str, str]:
    """Weights and images of the user's, or the sample's where neither is given."""
    if weights is not None and data is not None:
        return weights, data
    if weights is not None:
        raise InputError(
            "--data missing: weights of your own need images like those of the phone, to fit ranges and to evaluate "
            "on (--data DIR)."
        )
    if data is not None:
        if data != SAMPLE and not Path(data).exists():
            require_folder(Path(data), "--data")
        raise InputError(
            "--weights missing: images of your own need float weights of their classes. Give a file of "
            "EfficientNet-PyTorch, timm or torchvision (--weights FILE), or make one: edge-effnet train "
            f"--variant {variant or 'b0'} --data {data}."
        )
    return SAMPLE, SAMPLE


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: need numbers with commas between, such as 0.485,0.456,0.406.") from None


def main() -> None:
    """Console script."""
    exit_codes.run(app)


if __name__ == "__main__":
    main()
