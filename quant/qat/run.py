"""From a post-training quantized network to one that was trained in int8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.preprocess import Preprocess
from quant.common.progress import Progress
from quant.data.split import ImageRecord
from quant.metrics.tasks.task import Task
from quant.ptq.steps import Quantized
from quant.qat.images import SplitImages
from quant.qat.network import Trainable, trainable, write_back
from quant.qat.options import QatOptions
from quant.qat.report import QatReport
from quant.qat.task import Distillation
from quant.training.config import Stage, TrainConfig
from quant.training.distributed import Group, check_batch
from quant.training.loop import Loop
from quant.training.outputs import BESIDE, require_earlier_outputs, write_csv, write_png


def train_quantized(
    quantized: Quantized,
    teacher: nn.Module,
    preprocess: Preprocess,
    options: QatOptions,
    config: TrainConfig,
    *,
    training: SplitImages,
    selection: Sequence[ImageRecord],
    selection_inputs: Sequence[torch.Tensor],
    task: Task,
    progress: Progress,
    group: Group,
) -> QatReport:
    """Train a quantized network in place.

    Args:
        quantized: calibrated, every operator in int8; the constants of its converted graph are replaced by the
            trained ones.
        teacher: the float network.
        preprocess: of both.
        options: of the run.
        config: the same for the training loop.
        training: images to train on.
        selection: images to rank epochs by.
        selection_inputs: the same as network inputs, in batches.
        task: what the network is for.
        progress: told of every epoch.
        group: this process among those that train together; the first one's network is the result.

    Raises:
        InputError: too few images, a loss that is not finite, or a checkpoint of another run.
        MachineError: a checkpoint cannot be written.
    """
    _require_selection(selection)
    check_batch(config.batch_size, group)
    network = _student(quantized, options)
    distillation = Distillation(
        network,
        teacher,
        preprocess,
        options,
        selection=selection_inputs,
        labels=task.targets_of(selection) if task.exclusive else None,
        task=task,
        device=group.device,
    )
    loop = Loop(config, distillation, training, group)
    if options.resume:
        loop.restore()
    else:
        loop.record_start(progress)
    loop.run(progress)
    model = loop.finished_model()
    write_back(network, model.cpu(), quantized.converted)
    rows = loop.position.rows
    if group.leads:
        write_csv(config.out, rows)
        write_png(config.out, rows)
    return QatReport(
        steps=loop.position.step,
        epochs=len(rows) - 1,
        best_epoch=0 if loop.best is None else loop.best.row,
        training_images=len(training),
        selection_images=len(selection),
        rows=tuple(rows),
    )


def _require_selection(selection: Sequence[ImageRecord]) -> None:
    if not selection:
        raise InputError(
            "too few images for quantization-aware training: some have to be kept back to choose the best epoch "
            "by, beside those to train and to evaluate on; give more, or use --recipe int8."
        )


def _student(quantized: Quantized, options: QatOptions) -> Trainable:
    network = trainable(
        quantized.converted,
        quantized.unrounded,
        precision=options.gradient_dtype(),
        batch_statistics=options.batchnorm == "batch",
    )
    network.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def require_place(out: Path, options: QatOptions) -> None:
    """Refuse an artifact folder beside which checkpoint and curve cannot be written, or are somebody's.

    Raises:
        InputError: something that no earlier run wrote stands there.
        MachineError: no permission to write there, or a name that is too long.
    """
    require_earlier_outputs(_base(out), BESIDE, resume=options.resume)


def _base(out: Path) -> Path:
    """What the files of the training are named after: beside the folder, which is replaced as a whole at the end."""
    return out.with_name(f"{out.name}.qat.safetensors")


def loop_config(
    options: QatOptions, preprocess: Preprocess, *, variant: str, recipe: str, out: Path, seed: int
) -> TrainConfig:
    """Return what the training loop is told.

    Args:
        options: of the run.
        preprocess: of the network.
        variant: its name; checkpoints of another are refused.
        recipe: likewise.
        out: the artifact folder; checkpoint and curve lie beside it.
        seed: of the order of images and their augmentation.
    """
    return TrainConfig(
        variant=variant,
        data=recipe,
        out=_base(out),
        stages=(Stage(image_size=preprocess.crop, epochs=options.epochs),),
        steps=options.steps,
        batch_size=options.batch_size,
        lr=options.lr,
        weight_decay=0.0,
        warmup=0.1,
        ema_decay=0.98,
        clip_norm=1.0,
        augment=options.augment,
        patience=options.patience,
        precision="fp32",
        workers=options.workers,
        seed=seed,
        resume=options.resume,
    )
