"""The aarch64 runtime under an emulator gives the bits of x86 (`EDGE_EFFNET_EMULATOR` names it; docs/device.md)."""

import os

import pytest

from apps.device.check import check_on_device

pytestmark = [
    pytest.mark.arm64,
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("EDGE_EFFNET_EMULATOR"), reason="EDGE_EFFNET_EMULATOR names no aarch64 emulator"
    ),
]


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a55", "cortex-a76", "cortex-a710"])
def test_int8_is_the_same_to_the_bit(whole_b0, small_data, cpu):
    found = check_on_device(whole_b0, device=f"arm64:{cpu}", data=small_data, max_drop=100)
    assert found.exact and found.same.identical == found.same.images == 18
    device = found.to_json()["device"]
    assert (device["abi"], device["emulated"], device["name"]) == ("aarch64", True, cpu)
