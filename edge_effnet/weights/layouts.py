"""How each package names EfficientNet's tensors, and the map from our names to theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from edge_effnet.errors import InputError
from edge_effnet.stages import StageSpec
from edge_effnet.variants import VariantSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """One package's module names, by ours."""

    name: str
    """The package; rows of `LAYOUTS` that differ in the number of stages share it."""
    ends: Mapping[str, str]
    """Modules outside the blocks."""
    block: str
    """A block's prefix, with `{stage}`, `{stage_from_1}`, `{repeat}` and `{index}` (over all blocks)."""
    kinds: Mapping[str, Mapping[str, str]]
    """Modules of a block of each kind that the package has, see `kind_of`."""
    proof: str = ""
    """How a tensor's name begins where another row has the same ends."""

    def theirs(self, spec: VariantSpec, keys: Iterable[str]) -> dict[str, str]:
        """Map our tensor names `keys` (of a network of variant `spec`) to theirs.

        Raises:
            InputError: the package has no such blocks.
        """
        missing = {kind_of(stage) for stage in spec.stages} - set(self.kinds)
        if missing:
            raise InputError(
                f"{spec.name} has blocks ({', '.join(sorted(missing))}) that {self.name} has no names for; take "
                "weights of another package."
            )
        firsts = [0, *accumulate(stage.repeats for stage in spec.scaled_stages)]
        return {key: self._theirs(spec, firsts, key) for key in keys}

    def _theirs(self, spec: VariantSpec, firsts: list[int], key: str) -> str:
        module, _, tensor = key.rpartition(".")
        if not module.startswith("stages."):
            end, dot, step = module.partition(".") if module.startswith("classifier.") else (module, "", "")
            return f"{self.ends[end]}{dot}{step}.{tensor}"
        _, stage_text, repeat_text, inner = module.split(".", 3)
        stage, repeat = int(stage_text), int(repeat_text)
        names = self.kinds[kind_of(spec.stages[stage])]
        prefix = self.block.format(stage=stage, stage_from_1=stage + 1, repeat=repeat, index=firsts[stage] + repeat)
        return f"{prefix}.{names[inner]}.{tensor}"


def kind_of(stage: StageSpec) -> str:
    """Which of `Layout.kinds` names a stage's blocks: its block, and for MBConv whether it expands."""
    return "unexpanded" if stage.block == "mbconv" and stage.expand_ratio == 1 else stage.block


SPATIAL = {"mbconv": "depthwise.conv", "unexpanded": "depthwise.conv", "fused": "expand.conv", "conv": "filter.conv"}
"""Our name for the convolution of each kind of block that covers more than a pixel."""

_BLOCKS = {
    "edge-effnet": "stages.{stage}.{repeat}",
    "torchvision": "features.{stage_from_1}.{repeat}.block",
    "timm": "blocks.{stage}.{repeat}",
    "lukemelas": "_blocks.{index}",
    "transformers": "efficientnet.encoder.blocks.{index}",
}
"""Prefix of a block; the packages stand in this order below, our own names on the left."""

_Names = dict[str, tuple[str, ...]]

_ENDS: _Names = {
    "stem.conv": ("features.0.0", "conv_stem", "_conv_stem", "efficientnet.embeddings.convolution"),
    "stem.norm": ("features.0.1", "bn1", "_bn0", "efficientnet.embeddings.batchnorm"),
    "head.conv": ("features.8.0", "conv_head", "_conv_head", "efficientnet.encoder.top_conv"),
    "head.norm": ("features.8.1", "bn2", "_bn1", "efficientnet.encoder.top_bn"),
    "classifier": ("classifier.1", "classifier", "_fc", "classifier"),
}

_KINDS: dict[str, _Names] = {
    "mbconv": {
        "expand.conv": ("0.0", "conv_pw", "_expand_conv", "expansion.expand_conv"),
        "expand.norm": ("0.1", "bn1", "_bn0", "expansion.expand_bn"),
        "depthwise.conv": ("1.0", "conv_dw", "_depthwise_conv", "depthwise_conv.depthwise_conv"),
        "depthwise.norm": ("1.1", "bn2", "_bn1", "depthwise_conv.depthwise_norm"),
        "squeeze_excite.reduce": ("2.fc1", "se.conv_reduce", "_se_reduce", "squeeze_excite.reduce"),
        "squeeze_excite.expand": ("2.fc2", "se.conv_expand", "_se_expand", "squeeze_excite.expand"),
        "project.conv": ("3.0", "conv_pwl", "_project_conv", "projection.project_conv"),
        "project.norm": ("3.1", "bn3", "_bn2", "projection.project_bn"),
    },
    "unexpanded": {
        "depthwise.conv": ("0.0", "conv_dw", "_depthwise_conv", "depthwise_conv.depthwise_conv"),
        "depthwise.norm": ("0.1", "bn1", "_bn1", "depthwise_conv.depthwise_norm"),
        "squeeze_excite.reduce": ("1.fc1", "se.conv_reduce", "_se_reduce", "squeeze_excite.reduce"),
        "squeeze_excite.expand": ("1.fc2", "se.conv_expand", "_se_expand", "squeeze_excite.expand"),
        "project.conv": ("2.0", "conv_pw", "_project_conv", "projection.project_conv"),
        "project.norm": ("2.1", "bn2", "_bn2", "projection.project_bn"),
    },
    "fused": {
        "expand.conv": ("0.0", "conv_exp"),
        "expand.norm": ("0.1", "bn1"),
        "project.conv": ("1.0", "conv_pwl"),
        "project.norm": ("1.1", "bn2"),
    },
    "conv": {"filter.conv": ("0.0", "conv"), "filter.norm": ("0.1", "bn1")},
}


def _column(names: _Names, package: int) -> dict[str, str]:
    rows = {ours: (ours, *theirs) for ours, theirs in names.items()}
    return {ours: row[package] for ours, row in rows.items() if package < len(row)}


_OF_PACKAGES = {
    name: Layout(
        name=name,
        ends=_column(_ENDS, package),
        block=block,
        kinds={kind: column for kind, names in _KINDS.items() if (column := _column(names, package))},
    )
    for package, (name, block) in enumerate(_BLOCKS.items())
}

LAYOUTS: dict[str, Layout] = {
    # MONAI's EfficientNetBN for two dimensions is lukemelas' network with its stages kept apart. Told first: its ends
    # are the same.
    "lukemelas-of-monai": replace(_OF_PACKAGES["lukemelas"], block="_blocks.{stage}.{index}", proof="_blocks.0.0."),
    **_OF_PACKAGES,
    # torchvision's head has the number behind the stages'; V2-S is the one of its networks with six.
    "torchvision-of-6-stages": replace(
        _OF_PACKAGES["torchvision"],
        ends={**_OF_PACKAGES["torchvision"].ends, "head.conv": "features.7.0", "head.norm": "features.7.1"},
    ),
}
