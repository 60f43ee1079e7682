"""A delegate's bytes -> an ExecuTorch program (.pte) that calls it and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from quant.common.quiet import quiet_libraries

with quiet_libraries():
    from executorch.exir.backend.compile_spec_schema import CompileSpec
    from executorch.exir.lowered_backend_module import LoweredBackendModule


class _Signature(nn.Module):
    """Stands for a network of the given output shape; only its inputs and outputs reach the program."""

    def __init__(self, output_shape: tuple[int, ...], dtype: torch.dtype) -> None:
        super().__init__()
        self.output_shape, self.dtype = output_shape, dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.to(torch.float32).sum() + torch.zeros(self.output_shape)).to(self.dtype)


def wrap_delegate(
    backend: str,
    delegate: bytes,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    specs: Mapping[str, bytes] | None = None,
    *,
    takes_pixels: bool = False,
    int8_output: bool = False,
) -> bytes:
    """Return the bytes of a program with one method `forward`, contiguous float32 output and input.

    Args:
        backend: the name under which the runtime registers the backend, such as "XnnpackBackend".
        delegate: what that backend's runtime reads.
        input_shape: of the program's only input.
        output_shape: of its only output.
        specs: settings that the backend's runtime reads.
        takes_pixels: the input is uint8 instead.
        int8_output: the output is int8 instead.
    """
    with quiet_libraries():
        example = torch.zeros(input_shape, dtype=torch.uint8 if takes_pixels else torch.float32)
        signature = torch.export.export(
            _Signature(output_shape, torch.int8 if int8_output else torch.float32), (example,), strict=False
        )
        compile_specs = [CompileSpec(key, value) for key, value in (specs or {}).items()]
        # Not taken to the edge dialect first: the nodes that would be translated are not kept, and it takes 0.3 s.
        lowered = LoweredBackendModule(signature, backend, delegate, compile_specs)
        return bytes(lowered.buffer(extract_delegate_segments=True))
