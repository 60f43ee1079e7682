"""The first stage of a run: float weights, and the images split."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge_effnet.activations import swap_activation
from edge_effnet.errors import InputError
from edge_effnet.head import NONE
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import sample_metadata, sample_weights
from edge_effnet.weights import Checkpoint, load_pretrained
from quant.common.findings import Finding, finding
from quant.common.progress import Progress, Stopwatch
from quant.data.calibration_check import require_channels
from quant.data.classes import read_class_list
from quant.data.cleaning import verifier
from quant.data.collect import Source
from quant.data.readers.in_memory import Wanted
from quant.data.readers.shards import listed_classes
from quant.data.source import image_folder
from quant.data.split import DataSplit, split_images
from quant.lower.choices import check_fits
from quant.pipeline.handed_over import Folders, as_folders, with_tensors
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
    source = sample_weights(request.spec.name) if request.sample else request.config.weights_name
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
            wanted = Wanted(
                preprocess=checkpoint.preprocess,
                kind=request.task.targets,
                names=_output_names(config, checkpoint),
            )
            handed = stack.enter_context(as_folders(config.given, wanted, progress))
            checkpoint = _with_tensors(request, checkpoint) if handed.tensors else checkpoint
            folder = stack.enter_context(
                image_folder(
                    handed.data,
                    checkpoint.preprocess,
                    progress,
                    calibration=config.calibration,
                    selection=request.selection,
                )
            )
            split = split_images(
                source_of(request, checkpoint, replace(handed, data=folder), progress),
                calibration=config.calibration,
                seed=config.seed,
                selection=request.selection,
                training=request.recipe.trains,
            )
            model = checkpoint.model
            if config.activation is not None:
                model = swap_activation(copy.deepcopy(model), config.activation)
        said = (sample_note(request.spec.name),) if request.sample else ()
        understood = tuple(finding("weights", note) for note in checkpoint.notes)
        taken = (finding("tensor-inputs", _TENSORS_TAKEN),) if handed.tensors else ()
        found = (*said, *understood, *taken, *split.findings)
        yield Loaded(checkpoint=checkpoint, model=model, split=split, findings=found)


def _with_tensors(request: Request, checkpoint: Checkpoint) -> Checkpoint:
    """A network whose inputs are handed over.

    Raises:
        InputError: options that need images.
    """
    if request.config.embed_preprocess:
        raise InputError("--embed-preprocess: a program that takes pixels needs images, not preprocessed tensors.")
    if request.recipe.trains:
        raise InputError(f"--recipe {request.recipe.name}: training needs images to vary, not preprocessed tensors.")
    return replace(checkpoint, preprocess=with_tensors(checkpoint.preprocess))


def source_of(request: Request, checkpoint: Checkpoint, folders: Folders, progress: Progress) -> Source:
    """Where a run's images and labels come from.

    Raises:
        InputError: an unusable label file or list of classes.
    """
    config = request.config
    names = _output_names(config, checkpoint)
    data = Path(folders.data)
    return Source(
        data=data,
        calibration_data=folders.calibration_data,
        evaluation_data=folders.evaluation_data,
        labels=folders.labels or config.image_options.read(request.task.targets),
        class_names=names or listed_classes(data),
        num_classes=None if checkpoint.model.head_steps == NONE else checkpoint.num_classes,
        output_names=names,
        outputs=checkpoint.num_classes,
        verify=None if folders.tensors else verifier(checkpoint.preprocess.channels, progress),
        max_unusable=config.max_unusable / 100,
    )


def _output_names(config: QuantizeConfig, checkpoint: Checkpoint) -> tuple[str, ...] | None:
    if config.classes is None:
        return checkpoint.class_names
    return read_class_list(Path(config.classes), checkpoint.num_classes)


_TENSORS_TAKEN = (
    "Images came as preprocessed tensors: how an image becomes one is not known here, so the artifact does not say "
    "it, and apps have to do it as your own transforms do."
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
