"""EfficientNet B0-B8, L2 and Lite0-Lite4, with the published weights, ready for quantization and export."""

from edge_effnet.activations import swap_activation
from edge_effnet.errors import InputError, MachineError
from edge_effnet.fuse import fold_for_inference
from edge_effnet.model import EfficientNet
from edge_effnet.padding import output_image_size
from edge_effnet.preprocess import Preprocess
from edge_effnet.variants import VARIANTS, StageSpec, VariantSpec, resolve_variant
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
    "load_pretrained",
    "output_image_size",
    "resolve_variant",
    "save_checkpoint",
    "swap_activation",
]
