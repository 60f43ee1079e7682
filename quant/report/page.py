"""Templates -> one HTML file that loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from edge_effnet.io.text import plain
from quant.report import formats

if TYPE_CHECKING:
    from jinja2 import Environment

GENERATOR = "edge-effnet"
"""What the page says that it was made by: a file without it is not overwritten."""


def render_page(template: str, **values: Any) -> bytes:
    """Fill in a template, a file in `templates/`; text is escaped, whoever wrote it.

    Returns:
        UTF-8 text; the same values give the same bytes.
    """
    css, script = _asset("report.css"), _asset("report.js")
    values |= {"css": Markup(css), "script": Markup(script), "policy": _policy(css, script), "generator": GENERATOR}
    # A file name may hold bytes that are no text.
    return _environment().get_template(template).render(values).encode("utf-8", "backslashreplace")


def _policy(css: str, script: str) -> str:
    """Content-Security-Policy: this very style and script, pictures inside the page, and nothing else."""
    rules = {
        "default-src": "'none'",
        "style-src": _hash_of(css),
        "script-src": _hash_of(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return resources.files("quant.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    # It takes a moment to import, and `--help` needs none of it.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("quant.report", "templates"),
        autoescape=True,
        # Of text no control characters, nor those that let it read backwards.
        finalize=lambda value: plain(value) if isinstance(value, str) else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= formats.FILTERS
    return environment
