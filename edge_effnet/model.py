"""EfficientNet: built from a variant's table row, or loaded with weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import torch
from torch import nn

from edge_effnet.activations import activation_name
from edge_effnet.blocks import BLOCKS, Block, ConvBNAct, LayerSettings
from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR, head_text, make_head, parse_head
from edge_effnet.padding import output_image_size
from edge_effnet.preprocess import Preprocess
from edge_effnet.variants import VariantSpec, resolve_variant

if TYPE_CHECKING:
    from edge_effnet.weights.checkpoint import Wanted
    from edge_effnet.weights.sources import Source

_logger = logging.getLogger(__name__)

_STEM_STRIDE = 2


class NetworkSettings(TypedDict, total=False):
    """Settings of `EfficientNet`, by name."""

    num_classes: int
    in_channels: int
    image_size: int | None
    dropout_rate: float | None
    drop_connect_rate: float
    activation: str | None
    padding: str
    bn_eps: float
    bn_momentum: float
    include_top: bool
    head: str
    hidden_features: Sequence[int]


class EfficientNet(nn.Module):
    """An image classifier: stem, stages of blocks, head, mean pooling, classifier.

    `from_name` builds one with new weights, `from_pretrained` loads one. Weights as new follow the TensorFlow
    reference: convolutions normal with variance 2 / fan-out, the classifier uniform within 1 / sqrt(classes).
    """

    def __init__(
        self,
        spec: VariantSpec,
        *,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int | None = None,
        dropout_rate: float | None = None,
        drop_connect_rate: float = 0.2,
        activation: str | None = None,
        padding: str = "same",
        bn_eps: float = 1e-3,
        bn_momentum: float = 0.01,
        include_top: bool = True,
        head: str = LINEAR,
        hidden_features: Sequence[int] = (),
    ) -> None:
        """Build the network; `None` takes the variant's own value.

        Args:
            spec: the variant.
            num_classes: outputs of the classifier.
            in_channels: channels of the input images.
            image_size: side of the images, pixels; only `padding="same-static"` depends on it.
            dropout_rate: before the classifier.
            drop_connect_rate: of the last block; it grows linearly from 0 at the first one.
            activation: a key of `edge_effnet.activations.ACTIVATIONS`.
            padding: one of `edge_effnet.padding.PADDINGS`.
            bn_eps: added to BatchNorm's variance.
            bn_momentum: weight of the newest batch in BatchNorm's running statistics.
            include_top: with the classifier; without it `forward` returns pooled features.
            head: layers of the classifier, such as "linear-relu-linear" (`edge_effnet.head.parse_head`); "none" gives
                the features, [N, C_head].
            hidden_features: outputs of its Linears but the last one.

        Raises:
            InputError: a value out of range, or an unknown name.
        """
        super().__init__()
        steps, _ = parse_head(head)
        num_classes = num_classes if steps else spec.head_channels
        self.spec = spec
        self.image_size = spec.resolution if image_size is None else image_size
        self.padding = padding
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.preprocess: Preprocess | None = None
        self.class_names: tuple[str, ...] | None = None
        dropout = spec.dropout if dropout_rate is None else dropout_rate
        _check_ranges(num_classes, in_channels, self.image_size, dropout, bn_eps)
        settings = LayerSettings(
            activation=spec.activation if activation is None else activation,
            padding=padding,
            bn_eps=bn_eps,
            bn_momentum=bn_momentum,
        )
        size = self.image_size
        self.stem = ConvBNAct(
            in_channels, spec.stem_channels, settings=settings, input_size=size, kernel=3, stride=_STEM_STRIDE
        )
        size = output_image_size(size, (_STEM_STRIDE,))
        self.stages = _make_stages(spec, settings, drop_connect_rate=drop_connect_rate, input_size=size)
        size = output_image_size(size, [stage.stride for stage in spec.stages])
        last_channels = spec.block_specs[-1][-1].out_channels
        self.head = ConvBNAct(last_channels, spec.head_channels, settings=settings, input_size=size)
        self.dropout = nn.Dropout(dropout)
        widths = (*hidden_features, num_classes)
        if include_top and steps and sum(step == LINEAR for step in steps) != len(widths):
            raise InputError(
                f"head {head!r} and hidden_features {list(hidden_features)}: need one for each linear but the last."
            )
        self.head_steps = head_text(steps)
        self.classifier: nn.Module | None = make_head(steps, spec.head_channels, widths) if include_top else None
        # On the meta device there is nothing to draw, and drawing would import torch's compiler: 2 s.
        if not self.stem.conv.weight.is_meta:
            self.apply(initialize)

    @classmethod
    def from_name(cls, variant: str | VariantSpec, **settings: Unpack[NetworkSettings]) -> EfficientNet:
        """Build a network with new weights; the settings are those of the class.

        `variant` is a name (`b0`, `efficientnet-b0`, `tf_efficientnet_lite0`, ...) or a `VariantSpec` of
        one's own.

        Raises:
            InputError: unknown variant, activation or padding; a value out of range.
        """
        return cls(variant if isinstance(variant, VariantSpec) else resolve_variant(variant), **settings)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | Source,
        *,
        variant: str | None = None,
        advprop: bool = False,
        cache_dir: Path | None = None,
        **wanted: Unpack[Wanted],
    ) -> EfficientNet:
        """Load a network with weights, in eval mode.

        What was guessed or reinitialized is logged as a warning; `edge_effnet.load_pretrained` returns it, with
        the class names and all else that is known of the weights.

        Args:
            source: a file; a published name (`efficientnet-b0`, `torchvision/efficientnet_b0`, see
                `edge_effnet.weights.sources.SOURCES`); or a hub id (`hf://timm/efficientnet_b0.ra_in1k`).
            variant: needed only where the file's own shapes should be checked against an expectation.
            advprop: the AdvProp weights of a lukemelas variant, with their own preprocessing.
            cache_dir: where downloads are kept; torch.hub's and huggingface_hub's own folders by default.
            wanted: as for `load_checkpoint`.

        Raises:
            InputError: unknown source, or a file that is not such a network.
            MachineError: no network, or the disk is full.
        """
        # Not at the top: the weights package builds this class.
        from edge_effnet.weights.checkpoint import LoadOptions  # noqa: PLC0415
        from edge_effnet.weights.pretrained import load_pretrained  # noqa: PLC0415

        options = LoadOptions(**wanted)
        checkpoint = load_pretrained(source, variant=variant, advprop=advprop, options=options, cache_dir=cache_dir)
        for note in checkpoint.notes:
            _logger.warning("%s: %s", source, note)
        return checkpoint.model

    @property
    def activation(self) -> str | None:
        """Name of the activation as it is now, or None where it is none of the table."""
        return activation_name(self.stem.activation)

    @property
    def bn_eps(self) -> float | None:
        """BatchNorm's eps, or None once it is folded away."""
        return self.stem.norm.eps if isinstance(self.stem.norm, nn.BatchNorm2d) else None

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the stem and of each stage, in order."""
        return (_STEM_STRIDE, *(stage.stride for stage in self.spec.stages))

    def output_image_size(self, image_size: int | None = None) -> int:
        """Side of `extract_features`' output in pixels; `image_size` is this model's by default."""
        return output_image_size(self.image_size if image_size is None else image_size, self.strides)

    def extract_features(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, C, H, W] -> [N, C_head, ceil(H / 32), ceil(W / 32)], before pooling.

        Raises:
            InputError: not such images, or of another size than static padding was computed for.
        """
        self._check_input(x)
        features: torch.Tensor = self.head(self.stages(self.stem(x)))
        return features

    def extract_endpoints(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the last features of each resolution, for detectors and segmenters.

        Returns:
            `reduction_1` (the resolution halved once) to `reduction_5`, each before the block that halves
            again, and `reduction_6`: the head's output, at the resolution of `reduction_5`.

        Raises:
            InputError: as `extract_features`.
        """
        self._check_input(x)
        endpoints: list[torch.Tensor] = []
        previous = self.stem(x)
        for block in self.stages.modules():
            if not isinstance(block, Block):
                continue
            current = block(previous)
            if current.shape[2] < previous.shape[2]:
                endpoints.append(previous)
            previous = current
        endpoints += [previous, self.head(previous)]
        return {f"reduction_{index}": features for index, features in enumerate(endpoints, start=1)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, C, H, W] -> logits [N, classes]; without the classifier, pooled features [N, C_head, 1, 1].

        With `head="none"` they are [N, C_head].

        Raises:
            InputError: as `extract_features`.
        """
        pooled = self.extract_features(x).mean((2, 3), keepdim=True)
        if self.classifier is None:
            return pooled
        logits: torch.Tensor = self.classifier(self.dropout(pooled.flatten(1)))
        return logits

    def _check_input(self, x: torch.Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise InputError(f"got an input of shape {list(x.shape)}; need images [N, {self.in_channels}, H, W].")
        size = self.image_size
        if self.padding == "same-static" and (x.shape[2] != size or x.shape[3] != size):
            raise InputError(
                f"got images of {x.shape[2]}x{x.shape[3]} pixels, but its static padding was computed "
                f'for {size}x{size}; resize them, build it with image_size, or use padding="same".'
            )


def _check_ranges(num_classes: int, in_channels: int, image_size: int, dropout: float, bn_eps: float) -> None:
    if min(num_classes, in_channels, image_size) < 1:
        raise InputError(
            f"num_classes {num_classes}, in_channels {in_channels} and image_size {image_size} must be at least 1."
        )
    if not 0 <= dropout < 1:
        raise InputError(f"dropout_rate {dropout}: need a number from 0 to below 1.")
    if bn_eps <= 0:
        raise InputError(f"bn_eps {bn_eps}: need a number above 0.")


def _make_stages(
    spec: VariantSpec, settings: LayerSettings, *, drop_connect_rate: float, input_size: int
) -> nn.Sequential:
    stages = nn.Sequential()
    index, size = 0, input_size
    for specs in spec.block_specs:
        blocks = nn.Sequential()
        for block in specs:
            rate = drop_connect_rate * index / spec.blocks
            blocks.append(BLOCKS[block.kind](block, drop_connect=rate, settings=settings, input_size=size))
            index, size = index + 1, output_image_size(size, (block.stride,))
        stages.append(blocks)
    return stages


def initialize(module: nn.Module) -> None:
    """Give one layer new weights, as the TensorFlow reference does; BatchNorm starts so anyway."""
    if isinstance(module, nn.Conv2d):
        # Fan-out of one filter's group: for a depthwise kernel that is the kernel's area alone.
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        bound = 1 / math.sqrt(module.out_features)
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)
