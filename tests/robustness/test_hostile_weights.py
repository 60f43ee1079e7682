"""Weight files that look whole and are not: each is refused in one sentence, at the cost of its own bytes."""

from __future__ import annotations

import json
import resource
import struct
import zipfile
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from edge_effnet import Checkpoint, EfficientNet, InputError, Preprocess, load_checkpoint, save_checkpoint
from edge_effnet.weights.checkpoint import LoadOptions
from edge_effnet.weights.files import read_file
from edge_effnet.weights.load import load_file
from edge_effnet.weights.save import METADATA_KEY, SavedSettings
from tests.support.refusals import refusal_of
from tests.support.training import TINY

NAMES = ("red", "green", "blue")
Tensors = dict[str, torch.Tensor]


def network() -> EfficientNet:
    model = EfficientNet.from_name(TINY, num_classes=len(NAMES), image_size=32)
    model.preprocess, model.class_names = Preprocess(crop=32, resize=32), NAMES
    return model


def settings() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(SavedSettings.of(network()).to_json())
    return values


def load(path: Path) -> Checkpoint:
    return load_checkpoint(path, TINY)


def refusal(path: Path) -> str:
    message = refusal_of(load, path)
    assert str(path) in message and len(message) < 1500
    return message


def with_tensors(folder: Path, change: Callable[[Tensors], object]) -> Path:
    tensors = network().state_dict()
    change(tensors)
    torch.save({METADATA_KEY: json.dumps(settings()), "state_dict": tensors}, folder / "w.pth")
    return folder / "w.pth"


def with_settings(folder: Path, **changes: Any) -> Path:
    path = folder / "w.safetensors"
    save_file(network().state_dict(), path, metadata={METADATA_KEY: json.dumps({**settings(), **changes})})
    return path


