"""Networks over images -> logits -> accuracy, and fidelity to float."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.images import quiet_pillow
from edge_effnet.preprocess import Preprocess
from quant.common.progress import Progress
from quant.common.subsample import subsample
from quant.data.batches import Model, batch_size_for, iterate_batches
from quant.data.split import ImageRecord
from quant.graph.parallel import in_parallel
from quant.metrics import metrics
from quant.metrics.share import ALONE, Share

_ROWS_AT_ONCE = 1024
"""Of logits looked at: copies of all of 50,000 images' take hundreds of MiB."""

MOST_SQNR_DB = 200.0
"""Of equal logits: JSON knows no infinity, and this is beyond what float32 can tell from equal."""

_AT_ONCE = 8
"""Images that a model runs on at once, in a thread of its own."""

Run = Callable[[Callable[[Any], torch.Tensor], list[Any]], Iterable[torch.Tensor]]
"""Applies a function to jobs, in their order."""


class LogitRows:
    """Grows by batches up to a number of images that is known from the start.

    One block for all: small ones, made between those of the batches, keep the batches' memory from being used again.
    """

    def __init__(self, images: int) -> None:
        """Take no memory yet: the number of classes comes with the first batch."""
        self._images = images
        self._done = 0
        self._rows = torch.empty(0)

    def add(self, found: torch.Tensor) -> None:
        """Append the logits of a batch, [n, classes]."""
        if self._done == 0:
            self._rows = torch.empty(self._images, *found.shape[1:])
        self._rows[self._done : self._done + len(found)] = found
        self._done += len(found)

    def whole(self) -> torch.Tensor:
        """Everything added, float32 [images, classes]."""
        assert self._done == self._images
        return self._rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """What one model makes of the evaluation images; shares of 1."""

    top1: float | None
    """None without labels."""
    top5: float | None
    top1_interval: tuple[float, float] | None
    """95 % confidence interval of `top1`."""
    more: Mapping[str, float] = field(default_factory=dict)
    """Figures of other tasks (`quant.metrics.tasks`), by their keys."""


NO_ACCURACY = Accuracy(top1=None, top5=None, top1_interval=None)
"""Of images without labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fidelity:
    """How one model's answers compare with another's on the same images."""

    agreement: float
    """Share of images with the same class; of another task, with the same answer."""
    sqnr_db: float
    """Of the logits, dB."""
    more: Mapping[str, float] = field(default_factory=dict)
    """Figures of other tasks, by their keys."""


def collect_logits(
    models: Mapping[str, Model],
    images: Sequence[ImageRecord],
    preprocess: Preprocess,
    progress: Progress,
    *,
    programs: Mapping[str, Model] | None = None,
    limits: Mapping[str, int | None] | None = None,
    share: Share = ALONE,
) -> dict[str, torch.Tensor]:
    """Run several models over images that are decoded once.

    Args:
        models: run in this process, in several threads; their outputs have to be finite.
        images: to run over.
        preprocess: to inputs.
        progress: told of the images done.
        programs: run in processes of their own, beside the models; what they put out is theirs.
        limits: how many images, evenly of all, those models or programs see that are too slow for all.
        share: this process's, where several evaluate together; all of them return everything.

    Returns:
        For each model and program, float32 [images seen, classes].

    Raises:
        InputError: an image that cannot be read, or a model's output that is not finite.
    """
    programs, limits = programs or {}, limits or {}
    seen = {name: subsample(len(images), limits.get(name)) for name in (*models, *programs)}
    size = batch_size_for(preprocess.crop)
    starts = share.starts(len(images), size)
    at = {name: [n for n, i in enumerate(found) if i - i % size in starts] for name, found in seen.items()}
    rows = {name: LogitRows(len(own)) for name, own in at.items()}
    shown = 0
    paths = [p.path for start in starts for p in images[start : start + size]]
    with progress.stage("Evaluating", len(images)) as advance, quiet_pillow(), _beside() as begin:
        for start, batch in zip(starts, iterate_batches(paths, preprocess, batch_size=size), strict=True):
            begin(_run_all, programs, batch, start, seen, rows, map)
            # Depthwise convolutions take a third of the time channels last.
            _run_all(models, batch.contiguous(memory_format=torch.channels_last), start, seen, rows, in_parallel)
            done = min(len(images), shown + share.world * size)
            advance(done - shown)
            shown = done
    logits = {name: share.together(found.whole(), at[name], len(seen[name])) for name, found in rows.items()}
    for name in models:
        _require_finite(name, logits[name], [images[i] for i in seen[name]])
    return logits


@contextmanager
def _beside() -> Iterator[Callable[..., None]]:
    """A thread for one job after the other. Whoever begins one waits until at most one is before it."""
    running: deque[Future[None]] = deque()

    def begin(job: Callable[..., None], *given: Any) -> None:
        # The programs may be a batch behind: neither side waits for the other's slower batches.
        if len(running) > 1:
            running.popleft().result()
        running.append(pool.submit(job, *given))

    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            yield begin
            for last in running:
                last.result()
        finally:
            # After an error or Ctrl-C no program starts another batch.
            for waiting in running:
                waiting.cancel()


def _run_all(
    which: Mapping[str, Model],
    batch: torch.Tensor,
    done: int,
    seen: Mapping[str, Sequence[int]],
    rows: Mapping[str, LogitRows],
    run: Run,
) -> None:
    """Add to `rows` what models give for those images of a batch, the one at `done` first, that each has to see."""
    jobs = []
    for name, model in which.items():
        kept = [i - done for i in seen[name] if 0 <= i - done < len(batch)]
        wanted = batch if len(kept) == len(batch) else batch[kept]
        jobs += [(name, model, part) for part in wanted.split(_AT_ONCE) if len(part)]
    for (name, *_), found in zip(jobs, run(lambda job: job[1](job[2]), jobs), strict=True):
        rows[name].add(found)


def _require_finite(name: str, logits: torch.Tensor, images: Sequence[ImageRecord]) -> None:
    finite = torch.cat([rows.isfinite().all(dim=1) for rows in logits.split(_ROWS_AT_ONCE)])
    bad = (~finite).nonzero().flatten().tolist()
    if bad:
        raise InputError(
            f"the {name} model's output for {images[bad[0]].path} is not finite ({len(bad)} images in all); its "
            "weights or its preprocessing are broken."
        )


def labels_of(images: Sequence[ImageRecord]) -> torch.Tensor | None:
    """Class indices, int64 [images]; None without labels."""
    labels = [p.label for p in images]
    return None if any(label is None for label in labels) else torch.tensor(labels, dtype=torch.int64)


def accuracy(logits: torch.Tensor, labels: torch.Tensor | None) -> Accuracy:
    """Top-1, top-5 and the interval of top-1."""
    if labels is None:
        return NO_ACCURACY
    top1 = metrics.topk_accuracy(logits, labels, 1)
    return Accuracy(
        top1=top1,
        top5=metrics.topk_accuracy(logits, labels, 5),
        top1_interval=metrics.wilson_interval(top1, len(labels)),
    )


def fidelity(reference: torch.Tensor, other: torch.Tensor) -> Fidelity:
    """Agreement and SQNR of `other` against `reference`, both [images, classes]."""
    return Fidelity(agreement=metrics.agreement(reference, other), sqnr_db=limited_sqnr_db(reference, other))


def limited_sqnr_db(reference: torch.Tensor, other: torch.Tensor) -> float:
    """SQNR, at most `MOST_SQNR_DB` either way."""
    return max(-MOST_SQNR_DB, min(MOST_SQNR_DB, metrics.sqnr_db(reference, other)))
