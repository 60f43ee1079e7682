"""Reports of runs that never were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from quant.analysis.layer_report import LayerReport
from quant.analysis.search_result import Found, Point
from quant.artifact.model import Artifact
from quant.data.split import ImageRecord
from quant.lower.delegation import DelegationReport
from quant.metrics.evaluate import NO_ACCURACY, Accuracy, Fidelity
from quant.metrics.per_class import ClassFigures, ConfusionChange
from quant.report.single import Sources, render_report
from quant.verdict.outcome import Outcome
from quant.verdict.verdict import Verdict
from tests.support.artifacts import LAYER, make_artifact, manifest_fields
from tests.support.images import draw_image
from tests.support.outcomes import flip, outcome

SCRIPT = "<script>alert(1)</script>"
"""A hostile class name."""
IMAGE = '"><img src=x onerror=alert(1)>.jpg'
"""A hostile file name."""

ODD = (
    *("</script><script>alert(1)</script>", '" onmouseover="alert(1)" x="', "' onfocus='alert(1)' autofocus='"),
    *("{{7*7}}", "{% raw %}", "{{ facts.command }}", "%s%n{0}", "${7*7}", "javascript:alert(1)", "&lt;b&gt;"),
    *(
        "a\u202egpj.exe",
        "a\u2066b",
        "\x1b]0;owned\x07",
        "a\nPASS",
        "--><!--",
        "]]>",
        "a b\tc",
        "\ufeff=cmd|'/c calc'!A1",
    ),
)
"""More of them, for any name."""

SHOWN = tuple(name.translate({0x202E: "\\u202e", 0x2066: "\\u2066", 0x1B: "\\x1b", 0x07: "\\x07"}) for name in ODD)
"""What a page shows of them."""

DELEGATION = DelegationReport(
    partitions=1, delegated=3, leftovers=(), float_layers=("conv2d",), facts=("a fact",), advice=("advice",)
)


POINTS = tuple(
    Point(
        float_layers=("stem",) * count,
        added_ms=0.25 * count,
        agreement=0.98 + 0.005 * count,
        drop=0.5,
        sqnr_db=20.0,
        chance=0.3 * count,
        met=count == 3,
    )
    for count in range(4)
)
FOUND = Found(points=POINTS, chosen=POINTS[3], converted=None, images=200)
"""A search that tried four sets, and took the last."""


def layers(count: int = 12) -> list[LayerReport]:
    """An analysis of so many activations; the first is in float, SQNR falls."""
    return [
        replace(
            LAYER,
            layer=f"stages.{i // 4}.{i}.expand",
            sqnr_db=40.0 - 2 * i,
            noise_share=1 / count,
            estimated_ms=0.1,
            **({"precision": "float", "grid": None, "clipped": None} if i == 0 else {}),
        )
        for i in range(count)
    ]


def manifest(found: Outcome, **changes: Any) -> dict[str, Any]:
    """The manifest of an artifact with this outcome."""
    return {
        "schema": 1,
        **manifest_fields(),
        "classes": ["blue", "green", "red"],
        "labelled": True,
        "photographs": {"calibration": [], "evaluation": []},
        "golden": [],
        "files": {"model.pte": {"sha256": "0" * 64, "bytes": 4_269_368}},
        "command": ["quantize", "--variant", "b0", "--weights", "w.pth", "--data", "photos"],
        "verdict": found.to_json(),
        **changes,
    }


def page(
    found: Outcome | None = None,
    *,
    analysis: Sequence[LayerReport] | None = None,
    images: Sequence[ImageRecord] = (),
    **changes: Any,
) -> str:
    """The report of an outcome."""
    sources = Sources(layers=layers() if analysis is None else analysis, delegation=DELEGATION, images=images)
    return render_report(manifest(found or outcome(), **changes), sources).decode()


def many_classes(count: int, name: str = "class") -> Outcome:
    """An outcome over so many classes, each with an image that moved to the next."""
    names = [f"{name} {i}" for i in range(count)]
    return outcome(
        classes=tuple(ClassFigures(name=n, images=4, float_right=4, pte_right=3, kept=3) for n in names),
        confusion=tuple(
            change
            for n, other in zip(names, names[1:] + names[:1], strict=True)
            for change in (
                ConfusionChange(name=n, answer=n, float_count=4, pte_count=3),
                ConfusionChange(name=n, answer=other, float_count=0, pte_count=1),
            )
        ),
        flips=tuple(
            flip(image=f"val/{n}.jpg", label=n, float_class=n, pte_class=other)
            for n, other in zip(names, names[1:] + names[:1], strict=True)
        ),
    )


def hostile(folder: Path) -> tuple[Outcome, list[ImageRecord]]:
    """An outcome full of markup, and its image."""
    picture = draw_image(folder / "drawn.jpg", size=(200, 160))
    found = outcome(
        classes=tuple(
            ClassFigures(name=name, images=1, float_right=1, pte_right=0, kept=0) for name in (SCRIPT, *ODD)
        ),
        confusion=(
            ConfusionChange(name=SCRIPT, answer=SCRIPT, float_count=1, pte_count=0),
            ConfusionChange(name=SCRIPT, answer="$x^2$", float_count=0, pte_count=1),
        ),
        flips=(
            flip(image=IMAGE, label=SCRIPT, float_class=SCRIPT, pte_class="$x^2$"),
            *(flip(image=name, label=name, float_class=name, pte_class=name) for name in ODD),
        ),
        notes=(f"Note on {IMAGE}", *ODD),
        verdict=Verdict(passed=True, reasons=ODD, cautions=ODD),
        artifact=IMAGE,
    )
    return found, [ImageRecord(path=picture, name=IMAGE, label=0, sha256="0" * 64)]


def measured_artifact(
    folder: Path,
    *,
    top1: float = 0.96,
    agreement: float = 0.95,
    ms: float = 6.5,
    size: int = 4_000_000,
    unlabelled: bool = False,
    failed: bool = False,
    **changes: Any,
) -> Artifact:
    """Write an artifact whose program was measured so."""
    accuracy = NO_ACCURACY if unlabelled else Accuracy(top1=top1, top5=1.0, top1_interval=(0.9, 0.99))
    found = outcome(
        verdict=Verdict(passed=False, reasons=("too bad",)) if failed else outcome().verdict,
        pte_accuracy=accuracy,
        float_accuracy=accuracy,
        pte=Fidelity(agreement=agreement, sqnr_db=20.0),
        pte_program=replace(outcome().pte_program, latency_ms=ms, size_bytes=size),
    )
    return make_artifact(folder, verdict=found.to_json(), **changes)


_PLAIN = str.maketrans({"\N{EN DASH}": "-", "\N{MINUS SIGN}": "-", "\N{MULTIPLICATION SIGN}": "x"})


_WITHIN_WORDS = ("wbr", "code", "strong", "small")


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of some."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        self._part(tag)

    def _part(self, tag: str) -> None:
        if tag not in _WITHIN_WORDS:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        """Attributes of every element of that name."""
        return (attributes for name, attributes in self.found if name == tag)

    @property
    def text(self) -> str:
        """What can be read, style and script included, in plain letters, blanks collapsed."""
        return " ".join("".join(self.words).translate(_PLAIN).split())
