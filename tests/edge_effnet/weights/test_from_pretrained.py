"""Weights from files, addresses and the hub: the real clients against a server on loopback."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save

from edge_effnet import EfficientNet, InputError, MachineError, Preprocess
from edge_effnet.weights.checkpoint import LoadOptions
from edge_effnet.weights.pretrained import download, load_pretrained
from edge_effnet.weights.sources import SOURCES, Source
from tests.support.loopback import Loopback, loopback
from tests.support.paths import ROOT
from tests.support.refusals import refusal_of
from tests.support.weight_files import CLASSES, network, state_dict

REPO = "/timm/tf_efficientnet_b0.ap_in1k/resolve/main"
HUB_ID = "hf://timm/tf_efficientnet_b0.ap_in1k"
CONFIG: dict[str, Any] = {
    "architecture": "tf_efficientnet_b0",
    "num_classes": CLASSES,
    "label_names": ["tench", "church", "golf ball", "french horn", "gas pump"],
    "pretrained_cfg": {
        "tag": "ap_in1k",
        "input_size": [3, 192, 192],
        "interpolation": "bilinear",
        "crop_pct": 0.875,
        "crop_mode": "center",
        "mean": [0.4, 0.5, 0.6],
        "std": [0.5, 0.5, 0.25],
    },
}


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as state:
        yield state


@pytest.fixture
def hub(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """The server, holding one repository; huggingface_hub asks it and keeps its cache in tmp_path."""
    point_hub_to(server.url, tmp_path / "hub", monkeypatch)
    server.files[f"{REPO}/config.json"] = json.dumps(CONFIG).encode()
    server.files[f"{REPO}/model.safetensors"] = save(state_dict("timm"))
    return server


def point_hub_to(url: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what huggingface_hub reads from HF_ENDPOINT and HF_HUB_CACHE when it is imported."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


def pth_bytes() -> bytes:
    buffer = io.BytesIO()
    torch.save(state_dict("lukemelas"), buffer)
    return buffer.getvalue()


def published(server: Loopback, content: bytes, **options: Any) -> Source:
    prefix = hashlib.sha256(content).hexdigest()[:8]
    server.files[f"/efficientnet-b0-{prefix}.pth"] = content
    values = {
        "name": "test/b0",
        "url": f"{server.url}/efficientnet-b0-{prefix}.pth",
        "sha256_prefix": prefix,
        "variant": "b0",
        "origin": "lukemelas-advprop",
    }
    return Source(**values | options)


# Files


def test_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state_dict("lukemelas"), path)
    expected = network().state_dict()
    monkeypatch.chdir(tmp_path)
    for source in (path, str(path), "weights.pth", "./weights.pth"):
        model = EfficientNet.from_pretrained(source)
        assert all(torch.equal(tensor, expected[key]) for key, tensor in model.state_dict().items())
        assert not model.training
        assert model.preprocess == Preprocess(crop=224, resize=224)


def test_options_reach_the_loader(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state_dict("lukemelas"), path)
    model = EfficientNet.from_pretrained(
        path,
        variant="efficientnet-b0",
        num_classes=3,
        in_channels=1,
        image_size=64,
        dropout_rate=0.1,
        drop_connect_rate=0.0,
        activation="relu",
        padding="same-static",
    )
    assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 3)
    assert (model.activation, model.padding, model.dropout.p) == ("relu", "same-static", 0.1)
    assert EfficientNet.from_pretrained(path, include_top=False).classifier is None
    with pytest.raises(InputError, match=r"holds b0 .*, not b1"):
        EfficientNet.from_pretrained(path, variant="b1")


def test_what_was_made_anew_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state_dict("lukemelas"), path)
    EfficientNet.from_pretrained(path)
    assert caplog.records == []
    EfficientNet.from_pretrained(path, num_classes=3, in_channels=1)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert f"{path}: The classifier was reinitialized for 3 classes" in caplog.text
    assert f"{path}: The first convolution was reinitialized for 1 channels" in caplog.text
    assert f"{path}: The first convolution takes one channel: images are read as gray" in caplog.text


# Names


def test_names_mean_the_weights_that_lukemelas_package_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Source] = []

    def refuse(source: Source, cache_dir: Path | None) -> Path:
        asked.append(source)
        raise MachineError("stop")

    monkeypatch.setattr("edge_effnet.weights.pretrained.download", refuse)
    for name, advprop, expected in (
        ("efficientnet-b0", False, "lukemelas/efficientnet-b0"),
        ("b3", False, "lukemelas/efficientnet-b3"),
        ("efficientnet-b8", True, "lukemelas/efficientnet-b8-advprop"),
        ("efficientnet_b0", True, "lukemelas/efficientnet-b0-advprop"),
        ("torchvision/efficientnet_b1-v2", False, "torchvision/efficientnet_b1-v2"),
    ):
        with pytest.raises(MachineError, match="stop"):
            EfficientNet.from_pretrained(name, advprop=advprop)
        assert asked.pop() is SOURCES[expected]


def test_names_without_published_files_mean_a_hub_id(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(source: str, cache_dir: Path | None) -> Path:
        asked.append(source)
        raise MachineError("stop")

    monkeypatch.setattr("edge_effnet.weights.pretrained.fetch_from_hub", refuse)
    for name in ("efficientnet-lite0", "b8", "tf_efficientnet_l2", "efficientnet_b0.ra_in1k"):
        with pytest.raises(MachineError, match="stop"):
            EfficientNet.from_pretrained(name)
    assert asked == [
        "hf://timm/tf_efficientnet_lite0.in1k",
        "hf://timm/tf_efficientnet_b8.ra_in1k",
        "hf://timm/tf_efficientnet_l2.ns_jft_in1k",
        "hf://timm/efficientnet_b0.ra_in1k",
    ]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("resnet50", {}, "unknown source 'resnet50': neither a file, nor a hub id .* b0, .*torchvision/"),
        ("missing.pth", {}, "missing.pth: no such file"),
        ("./missing", {}, "missing: no such file"),
        ("hf://timm", {}, "'hf://timm' is no hub id; write hf://owner/name"),
        ("tf_efficientnet_b0", {}, "timm publishes several weights of b0; name them with their tag"),
        ("lite0", {"advprop": True}, "no AdvProp weights were published for lite0"),
        ("lukemelas/efficientnet-b0", {"advprop": True}, "advprop=True chooses among"),
        ("efficientnet-b0", {"variant": "b1"}, "lukemelas/efficientnet-b0 holds b0, not b1"),
        ("efficientnet-b0", {"variant": "b12"}, "unknown variant 'b12'"),
    ],
)
def test_bad_sources(source: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EfficientNet.from_pretrained(source, **options)


def test_a_folder_without_weights_is_no_unknown_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^photos: a folder without weights; give the weight file itself"):
        EfficientNet.from_pretrained("photos")


# Addresses


def test_a_download_is_checked_cached_and_loaded(server: Loopback, tmp_path: Path) -> None:
    special = Preprocess(crop=96, resize=128)
    source = published(server, pth_bytes(), preprocess=special)
    for _ in range(2):
        checkpoint = load_pretrained(source, cache_dir=tmp_path / "cache")
        assert (checkpoint.origin, checkpoint.preprocess) == ("lukemelas-advprop", special)
        assert checkpoint.sha256.startswith(source.sha256_prefix)
    assert len(server.requests) == 1
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [source.file_name]
    assert EfficientNet.from_pretrained(source, cache_dir=tmp_path / "cache").preprocess == special


def test_the_default_cache_is_torch_hubs(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    source = published(server, b"any bytes")
    assert download(source) == tmp_path / "hub" / "checkpoints" / source.file_name


def test_a_damaged_cache_is_replaced(server: Loopback, tmp_path: Path) -> None:
    source = published(server, b"whole")
    (tmp_path / source.file_name).write_bytes(b"who")
    assert download(source, tmp_path).read_bytes() == b"whole"


def one_sentence(*call: Any, **settings: Any) -> str:
    message = refusal_of(*call, error=MachineError, **settings)
    assert message.endswith("instead of the name.")
    return message


def test_another_file_than_the_published_one_is_refused(server: Loopback, tmp_path: Path) -> None:
    source = published(server, b"expected")
    server.files[f"/{source.file_name}"] = b"something else"
    assert f"does not match the hash {source.sha256_prefix}" in one_sentence(download, source, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_download_that_breaks_off_leaves_nothing(server: Loopback, tmp_path: Path) -> None:
    source = published(server, bytes(100_000))
    server.break_after = 50_000
    with pytest.raises(MachineError, match=source.file_name):
        download(source, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_server_that_refuses(server: Loopback, tmp_path: Path, status: int) -> None:
    source = published(server, b"bytes")
    server.status = status
    assert f"the server answers {status}" in one_sentence(download, source, tmp_path)


def test_no_network_names_the_file_to_pass(tmp_path: Path) -> None:
    with loopback() as closed:
        source = published(closed, b"bytes")
    message = one_sentence(EfficientNet.from_pretrained, source, cache_dir=tmp_path)
    assert f"cannot be downloaded from {source.url} (no connection: " in message
    assert f"fetch {source.file_name} elsewhere and pass its path" in message


def test_a_cache_that_cannot_be_written(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match=r"cannot be written .* pass cache_dir"):
        download(published(server, b"bytes"), tmp_path / "file")


@pytest.mark.parametrize("url", ["http://example.org/w.pth", "ftp://example.org/w.pth", "file:///etc/passwd"])
def test_other_addresses_than_https_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="is not https"):
        Source(name="n", url=url, sha256_prefix="0" * 8, variant="b0", origin="timm")


def test_a_source_needs_a_hash() -> None:
    with pytest.raises(InputError, match="sha256_prefix"):
        Source(name="n", url="https://example.org/w.pth", sha256_prefix="", variant="b0", origin="timm")


# The hub


def test_the_hubs_config_decides(hub: Loopback) -> None:
    checkpoint = load_pretrained(HUB_ID)
    assert (checkpoint.spec.name, checkpoint.origin, checkpoint.notes) == ("b0", "timm-tf-advprop", ())
    assert checkpoint.class_names == tuple(CONFIG["label_names"])
    assert checkpoint.preprocess == Preprocess(
        crop=192, resize=219, interpolation="bilinear", mean=(0.4, 0.5, 0.6), std=(0.5, 0.5, 0.25)
    )
    assert (checkpoint.model.padding, checkpoint.model.bn_eps) == ("same", 1e-3)
    assert torch.equal(checkpoint.model.stem.conv.weight, network().stem.conv.weight)


def test_a_second_call_is_answered_from_the_cache(hub: Loopback) -> None:
    EfficientNet.from_pretrained(HUB_ID)
    hub.requests.clear()
    model = EfficientNet.from_pretrained(HUB_ID, num_classes=2)
    assert model.num_classes == 2
    assert {method for method, _, _ in hub.requests} <= {"HEAD"}


def test_without_the_hub_the_cache_is_enough(hub: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    EfficientNet.from_pretrained(HUB_ID)
    hub.status = 503
    assert EfficientNet.from_pretrained(HUB_ID).num_classes == CLASSES
    hub.status = 200
    hub.requests.clear()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert EfficientNet.from_pretrained(HUB_ID).num_classes == CLASSES
    assert hub.requests == []


def test_a_download_that_breaks_off_is_resumed(hub: Loopback) -> None:
    hub.break_after = 12_000_000
    assert EfficientNet.from_pretrained(HUB_ID).num_classes == CLASSES
    weights = f"{REPO}/model.safetensors"
    whole, rest = (span for method, path, span in hub.requests if (method, path) == ("GET", weights))
    assert whole is None
    assert rest is not None
    assert 1_000_000 < int(rest.removeprefix("bytes=").rstrip("-")) <= 12_000_000


def test_a_repository_with_a_pickle_only(hub: Loopback) -> None:
    buffer = io.BytesIO()
    torch.save(state_dict("timm"), buffer)
    del hub.files[f"{REPO}/model.safetensors"]
    hub.files[f"{REPO}/pytorch_model.bin"] = buffer.getvalue()
    assert load_pretrained(HUB_ID).origin == "timm-tf-advprop"


def test_a_revision_is_asked_for(hub: Loopback) -> None:
    for name in ("config.json", "model.safetensors"):
        hub.files[f"{REPO.removesuffix('main')}v1.0/{name}"] = hub.files[f"{REPO}/{name}"]
    assert load_pretrained(f"{HUB_ID}@v1.0").spec.name == "b0"
    assert all("/v1.0/" in path for _, path, _ in hub.requests if "/resolve/" in path)


def hub_error(source: str, kind: type[Exception]) -> str:
    return refusal_of(EfficientNet.from_pretrained, source, error=kind)


def test_an_unknown_repository(hub: Loopback) -> None:
    assert "no such repository" in hub_error("hf://timm/nothing", InputError)


def test_a_repository_without_weights(hub: Loopback) -> None:
    del hub.files[f"{REPO}/model.safetensors"]
    assert "has neither model.safetensors nor pytorch_model.bin" in hub_error(HUB_ID, InputError)


def test_a_repository_without_a_config(hub: Loopback) -> None:
    del hub.files[f"{REPO}/config.json"]
    assert "has no config.json" in hub_error(HUB_ID, InputError)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"{", "config.json is not JSON"),
        (b"[]", "names no timm architecture"),
        (b'{"model_type": "efficientnet"}', "made for transformers (model_type 'efficientnet')"),
        (b'{"architecture": "resnet50"}', "unknown variant 'resnet50'"),
        (b'{"architecture": "efficientnet_b1"}', "holds b0 "),
        (b'{"architecture": "efficientnet_b0", "pretrained_cfg": {"input_size": []}}', "pretrained_cfg cannot be"),
        (
            b'{"architecture": "efficientnet_b0", "pretrained_cfg": {"input_size": [3, 9], "crop_pct": 0}}',
            "pretrained_cfg cannot be used",
        ),
        (
            b'{"architecture": "efficientnet_b0", "pretrained_cfg": {"input_size": [3, 224, 256]}}',
            "pretrained_cfg cannot be used (input_size [3, 224, 256]: need a square",
        ),
        (b'{"architecture": "efficientnet_b0", "pretrained_cfg": [1]}', "pretrained_cfg is no mapping"),
        (b'{"architecture": "efficientnet_b0", "pretrained_cfg": "x"}', "pretrained_cfg is no mapping"),
        *(
            (
                b'{"architecture": "efficientnet_b0", "pretrained_cfg": {"input_size": [3, 9, 9], %s}}'
                % entry.encode(),
                "pretrained_cfg cannot be used",
            )
            for entry in (
                '"input_size": [3, 1e999, 1e999]',
                '"input_size": 9.5',
                '"crop_pct": 1e-320',
                '"crop_pct": [1]',
                f'"mean": [1{"0" * 400}, 0, 0]',
                '"mean": "abc"',
                '"std": 5',
            )
        ),
        (b'{"architecture": "' + b"x" * 10_000_000 + b'"}', "has more than"),
        (b'{"architecture": "' + b"x" * 1_000_000 + b'"}', "unknown variant 'xxx"),
        (
            b'{"architecture": "efficientnet_b0", "label_names": ["a\\rb", "b", "c", "d", "e"]}',
            "not one line of text",
        ),
    ],
)
def test_configs_that_do_not_fit(hub: Loopback, config: bytes, message: str) -> None:
    hub.files[f"{REPO}/config.json"] = config
    said = hub_error(HUB_ID, InputError)
    assert message in said and len(said) < 1000


def test_what_the_config_asks_for_and_we_lack_is_said(hub: Loopback) -> None:
    pretrained = CONFIG["pretrained_cfg"] | {"crop_mode": "mirror", "interpolation": "lanczos"}
    hub.files[f"{REPO}/config.json"] = json.dumps(CONFIG | {"pretrained_cfg": pretrained}).encode()
    notes = load_pretrained(HUB_ID).notes
    assert len(notes) == 2
    assert "'lanczos'" in notes[0]
    assert "'mirror'" in notes[1]


@pytest.mark.parametrize(("crop_mode", "mode"), [("squash", "squash"), ("border", "pad")])
def test_a_config_of_another_crop_mode(hub: Loopback, crop_mode: str, mode: str) -> None:
    pretrained = CONFIG["pretrained_cfg"] | {"crop_mode": crop_mode}
    hub.files[f"{REPO}/config.json"] = json.dumps(CONFIG | {"pretrained_cfg": pretrained}).encode()
    checkpoint = load_pretrained(HUB_ID)
    assert (checkpoint.preprocess.resize_mode, checkpoint.notes) == (mode, ())


@pytest.mark.parametrize(
    "odd", [{"interpolation": ["bilinear"]}, {"crop_mode": ["squash"]}, {"tag": 5}, {"tag": ["x"]}]
)
def test_odd_entries_of_a_config_are_passed_over(hub: Loopback, odd: dict[str, object]) -> None:
    pretrained = CONFIG["pretrained_cfg"] | odd
    hub.files[f"{REPO}/config.json"] = json.dumps(CONFIG | {"pretrained_cfg": pretrained}).encode()
    expected = "bicubic" if "interpolation" in odd else "bilinear"
    assert load_pretrained(HUB_ID).preprocess.interpolation == expected


def test_a_config_without_preprocessing_takes_the_origins(hub: Loopback) -> None:
    hub.files[f"{REPO}/config.json"] = json.dumps({"architecture": "tf_efficientnet_b0"}).encode()
    checkpoint = load_pretrained(HUB_ID, options=LoadOptions(image_size=112))
    assert (checkpoint.origin, checkpoint.preprocess) == ("timm-tf", Preprocess(crop=112, resize=128))
    assert checkpoint.class_names is None


@pytest.mark.parametrize("offline", [False, True])
def test_no_hub_and_no_cache_names_the_file_to_pass(
    offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loopback() as closed:
        pass
    point_hub_to(closed.url, tmp_path, monkeypatch)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    message = hub_error(HUB_ID, MachineError)
    assert f"{HUB_ID}: config.json cannot be downloaded" in message
    assert ("offline mode is on" if offline else "no connection") in message
    assert "fetch model.safetensors or pytorch_model.bin of that repository elsewhere and pass its path" in message


def test_a_mirror_given_by_environment_variables(hub: Loopback, tmp_path: Path) -> None:
    """In a process of its own, since huggingface_hub reads them when it is imported."""
    script = f"from edge_effnet import EfficientNet; print(EfficientNet.from_pretrained({HUB_ID!r}).num_classes)"
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(ROOT),
    }
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == f"{CLASSES}\n"


# transformers on the hub


def test_a_repository_of_transformers(hub: Loopback) -> None:
    repo = "/google/efficientnet-b0/resolve/main"
    config = {"model_type": "efficientnet", "id2label": {str(i): n for i, n in enumerate(CONFIG["label_names"])}}
    processor = {"size": {"height": 224, "width": 224}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
                 "include_top": False, "resample": 2}  # fmt: skip
    hub.files[f"{repo}/config.json"] = json.dumps(config).encode()
    hub.files[f"{repo}/preprocessor_config.json"] = json.dumps(processor).encode()
    hub.files[f"{repo}/model.safetensors"] = save(state_dict("transformers"))
    checkpoint = load_pretrained("hf://google/efficientnet-b0", variant="b0")
    assert (checkpoint.spec.name, checkpoint.origin) == ("b0", "transformers")
    assert checkpoint.class_names == tuple(CONFIG["label_names"])
    assert checkpoint.preprocess == Preprocess(
        crop=224, resize=224, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3, resize_mode="squash"
    )
    assert torch.equal(checkpoint.model.stem.conv.weight, network().stem.conv.weight)


def test_a_processor_among_others(hub: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = "/me/flowers/resolve/main"
    processor = {"size": {"height": 224, "width": 224}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
                 "include_top": False}  # fmt: skip
    hub.files[f"{repo}/config.json"] = b'{"model_type": "efficientnet"}'
    hub.files[f"{repo}/model.safetensors"] = save(state_dict("transformers"))
    hub.files[f"{repo}/preprocessor_config.json"] = json.dumps(processor).encode()
    expected = Preprocess(crop=224, resize=224, mean=(0.5,) * 3, std=(0.5,) * 3, resize_mode="squash")
    for _ in range(2):  # the second time from the cache alone
        assert load_pretrained("hf://me/flowers").preprocess == expected
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    newest = {"image_processor": processor | {"image_mean": [0.25] * 3}}
    hub.files[f"{repo}/processor_config.json"] = json.dumps(newest).encode()
    assert load_pretrained("hf://me/flowers").preprocess.mean == (0.25,) * 3
    del hub.files[f"{repo}/preprocessor_config.json"]
    assert load_pretrained("hf://me/flowers").preprocess.mean == (0.25,) * 3


def test_a_repository_of_transformers_without_a_processor(hub: Loopback) -> None:
    repo = "/me/flowers/resolve/main"
    hub.files[f"{repo}/config.json"] = b'{"model_type": "efficientnet"}'
    hub.files[f"{repo}/model.safetensors"] = save(state_dict("transformers"))
    checkpoint = load_pretrained("hf://me/flowers")
    assert checkpoint.preprocess == Preprocess(crop=224, resize=224, resize_mode="squash")
    assert len(checkpoint.notes) == 1 and "has no preprocessor_config.json" in checkpoint.notes[0]


# Folders


def timm_folder(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "model.safetensors").write_bytes(save(state_dict("timm")))
    return folder


def test_a_folder_of_timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = timm_folder(tmp_path / "snapshot")
    monkeypatch.chdir(tmp_path)
    for source in (folder, str(folder), "snapshot", "./snapshot", folder / "model.safetensors"):
        checkpoint = load_pretrained(source)
        assert (checkpoint.spec.name, checkpoint.origin, checkpoint.notes) == ("b0", "timm-tf-advprop", ())
        assert checkpoint.class_names == tuple(CONFIG["label_names"])
        assert (checkpoint.preprocess.crop, checkpoint.preprocess.mean) == (192, (0.4, 0.5, 0.6))
    given = Preprocess(crop=64, resize=64)
    assert load_pretrained(folder, options=LoadOptions(preprocess=given)).preprocess == given
    (folder / "pytorch_model.bin").write_bytes(b"older")
    assert load_pretrained(folder).origin == "timm-tf-advprop"


def test_a_folder_whose_network_has_arguments(tmp_path: Path) -> None:
    folder = timm_folder(tmp_path / "relu", model_args={"act_layer": "relu", "bn_eps": 1e-5, "in_chans": 3})
    checkpoint = load_pretrained(folder)
    assert (checkpoint.model.activation, checkpoint.model.bn_eps) == ("relu", 1e-5)
    assert checkpoint.notes == (
        "The file says how its network was built, which was taken: activation relu, bn_eps 1e-05.",
    )
    maximum = timm_folder(tmp_path / "max", model_args={"global_pool": "max"})
    assert "its model_args has global_pool 'max', which is not built here" in hub_error(str(maximum), InputError)


def test_a_folder_with_a_processor_among_others(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(save(state_dict("transformers")))
    (tmp_path / "config.json").write_text('{"model_type": "efficientnet"}')
    processor = {"size": 224, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "include_top": False}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": processor}))
    assert load_pretrained(tmp_path).preprocess.mean == (0.5,) * 3


def test_a_folder_of_weights_alone(tmp_path: Path) -> None:
    torch.save(state_dict("lukemelas"), tmp_path / "pytorch_model.bin")
    assert load_pretrained(tmp_path).origin == "lukemelas"


def test_a_folder_with_a_config_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(save(state_dict("timm")))
    own = {"model": {"name": "tf_efficientnet_b0"}, "class_names": CONFIG["label_names"], "img_size": 160}
    (tmp_path / "config.json").write_text(json.dumps(own))
    checkpoint = load_pretrained(tmp_path)
    assert (checkpoint.origin, checkpoint.preprocess.crop) == ("timm-tf", 160)
    assert checkpoint.class_names == tuple(CONFIG["label_names"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "config.json is not JSON"),
        ("[]", "names no timm architecture"),
        ('{"model_type": "vit"}', "made for transformers (model_type 'vit')"),
        ('{"architecture": "efficientnet_b1"}', "holds b0 "),
    ],
)
def test_folders_that_do_not_fit(config: str, message: str, tmp_path: Path) -> None:
    folder = timm_folder(tmp_path / "snapshot")
    (folder / "config.json").write_text(config)
    assert message in hub_error(str(folder), InputError)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    assert "a folder; give the weight file itself" in hub_error(str(tmp_path), InputError)


def test_training_notes_which_file_of_a_folder_it_began_with(tmp_path: Path) -> None:
    from quant.training.run import started_from

    folder = timm_folder(tmp_path / "snapshot")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert started_from(folder) == {"file": "snapshot", "sha256": digest, "metadata": None}
