"""What a run is asked for: one config, checked once, and what it names, looked up before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from edge_effnet.activations import make_activation
from edge_effnet.errors import InputError
from edge_effnet.head import NONE, parse_head
from edge_effnet.in_memory.copies import name_of
from edge_effnet.in_memory.load import load_in_memory
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import SAMPLE, sample_weights
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights import Checkpoint, load_pretrained
from edge_effnet.weights.checkpoint import LoadOptions
from edge_effnet.weights.geometry import Geometry
from quant.artifact.recognise import require_replaceable
from quant.common.overwrite import require_apart, require_no_image
from quant.common.rank import is_alone
from quant.data.options import ImageOptions
from quant.data.readers.in_memory import is_in_memory
from quant.lower.choices import DEFAULT_BACKEND, Choice, check_fits, check_options, choose
from quant.lower.options import BackendOptions, Normalization
from quant.lower.output import Output
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.embedding import EMBEDDING
from quant.metrics.tasks.table import find_task
from quant.metrics.tasks.task import Task
from quant.pipeline.handed_over import Given
from quant.program.host import check_threads
from quant.qat.options import QatOptions
from quant.recipes import DEFAULT_RECIPE, RECIPES, Recipe, find_recipe
from quant.thresholds import DEFAULT_CALIBRATION, MAX_DROP_POINTS, SELECTION, UNUSABLE_SHARE
from quant.verdict.verdict import Limits, check_max_drop, check_min_agreement

_MAX_SEED = 2**63 - 1  # torch's


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantizeConfig:
    """The arguments of `quantize`, for one backend or many.

    Raises:
        InputError: a number out of range.
    """

    variant: str | None = None
    """Any of its names, such as "b0" or "efficientnet-b0"; None takes what the weights are."""
    weights: str | Path = SAMPLE
    """A file, or a published name or hub id (see `load_pretrained`), or `SAMPLE`: those of this package."""
    model: nn.Module | None = None
    """A network in memory instead of `weights` (see `load_module`): of timm, torchvision, EfficientNet-PyTorch,
    transformers or this package, or a module with one of these in it. It is copied, not changed."""
    preprocess: Any = None
    """What images go through, where weights or model do not tell: a `Preprocess`, a timm model, torchvision's weights
    or their `transforms()`."""
    data: Any = SAMPLE
    """Folder of images (see `split_images`), or `SAMPLE`: the pictures that those were trained on; `.npz` or `.npy`;
    or images that Python holds (see `images_of`), for both sides or as (to calibrate on, to judge on)."""
    calibration_data: Any = None
    """Folder of the images to calibrate on, whatever its name; None looks for one in `data`. Or as there."""
    evaluation_data: Any = None
    """Folder of the images to judge on, likewise."""
    labels: Any = None
    """A label file beside the images, instead of class folders (see `ImageOptions`); or labels of an array or a list
    in `data`, one each."""
    image_column: str | None = None
    """Header of its column of images, where that is an unusual one."""
    label_column: str | None = None
    """Likewise of labels; several with commas between where an image has several."""
    classes: str | Path | None = None
    """A file of the network's class names in the order of its outputs (`read_class_list`), for the weights'."""
    max_unusable: float = 100 * UNUSABLE_SHARE
    """Images that may be empty or unreadable and are left out, percent."""
    origin: str | None = None
    """Whose layout the weights have, where keys and names leave it open; a key of `ORIGINS`."""
    image_size: int | None = None
    """Side of the network's input, pixels; None takes the weights'."""
    resize: int | str | None = None
    """What images are scaled to, as `Geometry.resize`: N, "HxW" or "none"; None takes the weights'."""
    crop: int | None = None
    """Side of the square that is cut from that, pixels; the same as `image_size`."""
    interpolation: str | None = None
    """A key of `INTERPOLATIONS`; None takes the weights'."""
    resize_mode: str | None = None
    """One of `RESIZE_MODES`; None takes the weights', or what `resize` says."""
    mean: Sequence[float] | None = None
    """Subtracted from each channel of 0..1, one number for all or one each; None takes the weights'."""
    std: Sequence[float] | None = None
    """Divides each channel; likewise."""
    head: str | None = None
    """Layers of the head where tensors do not tell them, such as "linear-relu-linear"; "none" for pooled features
    (`edge_effnet.head.parse_head`)."""
    trained_activation: str | None = None
    """What the weights were trained with, where it is not the variant's; their tensors do not tell."""
    ema: bool = True
    """Whether an averaged copy of the weights is taken, where the file has one, or the last step's."""
    activation: str | None = None
    """Swap to this one before quantizing; None keeps the network's own."""
    calibration: int = DEFAULT_CALIBRATION
    """Images to fit ranges on."""
    recipe: str = DEFAULT_RECIPE
    """A key of `RECIPES`."""
    backend: str | Sequence[str] = DEFAULT_BACKEND
    """Programs to make, as `--backend` takes them: NAME, NAME:PRECISION, NAME:all or all. The default's makes one
    artifact; any other a folder of artifacts, one a program, ranked."""
    backend_options: BackendOptions = field(default_factory=BackendOptions)
    """Of single backends."""
    out: str | Path | None = None
    """The artifact folder; `<variant>-<recipe>-<backend>` by default. What an earlier run left there is replaced."""
    max_drop: float | None = None
    """Top-1 that the .pte may lose against float, points; `MAX_DROP_POINTS` by default."""
    min_agreement: float | None = None
    """Images that have to keep float's class, percent. This one or `max_drop` given, one artifact, and a recipe that
    `searches`: the cheapest float layers that meet both are searched for, on images that are neither fitted on nor
    judged on."""
    seed: int = 0
    """Of the calibration sample and of everything random."""
    threads: int = 1
    """Of the runtime that times and judges the programs."""
    qat: QatOptions | None = None
    """Settings of a recipe that trains; its defaults where None."""
    output: str | None = None
    """What the program puts out, as `quant.lower.output.Output.parse` reads it: "logits", "softmax", "sigmoid", with
    ":int8" behind it in int8; None takes logits, or what `head` ends with."""
    task: str = "classes"
    """What the network is for; a key of `TASKS`. Without a head it is "embedding"."""
    threshold: float | None = None
    """Probability from where an output of a binary or multi-label network says yes; 0.5 by default."""
    embed_preprocess: bool = False
    """Let the program normalise by itself: its input is then uint8 pixels, [1, H, W, C]."""

    def __post_init__(self) -> None:
        check_threads(self.threads)
        _ = self.geometry
        if not 0 <= self.seed <= _MAX_SEED:
            raise InputError(f"--seed {self.seed}: need a whole number from 0 to {_MAX_SEED}.")
        check_max_drop(MAX_DROP_POINTS if self.max_drop is None else self.max_drop)
        check_min_agreement(self.min_agreement)
        _ = self.image_options
        if self.model is not None and self.weights != SAMPLE:
            raise InputError("model and weights: give one of them, a network in memory or its file.")

    @property
    def sample(self) -> bool:
        """Whether the weights are those that come with the package."""
        return self.model is None and self.weights == SAMPLE

    @property
    def given(self) -> Given:
        """Where images are."""
        return Given(
            data=self.data,
            calibration_data=self.calibration_data,
            evaluation_data=self.evaluation_data,
            labels=self.labels if is_in_memory(self.labels) else None,
        )

    @property
    def weights_name(self) -> str | Path:
        """Of the weights, for messages: as given, or the class of a network in memory."""
        return self.weights if self.model is None else name_of(self.model)

    @property
    def geometry(self) -> Geometry:
        """What of resizing and cropping is asked for.

        Raises:
            InputError: unknown names, numbers out of range, or wishes that contradict each other.
        """
        return Geometry(
            resize=self.resize,
            crop=self.crop,
            interpolation=self.interpolation,
            resize_mode=self.resize_mode,
            image_size=self.image_size,
        )

    @property
    def image_options(self) -> ImageOptions:
        """How images and labels are read."""
        return ImageOptions(
            labels=None if is_in_memory(self.labels) else self.labels,
            image_column=self.image_column,
            label_column=self.label_column,
            max_unusable=self.max_unusable,
        )

    @property
    def load_options(self) -> LoadOptions:
        """How to read the weights."""
        return LoadOptions(
            origin=self.origin,
            image_size=self.image_size,
            preprocess=self.preprocess,
            geometry=self.geometry or None,
            mean=self.mean,
            std=self.std,
            head=self.head,
            trained_activation=self.trained_activation,
            ema=self.ema,
        )

    @property
    def backends(self) -> tuple[str, ...]:
        """The words of `--backend`."""
        return (self.backend,) if isinstance(self.backend, str) else tuple(self.backend)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A config, and what it names."""

    config: QuantizeConfig
    spec: VariantSpec
    checkpoint: Checkpoint | None
    """The float weights, where they had to be read to tell the variant."""
    recipe: Recipe
    choices: tuple[Choice, ...]
    """Programs to make, none twice."""
    out: Path
    limits: Limits
    output: Output
    task: Task
    qat: QatOptions

    @property
    def alone(self) -> bool:
        """Whether the one program asked for is the default's: its artifact is then all that is written."""
        return _is_alone(self.choices)

    @property
    def sample(self) -> bool:
        """Whether the weights are those that come with the package."""
        return self.config.sample

    @property
    def targeted(self) -> bool:
        """Whether the user gave a target."""
        return not (self.config.max_drop is None and self.config.min_agreement is None)

    @property
    def searches(self) -> bool:
        """Whether float layers are searched for until the target is met."""
        return self.targeted and self.recipe.searches and self.alone

    @property
    def selection(self) -> int:
        """Images to keep back to choose float layers or epochs on."""
        return SELECTION if self.searches or self.recipe.trains else 0

    @property
    def final_activation(self) -> str:
        """The activation of the program."""
        loaded = None if self.checkpoint is None else self.checkpoint.model.activation
        return self.config.activation or self.config.trained_activation or loaded or self.spec.activation

    def of(self, checkpoint: Checkpoint) -> Request:
        """Return the same for weights that say by themselves that they have no head."""
        headless = self.task is CLASSES and checkpoint.model.head_steps == NONE
        return replace(self, task=EMBEDDING) if headless else self

    def normalization(self, preprocess: Preprocess) -> Normalization | None:
        """What the program does by itself, if anything."""
        return Normalization(mean=preprocess.mean, std=preprocess.std) if self.config.embed_preprocess else None


