"""The published weights: one table row each, with its address, hash, variant, origin and published accuracy.

Addresses and hashes are those of `efficientnet_pytorch` 0.7.1 and of torchvision's weights enums; top-1 is
what lukemelas' README and torchvision's enums state for ImageNet's validation set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from edge_effnet.errors import InputError
from edge_effnet.preprocess import Preprocess


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One weight file on the network."""

    name: str
    """What `from_pretrained` takes."""
    url: str
    """https; plain http is allowed from this machine itself only."""
    sha256_prefix: str
    """First hexadecimal digits of the file's sha256, at least 8."""
    variant: str
    """A key of `edge_effnet.variants.VARIANTS`."""
    origin: str
    """A key of `edge_effnet.weights.origins.ORIGINS`."""
    top1: float | None = None
    """Published ImageNet top-1, percent."""
    preprocess: Preprocess | None = None
    """Where it differs from the origin's."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.scheme != "https" and not here:
            raise InputError(f"{self.name}: {self.url} is not https; weights are downloaded over https only.")
        if not re.fullmatch(r"[\w-][\w.-]*", self.file_name):
            raise InputError(f"{self.name}: {self.url} does not end in the name of a file.")
        if not re.fullmatch(r"[0-9a-f]{8,64}", self.sha256_prefix):
            raise InputError(f"{self.name}: sha256_prefix {self.sha256_prefix!r} is not 8 to 64 hexadecimal digits.")

    @property
    def file_name(self) -> str:
        """Last part of the address; the name of the file in the cache."""
        return urlsplit(self.url).path.rpartition("/")[2]


_LUKEMELAS_URL = "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0"
_TORCHVISION_URL = "https://download.pytorch.org/models"


def _source(name: str, url: str, sha256_prefix: str, variant: str, origin: str, top1: float | None = None) -> Source:
    address = f"{url}-{sha256_prefix}.pth"
    return Source(name=name, url=address, sha256_prefix=sha256_prefix, variant=variant, origin=origin, top1=top1)


def _lukemelas(variant: str, sha256_prefix: str, top1: float) -> Source:
    name = f"efficientnet-{variant}"
    return _source(f"lukemelas/{name}", f"{_LUKEMELAS_URL}/{name}", sha256_prefix, variant, "lukemelas", top1)


def _advprop(variant: str, sha256_prefix: str) -> Source:
    name, url = f"efficientnet-{variant}", f"{_LUKEMELAS_URL}/adv-efficientnet-{variant}"
    return _source(f"lukemelas/{name}-advprop", url, sha256_prefix, variant, "lukemelas-advprop")


def _torchvision(variant: str, sha256_prefix: str, top1: float, trained_by: str = "") -> Source:
    name = f"efficientnet_{variant}"
    url = f"{_TORCHVISION_URL}/{name}{trained_by}"
    return _source(f"torchvision/{name}", url, sha256_prefix, variant.replace("_", "-"), "torchvision", top1)


_B1_V2 = replace(
    _torchvision("b1", "c27df63c", top1=79.838),
    name="torchvision/efficientnet_b1-v2",
    preprocess=Preprocess(crop=240, resize=255, interpolation="bilinear"),
)

_PUBLISHED = (
    _lukemelas("b0", "355c32eb", top1=76.3),
    _lukemelas("b1", "f1951068", top1=78.8),
    _lukemelas("b2", "8bb594d6", top1=79.8),
    _lukemelas("b3", "5fb5a3c3", top1=81.1),
    _lukemelas("b4", "6ed6700e", top1=82.6),
    _lukemelas("b5", "b6417697", top1=83.3),
    _lukemelas("b6", "c76e70fd", top1=84.0),
    _lukemelas("b7", "dcc49843", top1=84.4),
    _advprop("b0", "b64d5a18"),
    _advprop("b1", "0f3ce85a"),
    _advprop("b2", "6e9d97e5"),
    _advprop("b3", "cdd7c0f4"),
    _advprop("b4", "44fb3a87"),
    _advprop("b5", "86493f6b"),
    _advprop("b6", "ac80338e"),
    _advprop("b7", "4652b6dd"),
    _advprop("b8", "22a8fe65"),
    _torchvision("b0", "7f5810bc", top1=77.692, trained_by="_rwightman"),
    _torchvision("b1", "bac287d4", top1=78.642, trained_by="_rwightman"),
    _B1_V2,
    _torchvision("b2", "c35c1473", top1=80.608, trained_by="_rwightman"),
    _torchvision("b3", "b3899882", top1=82.008, trained_by="_rwightman"),
    _torchvision("b4", "23ab8bcd", top1=83.384, trained_by="_rwightman"),
    _torchvision("b5", "1a07897c", top1=83.444, trained_by="_lukemelas"),
    _torchvision("b6", "24a108a5", top1=84.008, trained_by="_lukemelas"),
    _torchvision("b7", "c5b4e57e", top1=84.122, trained_by="_lukemelas"),
    _torchvision("v2_s", "dd5fe13b", top1=84.228),
    _torchvision("v2_m", "dc08266a", top1=85.112),
    _torchvision("v2_l", "59c71312", top1=85.808),
)

SOURCES: dict[str, Source] = {source.name: source for source in _PUBLISHED}

HUB_SOURCES: dict[str, str] = {
    "b8": "timm/tf_efficientnet_b8.ra_in1k",
    "l2": "timm/tf_efficientnet_l2.ns_jft_in1k",
    "lite0": "timm/tf_efficientnet_lite0.in1k",
    "lite1": "timm/tf_efficientnet_lite1.in1k",
    "lite2": "timm/tf_efficientnet_lite2.in1k",
    "lite3": "timm/tf_efficientnet_lite3.in1k",
    "lite4": "timm/tf_efficientnet_lite4.in1k",
    "b1-pruned": "timm/efficientnet_b1_pruned.in1k",
    "b2-pruned": "timm/efficientnet_b2_pruned.in1k",
    "b3-pruned": "timm/efficientnet_b3_pruned.in1k",
    "es": "timm/tf_efficientnet_es.in1k",
    "em": "timm/tf_efficientnet_em.in1k",
    "el": "timm/tf_efficientnet_el.in1k",
    "v2-b0": "timm/tf_efficientnetv2_b0.in1k",
    "v2-b1": "timm/tf_efficientnetv2_b1.in1k",
    "v2-b2": "timm/tf_efficientnetv2_b2.in1k",
    "v2-b3": "timm/tf_efficientnetv2_b3.in1k",
    "v2-s": "timm/tf_efficientnetv2_s.in1k",
    "v2-m": "timm/tf_efficientnetv2_m.in1k",
    "v2-l": "timm/tf_efficientnetv2_l.in1k",
    "v2-xl": "timm/tf_efficientnetv2_xl.in21k_ft_in1k",
    "v2-rw-t": "timm/efficientnetv2_rw_t.ra2_in1k",
    "v2-rw-s": "timm/efficientnetv2_rw_s.ra2_in1k",
    "v2-rw-m": "timm/efficientnetv2_rw_m.agc_in1k",
}
"""Hugging Face ids for the variants of which lukemelas published no standard weights."""
