"""The first stage of a run: float weights, and the images split."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge_effnet.activations import swap_activation
from edge_effnet.errors import InputError
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import sample_metadata, sample_weights
from edge_effnet.weights import Checkpoint, load_pretrained
from quant.checks.origin import check_averaged, settle_origin
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
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.task import Task
from quant.pipeline.config import QuantizeConfig
from quant.pipeline.handed_over import Folders, as_folders, with_tensors
from quant.pipeline.request import Request


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

    task: Task
    named: tuple[str, ...] | None
    """Of classes or outputs, where the user gave names."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """By index of what is judged: of the images' folders, else of the weights, else numbers."""
        return self._known or tuple(str(i) for i in range(self.task.class_folders(self.outputs) or self.outputs))

    @property
    def _known(self) -> tuple[str, ...] | None:
        return self.split.class_names or self.named or self.checkpoint.class_names

    @property
    def labelled(self) -> bool:
        """Whether outputs have real names rather than numbers."""
        return self._known is not None and self.output_names[-1:] == self.class_names[-1:]

    @property
    def outputs(self) -> int:
        """Numbers that the network puts out for an image."""
        return self.checkpoint.num_classes

    @property
    def output_names(self) -> tuple[str, ...]:
        """By output: the classes; of two that share one, that of "yes"; of features numbers."""
        names = self.class_names[-1:] if self.task.column_added else self.class_names
        return names if len(names) == self.outputs else tuple(str(i) for i in range(self.outputs))

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
    _require_outputs(request.task, checkpoint, source)
    check_fits(request.choices, activation=request.final_activation, image_size=checkpoint.preprocess.crop)
    return checkpoint


def _require_outputs(task: Task, checkpoint: Checkpoint, source: str | Path) -> None:
    """Refuse a number of outputs that the task cannot be read from.

    Raises:
        InputError: one output without a task that it is enough for, or several of a binary one.
    """
    if task is CLASSES and checkpoint.num_classes == 1:
        raise InputError(
            f"{source}: the network has one output, which tells no classes apart: say --task binary where it is the "
            "logit of a yes, or --task regression where it is a number."
        )
    if task.column_added and checkpoint.num_classes != 1:
        raise InputError(
            f"{source}: --task {task.name} needs one output, the network has {checkpoint.num_classes}: leave it out "
            "for classes that exclude each other, or say --task multilabel."
        )


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
            named = _named(config, request.task, checkpoint)
            wanted = Wanted(
                preprocess=checkpoint.preprocess,
                kind=request.task.targets,
                names=named or checkpoint.class_names,
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
                source_of(request, checkpoint, named, replace(handed, data=folder), progress),
                calibration=config.calibration,
                seed=config.seed,
                selection=request.selection,
                training=request.recipe.trains,
            )
            checkpoint, settled = _settled(request, checkpoint, split, tensors=handed.tensors)
            copies = () if handed.tensors else _copies(request, checkpoint, split)
            model = checkpoint.model
            if config.activation is not None:
                model = swap_activation(copy.deepcopy(model), config.activation)
        said = (sample_note(request.spec.name),) if request.sample else ()
        understood = tuple(finding("weights", note) for note in checkpoint.notes)
        taken = (finding("tensor-inputs", _TENSORS_TAKEN),) if handed.tensors else ()
        yield Loaded(
            checkpoint=checkpoint,
            model=model,
            split=split,
            findings=(*said, *understood, *settled, *copies, *taken, *split.findings),
            task=request.task,
            named=named,
        )


def _settled(
    request: Request, checkpoint: Checkpoint, split: DataSplit, *, tensors: bool
) -> tuple[Checkpoint, tuple[Finding, ...]]:
    """Read the weights as the images' statistics tell, where names left their origin open.

    Raises:
        InputError: those do not tell either.
    """
    if checkpoint.rival is None or checkpoint.read_as is None:
        return checkpoint, ()
    both = map(checkpoint.read_as, (checkpoint.origin, checkpoint.rival))
    first, second = (_with_tensors(request, each) if tensors else each for each in both)
    chosen, found = settle_origin(first, second, split.calibration)
    return chosen, (found,)


def _copies(request: Request, checkpoint: Checkpoint, split: DataSplit) -> tuple[Finding, ...]:
    """Compare the two copies of the weights that the file has."""
    if not (checkpoint.averaged and request.task.exclusive):
        return ()
    options = replace(request.config.load_options, origin=checkpoint.origin, ema=False)
    last = load_pretrained(request.config.weights_name, variant=request.spec.name, options=options)
    found = check_averaged(checkpoint, last, split.calibration)
    return () if found is None else (found,)


def _folder_names(task: Task, checkpoint: Checkpoint, folder: Path) -> tuple[str, ...] | None:
    """Names that class folders have to have; None where any will do."""
    if not task.exclusive:
        return None
    known = checkpoint.class_names
    # Of two classes that share an output the weights may name one.
    return known if known and len(known) == task.class_folders(checkpoint.num_classes) else listed_classes(folder)


def _named(config: QuantizeConfig, task: Task, checkpoint: Checkpoint) -> tuple[str, ...] | None:
    """Names that the user gives."""
    if config.classes is None:
        return None
    return read_class_list(Path(config.classes), task.class_folders(checkpoint.num_classes) or checkpoint.num_classes)


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


def source_of(
    request: Request, checkpoint: Checkpoint, named: tuple[str, ...] | None, folders: Folders, progress: Progress
) -> Source:
    """Where a run's images and labels come from; `named` are the outputs' names that the user gives.

    Raises:
        InputError: an unusable label file.
    """
    config, task = request.config, request.task
    data = Path(folders.data)
    return Source(
        data=data,
        calibration_data=folders.calibration_data,
        evaluation_data=folders.evaluation_data,
        labels=folders.labels or config.image_options.read(task.targets),
        class_names=(named if task.exclusive else None) or _folder_names(task, checkpoint, data),
        num_classes=task.class_folders(checkpoint.num_classes),
        output_names=named or checkpoint.class_names,
        outputs=checkpoint.num_classes,
        verify=None if folders.tensors else verifier(checkpoint.preprocess.channels, progress),
        max_unusable=config.max_unusable / 100,
    )


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
