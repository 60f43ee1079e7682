"""How each package names EfficientNet's tensors, and the map from our names to theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_effnet.variants import VariantSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One package's module names, by ours."""

    name: str
    """Its key in `LAYOUTS`."""
    ends: Mapping[str, str]
    """Modules outside the blocks."""
    block: str
    """A block's prefix, with `{stage}`, `{stage_from_1}`, `{repeat}` and `{index}` (over all blocks)."""
    expanded: Mapping[str, str]
    """Modules of a block that expands."""
    unexpanded: Mapping[str, str]
    """Modules of a block with an expansion ratio of 1."""

    def theirs(self, spec: VariantSpec, keys: Iterable[str]) -> dict[str, str]:
        """Map our tensor names `keys` (of a network of variant `spec`) to theirs."""
        firsts = [0]
        for stage in spec.scaled_stages:
            firsts.append(firsts[-1] + stage.repeats)
        return {key: self._theirs(spec, firsts, key) for key in keys}

    def _theirs(self, spec: VariantSpec, firsts: list[int], key: str) -> str:
        module, _, tensor = key.rpartition(".")
        if not module.startswith("stages."):
            return f"{self.ends[module]}.{tensor}"
        _, stage_text, repeat_text, inner = module.split(".", 3)
        stage, repeat = int(stage_text), int(repeat_text)
        names = self.expanded if spec.stages[stage].expand_ratio > 1 else self.unexpanded
        prefix = self.block.format(stage=stage, stage_from_1=stage + 1, repeat=repeat, index=firsts[stage] + repeat)
        return f"{prefix}.{names[inner]}.{tensor}"


_ENDS = ("stem.conv", "stem.norm", "head.conv", "head.norm", "classifier")
_BLOCK = (
    "expand.conv",
    "expand.norm",
    "depthwise.conv",
    "depthwise.norm",
    "squeeze_excite.reduce",
    "squeeze_excite.expand",
    "project.conv",
    "project.norm",
)

LAYOUTS: dict[str, Layout] = {
    "edge-effnet": Layout(
        name="edge-effnet",
        ends={name: name for name in _ENDS},
        block="stages.{stage}.{repeat}",
        expanded={name: name for name in _BLOCK},
        unexpanded={name: name for name in _BLOCK},
    ),
    "torchvision": Layout(
        name="torchvision",
        ends={
            "stem.conv": "features.0.0",
            "stem.norm": "features.0.1",
            "head.conv": "features.8.0",
            "head.norm": "features.8.1",
            "classifier": "classifier.1",
        },
        block="features.{stage_from_1}.{repeat}.block",
        expanded={
            "expand.conv": "0.0",
            "expand.norm": "0.1",
            "depthwise.conv": "1.0",
            "depthwise.norm": "1.1",
            "squeeze_excite.reduce": "2.fc1",
            "squeeze_excite.expand": "2.fc2",
            "project.conv": "3.0",
            "project.norm": "3.1",
        },
        unexpanded={
            "depthwise.conv": "0.0",
            "depthwise.norm": "0.1",
            "squeeze_excite.reduce": "1.fc1",
            "squeeze_excite.expand": "1.fc2",
            "project.conv": "2.0",
            "project.norm": "2.1",
        },
    ),
    "timm": Layout(
        name="timm",
        ends={
            "stem.conv": "conv_stem",
            "stem.norm": "bn1",
            "head.conv": "conv_head",
            "head.norm": "bn2",
            "classifier": "classifier",
        },
        block="blocks.{stage}.{repeat}",
        expanded={
            "expand.conv": "conv_pw",
            "expand.norm": "bn1",
            "depthwise.conv": "conv_dw",
            "depthwise.norm": "bn2",
            "squeeze_excite.reduce": "se.conv_reduce",
            "squeeze_excite.expand": "se.conv_expand",
            "project.conv": "conv_pwl",
            "project.norm": "bn3",
        },
        unexpanded={
            "depthwise.conv": "conv_dw",
            "depthwise.norm": "bn1",
            "squeeze_excite.reduce": "se.conv_reduce",
            "squeeze_excite.expand": "se.conv_expand",
            "project.conv": "conv_pw",
            "project.norm": "bn2",
        },
    ),
    "lukemelas": Layout(
        name="lukemelas",
        ends={
            "stem.conv": "_conv_stem",
            "stem.norm": "_bn0",
            "head.conv": "_conv_head",
            "head.norm": "_bn1",
            "classifier": "_fc",
        },
        block="_blocks.{index}",
        expanded={
            "expand.conv": "_expand_conv",
            "expand.norm": "_bn0",
            "depthwise.conv": "_depthwise_conv",
            "depthwise.norm": "_bn1",
            "squeeze_excite.reduce": "_se_reduce",
            "squeeze_excite.expand": "_se_expand",
            "project.conv": "_project_conv",
            "project.norm": "_bn2",
        },
        unexpanded={
            "depthwise.conv": "_depthwise_conv",
            "depthwise.norm": "_bn1",
            "squeeze_excite.reduce": "_se_reduce",
            "squeeze_excite.expand": "_se_expand",
            "project.conv": "_project_conv",
            "project.norm": "_bn2",
        },
    ),
    "transformers": Layout(
        name="transformers",
        ends={
            "stem.conv": "efficientnet.embeddings.convolution",
            "stem.norm": "efficientnet.embeddings.batchnorm",
            "head.conv": "efficientnet.encoder.top_conv",
            "head.norm": "efficientnet.encoder.top_bn",
            "classifier": "classifier",
        },
        block="efficientnet.encoder.blocks.{index}",
        expanded={
            "expand.conv": "expansion.expand_conv",
            "expand.norm": "expansion.expand_bn",
            "depthwise.conv": "depthwise_conv.depthwise_conv",
            "depthwise.norm": "depthwise_conv.depthwise_norm",
            "squeeze_excite.reduce": "squeeze_excite.reduce",
            "squeeze_excite.expand": "squeeze_excite.expand",
            "project.conv": "projection.project_conv",
            "project.norm": "projection.project_bn",
        },
        unexpanded={
            "depthwise.conv": "depthwise_conv.depthwise_conv",
            "depthwise.norm": "depthwise_conv.depthwise_norm",
            "squeeze_excite.reduce": "squeeze_excite.reduce",
            "squeeze_excite.expand": "squeeze_excite.expand",
            "project.conv": "projection.project_conv",
            "project.norm": "projection.project_bn",
        },
    ),
}


def detect_layout(keys: Iterable[str]) -> Layout | None:
    """Tell a state dict's layout by its names for stem and head; None where it is none of `LAYOUTS`."""
    present = set(keys)
    return next(
        (
            layout
            for layout in LAYOUTS.values()
            if {f"{layout.ends['stem.conv']}.weight", f"{layout.ends['head.conv']}.weight"} <= present
        ),
        None,
    )
