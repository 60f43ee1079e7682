"""What can be read of a QNN delegate: the chip that it is for, and the release that compiled it.

The settings are executorch's `QnnExecuTorchOptions` (`backends/qualcomm/serialization/qc_compiler_spec.fbs`); the
context binary is Qualcomm's own format, which names its compiler's release in plain text and is not read further.
"""

from __future__ import annotations

import re

from quant.program.flatbuffer import BrokenTableError, FlatTable
from quant.program.qnn_socs import SOCS

SETTINGS = "qnn_compile_spec"

_RELEASE = re.compile(rb"v(\d+\.\d+\.\d+)\.\d{6,}")
_HEAD_BYTES = 1 << 20


def read_settings(value: bytes, payload: memoryview) -> dict[str, str]:
    """The chip and the release of a delegate, as far as they can be read."""
    found = {}
    try:
        chip = FlatTable.root(value).table(0)
        htp = None if chip is None else chip.table(1)
        if chip is not None and htp is not None:
            number = chip.number(0, "i")
            names = {soc.number: name for name, soc in SOCS.items()}
            found["chip"] = f"{names.get(number, f'number {number}')} (HTP v{htp.number(0, 'i')})"
    except BrokenTableError as error:
        found["chip"] = f"not readable ({error})"
    release = _RELEASE.search(payload[:_HEAD_BYTES])
    if release is not None:
        found["compiled by"] = f"QNN {release[1].decode()}"
    return found
