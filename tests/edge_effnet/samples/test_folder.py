import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.contact_sheet import contact_sheet, main
from edge_effnet.errors import InputError, MachineError
from edge_effnet.samples import CLASS_NAMES, draw, write_folder
from edge_effnet.samples import folder as module
from edge_effnet.samples.folder import picture_path

COUNTS = {"train": 32, "calibration": 16, "val": 20}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.jpg"))}


def test_a_folder_holds_the_drawn_pictures(tmp_path):
    steps = []
    folder = tmp_path / "set"
    write_folder(folder, split_counts=COUNTS, size=48, progress=lambda done, total: steps.append((done, total)))
    assert sorted(path.name for path in (folder / "train").iterdir()) == list(CLASS_NAMES)
    assert sorted(path.name for path in (folder / "val").iterdir()) == list(CLASS_NAMES)
    assert len(files(folder)) == 68
    assert steps[-1] == (68, 68)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    for split, index in (("train", 31), ("calibration", 4), ("val", 19)):
        with Image.open(folder / picture_path(split, index)) as image:
            np.testing.assert_array_equal(np.asarray(image), draw(split, index, 48)[0])
    assert (folder / "train" / CLASS_NAMES[15] / "00031.jpg").exists()
    assert (folder / "train" / CLASS_NAMES[4] / "calibration-00004.jpg").exists()
    assert list(tmp_path.iterdir()) == [folder]


def test_a_dead_worker_is_reported_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_WORKER", "import sys; sys.exit('out of memory')")
    with pytest.raises(MachineError, match="out of memory"):
        write_folder(tmp_path / "set", split_counts={"val": 16}, size=48, workers=2)
    assert list(tmp_path.iterdir()) == []


def test_a_module_in_the_current_folder_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "set", split_counts={"val": 16}, size=48, workers=2)
    assert not (tmp_path / "ran").exists()


def test_workers_and_processes_change_nothing(tmp_path):
    write_folder(tmp_path / "one", split_counts={"val": 40}, size=48, seed=3)
    write_folder(tmp_path / "two", split_counts={"val": 40}, size=48, seed=3, workers=3)
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split_counts": {"test": 16}}, "unknown split 'test'; choose one of train, calibration, val"),
        ({"split_counts": {"val": 15}}, "15 images of val: need at least 16"),
        ({"split_counts": {}}, "no split"),
        ({"workers": 0}, "0 workers"),
        ({"size": 8}, "size 8"),
        ({"seed": -1, "workers": 2}, "seed -1"),
    ],
)
def test_bad_settings_are_named_and_leave_nothing(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        write_folder(tmp_path / "set", **{"split_counts": {"val": 16}, "size": 48, **settings})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not an empty folder"):
        write_folder(tmp_path, split_counts={"val": 16}, size=48)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path, monkeypatch):
    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MachineError, match="No space left"):
        write_folder(tmp_path / "set", split_counts={"val": 16}, size=48)
    assert list(tmp_path.iterdir()) == []


def test_the_contact_sheet_has_a_row_for_each_class(tmp_path, capsys):
    sheet = contact_sheet(columns=1)
    assert sheet.height == 16 * sheet.crop((110, 0, sheet.width, 16)).width
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
