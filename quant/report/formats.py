"""Figures as text, the same in every report."""

from __future__ import annotations

import datetime
import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup, escape

from quant.analysis.layer_report import LayerReport
from quant.artifact.recognise import changed
from quant.lower.result import Leftover
from quant.metrics.metrics import decimals, wilson_interval
from quant.metrics.per_class import ClassFigures, ConfusionChange

NAMED = 5
"""Layers of a network that a report names: the noisiest."""

UNKNOWN = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def percent(share: float | None, images: int | None = None) -> str:
    """Share of 1 -> percent, with as many decimals as so many images carry."""
    return UNKNOWN if share is None else f"{100 * share:.{decimals(images)}f}"


def interval(pair: tuple[float, float] | None) -> str:
    """Shares of 1 -> percent with one decimal."""
    return UNKNOWN if pair is None else f"{100 * pair[0]:.1f}{UNKNOWN}{100 * pair[1]:.1f}"


def fixed(value: float | None, digits: int) -> str:
    """So many decimals, with a minus sign that is as wide as a plus."""
    return UNKNOWN if value is None else f"{value:.{digits}f}".replace("-", _MINUS)


def signed(value: float | None, digits: int) -> str:
    """Likewise, with its sign."""
    if value is None:
        return UNKNOWN
    return fixed(0.0, digits) if round(value, digits) == 0 else f"{value:+.{digits}f}".replace("-", _MINUS)


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}".replace("-", _MINUS)


def thousands(number: int) -> str:
    """In groups of three digits."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def megabytes(size: int | None) -> str:
    """Bytes -> MB (10^6) with two decimals."""
    return UNKNOWN if size is None else f"{size / 1e6:.2f}"


def count(number: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return capital(text) + ("" if text.endswith((".", "!", "?", ":")) else ".")


def prose(text: str) -> Markup:
    """`sentence`, with commands and options set as code, and the minus sign that figures have elsewhere."""
    signs = re.sub(r"(?<![\w.-])-(?=\d+\.\d)", _MINUS, str(escape(sentence(text))))
    code = re.compile(r"`([^`]+)`|(--[a-z][a-z-]+(?: [a-z0-9][a-z0-9.-]*\d)?)")
    return Markup(code.sub(lambda found: f"<code>{found[1] or found[2]}</code>", signs))


def breakable(text: str) -> Markup:
    """A name that may be broken into lines where its parts end."""
    return Markup(re.sub(r"([_/.-])(?=\w)", r"\1<wbr>", str(escape(text))))


def range_text(pair: tuple[float, float]) -> str:
    """Smallest and largest value."""
    return f"{short(pair[0])} \N{HORIZONTAL ELLIPSIS} {short(pair[1])}"


def magnitude(pair: tuple[float, float]) -> float:
    """What a range is sorted by."""
    return max(abs(value) for value in pair)


def share_interval(share: float | None, images: int) -> tuple[float, float] | None:
    """95 % confidence interval of a share."""
    return None if share is None else wilson_interval(share, images)


def most_changed(changes: Sequence[ConfusionChange], most: int) -> Sequence[ConfusionChange]:
    """The cells that changed most, first."""
    return sorted(changes, key=lambda change: -abs(change.pte_count - change.float_count))[:most]


def noisiest(layers: Sequence[LayerReport]) -> list[LayerReport]:
    """The layers whose quantization does most to the logits, first."""
    return sorted((layer for layer in layers if layer.noise_share > 0), key=lambda layer: -layer.noise_share)[:NAMED]


def grouped(leftovers: Sequence[Leftover]) -> list[tuple[str, str, int]]:
    """Operator, reason and number of calls, the most frequent first."""
    counts = Counter((leftover.operator, leftover.reason) for leftover in leftovers)
    return [(operator, reason, calls) for (operator, reason), calls in counts.most_common()]


def shell_words(command: Sequence[str]) -> list[str]:
    """A command's words as a shell reads them."""
    return [shlex.quote(word) for word in command]


def day(created: str) -> str:
    """ISO 8601 -> day, month in words and year; another text as it is."""
    try:
        when = datetime.datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{when.day} {when:%B %Y}"


def times(before: float, after: float) -> str:
    """How many times smaller something became."""
    return f"{before / max(after, 1e-9):.1f}\N{MULTIPLICATION SIGN}"


def architecture(processor: str) -> str:
    """`AMD EPYC (x86_64, AVX512)` -> `this x86 machine`; of one that nobody named, `the machine that made it`."""
    kinds = {"x86_64": "x86", "aarch64": "ARM", "arm64": "ARM"}
    found = [kind for word, kind in kinds.items() if word in processor]
    return f"this {found[0]} machine" if found else "the machine that made it"


def worst_first(rows: Sequence[ClassFigures]) -> list[ClassFigures]:
    """Classes that lost most come first: in images that are right, then in images that keep their class."""

    def merit(row: ClassFigures) -> tuple[float, ...]:
        right = row.pte_right or 0
        return tuple(count / max(row.images, 1) for count in (right - (row.float_right or 0), row.kept, right))

    return sorted(rows, key=merit)


def network(variant: str) -> str:
    """`b0` -> `EfficientNet-B0`."""
    return f"EfficientNet-{variant[:1].upper()}{variant[1:]}"


def capital(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


FILTERS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        *(architecture, breakable, capital, count, day, decimals, fixed, grouped),
        *(interval, magnitude, megabytes, most_changed, network, noisiest, percent, prose, range_text),
        *(short, share_interval, shell_words, signed, thousands, times, changed, worst_first),
    )
}
"""By the name that templates use."""
