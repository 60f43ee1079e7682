"""Distillation of a float network into the int8 arithmetic of its program."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from edge_effnet.preprocess import Preprocess
from edge_effnet.weights.origins import rescaled
from quant.common.progress import Progress
from quant.metrics import metrics
from quant.metrics.tasks.task import Task
from quant.qat.network import Trainable
from quant.qat.options import QatOptions


class Distillation:
    """Bring the int8 network's logits to the float network's, and to the labels where there are some."""

    def __init__(
        self,
        network: Trainable,
        teacher: nn.Module,
        preprocess: Preprocess,
        options: QatOptions,
        *,
        selection: Sequence[torch.Tensor],
        labels: torch.Tensor | None,
        task: Task,
        device: torch.device,
    ) -> None:
        """Run the teacher over the selection images.

        Args:
            network: the student.
            teacher: float logits from images.
            preprocess: of both.
            options: of the run.
            selection: images to rank epochs by, in batches; neither trained nor judged on.
            labels: their classes, [N]; None without labels, and of a task without classes.
            task: what the network is for.
            device: where to train.
        """
        self.network, self.options, self.device = network, options, device
        self.teacher = teacher.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._preprocess = preprocess
        self.selection, self.labels, self.task = selection, labels, task
        self.reference = self._logits(self.teacher)
        self._deviation = self.reference.var().item()

    @property
    def model(self) -> nn.Module:
        """The int8 network."""
        return self.network.module

    def preprocess(self, image_size: int) -> Preprocess:
        """The network's own, rescaled."""
        return rescaled(self._preprocess, image_size)

    def groups(self, weight_decay: float) -> list[dict[str, object]]:
        """Weights and biases; step sizes and zero points, which do not decay."""
        quantization = self.network.qparam_names()
        named = dict(self.model.named_parameters())
        return [
            {"params": [p for n, p in named.items() if n not in quantization], "weight_decay": weight_decay},
            {"params": [p for n, p in named.items() if n in quantization], "weight_decay": 0.0},
        ]

    def begin_step(self, done: float) -> tuple[float, ...]:
        """The program's own arithmetic, but for batches that are still normalised; ranges freeze when it is time."""
        self.model.train(self.options.batchnorm == "batch" and done < self.options.statistics_until)
        return 1.0, self.options.scale_lr_factor if done < self.options.ranges_until else 0.0

    def loss(self, forward: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Squared distance to the teacher's logits in units of their variance, and the labels' cross entropy."""
        with torch.no_grad():
            wanted = self.teacher(x)
        found = forward(x)
        distance = F.mse_loss(found, wanted) / self._deviation
        share = self.options.label_share if self.task.exclusive and bool((labels >= 0).all()) else 0.0
        if share == 0.0:
            return distance
        return (1.0 - share) * distance + share * F.cross_entropy(self.task.view(found), labels)

    def validate(self, model: nn.Module, image_size: int, progress: Progress) -> dict[str, float]:  # noqa: ARG002
        """Agreement, SQNR and top-1 on the selection images: of the program's own arithmetic."""
        with progress.stage("Validating in int8", len(self.reference)) as advance:
            found = self._logits(model, advance)
        before, after = self.task.view(self.reference), self.task.view(found)
        figures = self.task.fidelity(before, after)
        row = {"val_agreement": round(figures.agreement, 5), "val_sqnr_db": round(figures.sqnr_db, 3)}
        if self.labels is None:
            return row
        return {"val_top1": round(metrics.topk_accuracy(after, self.labels, 1), 5), **row}

    def score(self, figures: dict[str, float]) -> tuple[float, ...] | None:
        """Top-1 (where known) with agreement, then SQNR: few images tell the first two apart only coarsely."""
        judged = figures["val_agreement"] + figures.get("val_top1", 0.0)
        return judged, figures["val_sqnr_db"]

    def suspect(self) -> str:
        """Name the tensor whose step size moved most."""
        name, factor = self.network.widest()
        return f", the range of {name} {factor:.3g} times what it was"

    @torch.no_grad()
    def _logits(self, model: nn.Module, advance: object = None) -> torch.Tensor:
        rows = []
        for batch in self.selection:
            rows.append(model(batch.to(self.device)).to("cpu", torch.float32))
            if callable(advance):
                advance(len(batch))
        return torch.cat(rows)
