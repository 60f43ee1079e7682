"""The first stage of a run: float weights, and the images split."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge_effnet.activations import swap_activation
from edge_effnet.head import NONE
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import sample_metadata, sample_weights
from edge_effnet.weights import Checkpoint, load_pretrained
from quant.checks.origin import settle_origin
from quant.common.findings import Finding, finding
from quant.common.progress import Progress, Stopwatch
from quant.data.calibration_check import require_channels
from quant.data.classes import read_class_list
from quant.data.cleaning import verifier
from quant.data.collect import Source
from quant.data.readers.shards import listed_classes
from quant.data.source import image_folder
from quant.data.split import DataSplit, split_images
from quant.lower.choices import check_fits
from quant.pipeline.request import QuantizeConfig, Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A float network with the images that it is quantized and judged on."""

    checkpoint: Checkpoint
    model: EfficientNet
    """The checkpoint's, with the activation that was asked for."""
    split: DataSplit
    findings: tuple[Finding, ...]

    @property
    def preprocess(self) -> Preprocess:
        """From images to the network's input."""
        return self.checkpoint.preprocess

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Of the program, batch included."""
        return 1, self.preprocess.channels, self.preprocess.crop, self.preprocess.crop

    @property
    def class_names(self) -> tuple[str, ...]:
        """By class index: of the images' folders, else of the weights, else numbers."""
        known = self.split.class_names or self.checkpoint.class_names
        return known or tuple(str(i) for i in range(self.checkpoint.num_classes))

    @property
    def swapped(self) -> bool:
        """Whether the activation is another than the weights were trained with."""
        return self.model is not self.checkpoint.model


def load_checkpoint(request: Request) -> Checkpoint:
    """Read the float weights.

    Raises:
        InputError: unusable weights, a network of something other than images, or one that a backend does not run.
    """
    source = sample_weights(request.spec.name) if request.sample else request.config.weights
    options = request.config.load_options
    checkpoint = request.checkpoint or load_pretrained(source, variant=request.spec.name, options=options)
    require_channels(checkpoint.model, source)
    check_fits(request.choices, activation=request.final_activation, image_size=checkpoint.preprocess.crop)
    return checkpoint


@contextmanager
def loaded(request: Request, checkpoint: Checkpoint, progress: Progress, watch: Stopwatch) -> Iterator[Loaded]:
    """Split the images, which exist until the end of the block: the sample's are drawn for the run.

    Raises:
        InputError: unusable images.
        MachineError: no room for drawn ones.
    """
    config = request.config
    with ExitStack() as stack:
        with watch.measure("load"):
            folder = stack.enter_context(
                image_folder(
                    config.data,
                    checkpoint.preprocess,
                    progress,
                    calibration=config.calibration,
                    selection=request.selection,
                )
            )
            split = split_images(
                source_of(config, checkpoint, folder, progress),
                calibration=config.calibration,
                seed=config.seed,
                selection=request.selection,
                training=request.recipe.trains,
            )
            checkpoint, settled = _settled(request, checkpoint, split)
            model = checkpoint.model
            if config.activation is not None:
                model = swap_activation(copy.deepcopy(model), config.activation)
        said = (sample_note(request.spec.name),) if request.sample else ()
        understood = tuple(finding("weights", note) for note in checkpoint.notes)
        found = (*said, *understood, *settled, *split.findings)
        yield Loaded(checkpoint=checkpoint, model=model, split=split, findings=found)


def _settled(request: Request, checkpoint: Checkpoint, split: DataSplit) -> tuple[Checkpoint, tuple[Finding, ...]]:
    """Read the weights as the images' statistics tell, where names left their origin open.

    Raises:
        InputError: those do not tell either.
    """
    if checkpoint.rival is None:
        return checkpoint, ()
    first, second = (
        load_pretrained(
            request.config.weights,
            variant=request.spec.name,
            options=replace(request.config.load_options, origin=origin),
        )
        for origin in (checkpoint.origin, checkpoint.rival)
    )
    chosen, found = settle_origin(first, second, split.calibration)
    return chosen, (found,)


def source_of(config: QuantizeConfig, checkpoint: Checkpoint, folder: Path, progress: Progress) -> Source:
    """Where a run's images and labels come from.

    Raises:
        InputError: an unusable list of classes.
    """
    named = None if config.classes is None else read_class_list(Path(config.classes), checkpoint.num_classes)
    return Source(
        data=folder,
        calibration_data=None if config.calibration_data is None else Path(config.calibration_data),
        evaluation_data=None if config.evaluation_data is None else Path(config.evaluation_data),
        class_names=named or checkpoint.class_names or listed_classes(folder),
        num_classes=None if checkpoint.model.head_steps == NONE else checkpoint.num_classes,
        verify=verifier(checkpoint.preprocess.channels, progress),
        max_unusable=config.max_unusable / 100,
    )


def sample_note(variant: str) -> Finding:
    """Say what the sample model of a variant is."""
    made = sample_metadata(variant)
    return finding(
        "sample-model",
        f"Sample model: {variant} trained on drawn pictures of {len(made['class_names'])} classes "
        f"({100 * made['val_top1']:.1f} % of {made['val_images']}), for a first look; nothing of yours was "
        "quantized.",
    )