def default_out(variant: str, recipe: str, choices: Sequence[Choice]) -> str:
    """Name the artifact folder where the user does not."""
    return f"{variant}-{recipe}-{DEFAULT_BACKEND if _is_alone(choices) else 'backends'}"


def _is_alone(choices: Sequence[Choice]) -> bool:
    return tuple(choices) == choose([DEFAULT_BACKEND])


def resolve(config: QuantizeConfig) -> Request:
    """Look everything up that needs no work.

    Raises:
        InputError: an unknown name, options that do not go together, an impossible backend, a folder in the way that
            is no artifact, that weights or images lie in, or that lies among these.
    """
    config = _spelled_out(config)
    if config.variant is not None:
        resolve_variant(config.variant)
    if config.sample:
        sample_weights(config.variant)
    for activation in (config.activation, config.trained_activation):
        if activation is not None:
            make_activation(activation)
    if config.head is not None:
        parse_head(config.head)
    recipe = find_recipe(config.recipe)
    choices = choose(config.backends)
    check_options(choices, config.backend_options)
    if not choices:
        raise InputError("--backend: names no program; leave it out for the default.")
    if config.model is None:
        _require_fitting(config, recipe, choices, _output(config, _task(config)))
        # Light, and where most goes wrong: before weights are read.
        config.image_options.read(_task(config).targets)
    limits = Limits(
        max_drop=MAX_DROP_POINTS if config.max_drop is None else config.max_drop,
        min_agreement=check_min_agreement(config.min_agreement),
        baseline=None,
    )
    if config.classes is not None and not Path(config.classes).is_file():
        raise InputError(f"--classes {config.classes}: no such file; give one with a class name a line.")
    spec, checkpoint = _variant_of(config)
    config = _told(config, checkpoint)
    task = _task(config)
    _require_fitting(config, recipe, choices, _output(config, task))
    out = default_out(spec.name, recipe.name, choices) if config.out is None else config.out
    request = Request(
        config=config,
        spec=spec,
        checkpoint=checkpoint,
        recipe=recipe,
        choices=choices,
        out=Path(out),
        limits=limits,
        output=_output(config, task),
        task=task,
        qat=config.qat or QatOptions(),
    )
    check_fits(
        choices, activation=request.final_activation, image_size=config.crop or config.image_size or spec.resolution
    )
    _require_place(request)
    return request


