"""The sample set: labelled pictures drawn by code, so that the project runs with nothing downloaded."""

from edge_effnet.samples.classes import CLASS_NAMES
from edge_effnet.samples.dataset import SPLITS, draw
from edge_effnet.samples.folder import write_folder
from edge_effnet.samples.trained import SAMPLE, sample_metadata, sample_weights

__all__ = ["CLASS_NAMES", "SAMPLE", "SPLITS", "draw", "sample_metadata", "sample_weights", "write_folder"]
