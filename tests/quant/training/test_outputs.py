"""Where a training run writes: known to be free, or an earlier run's, before the first step."""

import os
import shutil

import pytest
import torch
from safetensors.torch import save_file

from edge_effnet.errors import InputError, MachineError
from quant.common.progress import NoProgress
from quant.qat.options import QatOptions
from quant.qat.run import require_place
from quant.training import Stage, train
from quant.training.outputs import OUTPUTS, require_earlier_outputs
from tests.support.artifacts import snapshot
from tests.support.training import tiny_config, use_tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's outputs."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patched:
        use_tiny(patched)
        return train(tiny_config(folder, stages=(Stage(image_size=32, epochs=1),)), NoProgress()).weights


@pytest.fixture
def out(finished, tmp_path):
    for path in finished.parent.iterdir():
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / finished.name


def require(out, **settings):
    require_earlier_outputs(out, OUTPUTS, **{"resume": False} | settings)


@pytest.mark.parametrize("kept", [OUTPUTS, (".checkpoint",), (".curve.csv", ".curve.png"), (".json",), ()])
def test_outputs_of_an_earlier_run_may_be_overwritten(out, kept):
    for suffix in set(OUTPUTS) - set(kept):
        out.with_suffix(suffix).unlink()
    require(out)


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("content", [b"precious", b"", b'{"a": 1}', b"PK\x03\x04", b"\x00" * 64])
def test_files_of_others_are_left_alone(monkeypatch, tmp_path, suffix, content):
    use_tiny(monkeypatch)
    config = tiny_config(tmp_path)
    path = config.out.with_suffix(suffix)
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match="is of no earlier training run; move it elsewhere, or choose another --out"):
        train(config, NoProgress())
    assert snapshot(path.parent) == {path.name: content}


@pytest.mark.parametrize("suffix", [".safetensors", ".json", ".curve.csv"])
def test_a_run_beside_them_makes_files_of_others_no_less_theirs(out, suffix):
    out.with_suffix(suffix).write_text("precious")
    for resume in (False, True):
        with pytest.raises(InputError, match="is of no earlier training run"):
            require(out, resume=resume)


@pytest.mark.parametrize("suffix", [".safetensors", ".checkpoint"])
def test_weights_of_others_are_left_alone(tmp_path, suffix):
    out = tmp_path / "w.safetensors"
    if suffix == ".safetensors":
        save_file({"x": torch.zeros(1)}, out, metadata={"format": "pt"})
    else:
        torch.save({"state_dict": {"x": torch.zeros(1)}}, out.with_suffix(suffix))
    with pytest.raises(InputError, match="is of no earlier training run"):
        require(out)


def test_a_damaged_checkpoint_of_ours_may_be_started_over(out):
    out.with_suffix(".checkpoint").write_bytes(out.with_suffix(".checkpoint").read_bytes()[:1000])
    require(out)


def test_a_checkpoint_that_is_resumed_from_is_judged_where_it_is_read(tmp_path):
    (tmp_path / "w.checkpoint").write_text("precious")
    require(tmp_path / "w.safetensors", resume=True)


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("absent")])
def test_what_is_no_file_is_told_before_the_first_step(out, suffix, make):
    out.with_suffix(suffix).unlink()
    make(out.with_suffix(suffix))
    with pytest.raises(InputError, match="is of no earlier training run"):
        require(out)


@pytest.mark.parametrize("place", ["/proc/nowhere/w.safetensors", "x" * 230 + ".safetensors"])
def test_a_place_that_cannot_be_written_is_told_before_the_first_step(monkeypatch, tmp_path, place):
    use_tiny(monkeypatch)
    monkeypatch.setattr("quant.training.run.open_sets", lambda *given: pytest.fail("too late"))
    with pytest.raises(MachineError, match="cannot be written"):
        train(tiny_config(tmp_path, out=tmp_path / place), NoProgress())


@pytest.mark.parametrize("half", ["train", "val"])
def test_nothing_is_written_among_the_images(monkeypatch, tmp_path, half):
    use_tiny(monkeypatch)
    with pytest.raises(InputError, match="lies among the images"):
        train(tiny_config(tmp_path, out=tmp_path / "data" / half / "w.safetensors"), NoProgress())


@pytest.mark.parametrize("suffix", [".checkpoint", ".curve.csv", ".curve.png"])
def test_training_in_int8_leaves_files_of_others_alone(tmp_path, suffix):
    options = QatOptions()
    require_place(tmp_path / "a", options)
    (tmp_path / "a.qat.json").write_text("not written by it")
    require_place(tmp_path / "a", options)
    (tmp_path / f"a.qat{suffix}").write_text("precious")
    with pytest.raises(InputError, match="is of no earlier training run"):
        require_place(tmp_path / "a", options)
    with pytest.raises(MachineError, match="the name is too long"):
        require_place(tmp_path / ("x" * 235), options)
