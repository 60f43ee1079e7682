"""The folder of images that a run reads: as it is, unpacked from shards, or drawn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge_effnet.io.files import scratch_folder
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import CLASS_NAMES, SAMPLE, write_folder
from quant.common.atomic_io import explained_writes
from quant.common.progress import Progress
from quant.data.readers.shards import holds_shards, unpack_shards
from quant.thresholds import DEFAULT_CALIBRATION, SAMPLE_CALIBRATION, SAMPLE_EVALUATION


@contextmanager
def image_folder(
    data: str | Path, preprocess: Preprocess, progress: Progress, *, calibration: int = 0, selection: int = 0
) -> Iterator[Path]:
    """Give the folder that `data` names; for shards and for `SAMPLE`, one that vanishes at the end.

    Args:
        data: a folder, whose `train/` and `val/` may hold WebDataset shards, or `SAMPLE`.
        preprocess: of the network; pictures are drawn at the side that it scales images to.
        progress: told of the drawing.
        calibration: pictures to draw to calibrate on, beside those to evaluate on; of the default number, half.
        selection: pictures more to choose float layers on.

    Raises:
        MachineError: no room for temporary files.
    """
    if data != SAMPLE and not holds_shards(Path(data)):
        yield Path(data)
        return
    counts = {"val": SAMPLE_EVALUATION}
    if calibration == DEFAULT_CALIBRATION and not selection:
        calibration = SAMPLE_CALIBRATION
    if calibration:
        counts["calibration"] = max(calibration, len(CLASS_NAMES)) + selection
    with ExitStack() as stack:
        with explained_writes(Path(tempfile.gettempdir())):
            parent = stack.enter_context(scratch_folder())
        folder = parent / SAMPLE
        if data != SAMPLE:
            folder.mkdir()
            unpack_shards(Path(data), folder, progress)
            yield folder
            return
        with progress.stage("Drawing", sum(counts.values())) as advance:
            seen = 0

            def report(done: int, _total: int) -> None:
                nonlocal seen
                advance(done - seen)
                seen = done

            write_folder(
                folder, split_counts=counts, size=preprocess.resize, workers=os.cpu_count() or 1, progress=report
            )
        yield folder
