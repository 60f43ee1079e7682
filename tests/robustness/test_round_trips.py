"""What is written is what is read, for any content: manifests, results, key maps, names."""

import base64
import json
import string
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.device.job.results import parse_results, read_results, write_results
from edge_effnet import EfficientNet
from edge_effnet.class_names import is_line_of_text
from edge_effnet.errors import InputError
from edge_effnet.preprocess import Preprocess
from edge_effnet.variants import VARIANTS, resolve_variant
from edge_effnet.weights.layouts import LAYOUTS
from quant.artifact.open import open_artifact
from quant.recipes import RECIPES, find_recipe
from tests.support.artifacts import make_artifact
from tests.support.layouts import detect_layout
from tests.support.paths import GOLDEN
from tests.support.programs import RIGHT

GOOD = GOLDEN / "results" / "good.json"
LINES = st.text(min_size=1, max_size=20).filter(is_line_of_text)


@settings(max_examples=25)
@given(
    classes=st.lists(LINES, min_size=3, max_size=3, unique=True),
    name=st.text(max_size=30).filter(lambda text: text == text.encode(errors="replace").decode()),
)
def test_a_manifest_is_read_as_it_was_written(classes, name):
    with tempfile.TemporaryDirectory() as folder:
        weights = {"name": name, "origin": "timm", "sha256": "0" * 64}
        made = make_artifact(Path(folder, "a"), channels=RIGHT, classes=classes, weights=weights)
        found = open_artifact(Path(folder, "a"))
        assert found.manifest == made.manifest and list(found.labels) == classes
        assert [golden.image for golden in found.golden()] == ["val/red/0.jpg"]
        assert torch.equal(found.golden()[0].output, made.golden()[0].output)


@given(
    mean=st.tuples(*[st.floats(-10, 10)] * 3),
    std=st.tuples(*[st.floats(1e-3, 10)] * 3),
    crop=st.integers(1, 2048),
    border=st.integers(0, 4096),
)
def test_preprocessing_survives_json(mean, std, crop, border):
    made = Preprocess(crop=crop, resize=crop + border, mean=mean, std=std)
    assert Preprocess.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@given(
    rows=st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4)),
    names=st.data(),
)
def test_results_are_read_as_they_were_written(rows, names):
    values = json.loads(GOOD.read_text())
    values["photographs"] = [
        {
            "name": names.draw(st.text(max_size=20).filter(lambda t: t == t.encode(errors="replace").decode())),
            "sha256": f"{index:064x}",
            "logits": base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode(),
        }
        for index, row in enumerate(rows)
    ]
    values["reruns"] = values["photographs"][:1]
    text = json.dumps(values).encode()
    if not rows:
        with pytest.raises(InputError, match="not a results file"):
            parse_results(text, where="a phone")
        return
    made = parse_results(text, where="a phone")
    with tempfile.TemporaryDirectory() as folder:
        write_results(Path(folder, "r.json"), made)
        found = read_results(Path(folder, "r.json"))
    assert found.values == made.values
    assert torch.equal(found.logits, torch.tensor(rows, dtype=torch.float32))


@pytest.mark.parametrize("layout", list(LAYOUTS.values()), ids=list(LAYOUTS))
@pytest.mark.parametrize("variant", ["b0", "b5", "l2", "lite0", "lite4"])
def test_a_key_map_is_one_to_one_and_tells_its_layout(layout, variant):
    with torch.device("meta"):
        keys = list(EfficientNet.from_name(variant).state_dict())
    theirs = layout.theirs(VARIANTS[variant], keys)
    assert list(theirs) == keys and len(set(theirs.values())) == len(keys)
    assert detect_layout(theirs.values()) is layout
    assert all(key.rpartition(".")[2] == name.rpartition(".")[2] for key, name in theirs.items())


SPELLINGS = ("{}", "efficientnet-{}", "efficientnet_{}", "tf_efficientnet_{}", "tf_efficientnet_{}_ap", "{}.ra_in1k")


@given(
    variant=st.sampled_from(sorted(VARIANTS)),
    spelling=st.sampled_from(SPELLINGS),
    upper=st.booleans(),
    blanks=st.sampled_from(["", " ", "\t"]),
)
def test_every_spelling_of_a_name_means_its_variant(variant, spelling, upper, blanks):
    name = spelling.format(variant)
    assert resolve_variant(f"{blanks}{name.upper() if upper else name}{blanks}") is VARIANTS[variant]


@given(st.text(max_size=30) | st.text(alphabet=string.ascii_lowercase + string.digits + "-_.", max_size=30))
def test_any_other_name_is_refused_with_the_choices(text):
    for find, choices in ((resolve_variant, VARIANTS), (find_recipe, RECIPES)):
        try:
            assert find(text).name in choices
        except InputError as error:
            assert all(choice in str(error) for choice in choices)
