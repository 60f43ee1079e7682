"""How each package names EfficientNet's tensors, and the map from our names to theirs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from edge_effnet.errors import InputError
from edge_effnet.variants import StageSpec, VariantSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One package's module names, by ours."""

    name: str
    """Its key in `LAYOUTS`."""
    ends: Mapping[str, str]
    """Modules outside the blocks; `{head}` is the number of stages and one."""
    block: str
    """A block's prefix, with `{stage}`, `{stage_from_1}`, `{repeat}` and `{index}` (over all blocks)."""
    kinds: Mapping[str, Mapping[str, str]]
    """Modules of a block of each kind that the package has, see `kind_of`."""

    def theirs(self, spec: VariantSpec, keys: Iterable[str]) -> dict[str, str]:
        """Map our tensor names `keys` (of a network of variant `spec`) to theirs.

        Raises:
            InputError: the package has no such blocks.
        """
        missing = {kind_of(stage) for stage in spec.stages} - set(self.kinds)
        if missing:
            raise InputError(
                f"{spec.name} has blocks ({', '.join(sorted(missing))}) that {self.name} has no names for; take "
                f"weights in another layout ({', '.join(name for name in LAYOUTS if name != self.name)})."
            )
        firsts = [0]
        for stage in spec.scaled_stages:
            firsts.append(firsts[-1] + stage.repeats)
        return {key: self._theirs(spec, firsts, key) for key in keys}

    def _theirs(self, spec: VariantSpec, firsts: list[int], key: str) -> str:
        module, _, tensor = key.rpartition(".")
        if not module.startswith("stages."):
            return f"{self.ends[module].format(head=len(spec.stages) + 1)}.{tensor}"
        _, stage_text, repeat_text, inner = module.split(".", 3)
        stage, repeat = int(stage_text), int(repeat_text)
        names = self.kinds[kind_of(spec.stages[stage])]
        prefix = self.block.format(stage=stage, stage_from_1=stage + 1, repeat=repeat, index=firsts[stage] + repeat)
        return f"{prefix}.{names[inner]}.{tensor}"

    def head_of(self, keys: Container[str]) -> str | None:
        """Name of the head's weight among the keys of a state dict, whatever its number of stages, or None."""
        names = (f"{self.ends['head.conv']}.weight".format(head=stages + 1) for stages in range(1, _MOST_STAGES + 1))
        return next((name for name in names if name in keys), None)


def kind_of(stage: StageSpec) -> str:
    """Which of `Layout.kinds` names a stage's blocks: its block, and for MBConv whether it expands."""
    return "unexpanded" if stage.block == "mbconv" and stage.expand_ratio == 1 else stage.block


_MOST_STAGES = 7

SPATIAL = {"mbconv": "depthwise.conv", "unexpanded": "depthwise.conv", "fused": "expand.conv", "conv": "filter.conv"}
"""Our name for the convolution of each kind of block that covers more than a pixel."""

_ENDS = ("stem.conv", "stem.norm", "head.conv", "head.norm", "classifier")
_MBCONV = (
    "expand.conv",
    "expand.norm",
    "depthwise.conv",
    "depthwise.norm",
    "squeeze_excite.reduce",
    "squeeze_excite.expand",
    "project.conv",
    "project.norm",
)
_FUSED = ("expand.conv", "expand.norm", "project.conv", "project.norm")
_CONV = ("filter.conv", "filter.norm")

