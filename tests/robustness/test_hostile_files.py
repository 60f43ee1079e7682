"""Files that others made to do harm: each ends in one sentence; nothing of it runs, unpacks or reaches a terminal."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from apps.cli.exit_codes import guarded
from apps.cli.render.analysis import print_analysis
from apps.cli.render.outcome import print_outcome
from edge_effnet import InputError, load_checkpoint
from edge_effnet.images import open_rgb
from edge_effnet.io.text import plain
from edge_effnet.weights.sources import Source
from quant.artifact.open import open_artifact
from quant.common.json_io import read_json
from quant.common.progress import NoProgress
from quant.data.source import image_folder
from quant.program.coreml_payload import model_of
from quant.verdict.flips import Flip
from quant.verdict.verdict import Verdict
from tests.support.artifacts import LAYER, make_artifact, sign_again
from tests.support.images import COLOURS, draw_halves, draw_image, pack_shards
from tests.support.outcomes import outcome
from tests.support.programs import PREPROCESS

ESCAPES = "\x1b]0;owned\x07\x1b[2J[red]\u202e<script>alert(1)</script>"


def test_postscript_named_like_a_image_is_not_handed_to_ghostscript(tmp_path, monkeypatch):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (32, 32)).save(path, format="EPS")
    monkeypatch.setattr("subprocess.check_call", lambda *words, **settings: pytest.fail(f"{words} was run"))
    with pytest.raises(InputError, match="not an image, whatever its name says"):
        open_rgb(path)


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", bytes(10_000_000))
    with pytest.raises(InputError, match="which no PyTorch weight file does"):
        load_checkpoint(path, "b0")


def test_deeply_nested_metadata_is_a_sentence(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    for key in ("edge_effnet", "class_names"):
        save_file({"x": torch.zeros(1)}, path, metadata={key: "[" * 100_000})
        with pytest.raises(InputError):
            load_checkpoint(path, "b0")


@pytest.mark.parametrize("url", ["https://a.example/..", "https://a.example/", "https://a.example/.hidden"])
def test_a_source_has_to_name_a_file(url):
    with pytest.raises(InputError, match="does not end in the name of a file"):
        Source(name="x", url=url, sha256_prefix="0" * 8, variant="b0", origin="timm")


def shards(tmp_path):
    return pack_shards(draw_halves(tmp_path / "photos", train=1, val=1), tmp_path / "shards")


def unpack(folder):
    with image_folder(folder, PREPROCESS, NoProgress()) as unpacked:
        return sorted(path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file())


def test_a_compressed_shard_is_refused(tmp_path):
    path = shards(tmp_path) / "val" / "00.tar"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(draw_image(tmp_path / "a.jpg"))
    path.write_bytes(path.read_bytes() + bytes(1024))
    with pytest.raises(InputError, match="not a complete tar file"):
        unpack(path.parents[1])


def test_a_shard_with_a_huge_member_is_refused_before_it_is_read(tmp_path):
    path = shards(tmp_path) / "val" / "00.tar"
    info = tarfile.TarInfo("0000.jpg")
    info.size = 10**12
    path.write_bytes(info.tobuf() + bytes(1024))
    with pytest.raises(InputError, match=r"which is no image|not a complete tar file"):
        unpack(path.parents[1])


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/../../escaped", "link"])
def test_names_inside_a_shard_leave_its_folder_nowhere(tmp_path, name):
    folder = shards(tmp_path)
    with tarfile.open(folder / "val" / "00.tar", "w") as tar:
        for colour in COLOURS:
            image = draw_image(tmp_path / "a.jpg", colour).read_bytes()
            for suffix, data in (("jpg", image), ("cls", colour.encode())):
                info = tarfile.TarInfo(f"{name}-{colour}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("outside.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert all(path.split("/")[0] in ("train", "val", "classes.txt") for path in unpack(folder))
    assert not list(tmp_path.glob("escaped*")) and not list(Path("/tmp").glob("escaped-*"))


def test_json_is_limited_in_size_depth_and_kind(tmp_path):
    path = tmp_path / "x.json"
    for text, words in (
        ("[" * 10**6, "nested"),
        ("[NaN]", "NaN"),
        ('"' + "x" * 2_000_000, "more than"),
        ("", "Expecting"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            read_json(path, limit=1_500_000)
    with pytest.raises(ValueError, match="not a regular file"):
        read_json(tmp_path, limit=10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[0].update(sqnr_db="high"), "sqnr_db"),
        (lambda rows: rows[0].update(seen=[1]), "seen"),
        (lambda rows: rows[0].update(extra=1), "extra"),
        (lambda rows: rows[0].pop("grid"), "grid"),
        (lambda rows: rows.append(7), "7"),
    ],
)
def test_an_analysis_that_breaks_its_schema_is_refused(tmp_path, change, words):
    folder = make_artifact(tmp_path / "a").folder
    rows = json.loads((folder / "layers.json").read_text())
    change(rows)
    (folder / "layers.json").write_text(json.dumps(rows))
    sign_again(folder)
    with pytest.raises(InputError, match=f"not an analysis .*{words}"):
        open_artifact(folder).layers()


def test_nothing_of_a_name_moves_the_terminals_cursor(capsys, monkeypatch):
    """Colours are on: escape codes are written, and none of them is the name's."""
    from dataclasses import replace

    flip = Flip(
        image=ESCAPES,
        label=ESCAPES,
        float_class=ESCAPES,
        pte_class=ESCAPES,
        float_probability=0.5,
        pte_probability=0.5,
    )
    hostile = outcome(flips=(flip,), notes=(ESCAPES,), verdict=Verdict(passed=False, reasons=(ESCAPES,)))
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_outcome(replace(hostile, artifact=ESCAPES), as_json=False)
    print_analysis([replace(LAYER, layer=ESCAPES, operator="[/closed]")], by="order", top=None, as_json=False)
    guarded(lambda: (_ for _ in ()).throw(InputError(ESCAPES)))
    out, error = capsys.readouterr()
    for text in (out, error):
        assert "\x1b]" not in text and "\x1b[2J" not in text and "\x07" not in text and "\u202e" not in text
    assert "\\x1b]0;owned\\x07" in error and "[/closed]" in "".join(out.split())


def test_plain_text_stays_as_it_is():
    assert plain("Zürich 東京\tb\n") == "Zürich 東京\tb\n"


def payload(table, content=b"model"):
    return content + json.dumps(table).encode()[::-1]


def node(name, offset=0, size=5):
    return {"name": name, "kind": 0, "dataRegion": {"offset": offset, "size": size}, "children": {}}


def test_a_core_ml_payload_is_read_without_touching_the_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert model_of(payload({"nodes": [node("../../x.mlmodel")]})) == b"model"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "table",
    [
        {"nodes": []},
        {"nodes": [node("a.mlmodel"), node("b.mlmodel")]},
        {"nodes": [node("a.mlmodel", offset=-1)]},
        {"nodes": [node("a.mlmodel", size=10**9)]},
        {"nodes": [node("a.mlmodel", size="5")]},
        {"nodes": [node("a.mlmodel", size=True)]},
    ],
)
def test_a_broken_core_ml_payload_is_a_value_error(table):
    with pytest.raises(ValueError, match=r"files that end|no number of bytes|the payload at"):
        model_of(payload(table))
