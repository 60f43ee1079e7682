"""Folders as transformers writes them, against a reference that was compared with the package itself."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edge_effnet import Checkpoint, EfficientNet, InputError, Preprocess
from edge_effnet.variants import VARIANTS
from edge_effnet.weights.layouts import LAYOUTS
from edge_effnet.weights.pretrained import load_pretrained
from edge_effnet.weights.transformers_config import odd_blocks_of
from tests.support.networks import assert_same_outputs, images, trained_looking
from tests.support.refusals import refusal_of
from tests.support.transformers_reference import EfficientNetForImageClassification
from tests.support.weight_files import load_saved, state_dict

LABELS = 5
NAMES = ("tench", "church", "golf ball", "french horn", "gas pump")

# Of the configs of google/efficientnet-b0 to -b7.
DEPTHWISE_PADDING = {
    "b0": (), "b1": (16,), "b2": (5, 8, 16), "b3": (5, 18), "b4": (6,), "b5": (13, 27), "b6": (31,), "b7": (18,),
}  # fmt: skip
KERAS_STD = (0.47853944, 0.4732864, 0.47434163)


@functools.cache
def network(variant: str) -> EfficientNetForImageClassification:
    spec = VARIANTS[variant]
    made = EfficientNetForImageClassification(
        width=spec.width, depth=spec.depth, depthwise_padding=DEPTHWISE_PADDING[variant], labels=LABELS
    )
    return trained_looking(made, image_size=96)


def config(variant: str, **changes: Any) -> dict[str, Any]:
    spec = VARIANTS[variant]
    return {
        "architectures": ["EfficientNetForImageClassification"],
        "model_type": "efficientnet",
        "batch_norm_eps": 0.001,
        "hidden_act": "swish",
        "pooling_type": "mean",
        "strides": [1, 2, 2, 2, 1, 2, 1],
        "depthwise_padding": list(DEPTHWISE_PADDING[variant]),
        "image_size": spec.resolution,
        "width_coefficient": spec.width,
        "depth_coefficient": spec.depth,
        "id2label": {str(index): name for index, name in enumerate(NAMES)},
    } | changes


def processor(size: int, **changes: Any) -> dict[str, Any]:
    return {
        "image_processor_type": "EfficientNetImageProcessor",
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": 3,
        "do_center_crop": False,
        "crop_size": {"height": 289, "width": 289},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "rescale_offset": False,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": list(KERAS_STD),
        "include_top": True,
    } | changes


def snapshot(folder: Path, variant: str = "b0", *, of: Any = None, by: Any = None, safe: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    tensors = network(variant).state_dict()
    if safe:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config(variant) if of is None else of))
    written = processor(VARIANTS[variant].resolution) if by is None else by
    (folder / "preprocessor_config.json").write_text(json.dumps(written))
    return folder


def assert_parity(checkpoint: Checkpoint, variant: str) -> None:
    x = images(2, VARIANTS[variant].resolution, seed=3)
    with torch.no_grad():
        assert_same_outputs(checkpoint.model(x), network(variant)(x), rtol=1e-4)


@pytest.mark.parametrize("variant", ["b0", "b1", "b2"])
@pytest.mark.parametrize("safe", [True, False])
def test_a_folder_of_transformers(variant: str, safe: bool, tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "snapshot", variant, safe=safe)
    size = VARIANTS[variant].resolution
    for source in (str(folder), folder, folder / ("model.safetensors" if safe else "pytorch_model.bin")):
        checkpoint = load_pretrained(source)
        assert (checkpoint.spec.name, checkpoint.origin, checkpoint.class_names) == (variant, "transformers", NAMES)
        assert checkpoint.preprocess == Preprocess(crop=size, resize=size, resize_mode="squash")
        assert checkpoint.notes == ()
    assert_parity(checkpoint, variant)


@pytest.mark.parametrize("variant", DEPTHWISE_PADDING)
def test_padding_is_same_at_the_published_sizes(variant: str) -> None:
    assert odd_blocks_of(VARIANTS[variant], VARIANTS[variant].resolution) == set(DEPTHWISE_PADDING[variant])


def test_all_tensors_match_one_to_one() -> None:
    shapes = {name: tensor.shape for name, tensor in network("b0").state_dict().items()}
    ours = {name: tensor.shape for name, tensor in load_names("b0").items()}
    assert shapes == ours and len(shapes) == 360


def load_names(variant: str) -> dict[str, torch.Tensor]:
    tensors = EfficientNet.from_name(variant, num_classes=LABELS).state_dict()
    names = LAYOUTS["transformers"].theirs(VARIANTS[variant], tensors)
    return {names[name]: tensor for name, tensor in tensors.items()}


def test_a_state_dict_alone_and_the_base_model(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    assert_parity(load_saved({"state_dict": network("b0").state_dict()}, path), "b0")
    own = {key.replace("efficientnet.", "backbone."): value for key, value in network("b0").state_dict().items()}
    own = {key.replace("classifier.", "fc."): value for key, value in own.items()}
    assert_parity(load_saved(own, path), "b0")


def reference_normalization(pixels: np.ndarray, values: dict[str, Any]) -> np.ndarray:
    """The steps of EfficientNetImageProcessor, one by one."""
    x = pixels.astype(np.float64)
    if values["do_rescale"]:
        x = x * values["rescale_factor"] - (1 if values["rescale_offset"] else 0)
    if values["do_normalize"]:
        x = (x - np.array(values["image_mean"])) / np.array(values["image_std"])
    if values["include_top"]:
        x = x / np.array(values["image_std"])
    return x.transpose(2, 0, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"include_top": False},
        {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False, "include_top": False},
        {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "include_top": False},
        {"do_normalize": False},
    ],
)
def test_normalization_is_the_processors(changes: dict[str, Any], tmp_path: Path) -> None:
    values = processor(224, **changes)
    checkpoint = load_pretrained(snapshot(tmp_path / "snapshot", by=values))
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        checkpoint.preprocess.normalize(pixels).numpy(), reference_normalization(pixels, values), atol=1e-4
    )


def test_a_crop_and_another_resampling(tmp_path: Path) -> None:
    values = processor(256, do_center_crop=True, crop_size={"height": 224, "width": 224}, resample=0)
    checkpoint = load_pretrained(snapshot(tmp_path / "snapshot", by=values))
    assert (checkpoint.preprocess.crop, checkpoint.preprocess.resize) == (224, 256)
    assert any("asks for 'nearest' interpolation" in note for note in checkpoint.notes)


def test_placeholders_are_no_names(tmp_path: Path) -> None:
    of = config("b0", id2label={str(index): f"LABEL_{index}" for index in range(LABELS)})
    assert load_pretrained(snapshot(tmp_path / "snapshot", of=of)).class_names is None


@pytest.mark.parametrize(
    ("variant", "of", "by", "words"),
    [
        ("b0", {"hidden_act": "relu"}, {}, "its hidden_act is 'relu'"),
        ("b0", {"pooling_type": "max"}, {}, "its pooling_type is 'max'"),
        ("b0", {"batch_norm_eps": 1e-5}, {}, "its batch_norm_eps is 1e-05"),
        ("b0", {"strides": [1] * 7}, {}, "its strides is"),
        ("b0", {"depthwise_padding": "none"}, {}, "its depthwise_padding is 'none'"),
        ("b2", {"depthwise_padding": []}, {}, "give a size that it fits: --image-size 256."),
        ("b2", {}, {"size": {"height": 256, "width": 256}}, "--image-size 260."),
        ("b0", {}, {"size": {"height": 224, "width": 225}}, "need a square"),
        ("b0", {}, {"size": "large"}, "preprocessor_config.json cannot be used"),
        ("b0", {}, {"image_std": [0, 0, 0]}, "preprocessor_config.json cannot be used"),
    ],
)
def test_what_would_compute_something_else_is_refused(
    variant: str, of: dict[str, Any], by: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = snapshot(
        tmp_path / "snapshot", variant, of=config(variant, **of), by=processor(VARIANTS[variant].resolution) | by
    )
    assert words in refusal_of(load_pretrained, folder)


def test_a_config_of_transformers_beside_other_weights(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "snapshot")
    save_file(state_dict("timm"), folder / "model.safetensors")
    with pytest.raises(InputError, match=r"made for transformers \(model_type 'efficientnet'\), its tensors"):
        load_pretrained(folder)
