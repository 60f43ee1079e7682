"""Float training and fine-tuning: `train(TrainConfig(...), progress)`."""

from quant.training.config import Stage, TrainConfig, TrainResult, parse_stages
from quant.training.run import train

__all__ = ["Stage", "TrainConfig", "TrainResult", "parse_stages", "train"]
