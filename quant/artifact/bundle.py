"""`.bpte`: a program with images' inputs and the outputs expected of them, for ExecuTorch's own test runner."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from edge_effnet.io.files import scratch_folder
from quant.artifact.model import Golden
from quant.common.atomic_io import explained_writes
from quant.common.quiet import quiet_libraries
from quant.program.host import HostRuntime
from quant.thresholds import BUNDLE_ATOL, BUNDLE_RTOL

with quiet_libraries():
    from executorch.devtools import BundledProgram
    from executorch.devtools.bundled_program.config import MethodTestCase, MethodTestSuite
    from executorch.devtools.bundled_program.serialize import serialize_from_bundled_program_to_flatbuffer


def bundle_program(program: bytes, golden: Sequence[Golden], *, int8_output: bool = False) -> bytes:
    """Return the content of a .bpte.

    Args:
        program: content of the .pte.
        golden: inputs and the outputs expected of them.
        int8_output: the program's is int8.
    """
    dtype = torch.int8 if int8_output else torch.float32
    cases = [
        MethodTestCase(
            inputs=(item.input[None].contiguous(),), expected_outputs=(item.output[None].to(dtype).contiguous(),)
        )
        for item in golden
    ]
    suites = [MethodTestSuite(method_name="forward", test_cases=cases)]
    with scratch_folder() as folder, quiet_libraries():
        path = folder / "model.pte"
        with explained_writes(path):
            path.write_bytes(program)
        bundled = BundledProgram(None, suites, pte_file_path=str(path))
        return bytes(serialize_from_bundled_program_to_flatbuffer(bundled))


def verify_bundle(runtime: HostRuntime, bundle: bytes, cases: int) -> None:
    """Run a .bpte on this host.

    Raises:
        InputError: an output differs from the one expected, or the runtime refuses the bundle.
    """
    with scratch_folder() as folder:
        path = folder / "model.bpte"
        with explained_writes(path):
            path.write_bytes(bundle)
        runtime.verify_bundle(path, cases, rtol=BUNDLE_RTOL, atol=BUNDLE_ATOL)
