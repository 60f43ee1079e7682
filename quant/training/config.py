"""Everything a training run is decided by: `TrainConfig`, and its result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_effnet.errors import InputError
from edge_effnet.head import parse_head
from quant.data.readers.label_file import ImageOptions

OPTIMIZERS = ("adamw", "rmsprop")
FREEZES = ("none", "backbone")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

_LEAST = {"batch_size": 2, "checkpoint_every": 1, "workers": 0, "seed": 0, "bn_images": 0, "steps": 1, "threads": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Epochs at one resolution; small images first are cheap and teach most of it (progressive resizing)."""

    image_size: int
    """Side of the crops that the network sees, pixels."""
    epochs: float
    """Passes over the training images; the last may be a part of one."""

    def __post_init__(self) -> None:
        if not 32 <= self.image_size <= 1024 or not 0 < self.epochs < 10_000:
            raise InputError(
                f"stage {self.image_size}:{self.epochs:g}: need an image size of 32..1024 and epochs above 0."
            )


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Read `96:30,128:10,224:3` as stages of image size : epochs.

    Raises:
        InputError: not of this form, or out of range.
    """
    stages = []
    for part in text.split(","):
        size, _, epochs = part.strip().partition(":")
        if not (size.isdecimal() and epochs.replace(".", "", 1).isdecimal()):
            raise InputError(f"--stages {text!r}: give SIZE:EPOCHS,SIZE:EPOCHS,... such as 96:30,224:2.5.")
        stages.append(Stage(image_size=int(size), epochs=float(epochs)))
    return tuple(stages)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training run; the same configuration and data give the same weights."""

    variant: str
    """A name that `edge_effnet.resolve_variant` knows."""
    data: Path | str
    """A folder with `train/` and `val/` of class folders or of WebDataset shards (`*.tar`), or `SAMPLE`."""
    out: Path
    """The weights, `.safetensors`; checkpoint, curve and metadata lie beside it."""
    stages: tuple[Stage, ...]
    """In order; the last one's size is the network's own."""
    images: ImageOptions = field(default_factory=ImageOptions)
    """A label file instead of class folders."""
    weights: Path | None = None
    """Start from this file instead of new weights."""
    head: str | None = None
    """Layers of their head, where tensors do not tell; see `edge_effnet.head.parse_head`."""
    fresh_head: bool = False
    """Reinitialize the classifier even where the file's would fit."""
    steps: int | None = None
    """Stop after this many steps in all; the schedule is as long as this then."""
    batch_size: int = 64
    """Images a step, over all processes."""
    lr: float = 1e-3
    """Peak learning rate."""
    optimizer: str = "adamw"
    """One of `OPTIMIZERS`."""
    weight_decay: float = 0.02
    """Decoupled for AdamW; never on BatchNorm and biases."""
    warmup: float = 0.05
    """Share of the steps with a linearly growing learning rate, 0..1."""
    label_smoothing: float = 0.1
    ema_decay: float = 0.998
    """Weight of the past in the average that is validated and saved; 0 switches it off."""
    clip_norm: float = 2.0
    """Largest L2 norm of the gradient."""
    dropout: float | None = None
    """Before the classifier; None takes the variant's."""
    drop_connect: float = 0.1
    """Of the last block."""
    bn_momentum: float = 0.1
    """Weight of the newest batch in BatchNorm's running statistics."""
    bn_images: int = 1024
    """Training images, at the last size, that BatchNorm's statistics are recomputed on at the end; 0: no."""
    padding: str | None = None
    """One of `edge_effnet.padding.PADDINGS`; None takes the weights', or `symmetric` for new ones."""
    freeze: str = "none"
    """`backbone` trains the classifier alone, with BatchNorm's statistics kept."""
    augment: float = 1.0
    """Strength of the augmentation; 0 switches it off (the images are then those of validation)."""
    precision: str = "auto"
    """One of `PRECISIONS`; see `optim.choose_precision`."""
    half: bool = False
    """Save the weights as fp16: half the size, no loss that validation shows."""
    workers: int = 2
    """Threads that decode and augment ahead; 0 does it between the steps."""
    threads: int | None = None
    """Threads of a CPU step; None takes PyTorch's choice."""
    seed: int = 0
    resume: bool = False
    """Continue from the checkpoint beside `out`."""
    patience: int = 0
    """Stop after so many epochs without a better result, where a task ranks them; 0: never."""
    checkpoint_every: int = 200
    """Steps between checkpoints; there is one after each epoch anyway."""
    sample_images: int = 8000
    """Training images to draw where `data` is the sample set."""
    sample_val_images: int = 640
    """Validation images to draw, likewise."""
    cache: Path | None = None
    """Where drawn images are kept between runs; None takes a folder beside `out`."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError("no stages; give at least one image size with its epochs.")
        for name, choices in (("optimizer", OPTIMIZERS), ("freeze", FREEZES), ("precision", PRECISIONS)):
            if (value := getattr(self, name)) not in choices:
                raise InputError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}.")
        if self.head is not None:
            parse_head(self.head)
        if self.out.suffix != ".safetensors":
            raise InputError(f"--out {self.out}: weights are saved as safetensors; end the name in .safetensors.")
        for name, low in _LEAST.items():
            if (value := getattr(self, name)) is not None and value < low:
                raise InputError(f"{name} {value}: need at least {low}.")
        if not self.lr > 0 or not self.clip_norm > 0 or self.weight_decay < 0 or not 0 <= self.augment <= 2:
            raise InputError(
                f"lr {self.lr} and clip_norm {self.clip_norm} must be above 0, weight_decay "
                f"{self.weight_decay} not below, and augment {self.augment} within 0..2."
            )
        for name in ("warmup", "label_smoothing", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: need a number from 0 to below 1.")
        if not 0 < self.bn_momentum <= 1:
            raise InputError(f"bn_momentum {self.bn_momentum}: need a number above 0, at most 1.")

    @property
    def image_size(self) -> int:
        """Side of the images at the end, pixels."""
        return self.stages[-1].image_size

    @property
    def checkpoint_path(self) -> Path:
        """Where the state of the run is kept."""
        return self.out.with_suffix(".checkpoint")

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint has to share: all that the weights depend on, as JSON types."""
        values = asdict(self)
        for name in ("out", "resume", "workers", "threads", "checkpoint_every", "cache", "half"):
            del values[name]
        labels = values.pop("images")["labels"]
        # What earlier checkpoints do not have is left out where it is not given.
        values |= {} if labels is None else {"labels": str(labels)}
        if self.head is None:
            del values["head"]
        values |= {"data": str(self.data), "weights": None if self.weights is None else str(self.weights)}
        return values | {"stages": [[s.image_size, s.epochs] for s in self.stages]}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """What a finished run leaves behind."""

    weights: Path
    """Ready for `quantize --weights`."""
    metadata: Path
    """JSON: settings, steps, accuracy, class names."""
    curve_csv: Path
    curve_png: Path | None
    """None where matplotlib is not installed."""
    steps: int
    top1: float
    """Of the saved weights on the validation images at the last size, 0..1."""
    val_images: int
    class_names: tuple[str, ...]