def _require_place(request: Request) -> None:
    """Refuse to write where something lies that is read, or that is not ours.

    Raises:
        InputError: it does.
    """
    config = request.config
    sides = {"--data": config.data, "--calibration-data": config.calibration_data}
    sides["--evaluation-data"] = config.evaluation_data
    folders = {option: given for option, given in sides.items() if isinstance(given, str | Path)}
    require_apart(request.out, {"--weights": config.weights, **folders})
    require_replaceable(request.out)
    for folder in folders.values():
        require_no_image(request.out, folder)


def _spelled_out(config: QuantizeConfig) -> QuantizeConfig:
    """Say a preprocessing in the options of the command line.

    Raises:
        InputError: no preprocessing.
    """
    if config.preprocess is None:
        return config
    given = Preprocess.of(config.preprocess)
    same = {name: getattr(given, name) for name in ("resize", "crop", "interpolation", "resize_mode", "mean", "std")}
    kept = {name: value for name in same if (value := getattr(config, name)) is not None}
    return replace(config, preprocess=given, **{**same, **kept})


def _told(config: QuantizeConfig, checkpoint: Checkpoint | None) -> QuantizeConfig:
    """Add what a network in memory says of its end, where nothing else is asked for."""
    if config.model is None or checkpoint is None:
        return config
    head = NONE if checkpoint.model.head_steps == NONE else None
    return replace(config, head=config.head or head, output=config.output or checkpoint.output)


