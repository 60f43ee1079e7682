"""The aarch64 runtime under an emulator gives the bits of x86 (`EDGE_EFFNET_EMULATOR` names it; docs/device.md)."""

import os

import pytest

from apps.device.check import check_on_device
from tests.support.cli import run_cli

pytestmark = [
    pytest.mark.arm64,
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("EDGE_EFFNET_EMULATOR"), reason="EDGE_EFFNET_EMULATOR names no aarch64 emulator"
    ),
]


@pytest.fixture(scope="module")
def strict(small_weights, small_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifact") / "b0"
    process = run_cli(
        "quantize", "--variant", "b0", "--calibration", "16", "--recipe", "int8-strict", "--max-drop", "100",
        "--weights", small_weights, "--data", small_data, "--out", folder,
    )  # fmt: skip
    assert process.returncode in (0, 1), process.stderr
    return folder


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a55", "cortex-a76", "cortex-a710"])
def test_int8_is_the_same_to_the_bit(strict, small_data, cpu):
    found = check_on_device(strict, device=f"arm64:{cpu}", data=small_data, max_drop=100)
    assert found.exact and found.same.identical == found.same.images == 18
    device = found.to_json()["device"]
    assert (device["abi"], device["emulated"], device["name"]) == ("aarch64", True, cpu)
