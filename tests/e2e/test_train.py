from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from PIL import Image

from apps.cli import exit_codes
from apps.cli.commands.train import spec_of, train_command
from edge_effnet import load_checkpoint
from quant.common.progress import NoProgress
from quant.training import train
from tests.support.images import draw_halves, draw_image
from tests.support.training import tiny_config, use_tiny


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)


def _run(*arguments: str) -> int:
    app = typer.Typer()
    app.command()(train_command)
    return exit_codes.guarded(lambda: app(list(arguments), standalone_mode=False))


def _train(folder: Path, *more: str) -> int:
    options = ["--variant", "lite0", "--data", str(folder), "--out", str(folder / "w.safetensors")]
    options += ["--stages", "32:1", "--batch-size", "6", "--workers", "0", "--threads", "1"]
    return _run(*options, *more)


def test_the_command_leaves_weights_metadata_and_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_halves(tmp_path, train=4, val=3)
    assert _train(tmp_path, "--half") == exit_codes.PASS
    loaded = load_checkpoint(tmp_path / "w.safetensors")
    assert loaded.class_names == ("blue", "green", "red")
    assert loaded.preprocess.crop == 32
    metadata = json.loads((tmp_path / "w.json").read_text())
    assert metadata["variant"] == "tiny"
    assert metadata["steps"] == 2
    assert metadata["seed"] == 0
    assert metadata["val_images"] == 9
    assert metadata["class_names"] == ["blue", "green", "red"]
    assert (tmp_path / "w.curve.csv").read_text().startswith("step,epoch,image_size,learning_rate")
    assert f"top-1 {100 * metadata['val_top1']:.1f} % of 9 validation images" in capsys.readouterr().out


def test_weights_to_start_from_tell_the_variant(
    small_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spec_of(None, small_weights).name == "b0"
    assert _run("--data", str(tmp_path)) == exit_codes.INPUT
    assert "--variant missing" in capsys.readouterr().err


def test_colours_are_learnt_and_the_figure_is_that_of_the_saved_weights(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, data=draw_halves(tmp_path / "d", train=12, val=4), steps=60, lr=5e-3, half=True)
    result = train(config, NoProgress())
    assert result.top1 > 0.9
    loaded = load_checkpoint(result.weights)
    right = 0
    for label, name in enumerate(loaded.class_names or ()):
        for path in sorted((tmp_path / "d" / "val" / name).iterdir()):
            right += int(loaded.model(loaded.preprocess(path)[None]).argmax()) == label
    assert right / result.val_images == result.top1


def test_fine_tuning_the_head_alone_keeps_the_backbone(tmp_path: Path) -> None:
    first = train(tiny_config(tmp_path), NoProgress())
    out = tmp_path / "tuned" / "tiny.safetensors"
    options = {"weights": first.weights, "fresh_head": True, "freeze": "backbone", "out": out}
    second = train(tiny_config(tmp_path, **options), NoProgress())
    chain = json.loads(second.metadata.read_text())["started_from"]
    assert chain["metadata"] == json.loads(first.metadata.read_text())
    before, after = (load_checkpoint(r.weights).model.state_dict() for r in (first, second))
    for name, tensor in before.items():
        changed = not tensor.equal(after[name])
        assert changed == name.startswith("classifier"), name


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda d: (d / "train" / "red" / "bad.jpg").write_bytes(b"\xff\xd8\xff junk"), "bad.jpg: not an image"),
        (lambda d: Image.new("RGB", (1, 1)).save(d / "train" / "red" / "1.png"), "1x1 pixels is too small"),
        (lambda d: (d / "train" / "empty").mkdir(), "empty: the class has no images"),
        (lambda d: draw_image(d / "val" / "yellow" / "0.jpg"), "has yellow besides"),
        (lambda d: (d / "val" / "red").rename(d / "val" / "rouge"), "lacks red and has rouge besides"),
        (lambda d: (d / "val").rename(d / "others"), "val: no such folder"),
    ],
)
def test_bad_data_is_named(
    break_it: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_halves(tmp_path, train=4, val=3)
    break_it(tmp_path)  # type: ignore[operator]
    assert _train(tmp_path, "--batch-size", "12") == exit_codes.INPUT
    assert message in capsys.readouterr().err
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA", "RGBA", "I;16"])
def test_pictures_of_any_mode_are_trained_on(mode: str, tmp_path: Path) -> None:
    draw_halves(tmp_path, train=4, val=3)
    suffix = "tif" if mode == "CMYK" else "png"
    Image.new(mode, (20, 24)).save(tmp_path / "train" / "red" / f"x.{suffix}")
    assert _train(tmp_path, "--batch-size", "13") == exit_codes.PASS


def test_weights_of_other_classes_or_of_another_variant_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(tiny_config(tmp_path / "a"), NoProgress())
    draw_halves(tmp_path / "b", train=4, val=3)
    for half in ("train", "val"):
        (tmp_path / "b" / half / "red").rename(tmp_path / "b" / half / "rot")
    assert _train(tmp_path / "b", "--weights", str(result.weights)) == exit_codes.INPUT
    assert "lacks rot and has red besides" in capsys.readouterr().err
    assert _train(tmp_path / "b", "--weights", str(result.weights), "--variant", "b0") == exit_codes.INPUT
    assert _train(tmp_path / "b", "--weights", str(result.weights), "--fresh-head") == exit_codes.PASS
