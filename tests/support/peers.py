"""The packages whose weights we load, as references for networks, preprocessing and addresses."""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path

import torch


def _declare_torchvision_ops() -> torch.library.Library | None:
    """Make `import torchvision` pass where its compiled ops do not load.

    So it is for a CPU build of torch beside a CUDA build of torchvision. Its Python registers fakes for those
    ops at import and fails without them; its classification networks use none.
    """
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None, "the parity tests need the extra: pip install -e .[dev]"
    assert spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0]) / "_meta_registrations.py"
    names = set(re.findall(r'(?:register_meta\("|register_fake\("torchvision::)(\w+)"\)', source.read_text()))
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in sorted(names):
        library.define(f"{name}(Tensor x) -> Tensor")
    return library


try:
    import torchvision
except RuntimeError:
    _ops = _declare_torchvision_ops()
    import torchvision

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of their own making
    import efficientnet_pytorch
    import timm
    import timm.models

__all__ = ["efficientnet_pytorch", "timm", "torchvision"]
