"""The drawn folder of a run without images has what the run asks for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import SAMPLE
from quant.common.progress import NoProgress
from quant.data.collect import Source
from quant.data.source import image_folder
from quant.data.split import split_images
from quant.thresholds import SAMPLE_EVALUATION

SMALL = Preprocess(crop=32, resize=32)


def test_pictures_to_choose_float_layers_on_are_drawn_beside_the_others():
    """A search on the sample set once had to choose on the pictures that judge it."""
    with image_folder(SAMPLE, SMALL, NoProgress(), calibration=16, selection=48) as folder:
        split = split_images(Source(data=folder, num_classes=16), calibration=16, seed=0, selection=48)
        counts = Counter(image.path.relative_to(folder).parts[0] for image in split.evaluation)
    assert (len(split.calibration), len(split.selection)) == (16, 48)
    assert counts == {"val": SAMPLE_EVALUATION}


def test_the_folder_vanishes(tmp_path: Path):
    with image_folder(SAMPLE, SMALL, NoProgress()) as folder:
        assert folder.is_dir()
    assert not folder.parent.exists()
    with image_folder(tmp_path, SMALL, NoProgress()) as own:
        assert own == tmp_path
    assert tmp_path.is_dir()
