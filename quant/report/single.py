"""The report of one artifact."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from edge_effnet.images import quiet_pillow
from edge_effnet.preprocess import RGB, Preprocess
from quant.analysis.layer_report import BROKEN_SQNR_DB, LayerReport, reports_from_json, reports_json
from quant.artifact.model import Artifact, read_part
from quant.data.split import ImageRecord
from quant.lower.delegation import DelegationReport
from quant.report.facts import Facts, facts_of
from quant.report.page import render_page
from quant.report.plots.curves import plot_changes, plot_search, plot_training
from quant.report.plots.layers import plot_layers
from quant.thresholds import REPORT_FLIPS, REPORT_THUMBNAIL_BYTES, REPORT_THUMBNAIL_SIDE
from quant.verdict.flips import Flip
from quant.verdict.verdict import paired_sentence

_LARGEST_MATRIX = 14
"""Classes; a larger matrix is a list of the cells that changed most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What a report is made of, beside the manifest."""

    layers: Sequence[LayerReport]
    """The analysis; empty for a program without one."""
    delegation: DelegationReport | None
    images: Sequence[ImageRecord]
    """Where the evaluation images are; without them the report has no thumbnails."""


def render_report(manifest: Mapping[str, Any], sources: Sources) -> bytes:
    """Make the report of an artifact, of a manifest that its schema allows.

    Raises:
        InputError: a verdict that is not one of this project's, or an image that cannot be read.
    """
    facts = facts_of(manifest)
    # Rounded as layers.json keeps them, so that a report regenerated of a folder is the same.
    layers = reports_from_json(reports_json(sources.layers))
    flips = shown_flips(facts.flips)
    return render_page(
        "single.html.j2",
        facts=facts,
        lost=_points_lost(facts),
        change=_change(facts),
        flips=flips,
        thumbnails=thumbnails(flips, sources.images, Preprocess.from_dict(dict(manifest["preprocess"]))),
        matrix=_matrix(facts),
        layers=layers,
        broken_db=BROKEN_SQNR_DB,
        delegation=sources.delegation,
        plots=_plots(facts, layers),
        folder=str(manifest["verdict"].get("artifact", "")),
    )


def remade_report(artifact: Artifact, images: Sequence[ImageRecord] = ()) -> bytes:
    """Make the report of an artifact folder again; byte for byte the one in it, given the same images.

    Raises:
        InputError: as `render_report`, or a damaged analysis.
    """
    files = {name: entry for name, entry in artifact.manifest["files"].items() if name != "report.html"}
    delegation = None
    if "delegation.json" in files:
        values = read_part(artifact.folder / "delegation.json", "delegation", "a delegation report")
        delegation = DelegationReport.from_json(values)
    layers = artifact.layers() if "layers.json" in files else ()
    sources = Sources(layers=layers, delegation=delegation, images=images)
    return render_report({**artifact.manifest, "files": files}, sources)


def _points_lost(facts: Facts) -> float | None:
    """What `max_drop` bounds first, from float to the program; None where the images have no labels."""
    before, after = (facts.task.figure.value(network) for network in (facts.float, facts.program))
    return None if before is None or after is None else 100.0 * (before - after)


def _change(facts: Facts) -> str:
    """What the verdict's sentence says of images lost and won, where another one decided; else empty."""
    if facts.paired is None or facts.drop_interval is None:
        return ""
    said = paired_sentence(facts.paired, facts.drop_interval)
    return "" if any(said in reason for reason in facts.reasons) else said


def _matrix(facts: Facts) -> dict[str, Any] | None:
    """Names, and per true class (without labels, float's) the images more in each answer than float puts there.

    None where nothing changed, or the matrix would be too large to be looked at.
    """
    known = [row.name for row in facts.classes or ()]
    changes = {(change.name, change.answer): change.pte_count - change.float_count for change in facts.confusion}
    names = list(dict.fromkeys([*known, *(name for cell in changes for name in cell)]))
    if not changes or len(names) > _LARGEST_MATRIX:
        return None
    return {"names": names, "cells": [[changes.get((row, column), 0) for column in names] for row in names]}


def _plots(facts: Facts, layers: Sequence[LayerReport]) -> dict[str, Markup]:
    plots = {}
    if layers:
        plots["layers"] = plot_layers(layers, broken=facts.broken_layer)
    if facts.logits is not None and facts.logits.images:
        plots["changes"] = plot_changes(facts.logits.images)
    if facts.search is not None:
        plots["search"] = plot_search(facts.search, min_agreement=facts.min_agreement)
    if facts.training is not None and len(facts.training.rows) > 1:
        plots["training"] = plot_training(facts.training)
    return plots


def shown_flips(flips: Sequence[Flip]) -> tuple[Flip, ...]:
    """Choose those that a report shows: what float was right and sure about comes first."""
    best = sorted(flips, key=lambda flip: (flip.label != flip.float_class, -(flip.float_probability or 0.0)))
    return tuple(best[:REPORT_FLIPS])


def thumbnails(flips: Sequence[Flip], images: Sequence[ImageRecord], preprocess: Preprocess) -> dict[str, str]:
    """Draw those of the images that are given as the network sees them, until their allowance is used up.

    Returns:
        `data:image/jpeg;base64,...` by the image's name, in the order of `flips`.

    Raises:
        InputError: an image that cannot be read, named.
    """
    files = {image.name: image.path for image in images}
    found: dict[str, str] = {}
    left = REPORT_THUMBNAIL_BYTES
    with quiet_pillow():
        for name in (flip.image for flip in flips if flip.image in files):
            data = _jpeg(preprocess.picture(files[name]))
            left -= len(data)
            if left < 0:
                break
            found[name] = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    return found


def _jpeg(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, C] -> a small JPEG; of an array's channels the first three, of two or one the first."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :RGB] if pixels.shape[2] >= RGB else pixels[..., 0]))
    image.thumbnail((REPORT_THUMBNAIL_SIDE, REPORT_THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=72, optimize=True)
    return file.getvalue()
