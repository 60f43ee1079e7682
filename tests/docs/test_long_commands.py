"""The commands of README and docs that train or quantize, run on a network that takes seconds."""

import shutil
from dataclasses import replace

import pytest
import torch

from edge_effnet import load_checkpoint
from edge_effnet.variants import VARIANTS
from edge_effnet.weights.layouts import LAYOUTS
from quant.common.progress import NoProgress
from quant.training import Stage, train
from tests.support.doc_commands import ids, is_quick, run, runnable
from tests.support.images import draw_halves
from tests.support.training import TINY, tiny_config

pytestmark = pytest.mark.slow

SMALLEST = replace(TINY, name="b0", stages=tuple(replace(stage, repeats=1) for stage in TINY.stages[:2]))
"""What `b0` names here."""

SUBSTITUTIONS = {
    "../shared/realdata/efficientnet_b0_imagenette10.pth": "flowers.pth",
    "../shared/realdata/imagenette": "photos",
    "b0.pth": "flowers.pth",
    "coreml:all": "xnnpack:fp32",
    "vulkan": "xnnpack:int8",
    "100": "6",
    "128": "12",
}
"""Words of a command by what stands for them here: drawn images, fewer epochs, smaller batches, and programs
that are lowered in a second (`test_fleet.py` makes the others)."""

SAMPLE = ["--weights", "flowers.pth", "--data", "photos"]
"""Behind a `quantize` that would draw the sample set, 448 pictures of 224 pixels."""

SMALL = ["--image-size", "32", "--calibration", "40"]
"""Behind every `quantize`: timm's weights would be taken at 224 pixels, and training wants images of its own."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Images of three colours, and weights that tell them apart, as timm's users have them and as ours do."""
    folder = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "b0", SMALLEST)
        data = draw_halves(folder / "photos", train=24, val=8)
        stages = (Stage(image_size=32, epochs=20),)
        out = folder / "mine.safetensors"
        config = tiny_config(folder, variant="b0", data=data, out=out, stages=stages, batch_size=24, lr=5e-3)
        assert train(config, NoProgress()).top1 == 1.0
        model = load_checkpoint(out).model
    tensors = model.state_dict()
    names = LAYOUTS["timm"].theirs(model.spec, tensors)
    for name in ("flowers.pth", "efficientnet_b0.pth"):
        kept = {names[key]: tensor for key, tensor in tensors.items()}
        torch.save({"arch": "tf_efficientnet_b0", "state_dict": kept}, folder / name)
    return folder


@pytest.fixture
def workplace(files, tmp_path, monkeypatch):
    """A folder in which the names of the docs mean something."""
    monkeypatch.setitem(VARIANTS, "b0", SMALLEST)
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


LONG_COMMANDS = runnable(lambda words: not is_quick(words), SUBSTITUTIONS)


@pytest.mark.parametrize(("where", "words"), LONG_COMMANDS, ids=ids(LONG_COMMANDS))
def test_long_command_runs(where, words, workplace, capsys):
    if words[0] == "quantize":
        words = [*words, *([] if "--weights" in words else SAMPLE), *SMALL]
    assert run(words) == 0, f"{where}: {capsys.readouterr().err}"
