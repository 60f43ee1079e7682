import json
import shutil
from dataclasses import asdict

import pytest
import torch

from edge_effnet.errors import InputError, MachineError
from quant.artifact.model import Golden
from quant.artifact.open import open_artifact
from quant.artifact.recognise import require_replaceable
from quant.artifact.write import write_artifact
from quant.pipeline.results import ProgramRow, RunOutcome
from tests.support.artifacts import LAYER, edit_manifest, make_artifact, manifest_fields, sign_again, snapshot
from tests.support.images import COLOURS, draw_image
from tests.support.outcomes import outcome
from tests.support.programs import PREPROCESS, SIZE
from tests.support.refusals import refusal_of

FILES = [
    "float.pte",
    "golden/0.float_output.f32",
    "golden/0.input.f32",
    "golden/0.output.f32",
    "labels.txt",
    "layers.json",
    "manifest.json",
    "model.pte",
]


@pytest.fixture
def folder(tmp_path):
    return make_artifact(tmp_path / "b0-int8-xnnpack").folder


def refusal(folder):
    return refusal_of(open_artifact, folder, begins=str(folder))


def test_the_folder_holds_what_the_documentation_says(folder):
    assert sorted(snapshot(folder)) == FILES
    assert (folder / "labels.txt").read_text() == "blue\ngreen\nred\n"
    assert (folder / "golden" / "0.input.f32").stat().st_size == 4 * 3 * SIZE * SIZE


def test_what_is_written_is_what_is_read(tmp_path):
    fitted = draw_image(tmp_path / "photo.jpg")
    written = make_artifact(tmp_path / "a", calibrated_on=[fitted])
    read = open_artifact(tmp_path / "a")
    assert read.manifest == written.manifest
    assert read.labels == COLOURS and read.labelled and read.preprocess == PREPROCESS
    assert len(read.calibrated_on) == 1
    assert asdict(read.delegation) == {"partitions": 1, "delegated": 3, "left": 0}
    (golden,) = read.golden()
    assert golden.image == "val/red/0.jpg"
    assert golden.input.shape == (3, SIZE, SIZE) and golden.output.shape == (3,)
    assert torch.equal(golden.output, golden.float_output)
    levels = (golden.input * torch.tensor(PREPROCESS.std).view(3, 1, 1)) + torch.tensor(PREPROCESS.mean).view(3, 1, 1)
    assert torch.allclose(levels * 255, (levels * 255).round(), atol=1e-3)


def test_the_analysis_is_read_as_it_was_written(folder):
    assert open_artifact(folder).layers() == [LAYER]


@pytest.mark.parametrize("text", ["{", "[1]", '[{"node": "a"}]', "{}", "null"])
def test_an_analysis_that_is_none_is_explained(folder, text):
    artifact = open_artifact(folder)
    (folder / "layers.json").write_text(text)
    with pytest.raises(InputError, match=r"layers\.json: not an analysis"):
        artifact.layers()


def test_golden_files_are_little_endian_float32_and_contiguous(tmp_path):
    values = torch.arange(3 * SIZE * SIZE, dtype=torch.float32).reshape(SIZE, SIZE, 3).movedim(2, 0)
    assert not values.is_contiguous()
    folder = tmp_path / "a"
    write_artifact(
        folder,
        model=b"m",
        float_model=b"f",
        classes=COLOURS,
        golden=[
            Golden(
                image="p.jpg",
                input=values,
                output=torch.tensor([1.0, -2.5, 0.0]),
                float_output=torch.tensor([1.0, -2.0, 0.0]),
            )
        ],
        layers=[],
        manifest={**manifest_fields(), "labelled": True, "photographs": {"calibration": [], "evaluation": []}},
    )
    assert (folder / "golden" / "0.output.f32").read_bytes() == bytes.fromhex("0000803f000020c000000000")
    (golden,) = open_artifact(folder).golden()
    assert torch.equal(golden.input, values)
    assert golden.float_output.tolist() == [1.0, -2.0, 0.0]


@pytest.mark.parametrize(
    "names", [("tench", "chain saw", "gas_pump"), ("été", "猫", "🐈"), ("\u200f", " ", "\u3000")]
)
def test_class_names_survive_whatever_their_letters(tmp_path, names):
    make_artifact(tmp_path / "a", classes=names)
    assert open_artifact(tmp_path / "a").labels == names


@pytest.mark.parametrize("name", ["two\nlines", "latin-\udce9", "a\u2028b", "c\x85d", "e\x0cf", "g\r", "h\0", ""])
def test_a_class_name_that_is_no_line_of_text_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(InputError, match="not one line of text"):
        make_artifact(tmp_path / "a", classes=("a", "b", name))
    assert not list(tmp_path.iterdir())


def test_a_manifest_that_breaks_its_own_schema_is_never_written(tmp_path):
    with pytest.raises(InputError, match="not a manifest"):
        make_artifact(tmp_path / "a", variant=7)
    assert not list(tmp_path.iterdir())


