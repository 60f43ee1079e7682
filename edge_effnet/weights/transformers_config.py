"""transformers' EfficientNet: what its config and its image processor mean for our network and preprocessing.

Read off transformers 5.24, `models/efficientnet`: the stem pads one pixel after, a depthwise convolution of stride 2
one pixel more after than before, or as many where `depthwise_padding` lists its block, whatever the size of the
image: TensorFlow's SAME for images of the size that the list was made for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from edge_effnet.errors import InputError
from edge_effnet.io.files import foreign
from edge_effnet.io.text import brief
from edge_effnet.preprocess import INTERPOLATIONS, MAX_CROP, Preprocess
from edge_effnet.variants import VariantSpec

# What the tensors do not show, and what every published network has.
_FIXED: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("hidden_act", ("swish", "silu")),
    ("pooling_type", ("mean",)),
    ("batch_norm_eps", (0.001,)),
    ("strides", ([1, 2, 2, 2, 1, 2, 1],)),
)

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers."""


def require_efficientnet(config: Mapping[str, Any], where: str) -> tuple[int, ...]:
    """Check that a config is that of a network known here.

    Returns:
        Its `depthwise_padding`.

    Raises:
        InputError: naming what differs.
    """
    for name, known in _FIXED:
        value = config.get(name, known[0])
        if value not in known:
            raise InputError(
                f"{where}: its {name} is {brief(repr(value))}, where only {brief(repr(known[0]))} is known here: "
                "another network; take one of google/efficientnet-b0 to -b7 or a fine-tuned one of these."
            )
    blocks = config.get("depthwise_padding", [])
    if not isinstance(blocks, list) or not all(type(index) is int for index in blocks):
        raise InputError(f"{where}: its depthwise_padding is {brief(repr(blocks))}, no list of blocks.")
    return tuple(blocks)


def require_padding(spec: VariantSpec, size: int, odd_blocks: tuple[int, ...] | None, where: object) -> None:
    """Refuse a size of images, in pixels, at which transformers' padding is not SAME.

    `odd_blocks` is the config's `depthwise_padding`; None takes that of the published network.

    Raises:
        InputError: another size than the padding was made for.
    """
    strided = {index for index, stride in enumerate(_strides(spec)) if stride > 1}
    wanted = odd_blocks_of(spec, spec.resolution) if odd_blocks is None else strided & set(odd_blocks)
    if size % 2 == 0 and odd_blocks_of(spec, size) == wanted:
        return
    nearest = sorted(range(32, MAX_CROP + 1, 2), key=lambda side: abs(side - spec.resolution))
    fitting = next((side for side in nearest if odd_blocks_of(spec, side) == wanted), None)
    remedy = "no size fits it" if fitting is None else f"give a size that it fits: --image-size {fitting}"
    raise InputError(
        f"{where}: transformers' padding of this {spec.name} is made for images of another size than {size} pixels, "
        f"at which it would compute something else; {remedy}."
    )


def odd_blocks_of(spec: VariantSpec, size: int) -> set[int]:
    """Blocks of stride 2 whose input has an odd side, for images of `size` pixels."""
    found, side = set(), -(-size // 2)
    for index, stride in enumerate(_strides(spec)):
        if stride > 1 and side % 2:
            found.add(index)
        side = -(-side // stride)
    return found


def _strides(spec: VariantSpec) -> list[int]:
    return [stage.stride if repeat == 0 else 1 for stage in spec.scaled_stages for repeat in range(stage.repeats)]


def preprocess_of_processor(processor: Any, where: str) -> tuple[Preprocess | None, tuple[str, ...]]:
    """Read an EfficientNetImageProcessor: the image is squashed into a square, scaled, normalised, divided again.

    Returns:
        Its parsed `preprocessor_config.json` in our terms, and sentences on what differs.

    Raises:
        InputError: values that cannot be used.
    """
    if not isinstance(processor, Mapping):
        return None, (f"{where} has no preprocessor_config.json: the published networks' preprocessing was taken.",)
    with usable(f"{where}: its preprocessor_config.json", "take that of the published network."):
        asked = _RESAMPLING.get(processor.get("resample", 3), "unknown")
        interpolation = asked if asked in INTERPOLATIONS else "bicubic"
        resize = _side(processor["size"])
        crop = _side(processor["crop_size"]) if processor.get("do_center_crop") else resize
        mean, std = _normalization(processor)
        made = Preprocess(
            crop=crop, resize=resize, interpolation=interpolation, mean=mean, std=std, resize_mode="squash"
        )
    if interpolation == asked:
        return made, ()
    return made, (f"The image processor asks for {asked!r} interpolation; bicubic is used.",)


@contextmanager
def usable(what: str, remedy: str) -> Iterator[None]:
    """Say of what a file's values are that cannot be used: why, where a check of ours tells, else what to do.

    Raises:
        InputError: in place of what a reader of the values raised.
    """
    with foreign(f"{what} cannot be used; {remedy}"):
        try:
            yield
        except InputError as error:
            raise InputError(f"{what} cannot be used ({error}).") from error


def _side(size: Any) -> int:
    if isinstance(size, Mapping):
        height, width = (size.get(name, size.get("shortest_edge")) for name in ("height", "width"))
        if height != width:
            raise InputError(f"size {brief(size)}: need a square")
        size = height
    if type(size) is not int:
        raise InputError(f"size {brief(repr(size))}: need a number of pixels")
    return size


def _normalization(processor: Mapping[str, Any]) -> tuple[Any, Any]:
    """Fold scaling, offset, normalisation and Keras' second division into a mean and std of pixels from 0 to 1."""
    scale = 255 * float(processor.get("rescale_factor", 1 / 255)) if processor.get("do_rescale", True) else 255.0
    offset = 1.0 if processor.get("do_rescale", True) and processor.get("rescale_offset") else 0.0
    means, stds = [0.0] * 3, [1.0] * 3
    given = [float(value) for value in processor["image_std"]]
    if processor.get("do_normalize", True):
        means, stds = [float(value) for value in processor["image_mean"]], given
    if processor.get("include_top", True):
        stds = [std * again for std, again in zip(stds, given, strict=True)]
    mean = tuple(round((value + offset) / scale, 6) for value in means)
    return mean, tuple(round(std / scale, 6) for std in stds)
