"""What `--backend` may ask for, and what is refused before any work starts."""

import subprocess
import sys
from dataclasses import fields

import pytest

from edge_effnet.activations import ACTIVATIONS
from edge_effnet.errors import InputError
from quant.lower.choices import check_fits, check_given, check_options, choose, require_runs_here
from quant.lower.options import BackendOptions
from quant.lower.table import BACKENDS
from quant.program import openvino_library


def names(*words):
    return [choice.name for choice in choose(words)]


def test_a_bare_name_is_its_default_precision_and_all_of_a_backend_is_every_one():
    assert names("coreml") == ["coreml-fp16"]
    assert names("vulkan:fp32", "xnnpack") == ["xnnpack-int8", "vulkan-fp32"]  # in the order of the table
    assert names("coreml:all") == ["coreml-fp16", "coreml-fp32", "coreml-int8", "coreml-int8-weights"]
    assert names("coreml", "coreml:fp16") == ["coreml-fp16"]


def test_all_is_every_precision_of_every_backend_with_what_is_missing_as_rows():
    choices = choose(["all"])
    assert len(choices) == sum(len(backend.of_all()) for backend in BACKENDS.values())
    assert [choice.precision for choice in choices if choice.backend.chips] == ["u85-256"]  # its other chips: by name
    assert all(backend.of_all() == tuple(backend.precisions) for backend in BACKENDS.values() if not backend.chips)
    missing = {choice.backend.name: choice.missing for choice in choices if choice.missing}
    assert set(missing) <= {"openvino", "qnn", "ethos-u"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("qnn:int8", ["qnn has no 'int8'", "qnn:w8a8, qnn:w16a8, qnn:fp16"]),
        ("tflite", ["unknown backend 'tflite'", "xnnpack, coreml, vulkan, openvino, qnn, ethos-u, portable, or all"]),
        ("vulkan:w8a8", ["vulkan has no 'w8a8'", "vulkan:fp16, vulkan:fp32, vulkan:int8", "Backends with w8a8: qnn"]),
        ("ethos-u:u54-32", ["ethos-u has no 'u54-32'", "ethos-u:u85-256, ethos-u:u85-128", "ethos-u:u55-256"]),
        ("portable:", ["portable has no ''", "portable:fp32"]),
        ("xnnpack:int4", ["xnnpack:int8, xnnpack:fp32, xnnpack:fp16"]),
    ],
)
def test_what_is_impossible_is_refused_with_what_is_possible(word, expected):
    with pytest.raises(InputError) as refused:
        choose([word])
    for part in expected:
        assert part in str(refused.value)


def test_nothing_of_the_vendors_packages_is_imported():
    """`executorch.backends.qualcomm` starts a download of gigabytes when it is imported."""
    code = (
        "import sys; from quant.lower.choices import choose; choose(['all']); "
        "print([m for m in sys.modules if m.startswith(('executorch', 'torch'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_networks_that_a_backend_does_not_run_are_refused():
    choices = choose(["coreml", "xnnpack"])
    check_fits(choices, activation="swish", image_size=224)
    with pytest.raises(InputError, match="does not run gelu; it runs swish"):
        check_fits(choices, activation="gelu", image_size=224)
    with pytest.raises(InputError, match="input of 16 pixels; possible: 32 to 2048"):
        check_fits(choices, activation="swish", image_size=16)


def test_the_table_names_activations_that_exist():
    for backend in BACKENDS.values():
        assert set(backend.activations) <= set(ACTIVATIONS), backend.name


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"soc": "SM8750"}, "--soc SM8750: is for qnn, of which .* add --backend qnn"),
        ({"compute_units": "all"}, "--compute-units all: is for coreml"),
        ({"ios": 18}, "--ios 18: is for coreml"),
    ],
)
def test_an_option_that_no_chosen_backend_reads_is_refused(given, expected):
    with pytest.raises(InputError, match=expected):
        check_given(choose(["xnnpack", "vulkan"]), given)
    check_given(choose(["all"]), given)
    changed = BackendOptions(ios=18)
    with pytest.raises(InputError, match="--ios 18"):
        check_options(choose(["xnnpack"]), changed)
    check_options(choose(["coreml"]), changed)


def test_every_option_is_some_backends():
    read = {name for backend in BACKENDS.values() for name in backend.options}
    assert read == {field.name for field in fields(BackendOptions)}


def test_options_say_what_they_take():
    with pytest.raises(InputError, match="cpu_and_ne"):
        BackendOptions(compute_units="npu")
    with pytest.raises(InputError, match="17, 18"):
        BackendOptions(ios=16)


def test_programs_of_other_devices_are_not_checked_here(monkeypatch):
    require_runs_here("xnnpack")
    require_runs_here("somebody's own")
    with pytest.raises(InputError, match="iOS and macOS"):
        require_runs_here("coreml")
    monkeypatch.setattr(openvino_library.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install"):
        require_runs_here("openvino")


@pytest.mark.parametrize(("version", "works"), [("2025.4.1", True), ("2026.4.1", False), ("2024.6.0", False)])
def test_openvino_of_the_wrong_year_is_named(monkeypatch, version, works):
    monkeypatch.setattr(openvino_library.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(openvino_library, "version", lambda name: version)
    assert (openvino_library.missing() is None) == works
