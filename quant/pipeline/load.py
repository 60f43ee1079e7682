"""The first stage of a run: float weights, the images split, and those read that the network is calibrated on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

import torch

from edge_effnet.activations import swap_activation
from edge_effnet.errors import InputError
from edge_effnet.in_memory.load import require_same
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import TENSORS, Preprocess
from edge_effnet.samples import sample_metadata, sample_weights
from edge_effnet.weights import Checkpoint, load_pretrained
from quant.checks.origin import check_averaged, settle_origin
from quant.common.findings import Finding, finding
from quant.common.progress import Progress, Stopwatch
from quant.data.batches import first_images, read_batches
from quant.data.calibration_check import check_calibration, require_channels
from quant.data.classes import read_class_list
from quant.data.cleaning import verifier
from quant.data.collect import Source
from quant.data.perceptual_hash import Calibrated
from quant.data.readers.in_memory import Wanted
from quant.data.readers.shards import listed_classes
from quant.data.source import image_folder
from quant.data.split import DataSplit, split_images
from quant.graph.finite import require_finite
from quant.lower.choices import check_fits
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.task import Task
from quant.pipeline.config import QuantizeConfig
from quant.pipeline.handed_over import Folders, as_folders
from quant.pipeline.request import Request

_COMPARED = 32
"""Images on which a network in memory is compared with what was read from it."""

_TENSORS_TAKEN = (
    "Images came as preprocessed tensors: how an image becomes one is not known here, so the artifact does not say "
    "it, and apps have to do it as your own transforms do."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A float network with the images that it is quantized and judged on."""

    request: Request
    checkpoint: Checkpoint
    model: EfficientNet
    """The checkpoint's, with the activation that was asked for."""
    split: DataSplit
    findings: tuple[Finding, ...]
    named: tuple[str, ...] | None
    """Of classes or outputs, where the user gave names."""

    @property
    def task(self) -> Task:
        """What the network is for."""
        return self.request.task

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
    source = sample_weights(request.spec.name) if request.config.sample else request.config.weights_name
    options = request.config.load_options
    checkpoint = request.checkpoint or load_pretrained(source, variant=request.spec.name, options=options)
    require_channels(checkpoint.model, source)
    _require_outputs(request.task, checkpoint, source)
    check_fits(request.choices, activation=request.final_activation, image_size=checkpoint.preprocess.crop)
    return checkpoint


def _require_outputs(task: Task, checkpoint: Checkpoint, source: str | Path) -> None:
    """Refuse a number of outputs that the task cannot be read from."""
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
            counts = {"calibration": config.calibration, "selection": request.selection}
            names = named or checkpoint.class_names
            wanted = Wanted(preprocess=checkpoint.preprocess, kind=request.task.targets, names=names)
            handed = stack.enter_context(as_folders(config.given, wanted, progress))
            checkpoint = _with_tensors(request, checkpoint) if handed.tensors else checkpoint
            drawn = image_folder(handed.data, checkpoint.preprocess, progress, **counts)
            folders = replace(handed, data=stack.enter_context(drawn))
            source = _source(request, checkpoint, named, folders, progress)
            split = split_images(source, seed=config.seed, training=request.recipe.trains, **counts)
            checkpoint, settled = _settled(request, checkpoint, split, tensors=handed.tensors)
            copies = () if handed.tensors else _copies(request, checkpoint, split)
            model = checkpoint.model
            if config.activation is not None:
                model = swap_activation(copy.deepcopy(model), config.activation)
        said = (_sample_note(request.spec.name),) if request.config.sample else ()
        unproven = checkpoint.unproven
        understood = tuple(finding("linear-head" if n in unproven else "weights", n) for n in checkpoint.notes)
        taken = (finding("tensor-inputs", _TENSORS_TAKEN),) if handed.tensors else ()
        yield Loaded(
            request=request,
            checkpoint=checkpoint,
            model=model,
            split=split,
            findings=(*said, *understood, *settled, *copies, *taken, *split.findings),
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


def _named(config: QuantizeConfig, task: Task, checkpoint: Checkpoint) -> tuple[str, ...] | None:
    """Names that the user gives."""
    if config.classes is None:
        return None
    return read_class_list(Path(config.classes), task.class_folders(checkpoint.num_classes) or checkpoint.num_classes)


def _with_tensors(request: Request, checkpoint: Checkpoint) -> Checkpoint:
    """A network whose inputs are handed over, without options that need images."""
    if request.config.embed_preprocess:
        raise InputError("--embed-preprocess: a program that takes pixels needs images, not preprocessed tensors.")
    if request.recipe.trains:
        raise InputError(f"--recipe {request.recipe.name}: training needs images to vary, not preprocessed tensors.")
    as_they_are = replace(checkpoint.preprocess, resize=checkpoint.preprocess.crop, resize_mode=TENSORS)
    return replace(checkpoint, preprocess=as_they_are)


def _source(
    request: Request, checkpoint: Checkpoint, named: tuple[str, ...] | None, folders: Folders, progress: Progress
) -> Source:
    """Where a run's images and labels come from; `named` are the outputs' names that the user gives."""
    config, task, known = request.config, request.task, checkpoint.class_names
    class_names = None
    if task.exclusive:
        # Of two classes that share an output the weights may name one.
        complete = known and len(known) == task.class_folders(checkpoint.num_classes)
        class_names = named or (known if complete else listed_classes(Path(folders.data)))
    return Source(
        data=Path(folders.data),
        calibration_data=folders.calibration_data,
        evaluation_data=folders.evaluation_data,
        labels=folders.labels or config.image_options.read(task.targets),
        class_names=class_names,
        num_classes=task.class_folders(checkpoint.num_classes),
        output_names=named or known,
        outputs=checkpoint.num_classes,
        verify=None if folders.tensors else verifier(checkpoint.preprocess.channels, progress),
        max_unusable=config.max_unusable / 100,
    )


def _sample_note(variant: str) -> Finding:
    made = sample_metadata(variant)
    return finding(
        "sample-model",
        f"Sample model: {variant} trained on synthetic images of {len(made['class_names'])} classes "
        f"({100 * made['val_top1']:.1f} % of {made['val_images']} right), for a first look; nothing of yours was "
        "quantized.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Calibration images, and what they say."""

    inputs: list[torch.Tensor]
    """In batches, each [n, C, H, W] float32."""
    seen: Calibrated
    """What is remembered of them, to know them again."""
    findings: tuple[Finding, ...]


def _read_calibration(network: Loaded, progress: Progress) -> Calibration:
    """Read the images, and look whether they and the network fit each other.

    Raises:
        InputError: an image that cannot be read, a layer whose output is not finite, or a network in memory that
            computes something else than what was read from it.
    """
    model = network.checkpoint.model
    inputs = read_batches(network.split.calibration, network.preprocess, progress)
    require_finite(model, inputs, network.request.config.weights_name)
    require_same(network.checkpoint, first_images(inputs, _COMPARED), "calibration images")
    return Calibration(
        inputs=inputs,
        seen=Calibrated.on(network.split.calibration, inputs, network.preprocess),
        findings=check_calibration(model, inputs),
    )


def read_beside(network: Loaded, progress: Progress) -> Future[Calibration]:
    """Read them in a thread of its own while the caller imports what comes next: that takes seconds of one core.

    Nobody waits for the thread but who asks for the result: Ctrl-C ends the command at once.
    """
    reading: Future[Calibration] = Future()

    def read() -> None:
        try:
            reading.set_result(_read_calibration(network, progress))
        except BaseException as error:
            reading.set_exception(error)

    Thread(target=read, daemon=True, name="calibration images").start()
    return reading
