"""What a config names, looked up before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_effnet.activations import make_activation
from edge_effnet.errors import InputError
from edge_effnet.head import NONE, parse_head
from edge_effnet.in_memory.load import load_in_memory
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import SAMPLE, sample_weights
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights import Checkpoint, load_pretrained
from quant.artifact.recognise import require_replaceable
from quant.common.overwrite import require_apart, require_no_image
from quant.data.readers.in_memory import is_in_memory
from quant.lower.choices import DEFAULT_BACKEND, Choice, check_fits, check_options, choose
from quant.lower.options import Normalization
from quant.lower.output import Output
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.embedding import EMBEDDING
from quant.metrics.tasks.table import find_task
from quant.metrics.tasks.task import Task
from quant.pipeline.config import QuantizeConfig
from quant.qat.options import QatOptions
from quant.recipes import DEFAULT_RECIPE, RECIPES, Recipe, find_recipe
from quant.thresholds import SELECTION
from quant.verdict.limits import Limits, asked_limits


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
    def targeted(self) -> bool:
        """Whether the user gave a target."""
        return not (self.config.max_drop is None and self.config.min_agreement is None)

    @property
    def searches(self) -> bool:
        """Whether float layers are searched for until the target is met."""
        return self.targeted and self.recipe.searches and self.alone

    @property
    def mixes(self) -> bool:
        """Whether activations with 16 bits are searched for, for some program."""
        return any(choice.mixes for choice in self.choices)

    @property
    def selection(self) -> int:
        """Images to keep back to choose float layers, bits or epochs on."""
        return SELECTION if self.searches or self.mixes or self.recipe.trains else 0

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
    _require_known_names(config)
    recipe = find_recipe(config.recipe)
    choices = choose(config.backends)
    check_options(choices, config.backend_options)
    if not choices:
        raise InputError("--backend: names no program; leave it out for the default.")
    if config.model is None:
        _require_fitting(config, recipe, choices, _output(config, _task(config)))
        # Light, and where most goes wrong: before weights are read.
        config.image_options.read(_task(config).targets)
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
        limits=asked_limits(task, config.max_drop, config.min_agreement),
        output=_output(config, task),
        task=task,
        qat=config.qat or QatOptions(),
    )
    check_fits(
        choices, activation=request.final_activation, image_size=config.crop or config.image_size or spec.resolution
    )
    _require_place(request)
    return request


def _require_known_names(config: QuantizeConfig) -> None:
    """Refuse a variant, activation or head that no table has."""
    if config.variant is not None:
        resolve_variant(config.variant)
    if config.sample:
        sample_weights(config.variant)
    for activation in (config.activation, config.trained_activation):
        if activation is not None:
            make_activation(activation)
    if config.head is not None:
        parse_head(config.head)


def _require_place(request: Request) -> None:
    """Refuse to write where something lies that is read, or that is not ours."""
    config = request.config
    sides = {"--data": config.data, "--calibration-data": config.calibration_data}
    sides["--evaluation-data"] = config.evaluation_data
    folders = {option: given for option, given in sides.items() if isinstance(given, str | Path)}
    require_apart(request.out, {"--weights": config.weights, **folders})
    require_replaceable(request.out)
    for folder in folders.values():
        require_no_image(request.out, folder)


def _spelled_out(config: QuantizeConfig) -> QuantizeConfig:
    """Say a preprocessing in the options of the command line."""
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
    """The task, if it goes with the head; features are for comparing."""
    task = find_task(config.task)
    if config.head == NONE and task not in (CLASSES, EMBEDDING):
        raise InputError(f"--task {task.name}: --head none puts out features; leave one of the two out.")
    if config.head != NONE and task is EMBEDDING:
        raise InputError("--task embedding: compares pooled features; give --head none, or leave --task out.")
    return (EMBEDDING if config.head == NONE else task).with_threshold(config.threshold)


def _output(config: QuantizeConfig, task: Task) -> Output:
    """What the program puts out, if the task can be read from it."""
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
    """Refuse settings of training without a recipe that trains, and what one artifact alone can have."""
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