LAYOUTS: dict[str, Layout] = {
    "edge-effnet": Layout(
        name="edge-effnet",
        ends={name: name for name in _ENDS},
        block="stages.{stage}.{repeat}",
        kinds={
            kind: {name: name for name in names}
            for kind, names in (("mbconv", _MBCONV), ("unexpanded", _MBCONV), ("fused", _FUSED), ("conv", _CONV))
        },
    ),
    "torchvision": Layout(
        name="torchvision",
        ends={
            "stem.conv": "features.0.0",
            "stem.norm": "features.0.1",
            "head.conv": "features.{head}.0",
            "head.norm": "features.{head}.1",
            "classifier": "classifier.1",
        },
        block="features.{stage_from_1}.{repeat}.block",
        kinds={
            "mbconv": {
                "expand.conv": "0.0",
                "expand.norm": "0.1",
                "depthwise.conv": "1.0",
                "depthwise.norm": "1.1",
                "squeeze_excite.reduce": "2.fc1",
                "squeeze_excite.expand": "2.fc2",
                "project.conv": "3.0",
                "project.norm": "3.1",
            },
            "unexpanded": {
                "depthwise.conv": "0.0",
                "depthwise.norm": "0.1",
                "squeeze_excite.reduce": "1.fc1",
                "squeeze_excite.expand": "1.fc2",
                "project.conv": "2.0",
                "project.norm": "2.1",
            },
            "fused": {"expand.conv": "0.0", "expand.norm": "0.1", "project.conv": "1.0", "project.norm": "1.1"},
            "conv": {"filter.conv": "0.0", "filter.norm": "0.1"},
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
        kinds={
            "mbconv": {
                "expand.conv": "conv_pw",
                "expand.norm": "bn1",
                "depthwise.conv": "conv_dw",
                "depthwise.norm": "bn2",
                "squeeze_excite.reduce": "se.conv_reduce",
                "squeeze_excite.expand": "se.conv_expand",
                "project.conv": "conv_pwl",
                "project.norm": "bn3",
            },
            "unexpanded": {
                "depthwise.conv": "conv_dw",
                "depthwise.norm": "bn1",
                "squeeze_excite.reduce": "se.conv_reduce",
                "squeeze_excite.expand": "se.conv_expand",
                "project.conv": "conv_pw",
                "project.norm": "bn2",
            },
            "fused": {
                "expand.conv": "conv_exp",
                "expand.norm": "bn1",
                "project.conv": "conv_pwl",
                "project.norm": "bn2",
            },
            "conv": {"filter.conv": "conv", "filter.norm": "bn1"},
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
        kinds={
            "mbconv": {
                "expand.conv": "_expand_conv",
                "expand.norm": "_bn0",
                "depthwise.conv": "_depthwise_conv",
                "depthwise.norm": "_bn1",
                "squeeze_excite.reduce": "_se_reduce",
                "squeeze_excite.expand": "_se_expand",
                "project.conv": "_project_conv",
                "project.norm": "_bn2",
            },
            "unexpanded": {
                "depthwise.conv": "_depthwise_conv",
                "depthwise.norm": "_bn1",
                "squeeze_excite.reduce": "_se_reduce",
                "squeeze_excite.expand": "_se_expand",
                "project.conv": "_project_conv",
                "project.norm": "_bn2",
            },
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
        kinds={
            "mbconv": {
                "expand.conv": "expansion.expand_conv",
                "expand.norm": "expansion.expand_bn",
                "depthwise.conv": "depthwise_conv.depthwise_conv",
                "depthwise.norm": "depthwise_conv.depthwise_norm",
                "squeeze_excite.reduce": "squeeze_excite.reduce",
                "squeeze_excite.expand": "squeeze_excite.expand",
                "project.conv": "projection.project_conv",
                "project.norm": "projection.project_bn",
            },
            "unexpanded": {
                "depthwise.conv": "depthwise_conv.depthwise_conv",
                "depthwise.norm": "depthwise_conv.depthwise_norm",
                "squeeze_excite.reduce": "squeeze_excite.reduce",
                "squeeze_excite.expand": "squeeze_excite.expand",
                "project.conv": "projection.project_conv",
                "project.norm": "projection.project_bn",
            },
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
            if f"{layout.ends['stem.conv']}.weight" in present and layout.head_of(present) is not None
        ),
        None,
    )
