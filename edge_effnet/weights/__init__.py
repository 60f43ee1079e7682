"""Weights: reading files, telling whose they are, loading them strictly, and the published ones."""

from edge_effnet.weights.checkpoint import Checkpoint
from edge_effnet.weights.load import load_checkpoint
from edge_effnet.weights.pretrained import load_pretrained
from edge_effnet.weights.save import save_checkpoint

__all__ = ["Checkpoint", "load_checkpoint", "load_pretrained", "save_checkpoint"]
