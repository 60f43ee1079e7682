"""A run that was killed at any step gives the weights of one that was not, bit for bit."""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from edge_effnet.errors import InputError, MachineError
from quant.common.progress import NoProgress
from quant.training import Stage, TrainConfig, TrainResult, train
from quant.training.loop import Loop
from tests.support.training import tiny_config, use_tiny


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)


def _saved(value: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


class _Killed(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


def _killed_after(step: int, monkeypatch: pytest.MonkeyPatch, config: TrainConfig) -> None:
    original = Loop._step

    def stepping(self: Loop, *arguments: object) -> float:
        if self.position.step == step:
            raise _Killed
        return original(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", stepping)
        with pytest.raises(_Killed):
            train(config, NoProgress())


def _assert_same_run(first: TrainResult, second: TrainResult) -> None:
    ours, theirs = load_file(first.weights), load_file(second.weights)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert first.curve_csv.read_bytes() == second.curve_csv.read_bytes()
    assert first.top1 == second.top1


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
def test_resuming_gives_the_same_bits(optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = (Stage(image_size=32, epochs=1), Stage(image_size=48, epochs=1))
    config = tiny_config(tmp_path, stages=stages, checkpoint_every=1, optimizer=optimizer)
    whole = train(config, NoProgress())
    for step in (1, 3, 4, 5):
        changes = {"stages": stages, "optimizer": optimizer, "out": tmp_path / f"{step}" / "tiny.safetensors"}
        _killed_after(step, monkeypatch, tiny_config(tmp_path, checkpoint_every=1, **changes))
        _assert_same_run(whole, train(tiny_config(tmp_path, resume=True, workers=2, **changes), NoProgress()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run that nothing interrupts."""
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch)
        return train(tiny_config(tmp_path_factory.mktemp("whole")), NoProgress())


def test_steps_since_the_last_checkpoint_are_done_again(
    whole: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"out": tmp_path / "resumed" / "tiny.safetensors", "checkpoint_every": 2}
    _killed_after(5, monkeypatch, tiny_config(tmp_path, **changes))
    _assert_same_run(whole, train(tiny_config(tmp_path, resume=True, **changes), NoProgress()))


def test_a_process_that_is_killed_leaves_a_checkpoint_that_resumes_to_the_same_bits(
    whole: TrainResult, tmp_path: Path
) -> None:
    out = tmp_path / "killed" / "tiny.safetensors"
    process = os.fork()
    if process == 0:
        try:
            train(tiny_config(tmp_path, out=out, checkpoint_every=1), NoProgress())
        finally:
            os._exit(0)
    while not out.with_suffix(".checkpoint").exists():
        assert os.waitpid(process, os.WNOHANG) == (0, 0), "it ended without a checkpoint"
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(process, 0)[1]), "it had ended before it was killed"
    assert not out.exists()
    resumed = train(tiny_config(tmp_path, out=out, checkpoint_every=1, resume=True), NoProgress())
    _assert_same_run(whole, resumed)


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(whole: TrainResult, tmp_path: Path) -> None:
    again = train(tiny_config(tmp_path, out=tmp_path / "b" / "tiny.safetensors", workers=2), NoProgress())
    other = train(tiny_config(tmp_path, out=tmp_path / "c" / "tiny.safetensors", seed=1), NoProgress())
    _assert_same_run(whole, again)
    assert whole.weights.read_bytes() != other.weights.read_bytes()


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    train(tiny_config(tmp_path), NoProgress())
    with pytest.raises(InputError, match=r"its lr is 0\.001, now it is 0\.5; resume with the same settings"):
        train(tiny_config(tmp_path, lr=0.5, resume=True), NoProgress())
    with pytest.raises(InputError, match="its variant is 'lite0', now it is 'b0'"):
        train(tiny_config(tmp_path, variant="b0", resume=True), NoProgress())


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint to resume from; leave out --resume"):
        train(tiny_config(tmp_path, resume=True), NoProgress())


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"nonsense", b"PK\x03\x04 half a zip", _saved([1]), _saved(torch.zeros(1))),
        *(b"\x80\x02.", b"\x80\x02J\x01", _saved({}) + b"x"),
    ],
)
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, resume=True)
    config.checkpoint_path.parent.mkdir(parents=True)
    config.checkpoint_path.write_bytes(content)
    with pytest.raises(InputError, match="not a complete checkpoint"):
        train(config, NoProgress())


@pytest.fixture(scope="module")
def checkpointed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was killed after its first step; copied by those who change it."""
    folder = tmp_path_factory.mktemp("checkpointed")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch)
        _killed_after(1, patch, tiny_config(folder, checkpoint_every=1))
    return folder


DAMAGED: list[tuple[str, Callable[[Any], object]]] = [
    ("model", lambda old: []),
    ("model", lambda old: {}),
    ("average", lambda old: {"x": 1}),
    ("optimizer", lambda old: {}),
    ("optimizer", lambda old: {"state": 1}),
    ("step", lambda old: "3"),
    ("step", lambda old: 7),
    ("identity", lambda old: {**old, "variant": torch.zeros(3)}),
    ("format", lambda old: torch.zeros(3)),
]


@pytest.mark.parametrize(("field", "change"), DAMAGED)
def test_a_checkpoint_with_a_damaged_part_is_refused(
    field: str, change: Callable[[Any], object], checkpointed: Path, tmp_path: Path
) -> None:
    shutil.copytree(checkpointed, tmp_path, dirs_exist_ok=True)
    config = tiny_config(tmp_path, resume=True)
    state = torch.load(config.checkpoint_path, weights_only=True)
    torch.save(state | {field: change(state[field])}, config.checkpoint_path)
    with pytest.raises(InputError, match=r"not a complete checkpoint|a checkpoint of another run") as caught:
        train(config, NoProgress())
    assert "\n" not in str(caught.value)
    assert not config.out.exists()


def test_a_full_disk_keeps_the_last_checkpoint(
    whole: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "full" / "tiny.safetensors"
    config = tiny_config(tmp_path, out=out, checkpoint_every=2)
    original, writes = os.fsync, [0]

    def full(handle: int) -> None:
        writes[0] += 1
        if writes[0] > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MachineError, match="the disk is full"):
            train(config, NoProgress())
    assert sorted(p.name for p in out.parent.iterdir()) == ["tiny.checkpoint"]
    resumed = train(tiny_config(tmp_path, out=out, resume=True), NoProgress())
    _assert_same_run(whole, resumed)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_divergence_names_the_step_and_the_rate_and_keeps_the_checkpoint(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path, checkpoint_every=1)
    original = torch.nn.functional.cross_entropy
    calls = [0]

    def spoilt(*arguments: object, **named: object) -> torch.Tensor:
        calls[0] += 1
        loss: torch.Tensor = original(*arguments, **named)  # type: ignore[arg-type]
        if calls[0] != 3:
            return loss
        # The square root's slope at 0 is infinite, its value is not.
        return loss * torch.inf if where == "loss" else loss + (loss - loss.detach()).abs().sqrt()

    with monkeypatch.context() as patch:
        patch.setattr("quant.training.task.F.cross_entropy", spoilt)
        with pytest.raises(InputError, match=r"diverged at step 3 of 6, learning rate 0\.0\d+: loss .* lower --lr"):
            train(config, NoProgress())
    assert not config.out.exists()
    state = torch.load(config.checkpoint_path, weights_only=True)
    assert state["step"] == 2
    assert all(torch.isfinite(t).all() for t in state["model"].values())
