"""The images that an existing artifact is judged on, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_effnet.errors import InputError
from quant.artifact.model import Artifact
from quant.common.progress import Progress
from quant.data.cleaning import verifier
from quant.data.collect import Source
from quant.data.readers.in_memory import Wanted
from quant.data.readers.label_file import ImageOptions, LabelFile
from quant.data.source import image_folder
from quant.data.split import DataSplit, evaluation_images
from quant.pipeline.handed_over import Given, as_folders


@contextmanager
def judged_images(
    artifact: Artifact, given: Given, options: ImageOptions | None, progress: Progress
) -> Iterator[DataSplit]:
    """Find them; they exist until the end of the block.

    Args:
        artifact: that is judged.
        given: folders, or what Python holds.
        options: how images and labels are read.
        progress: told of what is written or drawn.

    Raises:
        InputError: none, others than its classes, ones that it was fitted on, or tensors for an artifact that takes
            images or the other way round.
        MachineError: no room for temporary files.
    """
    tensors = artifact.preprocess.takes_tensors
    wanted = Wanted(
        preprocess=artifact.preprocess,
        kind=artifact.task.targets,
        names=artifact.labels if artifact.labelled else None,
    )
    with as_folders(given, wanted, progress) as handed:
        if given.in_memory and handed.tensors != tensors:
            taken = "preprocessed tensors" if tensors else "images"
            raise InputError(f"data: {artifact.folder} was made with {taken}; hand over the same.")
        with image_folder(handed.data, artifact.preprocess, progress) as folder:
            source = _source(artifact, folder, options or ImageOptions(), handed.labels, progress)
            yield evaluation_images(source, calibrated_on=artifact.calibrated_on)


def _source(
    artifact: Artifact, folder: Path, options: ImageOptions, labels: LabelFile | None, progress: Progress
) -> Source:
    task, preprocess = artifact.task, artifact.preprocess
    return Source(
        data=folder,
        labels=labels or options.read(task.targets),
        class_names=artifact.class_names if artifact.labelled and task.exclusive else None,
        num_classes=task.class_folders(len(artifact.labels)),
        output_names=artifact.labels if artifact.labelled else None,
        outputs=len(artifact.labels),
        verify=None if preprocess.takes_tensors else verifier(preprocess.channels, progress),
        max_unusable=options.max_unusable / 100,
    )
