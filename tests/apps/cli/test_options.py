"""Options of images and labels, before anything heavy is imported."""

import pytest

from apps.cli.commands import quantize
from apps.cli.edge_effnet import app
from apps.cli.exit_codes import INPUT, guarded


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
