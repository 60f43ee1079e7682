"""A hundred mutants of every format, in one warm process, and a few through the real console scripts."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator

import pytest

from edge_effnet.variants import VARIANTS
from tests.robustness.fuzz.formats import FORMATS
from tests.robustness.fuzz.mutate import damaged, damaged_json
from tests.robustness.fuzz.run import fuzz
from tests.robustness.fuzz.scene import Scene, make_scene
from tests.support.artifacts import make_artifact, sign_again
from tests.support.cli import run_cli
from tests.support.images import draw_halves
from tests.support.tiny import install

_MUTANTS = 100


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    before = VARIANTS["lite0"]
    install()
    yield make_scene(tmp_path_factory.mktemp("scene"))
    VARIANTS["lite0"] = before


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


@pytest.mark.parametrize("name", ["model.pte", "manifest.json", "val/red/0.jpg"])
def test_mutants_through_the_real_command_end_with_a_sentence(tmp_path, name):
    data, folder = draw_halves(tmp_path / "data", train=1, val=2), make_artifact(tmp_path / "a").folder
    path = (data if name.startswith("val") else folder) / name
    rng = random.Random(name)
    path.write_bytes((damaged_json if name.endswith(".json") else damaged)(path.read_bytes(), rng))
    if name == "model.pte":
        sign_again(folder)
    done = run_cli("edge-effnet", "check", folder, "--data", data, cwd=tmp_path)
    assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr
    assert done.returncode != 2 or done.stderr.startswith("error: ")
    shutil.rmtree(folder)
