"""What a finding's remedy says beyond its sentence."""

import pytest

from quant.common.findings import finding, further_remedy


@pytest.mark.parametrize(
    ("message", "remedy", "further"),
    [
        ("ranges may not hold elsewhere; give other images.", "Give other images.", ""),
        ("12 images look alike.", "Give other images.", "Give other images."),
        ("12 images look alike.", "", ""),
    ],
)
def test_a_remedy_is_not_said_twice(message, remedy, further):
    assert further_remedy(message, remedy) == further
    # `--json` and the manifest keep both.
    assert finding("calibration-duplicates", message, remedy=remedy).to_json()["remedy"] == remedy
