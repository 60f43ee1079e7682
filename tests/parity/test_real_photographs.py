"""The main job on real weights and images: `quantize` against torchvision's own network."""

import pytest
import torch
from PIL import Image

from quant import check
from quant.artifact.open import open_artifact
from quant.thresholds import DEFAULT_CALIBRATION
from tests.support.cli import only_json, run_cli
from tests.support.peers import torchvision

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

EVALUATION = 100


@pytest.fixture(scope="module")
def weights(realdata):
    return realdata / "efficientnet_b0_imagenette10.pth"


@pytest.fixture(scope="module")
def quantized(weights, real_images, tmp_path_factory):
    """The artifact's folder and what `quantize --json` printed; whatever the verdict."""
    folder = tmp_path_factory.mktemp("real") / "b0"
    done = run_cli(
        "quantize", "--variant", "b0", "--weights", weights, "--data", real_images, "--out", folder, "--json"
    )
    assert done.returncode in (0, 1) and done.stderr == "", done.stderr
    return folder, only_json(done.stdout)


@pytest.fixture(scope="module")
def right_in_torchvision(weights, real_images):
    """How many of the evaluation images torchvision's B0 knows, by torchvision's own preprocessing."""
    checkpoint = torch.load(weights, map_location="cpu", weights_only=True)
    network = torchvision.models.efficientnet_b0(num_classes=len(checkpoint["class_names"]))
    network.load_state_dict(checkpoint["state_dict"])
    transforms = torchvision.transforms
    prepare = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    right = 0
    with torch.inference_mode():
        for label, name in enumerate(checkpoint["class_names"]):
            paths = sorted((real_images / "val" / name).iterdir())
            batch = torch.stack([prepare(Image.open(path).convert("RGB")) for path in paths])
            right += (network.eval()(batch).argmax(dim=1) == label).sum().item()
    return right


def test_float_top1_is_torchvisions_within_one_image(quantized, right_in_torchvision):
    _, values = quantized
    assert values["images"] == {"calibration": DEFAULT_CALIBRATION, "evaluation": EVALUATION}
    assert right_in_torchvision > 0.9 * EVALUATION
    assert abs(round(values["float"]["top1"] * EVALUATION) - right_in_torchvision) <= 1


def test_all_of_it_runs_in_one_delegate_at_a_quarter_of_the_size(quantized):
    _, values = quantized
    assert (values["delegation"]["partitions"], values["delegation"]["left"]) == (1, 0)
    assert values["pte"]["size_bytes"] <= 0.27 * values["float"]["size_bytes"]


def test_the_int8_program_sees_most_of_what_float_sees(quantized):
    """Far below what it reaches (the README has the figures): what falls below is broken, not quantized."""
    _, values = quantized
    assert values["pte"]["agreement"] > 0.85
    assert values["pte"]["top1"] > 0.85


def test_a_check_of_the_artifact_gives_the_same_verdict(quantized, real_images):
    folder, values = quantized
    outcome = check(folder, data=real_images)
    assert outcome.passed == (values["verdict"] == "pass")
    assert outcome.pte_accuracy.top1 == values["pte"]["top1"]
    assert len(open_artifact(folder).calibrated_on) == DEFAULT_CALIBRATION
