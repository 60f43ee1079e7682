"""One preprocessing contract from image file to network input; phones reproduce exactly this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from edge_effnet.arrays import ARRAY_SUFFIXES, read_array, read_tensor
from edge_effnet.errors import InputError
from edge_effnet.images import open_rgb
from edge_effnet.io.text import brief
from edge_effnet.peer_transforms import timm_arguments, torchvision_arguments

GRAY, RGB = 1, 3
"""Channels that an image file gives; of others there are arrays."""

_MAX_CHANNELS = 1000

INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

RESIZE_MODES = ("shorter", "squash", "pad", "pad-black", "none")
"""How an image gets to `resize` pixels.

shorter    the shorter side is scaled to it: torchvision's `Resize(256)`, timm's crop mode "center"
squash     both sides are, whatever the image's shape: torchvision's `Resize((256, 256))`, timm's "squash"
pad        the longer side is, and the mean's colour fills the square: timm's "border"
pad-black  the same, and black fills it, as most scripts of one's own do
none       neither: images are squares of that side already
"""

TENSORS = "tensors"
"""Instead of a resize mode: the network's inputs were handed over, and how images become these is not known."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INCEPTION_MEAN = (0.5, 0.5, 0.5)
INCEPTION_STD = (0.5, 0.5, 0.5)

_USUAL = ("resize_mode", "shorter")

# A strip of 1 x 5000 pixels would become 256 x 1,280,000: no image needs this.
_MAX_RESIZED_PIXELS = 64 * 1024 * 1024

MAX_CROP = 2048
"""Side of the largest network input, pixels: the largest variant sees 800, and B0 at 2048 already takes gigabytes."""
MAX_RESIZE = 8192

