"""EfficientNet B0-B8, L2, Lite, V2 and EdgeTPU, with the published weights, ready for quantization and export."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_effnet.activations import swap_activation
    from edge_effnet.errors import InputError, MachineError
    from edge_effnet.fuse import fold_for_inference
    from edge_effnet.in_memory.load import load_module
    from edge_effnet.model import EfficientNet
    from edge_effnet.padding import output_image_size
    from edge_effnet.preprocess import Preprocess
    from edge_effnet.stages import StageSpec
    from edge_effnet.variants import VARIANTS, VariantSpec, resolve_variant
    from edge_effnet.weights import Checkpoint, load_checkpoint, load_pretrained, save_checkpoint

__all__ = [
    "VARIANTS",
    "Checkpoint",
    "EfficientNet",
    "InputError",
    "MachineError",
    "Preprocess",
    "StageSpec",
    "VariantSpec",
    "fold_for_inference",
    "load_checkpoint",
    "load_module",
    "load_pretrained",
    "output_image_size",
    "resolve_variant",
    "save_checkpoint",
    "swap_activation",
]

_HOMES = {
    "swap_activation": "edge_effnet.activations",
    "InputError": "edge_effnet.errors",
    "MachineError": "edge_effnet.errors",
    "fold_for_inference": "edge_effnet.fuse",
    "load_module": "edge_effnet.in_memory.load",
    "EfficientNet": "edge_effnet.model",
    "output_image_size": "edge_effnet.padding",
    "Preprocess": "edge_effnet.preprocess",
    "VARIANTS": "edge_effnet.variants",
    "StageSpec": "edge_effnet.stages",
    "VariantSpec": "edge_effnet.variants",
    "resolve_variant": "edge_effnet.variants",
    "Checkpoint": "edge_effnet.weights",
    "load_checkpoint": "edge_effnet.weights",
    "load_pretrained": "edge_effnet.weights",
    "save_checkpoint": "edge_effnet.weights",
}


def __getattr__(name: str) -> Any:
    """Import torch (seconds) only when something is used, so that `--help` answers at once."""
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'edge_effnet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415  (takes as long as the rest of this module)

    try:
        return metadata.version("edge-effnet")
    except metadata.PackageNotFoundError as error:
        raise AttributeError("edge-effnet runs from a folder, not from an installation: no version.") from error
