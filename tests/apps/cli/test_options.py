"""Options of images and labels, before anything heavy is imported."""

import pytest

from apps.cli.commands import quantize
from apps.cli.edge_effnet import app
from apps.cli.exit_codes import INPUT, guarded
from tests.support.flat_programs import flat_program


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--labels", "a.csv", "--labels", "b.csv"), "--labels: 2 files were given (a.csv, b.csv); join them"),
        (("--labels", "absent.csv"), "--labels absent.csv: does not exist"),
        (("--label-column", "breed"), "are of a label file: add --labels FILE."),
        (("--max-unusable", "101"), "--max-unusable 101.0: need a percentage from 0 to 100."),
    ],
)
def test_options_that_cannot_be_meant(given, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands = {quantize.app: ("--weights", "w.pth"), app: ("check", "artifact")}
    for command, words in commands.items():
        code = guarded(lambda c=command, w=words: c([*w, "--data", "photos", *given], standalone_mode=False))
        assert code == INPUT and sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--variant", "b0", "--recipe", "int4"), "error: unknown recipe 'int4'"),
        (("--variant", "b0", "--data", "nowhere"), "error: nowhere: does not exist; --data takes a folder of images"),
        (("--variant", "b0", "--data", "."), "error: --weights missing"),
    ],
)
def test_what_cannot_be_is_said_before_anything_else(given, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert guarded(lambda: quantize.app([*given], standalone_mode=False)) == INPUT
    assert capsys.readouterr().err.startswith(sentence)


def test_an_artifact_folder_stands_for_its_program(tmp_path, capsys):
    (tmp_path / "model.pte").write_bytes(flat_program())
    said = []
    for path in (tmp_path, tmp_path / "model.pte"):
        assert guarded(lambda p=path: app(["inspect", str(p)], standalone_mode=False)) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04 weights")
    assert guarded(lambda: app(["inspect", str(tmp_path / "w.pth")], standalone_mode=False)) == INPUT
    assert capsys.readouterr().err.endswith("w.pth: not an ExecuTorch program; give a .pte file.\n")