# Scales of pixels from 0..1, 0..255 and the like are well within; beyond, normalised pixels overflow.
_MAX_MEAN = 1e3
_MIN_STD, _MAX_STD = 1e-6, 1e3


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """Resize, cut the centre, scale to 0..1, normalise.

    The geometry is torchvision's `Resize(resize)` + `CenterCrop(crop)`, or one of the other `RESIZE_MODES`: the
    longer side becomes `int(resize * longer / shorter)`, the crop starts at `round((side - crop) / 2)`; Pillow
    resamples with antialiasing.
    """

    crop: int
    """Side of the square that the network sees, pixels."""
    resize: int
    """Length of the shorter side after scaling (of others by `resize_mode`), pixels; at least `crop`."""
    interpolation: str = "bicubic"
    """A key of `INTERPOLATIONS`."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Subtracted from each channel, 0..1: three for RGB, one for gray, as many as an array's channels."""
    std: tuple[float, ...] = IMAGENET_STD
    """Divides each channel after the mean is subtracted."""
    resize_mode: str = "shorter"
    """One of `RESIZE_MODES`, or `TENSORS`."""

    def __post_init__(self) -> None:
        whole = type(self.crop) is int and type(self.resize) is int
        if not whole or not 1 <= self.crop <= self.resize <= MAX_RESIZE or self.crop > MAX_CROP:
            raise InputError(
                f"preprocessing crop {brief(self.crop)} and resize {brief(self.resize)}: need whole numbers with "
                f"1 <= crop <= resize <= {MAX_RESIZE} and crop <= {MAX_CROP}."
            )
        if not isinstance(self.interpolation, str) or self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"unknown interpolation {brief(repr(self.interpolation))}; choose one of {', '.join(INTERPOLATIONS)}."
            )
        if self.resize_mode not in (*RESIZE_MODES, TENSORS):
            raise InputError(
                f"unknown resize mode {brief(repr(self.resize_mode))}; choose one of {', '.join(RESIZE_MODES)}."
            )
        within = _all_within(self.mean, -_MAX_MEAN, _MAX_MEAN) and _all_within(self.std, _MIN_STD, _MAX_STD)
        if not within or len(self.mean) != len(self.std):
            raise InputError(
                f"mean {brief(self.mean)} and std {brief(self.std)}: need three finite numbers each (one for gray, "
                f"as many as channels for arrays), mean within {_MAX_MEAN:g} of 0, std above 0, "
                f"from {_MIN_STD:g} to {_MAX_STD:g}."
            )

    @property
    def channels(self) -> int:
        """Of the network's input: 3 sees colours, 1 grays, any other number arrays."""
        return len(self.mean)

    @property
    def takes_tensors(self) -> bool:
        """Whether files are network inputs rather than images."""
        return self.resize_mode == TENSORS

    def pixels(self, path: Path) -> np.ndarray:
        """Read an image and return its resized, cropped pixels.

        Returns:
            uint8, [crop, crop, channels]; of a network input float32, which `normalize` leaves as it is.

        Raises:
            InputError: the file is no readable image (see `open_rgb`), extremely elongated, or of another size than
                the resize mode "none" takes.
        """
        if self.takes_tensors:
            if path.suffix.lower() not in ARRAY_SUFFIXES:
                raise InputError(
                    f"{path}: an image, but the network's inputs were handed over as tensors, and how an image "
                    "becomes one is not known; give tensors (.npy)."
                )
            return np.moveaxis(read_tensor(path, (self.channels, self.crop, self.crop)), 0, -1)
        if path.suffix.lower() in ARRAY_SUFFIXES:
            planes = np.moveaxis(read_array(path, self.channels), -1, 0)
            return self._cut(np.stack([self._resized(Image.fromarray(p), str(path)) for p in planes], axis=-1))
        return self.centre(open_rgb(path), str(path))

    def centre(self, image: Image.Image, name: str) -> np.ndarray:
        """Resize a decoded RGB image and cut its centre; for one channel its luma (ITU-R 601) comes first.

        Args:
            image: the image.
            name: for messages.

        Returns:
            uint8, [crop, crop, channels].

        Raises:
            InputError: as `pixels`, or the network takes other channels than an image has.
        """
        if self.channels not in (GRAY, RGB):
            raise InputError(
                f"{name}: an image, but the network takes {self.channels} channels; give arrays "
                f"({', '.join(sorted(ARRAY_SUFFIXES))})."
            )
        pixels = self._resized(image.convert("L") if self.channels == GRAY else image, name)
        return self._cut(pixels.reshape(*pixels.shape[:2], self.channels))

    def _resized(self, image: Image.Image, name: str) -> np.ndarray:
        columns, rows = self._scaled(*image.size, name)
        # One direction a call: given both, Pillow 13 begins with the columns of a tall image and 12 with the
        # rows, and the 8 bits in between make that other pixels.
        for size in ((columns, image.height), (columns, rows)):
            image = image.resize(size, INTERPOLATIONS[self.interpolation]) if size != image.size else image
        return np.asarray(image)

    def _scaled(self, width: int, height: int, name: str) -> tuple[int, int]:
        """Width and height after resizing, before a border fills the square."""
        shorter, longer = min(width, height), max(width, height)
        match self.resize_mode:
            case "squash":
                return self.resize, self.resize
            case "pad" | "pad-black":
                ratio = longer / self.resize
                return max(1, round(width / ratio)), max(1, round(height / ratio))
            case "none":
                if width == height == self.resize:
                    return width, height
                raise InputError(
                    f"{name}: {width}x{height} pixels, and the resize mode none takes squares of {self.resize} as "
                    "they are; choose another (--resize-mode)."
                )
        scaled = int(self.resize * longer / shorter)
        if self.resize * scaled > _MAX_RESIZED_PIXELS:
            raise InputError(f"{name}: {width}x{height} pixels is too elongated to be an image; remove it.")
        if shorter == self.resize:
            return width, height
        return (self.resize, scaled) if width <= height else (scaled, self.resize)

    def _cut(self, pixels: np.ndarray) -> np.ndarray:
        """Cut the centre of [H, W, channels], or fill up to it."""
        border = [min(max(round(255 * mean), 0), 255) if self.resize_mode == "pad" else 0 for mean in self.mean]
        square = np.full((self.crop, self.crop, self.channels), border, dtype=np.uint8)
        (rows, from_rows), (columns, from_columns) = (self._overlap(side) for side in pixels.shape[:2])
        square[rows, columns] = pixels[from_rows, from_columns]
        return square

    def _overlap(self, side: int) -> tuple[slice, slice]:
        """Where in the square, and where in the image, they have a side in common."""
        if side < self.crop:
            start = (self.crop - side) // 2
            return slice(start, start + side), slice(0, side)
        start = round((side - self.crop) / 2)
        return slice(0, self.crop), slice(start, start + self.crop)

    def normalize(self, pixels: np.ndarray) -> torch.Tensor:
        """Turn uint8 pixels [..., H, W, C] into the float32 network input [..., C, H, W], contiguous."""
        x = torch.from_numpy(np.ascontiguousarray(pixels)).movedim(-1, -3)
        if x.dtype is torch.float32:
            return x.contiguous()
        mean = torch.tensor(self.mean).view(-1, 1, 1)
        std = torch.tensor(self.std).view(-1, 1, 1)
        return x.to(torch.float32).div_(255.0).sub_(mean).div_(std).contiguous()

    def to_pixels(self, x: torch.Tensor) -> torch.Tensor:
        """The pixels that `normalize` made [..., C, H, W] of: uint8 [..., H, W, C], exactly."""
        mean = torch.tensor(self.mean).view(-1, 1, 1)
        std = torch.tensor(self.std).view(-1, 1, 1)
        return (x * std + mean).mul(255.0).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1).contiguous()

    def picture(self, path: Path) -> np.ndarray:
        """What the network sees, for people: uint8 [crop, crop, channels]; of a tensor by mean and std."""
        seen = self.pixels(path)
        return self.to_pixels(self.normalize(seen)).numpy() if self.takes_tensors else seen

    def __call__(self, path: Path) -> torch.Tensor:
        """Image file -> float32 [channels, crop, crop]."""
        return self.normalize(self.pixels(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, as `manifest.json` keeps them; the usual resize mode is left out, as older readers do."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in values.items() if (k, v) != _USUAL}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Inverse of `to_dict`.

        Raises:
            InputError: a key is missing, unknown or out of range.
        """
        known = {f.name for f in fields(cls)} - {_USUAL[0]}
        if set(values) - {_USUAL[0]} != known:
            raise InputError(f"preprocessing has the keys {brief(list(values))}; need exactly {sorted(known)}.")
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**arguments)

    @classmethod
    def of(cls, given: Any) -> Preprocess:
        """Read whichever a caller has: a `Preprocess`, what `from_timm` takes, or what `from_torchvision` takes.

        Raises:
            InputError: something else.
        """
        if isinstance(given, Preprocess):
            return given
        of_timm = isinstance(given, Mapping) or hasattr(given, "pretrained_cfg")
        return cls.from_timm(given) if of_timm else cls.from_torchvision(given)

    @classmethod
    def from_timm(cls, model: Any) -> Preprocess:
        """Read what a timm model's images go through (`timm.data.resolve_data_config`, `create_transform`).

        Args:
            model: of `timm.create_model`, or its `pretrained_cfg`.

        Raises:
            InputError: none is there, or one of images that are not cut to a square.
        """
        return cls(**timm_arguments(model))

    @classmethod
    def from_torchvision(cls, transforms: Any) -> Preprocess:
        """Read what the images of torchvision's weights, or of one's own transforms, go through.

        Args:
            transforms: a member of a weights enum, its `transforms()`, or a `Compose` of `Resize`, `CenterCrop`,
                `ToTensor` (or what v2 has in its place) and `Normalize`.

        Raises:
            InputError: something else, or transforms that do not end in one square.
        """
        return cls(**torchvision_arguments(transforms))


def _all_within(values: object, low: float, high: float) -> bool:
    """Whether these are numbers from `low` to `high`; NaN is in no range, and a bool is no number."""
    return (
        isinstance(values, tuple)
        and 1 <= len(values) <= _MAX_CHANNELS
        and all(type(value) in (int, float) and low <= value <= high for value in values)
    )
