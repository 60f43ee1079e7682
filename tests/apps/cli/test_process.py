"""Commands let OpenMP's threads sleep; libgomp itself says what it was told."""

import os
import subprocess
import sys

import pytest

_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks GNU's OpenMP library")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "GOMP_SPINCOUNT = '10000'"),
        ({"GOMP_SPINCOUNT": "7"}, "GOMP_SPINCOUNT = '7'"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "OMP_WAIT_POLICY = 'ACTIVE'"),
    ],
)
def test_threads_sleep_soon_unless_the_user_said_otherwise(given, expected):
    environment = {key: value for key, value in os.environ.items() if key not in _SETTINGS}
    words = [sys.executable, "-c", "import apps.cli.commands.quantize, torch"]
    settings = environment | given | {"OMP_DISPLAY_ENV": "VERBOSE"}
    said = subprocess.run(words, env=settings, capture_output=True, text=True, check=True).stderr
    assert expected in said
    assert ("GOMP_SPINCOUNT = '10000'" in said) == (not given)
