"""The sample weights are what their metadata says, and small enough to ship."""

import json
from importlib import resources

import pytest
import torch

from edge_effnet.errors import InputError
from edge_effnet.samples import CLASS_NAMES, sample_metadata, sample_weights
from edge_effnet.samples.trained import TRAINED
from edge_effnet.weights import load_checkpoint
from tests.support.refusals import refusal_of


@pytest.mark.parametrize("variant", TRAINED)
def test_they_load_as_a_trained_network_of_the_sample_classes(variant):
    checkpoint = load_checkpoint(sample_weights(variant), variant)
    assert checkpoint.class_names == CLASS_NAMES and checkpoint.num_classes == len(CLASS_NAMES)
    assert (checkpoint.preprocess.crop, checkpoint.preprocess.resize) == (224, 224)
    tensors = checkpoint.model.state_dict().values()
    assert all(tensor.isfinite().all() for tensor in tensors if tensor.is_floating_point())
    assert {tensor.dtype for tensor in checkpoint.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("variant", TRAINED)
def test_the_metadata_tells_how_they_were_made(variant):
    made = sample_metadata(variant)
    assert made["command"].startswith(f"edge-effnet train --variant {variant} --data sample")
    runs = [made]
    while runs[-1]["started_from"] is not None:
        runs.append(runs[-1]["started_from"]["metadata"])
    assert {(run["variant"], run["seed"]) for run in runs} == {(variant, 0)}
    assert sum(run["steps"] for run in runs) > 4000
    assert made["val_image_size"] == 224 and made["val_images"] >= 500
    assert 0.90 <= made["val_top1"] <= 0.97
    assert tuple(made["class_names"]) == CLASS_NAMES
    assert "/" not in json.dumps({key: made[key] for key in ("command", "settings")}), "no path of a machine"


@pytest.mark.parametrize("variant", TRAINED)
def test_they_are_small_enough_to_ship(variant):
    files = resources.files("edge_effnet.samples")
    assert files.joinpath(f"{variant}.safetensors").is_file()
    assert sample_weights(variant).stat().st_size <= 9_000_000


def test_other_variants_are_told_the_ways_on():
    message = refusal_of(sample_weights, "efficientnet-b3")
    for way in ("b0 and lite0", "--weights FILE --data DIR", "--weights b3", "edge-effnet train --variant b3"):
        assert way in message


def test_an_unknown_variant_is_named():
    with pytest.raises(InputError, match="unknown variant 'b9'"):
        sample_weights("b9")
