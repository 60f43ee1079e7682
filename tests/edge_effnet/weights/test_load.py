"""Loading is strict, and what a caller changes is said."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import VARIANTS, EfficientNet, InputError, Preprocess, load_checkpoint
from edge_effnet.weights.layouts import LAYOUTS
from edge_effnet.weights.origins import ORIGINS
from tests.support import peers
from tests.support.networks import images
from tests.support.refusals import refusal_of
from tests.support.weight_files import CLASSES, load_saved, network, state_dict


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


def refusal(tensors: dict[str, torch.Tensor], path: Path, variant: str | None = "b0") -> str:
    torch.save(tensors, path)
    return refusal_of(load_checkpoint, path, variant, begins=f"{path}: ")


@pytest.mark.parametrize("layout", [name for name, layout in LAYOUTS.items() if name == layout.name])
def test_layouts_are_detected_by_their_keys(layout: str, path: Path) -> None:
    checkpoint = load_saved(state_dict(layout), path, "b0")
    assert checkpoint.origin == layout
    origin = ORIGINS[layout]
    model = checkpoint.model
    assert (model.padding, model.bn_eps, model.activation) == (origin.padding, origin.bn_eps, "swish")
    assert checkpoint.preprocess == model.preprocess == origin.preprocess["b0"]
    assert (checkpoint.spec.name, checkpoint.num_classes, model.image_size) == ("b0", CLASSES, 224)
    assert not model.training
    expected = network().state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_monais_stages_are_told_from_lukemelas(path: Path) -> None:
    tensors = state_dict("lukemelas-of-monai")
    assert "_blocks.1.1._expand_conv.weight" in tensors
    checkpoint = load_saved({"state_dict": {f"net.{key}": tensor for key, tensor in tensors.items()}}, path)
    assert (checkpoint.origin, checkpoint.spec.name) == ("lukemelas", "b0")
    expected = network().state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in checkpoint.model.state_dict().items())


def test_the_variant_may_be_left_to_the_shapes(path: Path) -> None:
    assert load_saved(state_dict("timm", "lite0"), path, origin="timm-tf").spec.name == "lite0"


def test_eps_and_image_size_follow_origin_and_variant(path: Path) -> None:
    checkpoint = load_saved(state_dict("torchvision", "b2"), path)
    assert (checkpoint.model.bn_eps, checkpoint.model.image_size) == (1e-5, 288)
    checkpoint = load_saved(state_dict("lukemelas", "b2"), path, origin="lukemelas-advprop")
    assert (checkpoint.model.bn_eps, checkpoint.model.image_size) == (1e-3, 260)
    assert checkpoint.preprocess.mean == checkpoint.preprocess.std == (0.5, 0.5, 0.5)


def test_missing_unexpected_and_misshapen_are_listed(path: Path) -> None:
    tensors = state_dict()
    for name in [name for name in tensors if name.startswith("features.3.") and not name.endswith("tracked")]:
        del tensors[name]
    tensors["extra.weight"] = torch.zeros(1)
    tensors["features.1.0.block.1.fc1.bias"] = torch.zeros(3)
    message = refusal(tensors, path)
    assert "not a complete b0 in the layout of torchvision" in message
    assert re.search(r"38 missing \(features\.3\.0\.block\.0\.0\.weight, .*, and 33 more\)", message)
    assert "1 unexpected (extra.weight)" in message
    assert "1 misshapen (features.1.0.block.1.fc1.bias [3] instead of [8])" in message


def test_one_missing_tensor_is_named_even_where_the_variant_is_guessed(path: Path) -> None:
    tensors = state_dict()
    del tensors["features.5.1.block.3.1.running_mean"]
    assert "1 missing (features.5.1.block.3.1.running_mean)." in refusal(tensors, path, variant=None)


def test_files_without_step_counters_load(path: Path) -> None:
    tensors = {name: tensor for name, tensor in state_dict().items() if not name.endswith("num_batches_tracked")}
    model = load_saved(tensors, path, "b0").model
    assert model.stem.norm.num_batches_tracked.item() == 0


def test_another_variant_is_named(path: Path) -> None:
    message = refusal(state_dict("timm", "b2"), path, variant="b0")
    assert "holds b2 (stem 32, head 352 -> 1408, 23 blocks with squeeze-excite), not b0; ask for b2" in message


def test_unknown_widths_are_no_variant(path: Path) -> None:
    tensors = state_dict("timm") | {"conv_stem.weight": torch.zeros(24, 3, 3, 3)}
    assert "no variant of EfficientNet (stem 24, head 320 -> 1280, 16 blocks" in refusal(tensors, path, None)
    assert "misshapen (conv_stem.weight [24, 3, 3, 3] instead of [32, 3, 3, 3])" in refusal(tensors, path, "b0")


def test_other_architectures_are_told_apart(path: Path) -> None:
    resnet = {"conv1.weight": torch.zeros(64, 3, 7, 7), "layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)}
    message = refusal(resnet, path)
    assert "no EfficientNet in a layout known here" in message
    assert "its 2 tensors begin with conv1.weight, layer1.0.conv1.weight" in message
    # torchvision's MobileNetV2 begins with the same names.
    mobilenet = {"features.0.0.weight": torch.zeros(32, 3, 3, 3), "features.8.0.weight": torch.zeros(64)}
    assert "no variant of EfficientNet (no convolutions at its ends)" in refusal(mobilenet, path, None)
    assert "not a complete b0 in the layout of torchvision" in refusal(mobilenet, path)


@pytest.mark.parametrize(
    ("value", "count"), [(float("nan"), "1 NaN or infinite values of 8"), (float("-inf"), "1 NaN or infinite")]
)
def test_values_that_are_not_finite_are_named(value: float, count: str, path: Path) -> None:
    name = "features.1.0.block.1.fc1.bias"
    tensors = state_dict()
    tensors[name] = tensors[name].clone()
    tensors[name][2] = value
    message = refusal(tensors, path)
    assert name in message
    assert count in message


def test_variances_below_zero_are_named(path: Path) -> None:
    tensors = state_dict() | {"features.0.1.running_var": torch.full((32,), -1.0)}
    assert "features.0.1.running_var has values below 0" in refusal(tensors, path)


def test_quantized_weights_are_refused(path: Path) -> None:
    tensors = state_dict() | {"features.0.0.weight": torch.zeros(32, 3, 3, 3, dtype=torch.int8)}
    assert "features.0.0.weight is torch.strided of torch.int8" in refusal(tensors, path)


def test_sparse_weights_are_refused(path: Path) -> None:
    tensors = state_dict() | {"classifier.1.weight": torch.zeros(CLASSES, 1280).to_sparse()}
    assert "classifier.1.weight is torch.sparse_coo of torch.float32" in refusal(tensors, path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_float32(dtype: torch.dtype, path: Path) -> None:
    tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in state_dict().items()}
    model = load_saved(tensors, path, "b0").model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(model.stem.conv.weight, tensors["features.0.0.weight"].float())


def test_views_and_channels_last_tensors_load(path: Path) -> None:
    tensors = state_dict()
    tensors["features.8.0.weight"] = tensors["features.8.0.weight"].to(memory_format=torch.channels_last)
    weight = load_saved(tensors, path, "b0").model.head.conv.weight
    assert weight.is_contiguous()
    assert torch.equal(weight, network().head.conv.weight)


def test_other_class_counts_make_the_classifier_anew(path: Path) -> None:
    checkpoint = load_saved(state_dict(), path, "b0", num_classes=7)
    assert checkpoint.num_classes == 7
    assert checkpoint.notes == (
        "The classifier was reinitialized for 7 classes (the file has 5): train it before use.",
    )
    assert checkpoint.model(images(1, 32)).shape == (1, 7)
    assert load_checkpoint(path, "b0", num_classes=CLASSES).notes == ()


def test_other_channels_make_the_first_convolution_anew(path: Path) -> None:
    checkpoint = load_saved(state_dict(), path, "b0", in_channels=1)
    assert "first convolution was reinitialized for 1 channels (the file has 3)" in checkpoint.notes[0]
    model = checkpoint.model
    assert model(images(1, 33, channels=1)).shape == (1, CLASSES)
    assert (model.stem.conv.padding, model.stem.conv.stride) == ((1, 1), (2, 2))
    assert torch.equal(model.head.conv.weight, network().head.conv.weight)
    assert load_checkpoint(path, "b0", in_channels=3).notes == ()


def test_a_file_of_other_channels_keeps_them(path: Path) -> None:
    gray = EfficientNet.from_name("b0", in_channels=1, num_classes=2)
    checkpoint = load_saved(gray.state_dict(), path)
    assert (checkpoint.model.in_channels, checkpoint.num_classes) == (1, 2)


def test_without_the_top(path: Path) -> None:
    model = load_saved(state_dict(), path, "b0", include_top=False).model
    assert model(images(2, 32)).shape == (2, 1280, 1, 1)


def test_a_file_without_a_classifier(path: Path) -> None:
    tensors = {name: tensor for name, tensor in state_dict().items() if not name.startswith("classifier")}
    assert "no classifier; give num_classes to make one, or include_top=False" in refusal(tensors, path)
    checkpoint = load_checkpoint(path, "b0", num_classes=3)
    assert "reinitialized for 3 classes (the file has none)" in checkpoint.notes[0]
    assert checkpoint.model(images(1, 32)).shape == (1, 3)
    assert load_checkpoint(path, "b0", include_top=False).model.classifier is None


@pytest.mark.parametrize("option", ["num_classes", "in_channels", "image_size"])
def test_options_out_of_range_are_refused(option: str, path: Path) -> None:
    torch.save(state_dict(), path)
    with pytest.raises(InputError, match="0"):
        load_checkpoint(path, "b0", **{option: 0})


def test_another_image_size_scales_the_preprocessing(path: Path) -> None:
    checkpoint = load_saved(state_dict(), path, "b0", image_size=112)
    assert checkpoint.preprocess == Preprocess(crop=112, resize=128)
    assert checkpoint.model.image_size == 112
    assert checkpoint.notes == ()


def test_preprocessing_may_be_given(path: Path) -> None:
    torch.save(state_dict(), path)
    given = Preprocess(crop=96, resize=100, interpolation="bilinear")
    checkpoint = load_checkpoint(path, "b0", preprocess=given)
    assert (checkpoint.preprocess, checkpoint.model.preprocess, checkpoint.model.image_size) == (given, given, 96)


def test_preprocessing_of_what_was_never_published_is_assumed_and_said(path: Path) -> None:
    checkpoint = load_saved(state_dict("torchvision", "lite0"), path)
    assert checkpoint.preprocess == Preprocess(crop=224, resize=224)
    assert len(checkpoint.notes) == 1
    assert "torchvision published no lite0, so its preprocessing was assumed: 224 pixels" in checkpoint.notes[0]


def test_a_spec_of_ones_own(path: Path) -> None:
    spec = dataclasses.replace(VARIANTS["b0"], name="mine", width=0.5, resolution=64)
    model = EfficientNet.from_name(spec, num_classes=2)
    checkpoint = load_saved(model.state_dict(), path, spec)
    assert (checkpoint.spec, checkpoint.model.image_size) == (spec, 64)


def test_another_activation_or_padding_is_taken_and_said(path: Path) -> None:
    checkpoint = load_saved(state_dict(), path, "b0", activation="relu6", padding="same")
    assert (checkpoint.model.activation, checkpoint.model.padding) == ("relu6", "same")
    assert any("'relu6' was asked for, but the weights were trained with 'swish'" in n for n in checkpoint.notes)
    assert any("'same' was asked for, but the weights were trained with 'symmetric'" in n for n in checkpoint.notes)
    assert load_checkpoint(path, "b0", activation="swish-memory-efficient").notes == ()
    assert load_saved(state_dict("lukemelas"), path, "b0", padding="same-static").notes == ()


def test_training_options_arrive(path: Path) -> None:
    model = load_saved(state_dict(), path, "b0", dropout_rate=0.5, drop_connect_rate=0.32).model
    assert model.dropout.p == 0.5
    assert model.stages[6][0].drop_connect.rate == pytest.approx(0.32 * 15 / 16)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"variant": "b11"}, "unknown variant 'b11'"),
        ({"origin": "keras"}, "unknown origin 'keras'; choose one of torchvision, timm"),
        ({"origin": "timm"}, "its keys are those of torchvision, which origin 'timm' never has"),
        ({"activation": "gelu"}, "unknown activation"),
        ({"padding": "valid"}, "unknown padding"),
    ],
)
def test_unknown_names_are_refused(option: dict[str, str], message: str, path: Path) -> None:
    torch.save(state_dict(), path)
    with pytest.raises(InputError, match=message):
        load_checkpoint(path, **option)  # type: ignore[arg-type]


def test_a_trained_activation_is_what_the_network_computes(tmp_path: Path) -> None:
    theirs = EfficientNet.from_name("lite0", activation="hardswish", image_size=32).eval()
    loaded = load_saved({"state_dict": theirs.state_dict()}, tmp_path / "w.pth", trained_activation="hardswish")
    x = torch.randn(1, 3, 32, 32)
    assert torch.allclose(loaded.model(x), theirs(x))
    assert not any("Activation" in note for note in loaded.notes)
    with pytest.raises(InputError, match="unknown activation 'gelu'"):
        load_checkpoint(tmp_path / "w.pth", trained_activation="gelu")


@pytest.mark.parametrize("nested", [True, False])
def test_the_last_steps_weights_can_be_asked_for(nested: bool, tmp_path: Path) -> None:
    last, averaged = (EfficientNet.from_name("lite0", num_classes=3).state_dict() for _ in range(2))
    flat = {f"model.{key}": value for key, value in last.items()}
    flat |= {f"ema.{key}": value for key, value in averaged.items()}
    torch.save({"state_dict": last, "state_dict_ema": averaged} if nested else flat, tmp_path / "w.pth")
    for ema, expected in ((True, averaged), (False, last)):
        loaded = load_checkpoint(tmp_path / "w.pth", ema=ema)
        assert torch.equal(loaded.model.state_dict()["stem.conv.weight"], expected["stem.conv.weight"])
    torch.save({"state_dict_ema": averaged}, tmp_path / "only.pth")
    with pytest.raises(InputError, match=r"averaged weights .* and no others"):
        load_checkpoint(tmp_path / "only.pth", ema=False)


def test_another_architecture_with_the_same_names_is_called_so(path: Path) -> None:
    # As of timm's semnasnet_100, which has the fingerprint of b0.
    tensors = state_dict("timm")
    for key in [key for key in tensors if key.startswith(("blocks.2.", "blocks.3.", "blocks.4."))]:
        shape = tensors[key].shape
        tensors[key] = torch.ones([*(max(1, side // 2) for side in shape[:2]), *shape[2:]])
    for arch in ({}, {"arch": "semnasnet_100"}):
        message = refusal({"state_dict": tensors} | arch, path, None)
        says = " (the file says 'semnasnet_100')" if arch else ""
        assert f"another architecture than b0{says}: of its 81 convolutions" in message
        assert "missing" not in message


def test_another_architecture_is_called_so_whatever_variant_is_asked_for(path: Path) -> None:
    # It has the fingerprint of Lite1, and few of its shapes.
    tensors = peers.timm.create_model("spnasnet_100").state_dict()
    assert "another architecture than b0 or lite1: of its" in refusal(tensors, path, "b0")
    assert "another architecture than lite1: of its" in refusal(tensors, path, None)
    assert refusal(state_dict("timm", "lite1"), path, "b0").endswith("not b0; ask for lite1.")


def test_a_new_architecture_is_said_where_no_variant_fits(path: Path) -> None:
    tensors = state_dict("timm") | {"conv_stem.weight": torch.zeros(24, 3, 3, 3)}
    message = refusal({"state_dict": tensors, "arch": "mnasnet_100"}, path, None)
    assert message.endswith("or another architecture (the file says 'mnasnet_100').")


@pytest.mark.parametrize("layout", ["torchvision", "timm", "lukemelas"])
def test_statistics_that_are_all_missing_are_said_in_words(layout: str, path: Path) -> None:
    tensors = {key: t for key, t in state_dict(layout).items() if "running" not in key and "num_b" not in key}
    message = refusal(tensors, path, None)
    assert "no BatchNorm has its statistics" in message and "save model.state_dict()" in message
    assert "missing" not in message


CUT = [("timm", "b0"), ("torchvision", "b0"), ("torchvision", "v2-s"), ("torchvision", "v2-m"), ("lukemelas", "b0")]


@pytest.mark.parametrize(("layout", "variant"), CUT)
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_network_without_its_last_convolution(layout: str, variant: str, prefix: str, path: Path) -> None:
    key = "torchvision-of-6-stages" if variant == "v2-s" else layout
    tensors, ends = state_dict(key, variant), LAYOUTS[key].ends
    gone = tuple(f"{ends[end]}." for end in ("head.conv", "head.norm", "classifier"))
    cut = {prefix + name: tensor for name, tensor in tensors.items() if not name.startswith(gone)}
    message = refusal(cut, path, None)
    assert f"its last convolution ({prefix}{ends['head.conv']})" in message and "features_only=True" in message


def test_the_features_of_timm_have_no_last_convolution(path: Path) -> None:
    model = peers.timm.create_model("efficientnet_b0", features_only=True)
    assert "its last convolution (conv_head) is missing" in refusal(model.state_dict(), path, None)


PARTS = {
    "weight_norm": (nn.utils.weight_norm, "torch.nn.utils.remove_weight_norm("),
    "spectral_norm": (nn.utils.spectral_norm, "torch.nn.utils.remove_spectral_norm("),
    "parametrized": (nn.utils.parametrizations.weight_norm, "parametrize.remove_parametrizations("),
    "parametrized too": (nn.utils.parametrizations.spectral_norm, "parametrize.remove_parametrizations("),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
@pytest.mark.parametrize("name", PARTS)
def test_a_weight_in_parts_is_made_one_by_the_remedy(name: str, path: Path) -> None:
    divide, said = PARTS[name]
    model = nn.Module()
    model.classifier = nn.Sequential(nn.Dropout(), divide(nn.Linear(1280, CLASSES)))
    parts = {key: tensor for key, tensor in state_dict().items() if not key.startswith("classifier")}
    message = refusal(parts | model.state_dict(), path)
    assert "the weight of classifier.1 is in parts" in message and said in message
    exec(message.partition("where the network is: ")[2].partition("; torch.save")[0], {"model": model})
    assert set(model.state_dict()) == {"classifier.1.weight", "classifier.1.bias"}
    features = load_saved(parts | {"classifier.1.weight_g": torch.ones(1)}, path, head="none")
    assert features.notes == ("The head was left out, as asked for: classifier.1.weight_g.",)


def test_an_adapter_is_to_be_merged(path: Path) -> None:
    tensors = state_dict()
    weight, bias = tensors.pop("classifier.1.weight"), tensors.pop("classifier.1.bias")
    tensors |= {"classifier.1.base_layer.weight": weight, "classifier.1.base_layer.bias": bias}
    tensors |= {"classifier.1.lora_A.default.weight": torch.zeros(8, 1280)}
    tensors |= {"classifier.1.lora_B.default.weight": torch.zeros(CLASSES, 8)}
    for prefix in ("", "base_model.model."):
        message = refusal({prefix + key: tensor for key, tensor in tensors.items()}, path)
        assert "classifier.1 is in parts" in message and "merge_and_unload()" in message
    adapter = {f"base_model.model.{key}": tensor for key, tensor in tensors.items() if "lora" in key}
    assert "merge_and_unload()" in refusal(adapter, path)