WIDTH = TINY.head_channels
ONE_NUMBER = "bytes behind it"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.update({"classifier.weight": torch.zeros(1).as_strided((3000, WIDTH), (0, 0))}), ONE_NUMBER),
        (lambda t: t.update({"head.conv.weight": torch.zeros(1).expand(t["head.conv.weight"].shape)}), ONE_NUMBER),
        (lambda t: t.update({"classifier.weight": torch.zeros(200_000, WIDTH, dtype=torch.bool)}), "at most 100000"),
        (lambda t: t.update({"classifier.weight": torch.zeros(0, WIDTH)}), "classes"),
        (lambda t: t.update({"classifier.weight": torch.tensor(1.0)}), r"the shape \[\]"),
        (lambda t: t.update({"stem.conv.weight": torch.tensor(1.0)}), r"the shape \[\]"),
        (lambda t: t.update({k: v.to("meta") for k, v in t.items()}), "on meta"),
        (lambda t: t.update({"classifier.weight": t["classifier.weight"].to("meta")}), "on meta"),
        (lambda t: t.update({"classifier.weight": t["classifier.weight"].to_sparse()}), "torch.sparse_coo"),
        (
            lambda t: t.update(
                {"classifier.weight": torch.quantize_per_tensor(t["classifier.weight"], 0.1, 0, torch.qint8)}
            ),
            "torch.qint8",
        ),
        (
            lambda t: t.update({"classifier.weight": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])}),
            "plain tensors",
        ),
        (lambda t: t.update({"a\nPASS" + "x" * 10**6: torch.zeros(1)}), r"a\\nPASSx*…"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of torch's, on quantized and nested tensors
def test_tensors_are_what_they_look_like(change, words, tmp_path):
    with pytest.raises(InputError, match=words):
        load(with_tensors(tmp_path, change))
    refusal(with_tensors(tmp_path, change))


def test_nothing_that_hangs_on_a_tensor_is_used(tmp_path):
    weight = torch.nn.Parameter(torch.ones(len(NAMES), WIDTH))
    weight.__dict__.update(detach=1, numel=2, to=3, is_floating_point=4, untyped_storage=5)
    loaded = load(with_tensors(tmp_path, lambda t: t.update({"classifier.weight": weight}))).model
    assert bool((loaded.classifier.weight == 1).all())


def test_names_of_other_tensors_are_shown_short(tmp_path):
    torch.save({f"{'k' * 10**6}{i}": torch.zeros(1) for i in range(3)}, tmp_path / "w.pth")
    assert "no EfficientNet in a layout known here" in refusal(tmp_path / "w.pth")


# Zip files.


def archive(path: Path, records: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in records.items():
            file.writestr(f"archive/{name}", content)
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def tensor(key: str, count: int) -> bytes:
    """The opcodes of a float tensor in the record `key`."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(count) + b"tQ"
    sizes = number(0) + number(count) + b"\x85" + number(1) + b"\x85"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + sizes + b"\x89ccollections\nOrderedDict\n)RtR"


def test_a_record_under_many_spellings_takes_the_memory_of_one(tmp_path):
    keys = ["".join(letters) for letters in product("aA", "bB", "cC", "dD", "eE", "fF")]
    pickled = b"\x80\x02}(" + b"".join(text(key) + tensor(key, 2_000_000) for key in keys) + b"u."
    path = archive(tmp_path / "w.pth", {"data.pkl": pickled, "version": b"3\n", "data/abcdef": bytes(8_000_000)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(read_file(path)) == len(keys)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_what_others_packed_again_without_compression_loads(tmp_path):
    torch.save({"state_dict": network().state_dict()}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as file:
        records = {name.partition("/")[2]: file.read(name) for name in file.namelist()}
    assert load(archive(tmp_path / "b.pth", records)).num_classes == len(NAMES)
    assert "which no PyTorch weight file does" in refusal(archive(tmp_path / "c.pth", records, zipfile.ZIP_DEFLATED))


BOMBS = {
    "bytearray": b"c__builtin__\nbytearray\n" + number(10**9) + b"\x85R",
    "numpy scalar": b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n" + text("V1000000000") + b"\x85R\x85R",
    "conversion": b"ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n(tR",
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_that_fills_the_memory_by_a_number_is_refused(name, zipped, tmp_path):
    path, pickled = tmp_path / "w.pth", b"\x80\x02" + BOMBS[name] + b"."
    archive(path, {"data.pkl": pickled, "version": b"3\n"}) if zipped else path.write_bytes(pickled)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02.",
        b"\x80\x02J\x01",
        b"\x80\x02" + b"(" * 200_000 + b".",
        b"\x80\x02ccodecs\nencode\n.",
        b"\x80\x02c_codecs\nencode\n" + text("a") + text("no-such-encoding") + b"\x86R.",
        b"x" * 30 + struct.pack("<4s4H2LH", b"PK\5\6", 1, 1, 0, 0, 0, 0, 0),
        b"x" * 30
        + struct.pack("<4sLQL", b"PK\6\7", 1, 0, 2)
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0),
    ],
)
def test_whatever_a_reader_raises_is_a_sentence(data, tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(data)
    refusal(path)


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_an_older_file_cut_anywhere_is_a_sentence(cut, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:cut] or b"x")
    refusal(path)


# Class names and settings.


@pytest.mark.parametrize(
    "entry",
    [
        {"class_names": torch.zeros(3)},
        {"classes": {float("inf"): "a", 1: "b"}},
        {"class_to_idx": {"a": 0.0, "b": 1}},
        {"classes": {torch.zeros(2): "a", torch.zeros(2): "b"}},
        {"classes": "9" * 10_000},
    ],
)
def test_entries_that_are_no_class_names_are_ignored_and_said_so(entry, tmp_path):
    torch.save({"state_dict": network().state_dict(), **entry}, tmp_path / "w.pth")
    checkpoint = load(tmp_path / "w.pth")
    assert checkpoint.class_names is None
    assert any("ignored" in note for note in checkpoint.notes)


ODD_NAMES = ["a\rx", "c\u2028", "c\u2029", "a\0", "a\nb", "\x85", "\x1b[31m", "a\tb", "\ud800", ""]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_class_name_that_is_no_line_of_text_is_refused(name, tmp_path):
    assert "not one line of text" in refusal(with_settings(tmp_path, class_names=[name, "b", "c"]))
    path = tmp_path / "w.pth"
    torch.save({"state_dict": network().state_dict(), "classes": [name, "b", "c"]}, path)
    assert "not one line of text" in refusal(path)
    model = network()
    model.class_names = (name, "b", "c")
    with pytest.raises(InputError, match="not one line of text"):
        save_checkpoint(tmp_path / "x.safetensors", model)


PREPROCESS = Preprocess(crop=32, resize=37).to_dict()


@pytest.mark.parametrize(
    "changes",
    [
        *({"class_names": names} for names in ([1, 2, 3], [["a"], ["b"], ["c"]], "abc", 5, {"a": 1})),
        *({"preprocess": {**PREPROCESS, "crop": value}} for value in (32.0, 32.5, True, "32", None, [32])),
        *({"preprocess": {**PREPROCESS, "resize": value}} for value in (37.0, 36.5, 10**400)),
        *(
            {"preprocess": {**PREPROCESS, "mean": value}}
            for value in ([10**400, 0, 0], [1e300, 0, 0], [True, False, True], ["a", "b", "c"], 0.5, [0, 0], "abc")
        ),
        *({"preprocess": {**PREPROCESS, "std": value}} for value in ([1e-300, 1, 1], [1e300, 1, 1], [0, 1, 1])),
        {"preprocess": {**PREPROCESS, "interpolation": ["a"]}},
        {"preprocess": [1]},
        {"preprocess": "abc"},
        *({"preprocess": None, "image_size": value} for value in (True, 8192, 10**30, 32.0, "32", 0)),
        *({"bn_eps": value} for value in (float("inf"), float("nan"), 0.0, 1e30, "1", True)),
        {"activation": ["relu"]},
        {"padding": {"a": 1}},
        {"variant": 5},
    ],
)
def test_settings_of_the_wrong_kind_or_size_are_damaged(changes, tmp_path):
    assert f"the metadata '{METADATA_KEY}' is damaged" in refusal(with_settings(tmp_path, **changes))


def test_an_image_size_that_the_caller_gives_is_limited_too(tmp_path):
    with pytest.raises(InputError, match="crop <= 2048"):
        load_file(with_settings(tmp_path), TINY, LoadOptions(image_size=8192))
