"""`train`: a configuration in, finished weights out."""

from __future__ import annotations

import copy
import json
import math
import shlex
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.model import EfficientNet
from edge_effnet.weights.files import sha256_of
from edge_effnet.weights.save import save_checkpoint
from edge_effnet.weights.snapshot import weight_file
from quant.common.atomic_io import write_atomically
from quant.common.json_io import read_json
from quant.common.overwrite import require_no_image
from quant.common.progress import NoProgress, Progress
from quant.data.batches import batch_size_for
from quant.training.config import TrainConfig, TrainResult
from quant.training.distributed import check_batch, joined_group, wait_for_leader
from quant.training.input.sets import open_sets
from quant.training.loop import Loop
from quant.training.network import make_network, preprocess_at
from quant.training.optim import recompute_statistics
from quant.training.outputs import OUTPUTS, require_earlier_outputs, write_csv, write_png
from quant.training.task import Classification, plain_batches


def train(config: TrainConfig, progress: Progress) -> TrainResult:
    """Train, or fine-tune, a network and write its weights, metadata and learning curve.

    Under torchrun every process calls this with the same configuration; the first one writes.

    Raises:
        InputError: unusable data, weights or checkpoint; somebody's files where the run would write; training that
            diverges.
        MachineError: the disk is full or not writable.
    """
    require_earlier_outputs(config.out, OUTPUTS, resume=config.resume)
    require_no_image(config.out, config.data)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with joined_group() as group:
        check_batch(config.batch_size, group)
        shown = progress if group.leads else NoProgress()
        sets = open_sets(config, group, shown)
        model = make_network(config, sets.train.class_names).to(group.device)
        task = Classification(config, model, sets.val, group.device)
        loop = Loop(config, task, sets.train, group)
        if config.resume:
            loop.restore()
        loop.run(shown)
        # Another process knows neither the accuracy nor whether there is a picture.
        accuracy, png = _finish(config, task, loop, shown) if group.leads else (math.nan, False)
        wait_for_leader(group)
    return TrainResult(
        weights=config.out,
        metadata=config.out.with_suffix(".json"),
        curve_csv=config.out.with_suffix(".curve.csv"),
        curve_png=config.out.with_suffix(".curve.png") if png else None,
        steps=loop.total_steps,
        top1=accuracy,
        val_images=len(task.val),
        class_names=loop.train.class_names,
    )


def _finish(config: TrainConfig, task: Classification, loop: Loop, progress: Progress) -> tuple[float, bool]:
    """Recompute BatchNorm's statistics, round, validate and write; the accuracy, and whether a picture was drawn."""
    model = loop.finished_model()
    assert isinstance(model, EfficientNet)
    if config.bn_images and config.freeze == "none":
        _recompute(config, loop, model, progress)
    if config.half:
        model = rounded_to_half(model)
    accuracy = task.validate(model, config.image_size, progress)["val_top1"]
    # Before the weights are written: they may replace those that the run started from.
    metadata = json.dumps(_metadata(config, task, loop, accuracy), indent=2) + "\n"
    saved = copy.deepcopy(model).cpu()
    save_checkpoint(config.out, saved.half() if config.half else saved)
    write_atomically(config.out.with_suffix(".json"), metadata.encode())
    write_csv(config.out, loop.position.rows)
    return accuracy, write_png(config.out, loop.position.rows)


def _recompute(config: TrainConfig, loop: Loop, model: EfficientNet, progress: Progress) -> None:
    preprocess = preprocess_at(model, config.image_size)
    size = batch_size_for(config.image_size)
    count = min(config.bn_images, len(loop.train))
    # Whole batches, shuffled: each counts the same, and mixes the classes as the whole set does.
    count = max(count // size * size, min(count, size))
    items = islice(loop.train.items(seed=config.seed), count)
    with progress.stage("BatchNorm statistics", math.ceil(count / size)) as advance:

        def inputs() -> Iterator[torch.Tensor]:
            batches = plain_batches(loop.train, preprocess, items, device=loop.group.device, workers=config.workers)
            for x, _ in batches:
                yield x
                advance(1)

        recompute_statistics(model, inputs())


def _metadata(config: TrainConfig, task: Classification, loop: Loop, accuracy: float) -> dict[str, Any]:
    return {
        "variant": task.model.spec.name,
        "command": command_line(),
        "seed": config.seed,
        "steps": loop.total_steps,
        "val_top1": round(accuracy, 5),
        "val_images": len(task.val),
        "val_image_size": config.image_size,
        "train_images": len(loop.train),
        "torch": torch.__version__,
        "started_from": started_from(config.weights),
        "settings": config.identity(),
        "class_names": list(loop.train.class_names),
    }


# Of one run some kilobytes, and it holds those of the runs before.
_MAX_METADATA_BYTES = 1024 * 1024


def rounded_to_half(model: EfficientNet) -> EfficientNet:
    """Return a copy with fp32 values that fp16 can hold, so that validation judges what will be saved.

    Raises:
        InputError: a value beyond fp16's range.
    """
    rounded = copy.deepcopy(model)
    for name, tensor in rounded.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half().float())
            if not bool(torch.isfinite(tensor).all()):
                raise InputError(f"{name} has values beyond fp16's range (65504); save without --half.")
    return rounded


def started_from(weights: Path | None) -> dict[str, Any] | None:
    """Describe the weights that a run began with: their SHA-256 and, where it lies beside them, their metadata.

    Runs that build on each other so record the whole chain of commands.
    """
    if weights is None:
        return None
    try:
        known = read_json(weights.with_suffix(".json"), limit=_MAX_METADATA_BYTES)
    except (OSError, ValueError):  # none, or somebody else's file of that name
        known = None
    return {"file": weights.name, "sha256": sha256_of(weight_file(weights)), "metadata": known}


def command_line() -> str:
    """Return how this process was started, as a user would type it."""
    name = Path(sys.argv[0]).name
    # Started with -m, as torchrun does, the program is a file.
    return shlex.join(["edge-effnet" if name == "edge_effnet.py" else name, *sys.argv[1:]])