def test_the_same_content_gives_the_same_bytes(tmp_path):
    assert snapshot(make_artifact(tmp_path / "a").folder) == snapshot(make_artifact(tmp_path / "b").folder)


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
def test_a_changed_file_is_refused_by_name(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    message = refusal(folder)
    assert str(folder / name) in message and "SHA-256" in message and "regenerate the artifact" in message


@pytest.mark.parametrize("name", [name for name in FILES if name != "manifest.json"])
@pytest.mark.parametrize("how", ["missing", "empty", "longer", "folder", "link"])
def test_a_file_that_is_not_there_as_written_is_refused_by_name(folder, tmp_path, name, how):
    path = folder / name
    if how == "empty":
        path.write_bytes(b"")
    elif how == "longer":
        path.write_bytes(path.read_bytes() + b"\0")
    else:
        shutil.move(path, tmp_path / "elsewhere")
        if how == "folder":
            path.mkdir()
        if how == "link":
            path.symlink_to(tmp_path / "elsewhere")
    assert str(path) in refusal(folder)


def test_golden_files_in_a_linked_folder_are_refused(folder, tmp_path):
    shutil.move(folder / "golden", tmp_path / "elsewhere")
    (folder / "golden").symlink_to(tmp_path / "elsewhere")
    assert "no file of this folder" in refusal(folder)


def test_a_linked_artifact_folder_is_fine(folder, tmp_path):
    (tmp_path / "latest").symlink_to(folder)
    assert open_artifact(tmp_path / "latest").labels == COLOURS


def test_a_folder_without_a_manifest_is_no_artifact(tmp_path):
    assert "no artifact here (no manifest.json); make one with `quantize`" in refusal(tmp_path)
    assert "no artifact here" in refusal(tmp_path / "absent")


def test_the_folder_of_a_run_over_several_programs_names_them(tmp_path):
    for name in ("qnn-w8a8", "xnnpack-int8"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    (tmp_path / "fleet.json").write_text("{}")
    assert f"name {tmp_path / 'qnn-w8a8'} or {tmp_path / 'xnnpack-int8'}" in refusal(tmp_path)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b'{"schema": 1', b"[" * 100_000], ids=["empty", "cut", "binary", "open", "deep"]
)
def test_a_manifest_that_is_no_json_is_refused(folder, text):
    (folder / "manifest.json").write_bytes(text)
    assert "not readable as JSON" in refusal(folder)


@pytest.mark.parametrize("text", ["[]", "7", "null", '"schema"'])
def test_json_of_another_kind_is_refused(folder, text):
    (folder / "manifest.json").write_text(text)
    assert "not a manifest" in refusal(folder)


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_another_version_of_the_manifest_is_refused(folder, schema):
    edit_manifest(folder, lambda m: m.update(schema=schema))
    assert "this version reads 1" in refusal(folder)


@pytest.mark.parametrize("key", sorted(json.loads(json.dumps({**manifest_fields(), "files": 0, "classes": 0}))))
def test_a_manifest_without_one_of_its_parts_is_refused(folder, key):
    edit_manifest(folder, lambda m: m.pop(key))
    assert "not a manifest" in refusal(folder) and key in refusal(folder)


_CLASS = {"name": "red", "photographs": 1, "float_right": 1, "pte_right": 1, "kept": 1}
_FLOAT_LAYER = {"layer": "stem", "reason": "recipe int8", "added_ms": 0.1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(classes=["green", "blue", "red"]), "labels.txt does not hold its classes"),
        (lambda m: m["classes"].append("purple"), "labels.txt does not hold its classes"),
        (lambda m: m["classes"].__setitem__(0, "\udc80"), "labels.txt does not hold its classes"),
        (lambda m: m["preprocess"].update(crop=8), "differ in size"),
        (lambda m: m.update(image_size=8), "differ in size"),
        (lambda m: m["input"].update(shape=[1, 1, SIZE, SIZE]), "differ in size"),
        (lambda m: m["output"].update(shape=[1, 10]), "another shape than one figure a class"),
        (lambda m: m["preprocess"].update(interpolation="nearest"), "choose one of bilinear, bicubic"),
        (lambda m: m["preprocess"].update(std=[0, 1, 1]), "std above 0"),
        (lambda m: m["preprocess"].update(mean=[float("nan")] * 3), "not readable as JSON (NaN"),
        (lambda m: m["preprocess"].update(bgr=True), "not a manifest"),
        (lambda m: m["golden"].clear(), "not a manifest"),
        (lambda m: m["golden"][0].update(input="golden/9.input.f32"), "not among its files"),
        (lambda m: m["golden"][0].update(input="golden/.."), "not among its files"),
        (lambda m: m["golden"][0].update(input="../secret"), "not a manifest"),
        (lambda m: m["files"]["model.pte"].update(bytes=3), "model.pte"),
        (lambda m: m["files"]["model.pte"].update(sha256="0" * 64), "model.pte"),
        (lambda m: m["files"]["model.pte"].update(sha256="0" * 63), "not a manifest"),
        (lambda m: m["files"].pop("model.pte"), "not a manifest"),
        (lambda m: m["files"].pop("golden/0.input.f32"), "not among its files"),
        (lambda m: m.update(extra=1), "not a manifest"),
        (lambda m: m["delegation"].update(left=-1), "not a manifest"),
        (lambda m: m["photographs"]["calibration"].append({"name": "x", "sha256": "y"}), "not a manifest"),
        # The fuzz of manifests found these: the report took them for numbers and names.
        (lambda m: m["verdict"].update(classes=[_CLASS | {"kept": [[]]}]), "not a manifest"),
        (lambda m: m["verdict"].update(classes=[_CLASS | {"name": {}}]), "not a manifest"),
        (lambda m: m["verdict"].update(float_layers=[_FLOAT_LAYER | {"added_ms": "a"}]), "not a manifest"),
        (lambda m: m["verdict"].update(drop_interval=[None, 0]), "not a manifest"),
    ],
)
def test_an_edited_manifest_is_refused(folder, change, message):
    edit_manifest(folder, change)
    assert message in refusal(folder)


