import mmap
import sys

import pytest

from quant.program.process_limits import peak_bytes, reset_peak

SIZE = 64 * 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can start the peak again")
def test_the_peak_rises_with_what_is_touched_and_starts_anew():
    reset_peak()
    before = peak_bytes()
    # Mapped again: a bytearray may get memory that earlier tests have touched and the allocator has kept.
    with mmap.mmap(-1, SIZE) as block:
        block[::4096] = b"x" * len(block[::4096])
        risen = peak_bytes()
    reset_peak()
    assert before + 0.9 * SIZE < risen
    assert peak_bytes() < risen - 0.9 * SIZE
