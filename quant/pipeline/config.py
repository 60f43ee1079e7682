"""What a run is asked for: one config, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.in_memory.contents import name_of
from edge_effnet.samples import SAMPLE
from edge_effnet.weights.checkpoint import LoadOptions
from edge_effnet.weights.resizing import Geometry
from quant.data.readers.in_memory import is_in_memory
from quant.data.readers.label_file import ImageOptions
from quant.lower.choices import DEFAULT_BACKEND
from quant.lower.options import BackendOptions
from quant.pipeline.handed_over import Given
from quant.program.host import check_threads
from quant.qat.options import QatOptions
from quant.recipes import DEFAULT_RECIPE
from quant.thresholds import DEFAULT_CALIBRATION, UNUSABLE_SHARE
from quant.verdict.limits import require_limits

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
        require_limits(self.max_drop, self.min_agreement)
        _ = self.image_options
        missing = [name for name in ("weights", "data") if getattr(self, name) is None]
        if missing:
            raise InputError(f"{missing[0]} is None; leave it out for the sample's, or say where yours are.")
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
