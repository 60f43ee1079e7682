"""`quantize`: exit codes, messages, and what is left on the disk when it does not end well."""

import json
import os
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from apps.cli.commands.quantize import app
from edge_effnet import EfficientNet, save_checkpoint
from tests.support.artifacts import make_artifact, snapshot
from tests.support.checkpoints import colour_checkpoint
from tests.support.cli import caller
from tests.support.forked import Forked, run_forked
from tests.support.images import COLOURS, draw_classes, draw_halves, draw_image
from tests.support.paths import ROOT

pytestmark = pytest.mark.usefixtures("tiny_variant")
QUICK = ("--variant", "lite0", "--calibration", "8")


@pytest.fixture(scope="module")
def weights(tiny):
    return tiny.weights


@pytest.fixture
def called(capsys, monkeypatch, tmp_path):
    """Run the command in this process and an empty folder; gives exit code, standard output and standard error."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    return caller(capsys, app)


def refused(result, *words):
    code, out, err = result
    flat = " ".join(err.split())
    assert code == 2, err
    assert out == "" and "Traceback" not in err
    assert err.startswith("error: ")
    for word in words:
        assert word in flat, flat
    assert not list(Path.cwd().iterdir()), "nothing may be written"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "photos"], ["photos: does not exist; --data takes"]),
        (["--data", str(ROOT)], ["--weights missing", "--weights FILE", "edge-effnet train --variant b0"]),
        (["--weights", "w.pth"], ["--data missing", "--data DIR"]),
        (["--weights", "w.pth", "--evaluation-data", "val"], ["--calibration-data missing", "--data DIR"]),
        (["--weights", "w.pth", "--calibration-data", "train"], ["--evaluation-data missing", "--data DIR"]),
    ],
)
def test_one_of_weights_and_data_alone_is_explained(called, arguments, words):
    refused(called("--variant", "b0", *arguments), *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variant", "b9"], ["unknown variant 'b9'", "b0, b1", "lite4"]),
        (["--activation", "gelu"], ["unknown activation 'gelu'", "hardswish", "relu6"]),
        (["--recipe", "int4"], ["unknown recipe 'int4'", "int8"]),
        (["--backend", "tflite"], ["unknown backend 'tflite'", "xnnpack"]),
        (["--backend", "vulkan:w8a8"], ["vulkan has no 'w8a8'", "vulkan:fp16, vulkan:fp32", "qnn"]),
        (
            ["--backend", "nnapi"],
            ["unknown backend 'nnapi'", "xnnpack, coreml, vulkan, openvino, qnn, ethos-u, portable, or all"],
        ),
        (["--soc", "SM9999"], ["--soc SM9999: choose one of", "SM8750"]),
        (["--compute-units", "npu"], ["unknown compute units 'npu'", "cpu_and_ne"]),
        (["--ios", "12"], ["--ios 12", "17, 18"]),
        (["--origin", "google"], ["unknown origin 'google'", "lukemelas", "timm-tf"]),
        (["--calibration", "3"], ["--calibration 3", "at least 8"]),
        (["--max-drop", "101"], ["--max-drop 101.0", "from 0 to 100"]),
        (["--max-drop", "nan"], ["--max-drop nan"]),
        (["--min-agreement", "101"], ["--min-agreement 101.0", "from 0 to 100"]),
        (["--threads", "0"], ["--threads 0"]),
        (["--image-size", "8"], ["Invalid value for '--image-size'"]),
        (["--image-size", "big"], ["Invalid value for '--image-size'"]),
        (["--seed", "-1"], ["Invalid value for '--seed'"]),
        (["--bogus"], ["No such option: --bogus"]),
        (["--weights", "absent.pth"], ["absent.pth"]),
        (["--data", "absent"], ["absent: does not exist"]),
    ],
)
def test_bad_settings_say_what_was_got_and_what_is_allowed(called, weights, small_data, arguments, words):
    given = {"--variant": "lite0", "--weights": weights, "--data": small_data}
    for option in arguments[::2]:
        given.pop(option, None)
    refused(called(*(word for pair in given.items() for word in pair), *arguments), *words)


def test_an_option_without_its_value_and_a_sample_without_a_name_are_usage_errors(called):
    refused(called("--variant"), "--variant")
    refused(called("--seed", "1"), "--variant missing", "b0 or lite0", "--weights FILE")


def test_the_weights_tell_the_variant(called, weights, small_data):
    options = ("--weights", weights, "--data", small_data, "--calibration", "8", "--recipe", "int8-minmax", "--json")
    code, out, err = called(*options)
    assert code in (0, 1), err
    assert json.loads(out)["variant"] == "lite0"


def lite(called, weights, data, *more):
    return called(*QUICK, "--weights", weights, "--data", data, *more)


def test_a_checkpoint_of_another_variant_is_refused(called, small_weights, small_data):
    refused(lite(called, small_weights, small_data), str(small_weights), "b0", "lite0")


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02}q\x00."])
def test_files_that_hold_no_weights_are_refused(called, small_data, tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    refused(lite(called, tmp_path / "w.pth", small_data), str(tmp_path / "w.pth"))


def test_truncated_weights_are_refused(called, weights, small_data, tmp_path):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:50_000])
    refused(lite(called, cut, small_data), str(cut), "download or copy it again")


def test_weights_of_more_channels_than_an_image_has_are_refused(called, small_data, tmp_path):
    infrared = EfficientNet.from_name("lite0", num_classes=3, in_channels=4, image_size=32)
    save_checkpoint(tmp_path / "four.safetensors", infrared)
    refused(lite(called, tmp_path / "four.safetensors", small_data), "takes 4 channels", "give --mean and --std")


def test_weights_that_would_run_code_are_refused(called, small_data, tmp_path):
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self):
            return (Path.touch, (trap,))

    torch.save({"state_dict": Trap()}, tmp_path / "w.pth")
    refused(lite(called, tmp_path / "w.pth", small_data), "refused", "can be any code")
    assert not trap.exists()


def test_too_few_calibration_images_are_told(called, weights, tmp_path):
    data = draw_halves(tmp_path / "data", train=2)
    refused(lite(called, weights, data), "only 6 images to calibrate on", "at least 8")


def test_a_class_by_another_name_is_told(called, weights, tmp_path):
    data = draw_halves(tmp_path / "data")
    (data / "val" / "green").rename(data / "val" / "lime")
    refused(lite(called, weights, data), "no folder for 'green'", "unknown class 'lime'", str(data / "val"))


def test_an_empty_class_is_told(called, weights, tmp_path):
    data = draw_halves(tmp_path / "data")
    shutil.rmtree(data / "train" / "green")
    (data / "train" / "green").mkdir()
    refused(lite(called, weights, data), str(data / "train" / "green"), "no images")


def test_classes_that_differ_between_train_and_val_are_told(called, weights, tmp_path):
    data = draw_halves(tmp_path / "data")
    (data / "train" / "green").rename(data / "train" / "purple")
    refused(lite(called, weights, data), "unknown class 'purple'", str(data / "train"))


def test_a_wrong_number_of_classes_is_told(called, weights, tmp_path):
    data = draw_halves(tmp_path / "data")
    for half in ("train", "val"):
        for index in range(4):
            draw_image(data / half / "purple" / f"{index}.jpg", seed=500 + index + 100 * len(half))
    refused(lite(called, weights, data), "4 class folders", "3 classes", "'purple'")


def test_a_folder_without_images_is_told(called, weights, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(lite(called, weights, tmp_path / "empty"), "no images", ".jpg")


def test_many_images_on_both_sides_are_told(called, weights, tmp_path):
    data = draw_halves(tmp_path / "data")
    for index in range(3):
        shutil.copy(data / "val" / "red" / f"{index}.jpg", data / "train" / "red" / f"copy{index}.jpg")
    refused(lite(called, weights, data), "copy0.jpg", "same image", "Remove one")


@pytest.mark.parametrize("half", ["train", "val"])
def test_an_unreadable_image_is_named_and_nothing_is_written(called, weights, tmp_path, half):
    data = draw_classes(tmp_path / "data" / half, 4, seed=7).parent
    draw_classes(data / {"train": "val", "val": "train"}[half], 4, seed=8)
    for colour in COLOURS:
        whole = (data / half / colour / "0.jpg").read_bytes()
        (data / half / colour / "0.jpg").write_bytes(whole[: len(whole) // 2] + colour.encode())
    result = lite(called, weights, data, "--calibration", "12")
    refused(result, f"/{half}/", "0.jpg", "not a readable image")


@pytest.mark.parametrize("what", ["photographs", "a file", "a link", "the current folder"])
def test_an_out_that_is_something_else_is_refused_before_the_work(called, weights, small_data, tmp_path, what):
    out = tmp_path / "mine"
    if what == "photographs":
        draw_image(out / "holiday.jpg")
    elif what == "a file":
        out.write_text("mine")
    elif what == "a link":
        out.symlink_to(tmp_path)
    else:
        out = Path()
    before = snapshot(tmp_path)
    refused(lite(called, weights, small_data, "--out", out), "choose another --out")
    assert snapshot(tmp_path) == before


def test_an_out_below_a_file_is_the_machines_matter_and_told_before_the_work(called, weights, small_data, tmp_path):
    (tmp_path / "file").touch()
    code, out, err = lite(called, weights, small_data, "--out", tmp_path / "file" / "deep")
    assert (code, out) == (3, "") and "is a file; choose another folder" in err


def test_help_names_every_option_and_the_exit_codes(called):
    code, out, err = called("--help")
    assert (code, err) == (0, "")
    for option in ("variant", "weights", "data", "image-size", "activation", "calibration", "recipe", "backend"):
        assert f"--{option}" in out
    for option in ("out", "max-drop", "seed", "threads", "json"):
        assert f"--{option}" in out
    assert "1 accuracy regression" in " ".join(out.split())


def test_a_program_that_sees_less_exits_1_with_a_table_and_is_kept(called, tmp_path):
    """A network that is hardly trained, calibrated on images unlike those it is judged on: nearly black ones."""
    weights = colour_checkpoint(tmp_path / "fragile.safetensors", "lite0", 32)
    data = draw_classes(tmp_path / "data" / "val", 8, seed=9).parent
    for index in range(12):
        path = data / "train" / COLOURS[index % 3] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (index // 3, 0, index % 3)).save(path)
    # A recipe that does not search: the search would end with the whole network in float.
    code, out, err = lite(called, weights, data, "--out", "lite", "--max-drop", "0", "--recipe", "int8-strict")
    # A busy machine takes seconds for a stage, and a log says so.
    assert code == 1 and all(re.fullmatch(r"[A-Z].*: (\d+ to do|done in .* s)", line) for line in err.splitlines()), (
        out
    )
    assert "FAIL" in out and "points, limit 0.0" in " ".join(out.split())
    last = [line.split(": ")[0].split(" ")[0] for line in out.splitlines() if line][-3:]
    assert last[1:] == ["Artifact", "Next"] and "(open lite/report.html)" in out
    assert out.splitlines()[-1].startswith("Next: quantize --variant lite0") and "--recipe int8 " in out + " "
    assert (Path("lite") / "report.html").is_file()
    lines = [line for line in out.splitlines() if not line.startswith(("Artifact: ", "Next: "))]
    assert max(map(len, lines)) <= 80
    assert Path("lite", "model.pte").is_file()


def test_from_the_shell_an_input_error_exits_2_with_one_sentence(tmp_path):
    done = run_forked("quantize", "--variant", "b0", "--weights", "w.pth", "--data", "absent", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: w.pth: ") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def words_of(weights, data, out):
    return ("quantize", *QUICK, "--weights", weights, "--data", data, "--out", out)


def runtime_of(process):
    """The child process that runs programs, once it is one; None before."""
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"quant.program.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
            return Path(f"/proc/{child}")
    return None


@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "")]
)
def test_a_stopped_run_leaves_the_old_artifact_and_no_litter(weights, small_data, tmp_path, number, code, words):
    """Stopped while the runtime's child process works: late, but before the artifact is written."""
    out = make_artifact(tmp_path / "out" / "lite").folder
    before = snapshot(tmp_path / "out")
    process = Forked(*words_of(weights, small_data, out))
    while not (runtime := runtime_of(process)):
        assert process.poll() is None, process.wait()
        time.sleep(0.02)
    os.kill(process.pid, number)
    done = process.wait()
    assert done.returncode == code and done.stdout == ""
    assert words in done.stderr and "Traceback" not in done.stderr
    assert snapshot(tmp_path / "out") == before
    assert [p.name for p in out.parent.iterdir()] == ["lite"]
    assert not runtime.exists()


def test_a_full_disk_leaves_the_old_artifact_and_no_litter(weights, small_data, tmp_path):
    """A limit of 150 kB a file stands for it: the system refuses the same write."""
    out = make_artifact(tmp_path / "out" / "lite").folder
    before = snapshot(tmp_path / "out")
    limit = (150_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    full = {"before": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)}
    done = run_forked(*words_of(weights, small_data, out), **full)
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot be written: the file would grow beyond this system's limit" in done.stderr
    assert snapshot(tmp_path / "out") == before
    assert [p.name for p in out.parent.iterdir()] == ["lite"]


def test_a_terminal_shows_bars_on_standard_error_alone(weights, small_data, tmp_path):
    import pty

    ours, theirs = pty.openpty()
    words = (*words_of(weights, small_data, tmp_path / "o"), "--json")
    process = Forked(*words, error=theirs, env={"TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end was closed
            break
        shown += part
    done = process.wait()
    os.close(ours)
    assert done.returncode in (0, 1)
    text = shown.decode()
    for stage in ("Lowering", "Timing", "Evaluating"):
        assert stage in text
    assert "Warning" not in text
    assert done.stdout.startswith("{") and done.stdout.endswith("}\n") and "\x1b" not in done.stdout
