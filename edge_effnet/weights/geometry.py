"""Resizing and cropping as a caller words them, where the weights or their origin say something else."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.preprocess import MAX_RESIZE, Preprocess

_SIDE = re.compile(r"(\d{1,5})(?:[xX](\d{1,5}))?")

AS_THEY_ARE = "none"
USUAL = "shorter"


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """What is asked for; None keeps what the weights have.

    Raises:
        InputError: names or numbers out of range, or two wishes that contradict each other.
    """

    resize: int | str | None = None
    """N for the side that `resize_mode` scales; "HxW" for `Resize((H, W))`, which squashes; "none" for images that
    have the network's size already."""
    crop: int | None = None
    """Side of the square that the network sees, pixels."""
    interpolation: str | None = None
    """A key of `edge_effnet.preprocess.INTERPOLATIONS`."""
    resize_mode: str | None = None
    """One of `edge_effnet.preprocess.RESIZE_MODES`."""
    image_size: int | None = None
    """The same as `crop`; without `resize` the weights' resizing grows or shrinks with it."""

    def __post_init__(self) -> None:
        if None not in (self.crop, self.image_size) and self.crop != self.image_size:
            raise InputError(
                f"--crop {self.crop} and --image-size {self.image_size} both name the side of the network's input; "
                "leave one out."
            )
        implied = self._implied_mode
        if self.resize_mode is not None and (implied == AS_THEY_ARE != self.resize_mode or self._contradicts_sides):
            raise InputError(
                f"--resize {self.resize} and --resize-mode {self.resize_mode} contradict each other: HxW scales both "
                "sides, none neither; leave one of the two out."
            )
        crop = self.crop if self.crop is not None else self.image_size
        side = self._side
        # Its own checks name what is out of range.
        self._with(
            Preprocess(crop=1, resize=1),
            crop=1 if crop is None else crop,
            resize=MAX_RESIZE if side is None else side,
            mode=self.resize_mode or implied or USUAL,
        )

    def __bool__(self) -> bool:
        """Whether anything but `image_size` is asked for."""
        return replace(self, image_size=None) != Geometry()

    def applied(self, base: Preprocess) -> Preprocess:
        """Change a preprocessing, which is for `image_size` already, to what is asked for.

        Raises:
            InputError: values that do not fit together.
        """
        side, mode = self._side, self.resize_mode or self._implied_mode or base.resize_mode
        crop = self.crop or self.image_size
        if self.resize_mode and side is None and base.resize != (crop or base.crop) and mode != base.resize_mode:
            raise InputError(
                f"--resize-mode {mode}: say to what size, such as --resize {crop or base.crop}; the weights' own "
                f"{base.resize} pixels are of the resize mode {base.resize_mode}."
            )
        if crop is None:
            # Resize((256, 256)) alone gives the network 256 pixels; Resize(256) comes with a crop.
            crop = side if side is not None and mode != USUAL else base.crop
        resize = crop if side is None and mode == AS_THEY_ARE else side or base.resize
        if crop > resize:
            raise InputError(
                f"images are scaled to {resize} pixels, and the network sees {crop} of them: give --crop of at most "
                f"{resize} or --resize of at least {crop}."
            )
        return self._with(base, crop=crop, resize=resize, mode=mode)

    def _with(self, base: Preprocess, *, crop: int, resize: int, mode: str) -> Preprocess:
        interpolation = base.interpolation if self.interpolation is None else self.interpolation
        return replace(base, crop=crop, resize=resize, resize_mode=mode, interpolation=interpolation)

    @property
    def _side(self) -> int | None:
        sides = self._sides
        return int(sides[0]) if sides else None

    @property
    def _sides(self) -> tuple[str, ...]:
        """One number of "N", two of "HxW", none where nothing or "none" is asked for."""
        if self.resize is None or self.resize == AS_THEY_ARE:
            return ()
        found = _SIDE.fullmatch(str(self.resize))
        if found is None or found[2] not in (None, found[1]):
            raise InputError(
                f"--resize {brief(str(self.resize))}: need N (the side that --resize-mode scales), HxW of a square, "
                "since the network's input is one (both sides, squashed), or none (images as they are)."
            )
        return tuple(side for side in found.groups() if side is not None)

    @property
    def _implied_mode(self) -> str | None:
        if self.resize == AS_THEY_ARE:
            return AS_THEY_ARE
        return "squash" if len(self._sides) > 1 else None

    @property
    def _contradicts_sides(self) -> bool:
        return len(self._sides) > 1 and self.resize_mode in (USUAL, AS_THEY_ARE)
