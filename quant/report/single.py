"""The report of one artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from edge_effnet.errors import InputError
from edge_effnet.preprocess import Preprocess
from quant.analysis.layer_report import BROKEN_SQNR_DB, LayerReport, reports_from_json, reports_json
from quant.artifact.model import Artifact
from quant.common.json_io import read_json, schema_fault
from quant.data.split import ImageRecord
from quant.lower.delegation import DelegationReport
from quant.report.facts import Facts, points_lost, read_facts
from quant.report.page import render_page
from quant.report.plots.changes import plot_changes
from quant.report.plots.layers import plot_layers
from quant.report.plots.search import plot_search
from quant.report.plots.training import plot_training
from quant.report.thumbnails import shown_flips, thumbnails

_MAX_DELEGATION_BYTES = 16 * 1024 * 1024

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
    """Make the report of an artifact.

    Args:
        manifest: that its schema allows.
        sources: the rest.

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
        lost=points_lost(facts),
        flips=flips,
        thumbnails=thumbnails(flips, sources.images, Preprocess.from_dict(dict(manifest["preprocess"]))),
        matrix=_matrix(facts),
        layers=layers,
        broken_db=BROKEN_SQNR_DB,
        delegation=sources.delegation,
        plots=_plots(facts, layers),
        folder=str(manifest["verdict"].get("artifact", "FOLDER")),
    )


def facts_of(manifest: Mapping[str, Any]) -> Facts:
    """`read_facts`, with one sentence for a manifest of another version or an editor's.

    Raises:
        InputError: a verdict that is not one of this project's.
    """
    try:
        return read_facts(manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"manifest.json of {manifest['variant']}, {manifest['backend']}: its verdict cannot be read "
            f"({type(error).__name__}: {error}); it is of another version or was edited: regenerate the artifact."
        ) from error


def remade_report(artifact: Artifact, images: Sequence[ImageRecord] = ()) -> bytes:
    """Make the report of an artifact folder again; byte for byte the one in it, given the same images.

    Raises:
        InputError: as `render_report`, or a damaged analysis.
    """
    files = {name: entry for name, entry in artifact.manifest["files"].items() if name != "report.html"}
    sources = Sources(
        layers=artifact.layers() if "layers.json" in files else (),
        delegation=_delegation(artifact) if "delegation.json" in files else None,
        images=images,
    )
    return render_report({**artifact.manifest, "files": files}, sources)


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


def _delegation(artifact: Artifact) -> DelegationReport:
    path = artifact.folder / "delegation.json"
    try:
        values = read_json(path, limit=_MAX_DELEGATION_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a delegation report ({error}); regenerate the artifact.") from error
    if (fault := schema_fault(values, "delegation", package="quant.artifact")) is not None:
        raise InputError(f"{path}: not a delegation report ({fault}); regenerate the artifact.")
    return DelegationReport.from_json(values)


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
