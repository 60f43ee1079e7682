"""What files say about their own networks, as training scripts write it down."""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import pathlib
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import omegaconf
import pytest
import torch
from safetensors.torch import save_file

from edge_effnet import Checkpoint, InputError, Preprocess, load_checkpoint
from edge_effnet.weights.inert import Config
from tests.support.weight_files import CLASSES, RunsCode, load_saved, state_dict

NAMES = ("tench", "church", "golf ball", "french horn", "gas pump")


def load(entries: dict[str, Any], tmp_path: Path, layout: str = "torchvision", **options: Any) -> Checkpoint:
    return load_saved({"state_dict": state_dict(layout)} | entries, tmp_path / "weights.pth", **options)


def label_encoder(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An object that pickles as scikit-learn's, which is not installed here."""
    module = types.ModuleType("sklearn.preprocessing._label")
    encoder = type("LabelEncoder", (), {"__module__": module.__name__})
    module.LabelEncoder = encoder  # type: ignore[attr-defined]
    for name in ("sklearn", "sklearn.preprocessing"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    made = encoder()
    made.classes_, made._sklearn_version = np.array(NAMES, dtype=object), "1.5.0"
    return made


BY_INDEX = dict(enumerate(NAMES))
NAMED: dict[str, dict[str, Any]] = {
    "idx_to_class": {"idx_to_class": BY_INDEX},
    "id2label": {"id2label": {str(i): name for i, name in BY_INDEX.items()}},
    "class_labels": {"class_labels": list(NAMES)},
    "categories": {"meta": {"categories": list(NAMES)}},
    "label_names": {"config": {"label_names": list(NAMES)}},
    "hyper parameters": {"hyper_parameters": {"class_names": NAMES}},
    "deep": {"cfg": {"data": {"train": {"class_to_idx": {name: i for i, name in BY_INDEX.items()}}}}},
    "arguments": {"args": argparse.Namespace(classes=list(NAMES), lr=0.1)},
    "text array": {"classes": np.array(NAMES)},
    "big-endian text array": {"classes": np.array(NAMES).astype(">U12")},
    "object array": {"class_names": np.array(NAMES, dtype=object)},
    "numpy strings": {"class_names": [np.str_(name) for name in NAMES]},
    "numpy indices": {"class_to_idx": {name: np.int64(i) for i, name in BY_INDEX.items()}},
    "classes_": {"classes_": np.array(NAMES)},
    "an encoder's state": {"label_encoder": {"classes_": np.array(NAMES, dtype=object)}},
    "defaultdict": {"idx_to_class": collections.defaultdict(str, BY_INDEX)},
    "ordered": {"class_to_idx": collections.OrderedDict((name, i) for i, name in BY_INDEX.items())},
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("legacy", [False, True])
def test_class_names_wherever_they_stand(name: str, legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    content = {"state_dict": state_dict()} | NAMED[name]
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    checkpoint = load_checkpoint(path)
    assert (checkpoint.class_names, checkpoint.notes) == (NAMES, ())


def test_configs_of_omegaconf(tmp_path: Path) -> None:
    config = {"model": {"name": "tf_efficientnet_b0"}, "data": {"classes": list(NAMES), "loss": None}, "lr": 0.1}
    checkpoint = load({"hyper_parameters": {"cfg": omegaconf.OmegaConf.create(config)}}, tmp_path, "timm")
    assert (checkpoint.origin, checkpoint.class_names, checkpoint.notes) == ("timm-tf", NAMES, ())
    assert load({"class_names": omegaconf.OmegaConf.create(list(NAMES))}, tmp_path).class_names == NAMES
    itself = Config()
    vars(itself)["_content"] = {"a": itself, "b": [itself] * 20}
    assert load({"cfg": omegaconf.OmegaConf.create({})}, tmp_path).class_names is None
    assert isinstance(itself.plain(), dict)  # of bounded size


def test_class_names_of_a_pickled_label_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = load({"label_encoder": label_encoder(monkeypatch)}, tmp_path)
    assert checkpoint.class_names == NAMES


def test_class_names_of_numbers_in_a_label_encoder(tmp_path: Path) -> None:
    names = load({"classes_": np.array([3, 5, 7, 9, 11])}, tmp_path).class_names
    assert names == ("3", "5", "7", "9", "11")


def test_names_whose_array_is_damaged_are_none(tmp_path: Path) -> None:
    damaged = np.frombuffer(b"\xff" * 12 * CLASSES, dtype="<U3")
    assert load({"classes": damaged}, tmp_path).class_names is None


def test_placeholders_are_no_class_names(tmp_path: Path) -> None:
    entry = {"config": {"id2label": {i: f"LABEL_{i}" for i in range(CLASSES)}}}
    assert load(entry, tmp_path).class_names is None


def test_harmless_objects_beside_the_weights_load(tmp_path: Path) -> None:
    entries = {
        "path": pathlib.PurePosixPath("/data/photos"),
        "own_path": Path("runs") / "1",
        "windows": pathlib.PureWindowsPath("C:/photos"),
        "date": datetime.datetime(2024, 5, 1, 12, 30, tzinfo=datetime.UTC),
        "took": datetime.timedelta(seconds=5),
        "day": datetime.date(2024, 5, 1),
        "history": collections.defaultdict(list, {"loss": [1.0, 0.5]}),
        "counts": collections.Counter({"tench": 3}),
        "namespace": types.SimpleNamespace(lr=0.1),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "mask": np.array([True, False]),
        "scalars": [np.float16(1), np.int32(2), np.bool_(True), np.uint8(3)],
        "labels": frozenset(NAMES),
        "version": torch.torch_version.TorchVersion("2.13.0"),
        "args": argparse.Namespace(out=Path("x"), when=datetime.datetime(2024, 5, 1), tags={"a", "b"}),
    }
    assert load(entries, tmp_path).num_classes == CLASSES


@pytest.mark.parametrize(
    "wrap",
    [
        lambda evil: {"args": argparse.Namespace(x=evil)},
        lambda evil: {"classes": np.array([evil] * CLASSES, dtype=object)},
        lambda evil: {"history": collections.defaultdict(list, {"x": evil})},
        lambda evil: {"hyper_parameters": {"a": {"b": [evil]}}},
    ],
)
def test_code_in_what_is_read_is_refused_and_does_not_run(wrap: Any, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(InputError, match=r"refused, because unpickling it would run posix\.mkdir"):
        load(wrap(RunsCode(marker)), tmp_path)
    assert not marker.exists()


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "args": {"args": argparse.Namespace(model="tf_efficientnet_b0")},
    "args as a dict": {"args": {"model": "tf_efficientnet_b0.ns_jft_in1k"}},
    "hyper parameters": {"hyper_parameters": {"model_name": "tf_efficientnet_b0"}},
    "config": {"config": {"backbone": "tf_efficientnet_b0"}},
    "cfg": {"cfg": {"model": {"name": "tf_efficientnet_b0", "dropout": 0.2}}},
    "encoder": {"hyper_parameters": {"cfg": {"encoder_name": "timm-tf_efficientnet_b0"}}},
    "arch": {"arch": "tf_efficientnet_b0"},
    "model_name": {"model_name": "hf_hub:timm/tf_efficientnet_b0.ns_jft_in1k"},
    "json": {"config": json.dumps({"model_name": "tf_efficientnet_b0"})},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_architecture_wherever_it_stands(name: str, tmp_path: Path) -> None:
    checkpoint = load(ARCHITECTURES[name], tmp_path, "timm")
    assert (checkpoint.origin, checkpoint.notes) == ("timm-tf", ())


def test_the_architecture_of_another_network_says_nothing(tmp_path: Path) -> None:
    entry = {"args": argparse.Namespace(model="efficientnet_b0", backbone="tf_efficientnet_b4")}
    assert load(entry, tmp_path, "timm").origin == "timm"
    entry = {"args": argparse.Namespace(backbone="tf_efficientnet_b4")}
    assert "pass origin='timm-tf'" in load(entry, tmp_path, "timm").notes[0]


def test_json_in_the_metadata_of_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    config = {"model_name": "tf_efficientnet_b0", "class_names": NAMES, "img_size": 160, "mean": [0.5, 0.5, 0.5]}
    save_file(state_dict("timm"), path, metadata={"config": json.dumps(config)})
    checkpoint = load_checkpoint(path)
    assert (checkpoint.origin, checkpoint.class_names) == ("timm-tf", NAMES)
    assert checkpoint.preprocess == Preprocess(crop=160, resize=183, mean=(0.5, 0.5, 0.5))


def test_options_come_before_what_the_file_says(tmp_path: Path) -> None:
    entry = {"args": {"img_size": 192, "mean": [0.5, 0.5, 0.5]}}
    checkpoint = load(entry, tmp_path, image_size=96)
    assert (checkpoint.preprocess.crop, checkpoint.preprocess.mean) == (96, (0.5, 0.5, 0.5))
    given = Preprocess(crop=64, resize=64)
    assert load(entry, tmp_path, preprocess=given).preprocess == given


def test_preprocessing_at_the_top_of_the_file(tmp_path: Path) -> None:
    entry = {"img_size": 192, "mean": np.array([0.5, 0.5, 0.5]), "std": (0.25, 0.25, 0.25)}
    checkpoint = load(entry, tmp_path)
    assert checkpoint.preprocess == Preprocess(crop=192, resize=219, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    assert checkpoint.notes == (
        "The file says how images were prepared, which was taken: size 192, mean (0.5, 0.5, 0.5), std (0.25, 0.25, "
        "0.25).",
    )


def test_what_the_origin_says_anyway_is_no_news(tmp_path: Path) -> None:
    assert load({"args": {"img_size": 224, "crop_pct": 0.875}}, tmp_path).notes == ()


def test_a_crop_mode_of_timm_is_taken(tmp_path: Path) -> None:
    assert load({"args": {"crop_mode": "squash"}}, tmp_path).preprocess.resize_mode == "squash"


@pytest.mark.parametrize("values", [{"mean": [123.7, 116.3, 103.5]}, {"interpolation": "lanczos"}, {"std": [0.5]}])
def test_values_that_cannot_be_used_are_ignored_and_said_so(values: dict[str, Any], tmp_path: Path) -> None:
    notes = load({"args": values}, tmp_path).notes
    assert len(notes) == 1
    assert "The file's args" in notes[0] and "ignored" in notes[0]


def test_containers_of_containers_end(tmp_path: Path) -> None:
    wide: dict[str, Any] = {}
    wide.update({f"k{i}": wide for i in range(20)})
    assert load({"log": wide}, tmp_path).num_classes == CLASSES


NEW_NAMED: dict[str, dict[str, Any]] = {
    **{key: {key: BY_INDEX} for key in ("idx2class", "idx_to_label", "index_to_class", "id2class", "names")},
    **{key: {key: {n: i for i, n in BY_INDEX.items()}} for key in ("class2idx", "label_to_idx", "label2idx")},
    **{key: {key: list(NAMES)} for key in ("labels", "names", "vocab", "target_names", "classNames", "class_list")},
    "label_map of strings": {"label_map": {str(i): name for i, name in BY_INDEX.items()}},
    "settings": {"hyper_parameters": {"label_map": BY_INDEX}},
    "two that agree": {"labels": list(NAMES), "idx2class": BY_INDEX},
}


@pytest.mark.parametrize("name", NEW_NAMED)
def test_class_names_under_other_words_where_they_fit(name: str, tmp_path: Path) -> None:
    checkpoint = load(NEW_NAMED[name], tmp_path)
    assert (checkpoint.class_names, checkpoint.notes) == (NAMES, ())


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"labels": list(NAMES[:4])}, "The file's labels were not taken for class names: need 5 different names"),
        ({"vocab": [*NAMES[:4], NAMES[0]]}, "The file's vocab were not taken"),
        ({"args": {"class2idx": {n: i + 1 for i, n in BY_INDEX.items()}}}, "The file's args.class2idx were not"),
        ({"labels": list(NAMES), "names": sorted(NAMES)}, "The file's labels, names were not taken .*: they differ"),
        ({"config": {"classes": {"tench", "church"}}}, "The file's 'config.classes' is neither"),
    ],
)
def test_what_may_be_class_names_and_is_not_taken_is_said(entries: dict, words: str, tmp_path: Path) -> None:
    checkpoint = load(entries, tmp_path)
    assert checkpoint.class_names is None
    assert len(checkpoint.notes) == 1 and re.match(words, checkpoint.notes[0])


def test_names_in_no_order_are_none(tmp_path: Path) -> None:
    entries = {"labels": frozenset(NAMES), "names": [1, 2, 3, 4, 5], "class_names": frozenset(NAMES)}
    checkpoint = load(entries, tmp_path)
    assert (checkpoint.class_names, checkpoint.notes) == (None, ())


HALF, OTHER = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
PREPARED: dict[str, tuple[dict[str, Any], Preprocess]] = {
    "field by field": (
        {"img_size": 192, "args": argparse.Namespace(img_size=96, mean=HALF, std=OTHER, crop_pct=0.9)},
        Preprocess(crop=192, resize=213, mean=HALF, std=OTHER),
    ),
    "published defaults last": (
        {"pretrained_cfg": {"input_size": (3, 224, 224), "crop_pct": 1.0}, "args": {"img_size": 192}},
        Preprocess(crop=192, resize=192),
    ),
    "channels first": ({"args": {"input_size": [3, 192, 192]}}, Preprocess(crop=192, resize=219)),
    "channels last": ({"args": {"input_size": [192, 192, 3]}}, Preprocess(crop=192, resize=219)),
    "two sides": ({"args": {"img_size": (192, 192)}}, Preprocess(crop=192, resize=219)),
    "one side": ({"args": {"img_size": [192]}}, Preprocess(crop=192, resize=219)),
    "torchvision's script": (
        {"args": argparse.Namespace(val_crop_size=192, val_resize_size=232, train_crop_size=176)},
        Preprocess(crop=192, resize=232),
    ),
    "pixels to 255": (
        {"cfg": {"mean": [127.5] * 3, "std": [63.75] * 3}},
        Preprocess(crop=224, resize=256, mean=HALF, std=OTHER),
    ),
    "tensors": (
        {"mean": torch.tensor(HALF), "std": torch.tensor(OTHER)},
        Preprocess(crop=224, resize=256, mean=HALF, std=OTHER),
    ),
    "tensors below": (
        {"preprocessing": {"mean": torch.tensor(HALF).view(3, 1, 1), "std": torch.tensor(OTHER).view(3, 1, 1)}},
        Preprocess(crop=224, resize=256, mean=HALF, std=OTHER),
    ),
    "normalization": (
        {"normalization": {"mean": HALF, "std": OTHER}},
        Preprocess(crop=224, resize=256, mean=HALF, std=OTHER),
    ),
    "other words": (
        {"config": {"img_mean": HALF, "img_std": OTHER}},
        Preprocess(crop=224, resize=256, mean=HALF, std=OTHER),
    ),
    "data module": ({"datamodule_hyper_parameters": {"img_size": 192}}, Preprocess(crop=192, resize=219)),
    "below a config": ({"config": {"data": {"image_size": 192}}}, Preprocess(crop=192, resize=219)),
}


@pytest.mark.parametrize("name", PREPARED)
def test_preprocessing_wherever_it_stands(name: str, tmp_path: Path) -> None:
    entries, expected = PREPARED[name]
    checkpoint = load(entries, tmp_path)
    assert checkpoint.preprocess == expected
    assert any("how images were prepared, which was taken" in note for note in checkpoint.notes)
    assert not any("Left out" in note for note in checkpoint.notes)


@pytest.mark.parametrize("size", [[3, 224, 256], (256, 192), [224, 192, 3]])
def test_a_size_that_is_no_square_is_said(size: Any, tmp_path: Path) -> None:
    checkpoint = load({"args": argparse.Namespace(input_size=size)}, tmp_path)
    assert checkpoint.preprocess.crop == 224
    assert len(checkpoint.notes) == 1 and "which is not a square" in checkpoint.notes[0]


@pytest.mark.parametrize("mean", [[127.5] * 3, [2.0] * 3, [float("nan")] * 3, [10**400] * 3])
def test_a_mean_of_no_known_scale_is_ignored_and_said(mean: list[float], tmp_path: Path) -> None:
    checkpoint = load({"args": {"mean": mean}}, tmp_path)
    assert checkpoint.preprocess.mean[0] == 0.485
    assert len(checkpoint.notes) == 1 and "neither for pixels from 0 to 1 nor" in checkpoint.notes[0]


BUILT: dict[str, dict[str, Any]] = {
    "model_args": {"model_args": {"act_layer": "relu", "bn_eps": 1e-3, "pad_type": "same", "drop_rate": 0.1}},
    "arguments": {
        "args": argparse.Namespace(bn_eps=1e-3, gp="avg", model_kwargs={"act_layer": "relu", "pad_type": "same"})
    },
    "top": {
        "act_layer": "torch.nn.ReLU",
        "bn_tf": True,
        "pad_type": "same",
        "global_pool": None,
        "output_stride": 32,
    },
    "the outermost": {"act_layer": "relu", "args": {"act_layer": "hard_swish", "bn_eps": 1e-3, "pad_type": "same"}},
}


@pytest.mark.parametrize("name", BUILT)
def test_what_the_file_says_of_the_forward_pass_is_built(name: str, tmp_path: Path) -> None:
    checkpoint = load({"arch": "efficientnet_b0"} | BUILT[name], tmp_path, "timm")
    model = checkpoint.model
    assert (model.activation, model.bn_eps, model.padding) == ("relu", 1e-3, "same")
    assert len(checkpoint.notes) == 1 and "how its network was built, which was taken: " in checkpoint.notes[0]


def test_what_the_origin_builds_anyway_is_no_news(tmp_path: Path) -> None:
    entries = {"model_args": {"act_layer": "silu", "bn_eps": 1e-5, "global_pool": "", "norm_layer": "batchnorm2d"}}
    assert load({"arch": "efficientnet_b0"} | entries, tmp_path, "timm").notes == ()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"args": argparse.Namespace(gp="max")}, "its args has gp 'max'"),
        ({"model_args": {"global_pool": "catavgmax"}}, "its model_args has global_pool 'catavgmax'"),
        ({"args": {"model_kwargs": {"act_layer": "mish"}}}, "its model_kwargs has act_layer 'mish'"),
        ({"model_args": {"output_stride": 16}}, "its model_args has output_stride 16"),
        ({"norm_layer": "groupnorm"}, "it has norm_layer 'groupnorm'"),
        ({"model_args": {"se_layer": "eca"}}, "its model_args has se_layer 'eca'"),
        ({"model_args": {"aa_layer": "blurpc"}}, r"aa_layer 'blurpc', which is not built here \(known: none\)"),
        ({"model_args": {"pad_type": "valid"}}, "pad_type 'valid'"),
        ({"model_args": {"bn_eps": 0}}, "bn_eps 0"),
    ],
)
def test_a_forward_pass_that_is_not_built_here_is_refused(entries: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        load(entries, tmp_path, "timm")


def test_the_callers_activation_comes_before_the_files(tmp_path: Path) -> None:
    entries = {"model_args": {"act_layer": "mish"}}
    assert load(entries, tmp_path, "timm", trained_activation="relu").model.activation == "relu"


def test_arguments_that_are_not_known_are_said(tmp_path: Path) -> None:
    checkpoint = load({"arch": "efficientnet_b0", "model_args": {"twist": 3, "in_chans": 3}}, tmp_path, "timm")
    assert len(checkpoint.notes) == 1 and "The file's model_args has twist, not known here" in checkpoint.notes[0]


@pytest.mark.parametrize(
    ("arch", "mean", "crop"),
    [("efficientnet_b0.ra4_e3600_r224_in1k", 0.5, 224), ("efficientnet_b0.ra_in1k", 0.485, 224)],
)
def test_a_tag_of_timm_chooses_the_preprocessing(arch: str, mean: float, crop: int, tmp_path: Path) -> None:
    preprocess = load({"arch": arch}, tmp_path, "timm").preprocess
    assert (preprocess.mean[0], preprocess.crop) == (mean, crop)