@pytest.mark.parametrize(
    "name", ["../secret.txt", "/etc/passwd", "golden/../../secret.txt", "..", ".hidden", "golden/deep/x", "a\\b", ""]
)
def test_no_path_of_a_manifest_leaves_its_folder(folder, tmp_path, name):
    (tmp_path / "secret.txt").write_text("secret")
    edit_manifest(folder, lambda m: m["files"].update({name: {"sha256": "0" * 64, "bytes": 6}}))
    message = refusal(folder)
    assert "not a manifest" in message  # refused by its name: the file was never opened


def test_golden_files_of_another_size_are_refused(folder):
    (folder / "golden" / "0.input.f32").write_bytes(bytes(4 * 5))
    sign_again(folder)
    with pytest.raises(InputError, match=r"0\.input\.f32: 20 bytes, the program's shape is \(3, 16, 16\)"):
        open_artifact(folder).golden()


def test_an_artifact_is_replaced_whole(folder):
    edit_manifest(folder, lambda manifest: manifest["files"].update({"left.txt": manifest["files"]["model.pte"]}))
    (folder / "left.txt").touch()
    make_artifact(folder, variant="b1")
    assert sorted(snapshot(folder)) == FILES
    assert open_artifact(folder).manifest["variant"] == "b1"


def test_an_empty_folder_may_become_an_artifact(tmp_path):
    (tmp_path / "a").mkdir()
    require_replaceable(tmp_path / "a")
    make_artifact(tmp_path / "a")


@pytest.mark.parametrize("what", ["photographs", "file", "link", "dangling link"])
def test_what_is_no_artifact_is_never_replaced(tmp_path, folder, what):
    target = tmp_path / "mine"
    if what == "photographs":
        draw_image(target / "holiday.jpg")
    elif what == "file":
        target.write_text("mine")
    else:
        target.symlink_to(folder if what == "link" else tmp_path / "absent")
    before = snapshot(tmp_path)
    for call in (lambda: require_replaceable(target), lambda: make_artifact(target)):
        with pytest.raises(InputError, match="choose another --out"):
            call()
    assert snapshot(tmp_path) == before


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="is a file"):
        require_replaceable(tmp_path / "file" / "a")


def test_the_documentation_describes_every_key_of_the_verdict(pytestconfig):
    schema = json.loads((pytestconfig.rootpath / "quant" / "artifact" / "manifest.schema.json").read_text())
    page = (pytestconfig.rootpath / "docs" / "manifest.md").read_text()
    page = page[page.index("## The verdict") : page.index("## report.html")]
    row = ProgramRow(name="", backend="", precision="", devices="", status="", reason="")
    run = RunOutcome(folder="", variant="", recipe="", rows=(row,), findings=(), seconds={}).to_json()
    figures = schema["$defs"]["figures"]["properties"]
    keys = {*schema["properties"]["verdict"]["properties"], *outcome().to_json(), *figures, *run, *run["programs"][0]}
    assert not {key for key in keys if f"`{key}`" not in page}


def test_the_documentation_describes_every_key_of_the_schema(pytestconfig):
    schema = json.loads((pytestconfig.rootpath / "quant" / "artifact" / "manifest.schema.json").read_text())
    page = (pytestconfig.rootpath / "docs" / "manifest.md").read_text()
    page = page[page.index("## manifest.json") : page.index("## layers.json")]
    keys = {
        key
        for line in page.splitlines()
        if line.startswith("| `")
        for key in line.split("|")[1].replace("`", "").split(", ")
    }
    assert {key.strip() for key in keys} == set(schema["properties"])
    # A run over several backends adds the precision, an NPU its emulator, a head of several layers and a task that is
    # not one of several classes themselves; earlier versions knew no command and no machine.
    optional = {"precision", "head", "task", "npu", "command", "golden_photographs", "machine"}
    assert set(schema["properties"]) - set(schema["required"]) == optional
    for key in schema["properties"]["preprocess"]["required"]:
        assert f"`{key}`" in page
