"""Which number format a step computes in."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from edge_effnet.errors import InputError


@dataclass(frozen=True, slots=True)
class Precision:
    """Autocast settings of a step; weights and optimiser stay fp32."""

    device_type: str
    dtype: torch.dtype | None
    """None computes in fp32."""

    def autocast(self) -> torch.autocast:
        """Context of the forward pass and the loss."""
        dtype = self.dtype or torch.bfloat16
        return torch.autocast(self.device_type, dtype, enabled=self.dtype is not None)

    @property
    def scales_loss(self) -> bool:
        """Whether gradients underflow without loss scaling: fp16 only."""
        return self.dtype == torch.float16


def choose_precision(name: str, device: torch.device) -> Precision:
    """Resolve `auto`: bf16 on a GPU that has it, else fp16; bf16 on a CPU with AMX, else fp32.

    AVX512-BF16 alone does not pay for this network (its time goes into depthwise convolutions and BatchNorm):
    B0 at 96 px measured 54 images/s in fp32 against 35 in bf16 (EPYC, one core). `bf16` asks for it.

    Raises:
        InputError: fp16 on a CPU.
    """
    if name == "fp16" and device.type == "cpu":
        raise InputError("--precision fp16 needs a GPU; use bf16 or fp32 on a CPU.")
    if name == "auto":
        if device.type == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        else:
            name = "bf16" if torch.cpu._is_amx_tile_supported() else "fp32"
    dtypes = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    return Precision(device.type, dtypes[name])
