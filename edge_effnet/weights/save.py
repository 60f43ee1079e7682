"""Our own weight files: safetensors whose header says how the network is built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save

from edge_effnet.activations import ACTIVATIONS
from edge_effnet.class_names import require_class_names
from edge_effnet.errors import InputError, MachineError
from edge_effnet.head import LINEAR, parse_head
from edge_effnet.io.files import write_whole
from edge_effnet.io.text import brief
from edge_effnet.model import EfficientNet
from edge_effnet.padding import PADDINGS
from edge_effnet.preprocess import MAX_CROP, Preprocess

METADATA_KEY = "edge_effnet"


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedSettings:
    """What a state dict alone does not say about its network."""

    variant: str
    """A key of `edge_effnet.variants.VARIANTS`, or the name of a spec of one's own."""
    padding: str
    """One of `edge_effnet.padding.PADDINGS`."""
    bn_eps: float
    """Added to BatchNorm's variance."""
    activation: str
    """A key of `edge_effnet.activations.ACTIVATIONS`."""
    image_size: int
    """Side of the images, pixels."""
    preprocess: Preprocess | None
    """What images go through; None where the model was saved without."""
    class_names: tuple[str, ...] | None
    """In order of the class index."""
    head: str = LINEAR
    """Layers of the classifier, see `edge_effnet.head.parse_head`; in the file only where it is not one Linear."""

    def __post_init__(self) -> None:
        for name, value, known in (("padding", self.padding, PADDINGS), ("activation", self.activation, ACTIVATIONS)):
            if not isinstance(value, str) or value not in known:
                raise InputError(f"{name} {brief(repr(value))} is unknown")
        if not isinstance(self.head, str):
            raise InputError(f"head {brief(repr(self.head))} is no row of layers")
        parse_head(self.head)
        if not isinstance(self.variant, str):
            raise InputError(f"variant {brief(repr(self.variant))} is no name")
        if not (isinstance(self.bn_eps, float) and 0 < self.bn_eps <= 1):
            raise InputError(f"bn_eps {brief(repr(self.bn_eps))} is no number above 0, at most 1")
        if not (type(self.image_size) is int and 1 <= self.image_size <= MAX_CROP):
            raise InputError(f"image_size {brief(repr(self.image_size))} is no number of pixels from 1 to {MAX_CROP}")
        if self.preprocess is not None and self.preprocess.crop != self.image_size:
            raise InputError(
                f"the preprocessing crops {self.preprocess.crop} pixels for a network of {self.image_size}"
            )
        if self.class_names is not None:
            require_class_names(self.class_names, "class_names")

    @classmethod
    def of(cls, model: EfficientNet) -> SavedSettings:
        """Read them off a network.

        Raises:
            InputError: BatchNorm is folded away, or an activation is none of the table.
        """
        if model.bn_eps is None or model.activation is None:
            raise InputError(
                "only an unfolded network with an activation of the table can be saved as weights; save the "
                "original and fold it after loading."
            )
        return cls(
            variant=model.spec.name,
            padding=model.padding,
            bn_eps=model.bn_eps,
            activation=model.activation,
            image_size=model.image_size,
            preprocess=model.preprocess,
            class_names=model.class_names,
            head=model.head_steps,
        )

    def to_json(self) -> str:
        """As the file's header keeps them."""
        preprocess = None if self.preprocess is None else self.preprocess.to_dict()
        values = {name: getattr(self, name) for name in self.__dataclass_fields__} | {"preprocess": preprocess}
        if self.head == LINEAR:
            del values["head"]
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], path: Path) -> SavedSettings | None:
        """Inverse of `to_json`, or None where the file holds no such entry.

        Raises:
            InputError: an entry that is damaged.
        """
        text = metadata.get(METADATA_KEY)
        if text is None:
            return None
        try:
            values = json.loads(text)
            preprocess, names = values.pop("preprocess"), values.pop("class_names")
            if not (names is None or isinstance(names, list)):
                raise TypeError(f"class_names is a {type(names).__name__}")
            return cls(
                **values,
                preprocess=None if preprocess is None else Preprocess.from_dict(preprocess),
                class_names=None if names is None else tuple(names),
            )
        except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
            reason = str(error).rstrip(".") if isinstance(error, InputError) else brief(error)
            raise InputError(f"{path}: the metadata {METADATA_KEY!r} is damaged ({reason}).") from error


def save_checkpoint(path: str | Path, model: EfficientNet) -> None:
    """Write a network's weights, settings and class names; `load_checkpoint` gives the same network back.

    The file appears complete or not at all. The same network gives the same bytes.

    Args:
        path: must end in `.safetensors`; replaced where it exists.
        model: not folded.

    Raises:
        InputError: another suffix, a folded network, or preprocessing for another image size.
        MachineError: the disk is full or not writable.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"{path}: weights are saved as safetensors; give a name that ends in .safetensors.")
    # One entry only: safetensors writes several in an order that changes from run to run.
    metadata = {METADATA_KEY: SavedSettings.of(model).to_json()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    data = save(tensors, metadata)
    try:
        write_whole(path, data)
    except OSError as error:
        raise MachineError(f"{path}: cannot be written ({error.strerror}); choose another place.") from error
