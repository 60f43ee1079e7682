"""One preprocessing contract from image file to network input; phones reproduce exactly this one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from edge_effnet.arrays import ARRAY_SUFFIXES, read_array
from edge_effnet.errors import InputError
from edge_effnet.images import open_rgb
from edge_effnet.io.text import brief

GRAY, RGB = 1, 3
"""Channels that an image file gives; of others there are arrays."""

_MAX_CHANNELS = 1000

INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INCEPTION_MEAN = (0.5, 0.5, 0.5)
INCEPTION_STD = (0.5, 0.5, 0.5)

# A strip of 1 x 5000 pixels would become 256 x 1,280,000: no image needs this.
_MAX_RESIZED_PIXELS = 64 * 1024 * 1024

MAX_CROP = 2048
"""Side of the largest network input, pixels: the largest variant sees 800, and B0 at 2048 already takes gigabytes."""
_MAX_RESIZE = 8192

# Scales of pixels from 0..1, 0..255 and the like are well within; beyond, normalised pixels overflow.
_MAX_MEAN = 1e3
_MIN_STD, _MAX_STD = 1e-6, 1e3


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """Resize the shorter side, cut the centre, scale to 0..1, normalise.

    The geometry is torchvision's `Resize(resize)` + `CenterCrop(crop)`: the longer side becomes
    `int(resize * longer / shorter)`, the crop starts at `round((side - crop) / 2)`; Pillow resamples with
    antialiasing.
    """

    crop: int
    """Side of the square that the network sees, pixels."""
    resize: int
    """Length of the shorter side after scaling, pixels; at least `crop`."""
    interpolation: str = "bicubic"
    """A key of `INTERPOLATIONS`."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Subtracted from each channel, 0..1: three for RGB, one for gray, as many as an array's channels."""
    std: tuple[float, ...] = IMAGENET_STD
    """Divides each channel after the mean is subtracted."""

    def __post_init__(self) -> None:
        whole = type(self.crop) is int and type(self.resize) is int
        if not whole or not 1 <= self.crop <= self.resize <= _MAX_RESIZE or self.crop > MAX_CROP:
            raise InputError(
                f"preprocessing crop {brief(self.crop)} and resize {brief(self.resize)}: need whole numbers with "
                f"1 <= crop <= resize <= {_MAX_RESIZE} and crop <= {MAX_CROP}."
            )
        if not isinstance(self.interpolation, str) or self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"unknown interpolation {brief(repr(self.interpolation))}; choose one of {', '.join(INTERPOLATIONS)}."
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

    def pixels(self, path: Path) -> np.ndarray:
        """Read an image and return its resized, cropped pixels.

        Returns:
            uint8, [crop, crop, channels].

        Raises:
            InputError: the file is no readable image (see `open_rgb`) or extremely elongated.
        """
        if path.suffix.lower() in ARRAY_SUFFIXES:
            planes = np.moveaxis(read_array(path, self.channels), -1, 0)
            return np.stack([self._centre(Image.fromarray(plane), str(path)) for plane in planes], axis=-1)
        return self.centre(open_rgb(path), str(path))

    def centre(self, image: Image.Image, name: str) -> np.ndarray:
        """Resize a decoded RGB image and cut its centre; for one channel its luma (ITU-R 601) comes first.

        Args:
            image: the image.
            name: for messages.

        Returns:
            uint8, [crop, crop, channels].

        Raises:
            InputError: extremely elongated, or the network takes other channels than an image has.
        """
        if self.channels not in (GRAY, RGB):
            raise InputError(
                f"{name}: an image, but the network takes {self.channels} channels; give arrays "
                f"({', '.join(sorted(ARRAY_SUFFIXES))})."
            )
        cut = self._centre(image.convert("L") if self.channels == GRAY else image, name)
        return cut.reshape(self.crop, self.crop, self.channels)

    def _centre(self, image: Image.Image, name: str) -> np.ndarray:
        width, height = image.size
        shorter, longer = min(width, height), max(width, height)
        scaled = int(self.resize * longer / shorter)
        if self.resize * scaled > _MAX_RESIZED_PIXELS:
            raise InputError(f"{name}: {width}x{height} pixels is too elongated to be an image; remove it.")
        if shorter != self.resize:
            columns, rows = (self.resize, scaled) if width <= height else (scaled, self.resize)
            # One direction a call: given both, Pillow 13 begins with the columns of a tall image and 12 with the
            # rows, and the 8 bits in between make that other pixels.
            for size in ((columns, height), (columns, rows)):
                image = image.resize(size, INTERPOLATIONS[self.interpolation])
        left, top = (round((side - self.crop) / 2) for side in image.size)
        return np.array(image.crop((left, top, left + self.crop, top + self.crop)))

    def normalize(self, pixels: np.ndarray) -> torch.Tensor:
        """Turn uint8 pixels [..., H, W, C] into the float32 network input [..., C, H, W], contiguous."""
        x = torch.from_numpy(np.ascontiguousarray(pixels)).movedim(-1, -3).to(torch.float32).div(255.0)
        mean = torch.tensor(self.mean).view(-1, 1, 1)
        std = torch.tensor(self.std).view(-1, 1, 1)
        return ((x - mean) / std).contiguous()

    def to_pixels(self, x: torch.Tensor) -> torch.Tensor:
        """The pixels that `normalize` made [..., C, H, W] of: uint8 [..., H, W, C], exactly."""
        mean = torch.tensor(self.mean).view(-1, 1, 1)
        std = torch.tensor(self.std).view(-1, 1, 1)
        return (x * std + mean).mul(255.0).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1).contiguous()

    def __call__(self, path: Path) -> torch.Tensor:
        """Image file -> float32 [channels, crop, crop]."""
        return self.normalize(self.pixels(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, as `manifest.json` keeps them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Inverse of `to_dict`.

        Raises:
            InputError: a key is missing, unknown or out of range.
        """
        known = {f.name for f in fields(cls)}
        if set(values) != known:
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
            InputError: none is there, or one of images that are not cropped to a square.
        """
        config = model if isinstance(model, Mapping) else getattr(model, "pretrained_cfg", None)
        if not isinstance(config, Mapping) or "input_size" not in config:
            raise InputError(
                f"{type(model).__name__} has no pretrained_cfg of timm; build a Preprocess by its numbers."
            )
        _, height, width = config["input_size"]
        mode = config.get("crop_mode") or "center"
        if height != width or mode != "center":
            raise InputError(
                f"timm's input of {height}x{width} pixels by crop_mode {mode!r}: only the resized image's centre, a "
                "square, is known here; build a Preprocess by its numbers where that is near enough."
            )
        return cls(
            crop=height,
            resize=math.floor(height / config.get("crop_pct", 0.875)),
            interpolation=config.get("interpolation", "bicubic"),
            mean=tuple(map(float, config.get("mean", IMAGENET_MEAN))),
            std=tuple(map(float, config.get("std", IMAGENET_STD))),
        )

    @classmethod
    def from_torchvision(cls, weights: Any) -> Preprocess:
        """Read what the images of torchvision's weights go through.

        Args:
            weights: a member of a weights enum, or its `transforms()`.

        Raises:
            InputError: something else.
        """
        transforms = weights.transforms() if hasattr(weights, "transforms") else weights
        try:
            (crop,), (resize,) = transforms.crop_size, transforms.resize_size
            interpolation = transforms.interpolation.value
            mean, std = (tuple(map(float, values)) for values in (transforms.mean, transforms.std))
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(
                f"{type(weights).__name__} is neither weights of torchvision nor their transforms(), which resize, "
                "crop and normalise; build a Preprocess by its numbers."
            ) from error
        return cls(crop=crop, resize=resize, interpolation=interpolation, mean=mean, std=std)


def _all_within(values: object, low: float, high: float) -> bool:
    """Whether these are numbers from `low` to `high`; NaN is in no range, and a bool is no number."""
    return (
        isinstance(values, tuple)
        and 1 <= len(values) <= _MAX_CHANNELS
        and all(type(value) in (int, float) and low <= value <= high for value in values)
    )
