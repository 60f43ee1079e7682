"""A few mutants of every format, in one warm process; `python -m tests.robustness.fuzz` makes thousands.

Their seed is fixed: a format's mutants are the same in every run.
"""

from __future__ import annotations

import pytest

from tests.robustness.fuzz.formats import FORMATS
from tests.robustness.fuzz.run import fuzz
from tests.robustness.fuzz.scene import Scene, make_scene
from tests.support.shared import linked_copy
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant")

_MUTANTS = 8


@pytest.fixture(scope="module")
def scene(tiny: TinyFiles, tiny_variant: None, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(linked_copy(tiny.weights.parent, tmp_path_factory.mktemp("scene")))


@pytest.mark.parametrize("name", list(FORMATS))
def test_no_mutant_crashes_hangs_escapes_or_passes_wrongly(scene, name):
    report = fuzz(name, scene, mutants=_MUTANTS, seed=1)
    assert report.failures == [] and report.mutants == _MUTANTS


def test_the_honest_file_of_every_format_passes(scene):
    """A format whose honest file fails would prove nothing."""
    for name, kind in FORMATS.items():
        honest = kind.seed(scene)
        keep = type(kind)(seed=kind.seed, place=kind.place, mutate=lambda data, rng: data)
        FORMATS[name] = keep
        try:
            report = fuzz(name, scene, mutants=1)
        finally:
            FORMATS[name] = kind
        assert report.failures == [] and honest
        # A .bpte is verified, and refused by `inspect`, which reads programs.
        assert set(report.codes) == ({0, 2} if name == "bpte" else {0}), name