def _task(config: QuantizeConfig) -> Task:
    """Return the task; features are for comparing.

    Raises:
        InputError: an unknown one, or one that does not go with the head.
    """
    task = find_task(config.task)
    if config.head == NONE and task not in (CLASSES, EMBEDDING):
        raise InputError(f"--task {task.name}: --head none puts out features; leave one of the two out.")
    if config.head != NONE and task is EMBEDDING:
        raise InputError("--task embedding: compares pooled features; give --head none, or leave --task out.")
    return (EMBEDDING if config.head == NONE else task).with_threshold(config.threshold)


def _output(config: QuantizeConfig, task: Task) -> Output:
    """Return what the program puts out.

    Raises:
        InputError: something that the task cannot be read from.
    """
    ending = parse_head(config.head)[1] if config.head else None
    output = Output(kind=ending or task.kinds[0]) if config.output is None else Output.parse(config.output)
    if output.kind not in task.kinds and config.head != NONE:
        raise InputError(f"--output {output}: --task {task.name} puts out {' or '.join(task.kinds)}.")
    return output


def _variant_of(config: QuantizeConfig) -> tuple[VariantSpec, Checkpoint | None]:
    """Return the variant that is named, or the one that the weights are, with what was read to tell."""
    spec = None if config.variant is None else resolve_variant(config.variant)
    if config.model is not None:
        if not is_in_memory(config.data) and config.data == SAMPLE:
            raise InputError("model: give data too, images of its classes; the sample's are those of sample weights.")
        checkpoint = load_in_memory(config.model, spec, config.load_options)
        return checkpoint.spec, checkpoint
    if spec is not None:
        return spec, None
    checkpoint = load_pretrained(config.weights, options=config.load_options)
    return checkpoint.spec, checkpoint


def _require_fitting(config: QuantizeConfig, recipe: Recipe, choices: Sequence[Choice], output: Output) -> None:
    """Refuse options that do not go together.

    Raises:
        InputError: settings of training without a recipe that trains, or what one artifact alone can have.
    """
    alone = _is_alone(choices)
    if config.qat is not None and not recipe.trains:
        trained = ", ".join(name for name, other in RECIPES.items() if other.trains)
        raise InputError(
            f"--recipe {recipe.name} trains nothing; --epochs, --steps, --teacher and --resume are for {trained}."
        )
    if recipe.trains and not alone:
        raise InputError(
            f"--recipe {recipe.name} trains {DEFAULT_BACKEND}'s arithmetic: make that program alone (without "
            f"--backend), or choose --recipe {DEFAULT_RECIPE} for several backends."
        )
    if output.int8 and not alone:
        raise InputError("--output ...:int8 is for the int8 xnnpack program alone: leave out --backend.")
    if output != Output() and config.head == NONE:
        raise InputError(f"--output {config.output}: --head none has no logits; leave one of the two out.")
    if config.embed_preprocess and not alone:
        raise InputError("--embed-preprocess is for the int8 xnnpack program alone: leave out --backend.")
    if not (recipe.trains or is_alone()):
        raise InputError(
            f"--recipe {recipe.name} trains nothing that processes could share: start it without torchrun."
        )
