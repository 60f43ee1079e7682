"""Training from the first step to the finished weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from edge_effnet.errors import InputError
from edge_effnet.preprocess import GRAY
from quant.common.progress import Progress
from quant.data.readers.labelled import Item, LabelledImages
from quant.training.checkpoint import TrainState, load_state, save_state, whole_checkpoint
from quant.training.config import TrainConfig
from quant.training.distributed import Group, from_leader, share_statistics
from quant.training.input.loader import Batch, augmented, iterate, local_batches, sample_rng, to_input
from quant.training.optim import (
    Epoch,
    WeightAverage,
    choose_precision,
    learning_rate,
    make_optimizer,
    plan_epochs,
    progress_at,
    set_learning_rate,
)
from quant.training.outputs import COLUMNS, write_csv
from quant.training.task import Task, read_plain

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Position:
    """How far a run is."""

    step: int = 0
    """Steps done."""
    loss_sum: float = 0.0
    """Of this epoch's steps so far."""
    rows: list[dict[str, float]] = field(default_factory=list)
    """The learning curve."""


@dataclass(frozen=True, slots=True)
class Best:
    """The averaged weights that were judged best."""

    row: int
    """Of the learning curve."""
    state: dict[str, torch.Tensor]


class Loop:
    """A network in training and everything that changes with it."""

    def __init__(self, config: TrainConfig, task: Task, train: LabelledImages, group: Group) -> None:
        """Set up; nothing is read or computed yet.

        Raises:
            InputError: fewer images than a batch, or a precision that the device does not have.
        """
        self.config, self.task, self.train, self.group = config, task, train, group
        self.model = task.model.to(group.device)
        self.average = WeightAverage(self.model, config.ema_decay)
        share_statistics(self.model, group)
        self.parallel: nn.Module = self.model
        if group.world > 1:
            self.parallel = DistributedDataParallel(self.model, broadcast_buffers=False)
        self.optimizer = make_optimizer(config.optimizer, task.groups(config.weight_decay), lr=config.lr)
        self.dtype = choose_precision(config.precision, group.device)
        # Only in fp16 gradients underflow without it.
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=self.dtype == torch.float16)
        self.epochs = plan_epochs(
            config.stages, images=len(train), batch_size=config.batch_size, max_steps=config.steps
        )
        self.total_steps = sum(epoch.steps for epoch in self.epochs)
        self.position = Position()
        self.best: Best | None = None

    def run(self, progress: Progress) -> None:
        """Train from the current position to the end.

        Raises:
            InputError: an image that cannot be read, or a loss that is not finite.
            MachineError: a checkpoint cannot be written.
        """
        for epoch in self.epochs:
            end = epoch.first_step + epoch.steps
            if self.position.step >= end:
                continue
            if self._stalled():
                break
            title = f"Epoch {epoch.number + 1} of {len(self.epochs)}, {epoch.image_size} px"
            with progress.stage(title, epoch.steps) as advance:
                advance(self.position.step - epoch.first_step)
                for batch in self._batches(epoch):
                    self.position.loss_sum += self._step(batch, epoch)
                    self.position.step += 1
                    advance(1)
                    if self.position.step % self.config.checkpoint_every == 0 and self.position.step < end:
                        self.save()
            self._finish_epoch(epoch, progress)

    def record_start(self, progress: Progress) -> None:
        """Put the network's figures before the first step into the curve; it counts as a candidate for the best."""
        if self.group.leads:
            self._judge(progress, epoch=0, image_size=self.epochs[0].image_size, lr=0.0, train_loss=math.nan)

    def _batches(self, epoch: Epoch) -> Iterator[Batch]:
        """Yield what is left of an epoch for this process, augmented."""
        config, group = self.config, self.group
        batches = local_batches(
            self.train.items(seed=config.seed, epoch=epoch.number),
            first=self.position.step - epoch.first_step,
            steps=epoch.steps,
            batch_size=config.batch_size,
            rank=group.rank,
            world=group.world,
        )
        return iterate(batches, partial(self._read, epoch), workers=config.workers)

    def _read(self, epoch: Epoch, item: Item) -> tuple[np.ndarray, int]:
        preprocess, strength = self.task.preprocess(epoch.image_size), self.config.augment
        if strength == 0:
            return read_plain(self.train, preprocess, item)
        rng = sample_rng(self.config.seed, epoch.number, item.number)
        gray = preprocess.channels == GRAY
        return augmented(self.train.image(item), epoch.image_size, rng, strength=strength, gray=gray), item.label

    def _step(self, batch: Batch, epoch: Epoch) -> float:
        """One step of gradient descent; returns the loss of this process's part of the batch."""
        config, step = self.config, self.position.step
        factors = self.task.begin_step(step / self.total_steps)
        # Dropout and DropConnect: seeded by the step, so that a resumed run draws the same.
        torch.manual_seed(int(np.random.SeedSequence([config.seed, step, self.group.rank]).generate_state(1)[0]))
        lr = self.learning_rate(step)
        set_learning_rate(self.optimizer, lr, factors)
        x, labels = to_input(batch, self.task.preprocess(epoch.image_size), self.group.device)
        with torch.autocast(self.group.device.type, self.dtype, enabled=self.dtype != torch.float32):
            loss = self.task.loss(self.parallel, x, labels)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        value = loss.item()
        # With loss scaling a gradient may overflow: the scaler skips that step and lowers its scale.
        if not math.isfinite(value) or not (self.scaler.is_enabled() or math.isfinite(norm.item())):
            raise InputError(self._diverged(value, lr))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.update(self.model, step)
        return value

    def _diverged(self, loss: float, lr: float) -> str:
        checkpoint = self.config.checkpoint_path
        kept = f"{checkpoint} is of an earlier step" if checkpoint.exists() else "none was written yet"
        place = f"step {self.position.step + 1} of {self.total_steps}, learning rate {lr:.3g}"
        return (
            f"training diverged at {place}: loss {loss:.4g}, loss or gradient not finite{self.task.suspect()}. The "
            f"last good checkpoint is kept ({kept}); start again with a lower --lr, such as {self.config.lr / 3:.2g}."
        )

    def _finish_epoch(self, epoch: Epoch, progress: Progress) -> None:
        """Validate the averaged weights, add a row to the curve, save."""
        position = self.position
        # The loss of this process alone: the mean over processes would differ by sampling noise only.
        train_loss = position.loss_sum / epoch.steps
        position.loss_sum = 0.0
        if self.group.leads:
            lr, size = self.learning_rate(position.step - 1), epoch.image_size
            self._judge(progress, epoch=epoch.number + 1, image_size=size, lr=lr, train_loss=train_loss)
            logger.info("%s", position.rows[-1])
            write_csv(self.config.out, position.rows)
        self.save()

    def learning_rate(self, step: int) -> float:
        """Learning rate of a step (from 0)."""
        return learning_rate(progress_at(self.epochs, step), peak=self.config.lr, warmup=self.config.warmup)

    def _judge(self, progress: Progress, *, epoch: int, image_size: int, lr: float, train_loss: float) -> None:
        """Validate the averaged weights for a row of the curve, and remember them if it is the best."""
        rows = self.position.rows
        values = (self.position.step, epoch, image_size, round(lr, 9), round(train_loss, 5))
        figures = self.task.validate(self.average.model, image_size, progress)
        rows.append({**dict(zip(COLUMNS, values, strict=True)), **figures})
        found = self.task.score(rows[-1])
        if found is None:
            return
        known = None if self.best is None else self.task.score(rows[self.best.row])
        if known is None or found > known:
            state = {name: value.clone() for name, value in self.average.model.state_dict().items()}
            self.best = Best(row=len(rows) - 1, state=state)

    def _stalled(self) -> bool:
        """Whether the last epochs brought nothing better; the same on all processes."""
        patience = self.config.patience
        stale = self.best is not None and len(self.position.rows) - 1 - self.best.row >= patience
        return from_leader(patience > 0 and stale, self.group)

    def finished_model(self) -> nn.Module:
        """The averaged network, with its best weights where a task ranks them."""
        if self.best is not None:
            self.average.model.load_state_dict(self.best.state)
        return self.average.model

    def identity(self) -> dict[str, Any]:
        """Return what a checkpoint has to share with this run."""
        known = {"class_names": list(self.train.class_names), "train_images": len(self.train)}
        return self.config.identity() | known

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            MachineError: the disk is full; the previous checkpoint is kept.
        """
        if not self.group.leads:
            return
        position = self.position
        save_state(
            self.config.checkpoint_path,
            TrainState(
                identity=self.identity(),
                step=position.step,
                model=self.model.state_dict(),
                average=self.average.model.state_dict(),
                optimizer=self.optimizer.state_dict(),
                scaler=self.scaler.state_dict(),
                loss_sum=position.loss_sum,
                rows=position.rows,
                best={} if self.best is None else self.best.state,
                best_row=0 if self.best is None else self.best.row,
            ),
        )

    def restore(self) -> None:
        """Continue from the checkpoint.

        Raises:
            InputError: none there, damaged, or of another run.
        """
        path = self.config.checkpoint_path
        state = load_state(path, self.identity())
        with whole_checkpoint(path):
            if state.step > self.total_steps:
                raise ValueError(f"step {state.step} of {self.total_steps}")
            self.model.load_state_dict(state.model)
            self.average.model.load_state_dict(state.average)
            self.optimizer.load_state_dict(state.optimizer)
            self.scaler.load_state_dict(state.scaler)
            # Copies: the checkpoint's tensors are its file, mapped.
            for values in self.optimizer.state.values():
                values |= {name: value.clone() for name, value in values.items()}
            best = {name: tensor.clone() for name, tensor in state.best.items()}
        self.position = Position(state.step, state.loss_sum, state.rows)
        self.best = Best(row=state.best_row, state=best) if best else None
