"""The committed vectors are those that `python tests/golden/make.py` writes: no merge left some behind."""

import runpy

import pytest

from tests.support.paths import GOLDEN


@pytest.mark.parametrize("part", ["preprocess", "results"])
def test_the_vectors_are_up_to_date(tmp_path, part):
    runpy.run_path(str(GOLDEN / "make.py"))[f"write_{part}"](tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in (GOLDEN / part).iterdir()}
    assert sorted(written) == sorted(committed)
    stale = [name for name in written if written[name] != committed[name]]
    assert stale == [], f"run python tests/golden/make.py and commit {stale}"
