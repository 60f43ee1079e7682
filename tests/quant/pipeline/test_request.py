"""One config, checked once, whichever way it comes in."""

from __future__ import annotations

import pytest

from edge_effnet.errors import InputError
from quant import QuantizeConfig, quantize
from quant.pipeline.load import load_checkpoint
from quant.pipeline.request import resolve
from quant.qat.options import QatOptions


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": None}, "data is None; leave it out for the sample's, or say where yours are"),
        ({"weights": None}, "weights is None; leave it out"),
        ({"threads": 0}, "--threads 0: need 1 to 256"),
        ({"threads": 300}, "--threads 300: need 1 to 256"),
        ({"seed": -1}, "--seed -1: need a whole number from 0"),
        ({"max_drop": 100.5}, "--max-drop 100.5: need a number of points from 0 to 100"),
        ({"min_agreement": -1.0}, "--min-agreement -1.0: need a percentage from 0 to 100"),
        ({"crop": 240, "image_size": 224}, "--crop 240 and --image-size 224 both name the side"),
        ({"resize": "224x192"}, "--resize 224x192: need N"),
        ({"resize_mode": "longer"}, "unknown resize mode 'longer'; choose one of shorter, "),
        ({"max_unusable": -1.0}, "--max-unusable -1.0: need a percentage from 0 to 100"),
        ({"labels": "absent.csv"}, "--labels absent.csv: does not exist"),
        ({"labels": "."}, "--labels .: is a folder"),
        ({"image_column": "file"}, "--image-column and --label-column are of a label file: add --labels FILE"),
        ({"classes": "absent.txt"}, "--classes absent.txt: no such file"),
        ({"recipe": "int7"}, "unknown recipe 'int7'; choose one of: int8, "),
        ({"variant": "b9"}, "b9"),
        ({"backend": "xnnpak"}, "unknown backend 'xnnpak'; choose one of: xnnpack, "),
        ({"backend": ("xnnpack:int4",)}, "possible: xnnpack:int8, "),
        ({"backend": ()}, "--backend: names no program"),
        ({"qat": QatOptions(steps=1)}, "--recipe int8 trains nothing"),
        ({"recipe": "qat-int8", "backend": ("xnnpack:all",)}, "--recipe qat-int8 trains xnnpack's arithmetic"),
        (
            {"embed_preprocess": True, "backend": "portable"},
            "--embed-preprocess is for the int8 xnnpack program alone",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(changes, sentence, tmp_path):
    settings = {"variant": "b0", **changes}
    for run in (lambda: resolve(QuantizeConfig(**settings)), lambda: quantize(**settings)):
        with pytest.raises(InputError) as refused:
            run()
        assert sentence in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backend", ["xnnpack", "xnnpack:int8", ("xnnpack",), ("xnnpack:int8", "xnnpack")])
def test_the_default_makes_one_artifact_whatever_it_is_called(backend):
    request = resolve(QuantizeConfig(variant="b0", backend=backend))
    assert request.alone and str(request.out) == "b0-int8-xnnpack"


@pytest.mark.parametrize("backend", ["portable", "xnnpack:fp32", ("xnnpack", "portable"), ("all",)])
def test_anything_else_makes_a_folder_of_artifacts(backend):
    request = resolve(QuantizeConfig(variant="b0", backend=backend, min_agreement=99.0))
    assert not request.alone and not request.searches and str(request.out) == "b0-int8-backends"


def test_a_setting_that_there_is_not_is_a_type_error():
    with pytest.raises(TypeError, match="calibraton"):
        quantize("b0", calibraton=8)


def test_weights_tell_the_variant_and_a_wrong_one_is_named(small_weights):
    request = resolve(QuantizeConfig(weights=small_weights, data="photos"))
    assert (request.spec.name, str(request.out)) == ("b0", "b0-int8-xnnpack")
    assert load_checkpoint(request) is request.checkpoint
    with pytest.raises(InputError, match=r"holds b0 .*, not b1; ask for b0"):
        load_checkpoint(resolve(QuantizeConfig(variant="b1", weights=small_weights, data="photos")))
    with pytest.raises(InputError, match="--variant missing"):
        resolve(QuantizeConfig())
