"""Which layout names a network."""

from collections.abc import Iterable

from edge_effnet.variants import VariantSpec
from edge_effnet.weights.layouts import LAYOUTS, Layout
from edge_effnet.weights.placement import _places


def layout_of(package: str, spec: VariantSpec) -> Layout:
    """The layout in which a package names a variant."""
    six = package == "torchvision" and len(spec.stages) == 6
    return LAYOUTS["torchvision-of-6-stages" if six else package]


def detect_layout(keys: Iterable[str]) -> Layout | None:
    """That of the network that is found among names; None for none."""
    found = _places(keys)
    return found[0].layout if found else None
