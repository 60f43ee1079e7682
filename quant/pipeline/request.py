"""What a run is asked for, looked up and checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import SAMPLE, sample_weights
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights.checkpoint import LoadOptions
from quant.artifact.recognise import require_replaceable
from quant.common.overwrite import require_apart, require_no_image
from quant.lower.options import BackendOptions
from quant.lower.xnnpack.normalization import Normalization
from quant.qat.options import QatOptions
from quant.recipes import RECIPES, Recipe, find_recipe
from quant.thresholds import MAX_DROP_POINTS, SELECTION
from quant.verdict.verdict import check_max_drop, check_min_agreement


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The arguments of `quantize`, whatever it makes."""

    spec: VariantSpec
    weights: str | Path
    data: str | Path
    options: LoadOptions
    activation: str | None
    """To swap to; None keeps the network's own."""
    calibration: int
    recipe: Recipe
    backend: str
    """What the artifact is named by."""
    backends: tuple[str, ...]
    """As they were asked for; empty for the one artifact of xnnpack."""
    backend_options: BackendOptions
    out: Path
    max_drop: float
    """Points."""
    min_agreement: float | None
    """Share of 1."""
    targeted: bool
    """Whether the user gave a target."""
    threads: int
    seed: int
    qat: QatOptions
    embed_preprocess: bool
    """Whether the program takes pixels and normalises them by itself."""

    def normalization(self, preprocess: Preprocess) -> Normalization | None:
        """What the program does by itself, if anything."""
        return Normalization(mean=preprocess.mean, std=preprocess.std) if self.embed_preprocess else None

    @property
    def sample(self) -> bool:
        """Whether the weights are those that come with the package."""
        return self.weights == SAMPLE

    @property
    def searches(self) -> bool:
        """Whether float layers are searched for until the target is met."""
        return self.targeted and self.recipe.searches

    @property
    def selection(self) -> int:
        """Images to keep back to choose float layers or epochs on."""
        return SELECTION if self.searches or self.recipe.trains else 0

    @property
    def final_activation(self) -> str:
        """The activation of the program."""
        return self.activation or self.spec.activation


def default_out(variant: str, recipe: str, backend: str) -> str:
    """Name the artifact folder where the user does not."""
    return f"{variant}-{recipe}-{backend}"


def check_request(
    variant: str,
    *,
    weights: str | Path,
    data: str | Path,
    options: LoadOptions,
    activation: str | None,
    calibration: int,
    recipe: str,
    backend: str,
    backends: Sequence[str] = (),
    backend_options: BackendOptions | None = None,
    out: str | Path | None,
    max_drop: float | None,
    min_agreement: float | None,
    seed: int,
    threads: int,
    qat: QatOptions | None,
    embed_preprocess: bool = False,
) -> Request:
    """Look everything up that needs no work; arguments as of `quant.pipeline.quantize.quantize`.

    Args:
        variant: see there.
        weights: see there.
        data: see there.
        options: of loading the weights.
        activation: see there.
        calibration: see there.
        recipe: see there.
        backend: what the artifact is named by.
        backends: of a run over several.
        backend_options: likewise.
        out: see there.
        max_drop: see there.
        min_agreement: percent.
        seed: see there.
        threads: see there.
        qat: see there.
        embed_preprocess: see there.

    Raises:
        InputError: an unknown name, a number out of range, a folder in the way that is no artifact, that weights or
            images lie in, or that lies among these.
    """
    spec = resolve_variant(variant)
    if weights == SAMPLE:
        sample_weights(spec.name)
    if threads < 1:
        raise InputError(f"--threads {threads}: need at least 1.")
    found = find_recipe(recipe)
    if qat is not None and not found.trains:
        trained = ", ".join(name for name, other in RECIPES.items() if other.trains)
        raise InputError(
            f"--recipe {recipe} trains nothing; --epochs, --steps, --teacher and --resume are for {trained}."
        )
    request = Request(
        spec=spec,
        weights=weights,
        data=data,
        options=options,
        activation=activation,
        calibration=calibration,
        recipe=found,
        backend=backend,
        backends=tuple(backends),
        backend_options=backend_options or BackendOptions(),
        out=Path(out if out is not None else default_out(spec.name, recipe, backend)),
        max_drop=check_max_drop(MAX_DROP_POINTS if max_drop is None else max_drop),
        min_agreement=check_min_agreement(min_agreement),
        targeted=not (max_drop is None and min_agreement is None),
        threads=threads,
        seed=seed,
        qat=qat or QatOptions(),
        embed_preprocess=embed_preprocess,
    )
    require_apart(request.out, {"--weights": weights, "--data": data})
    require_replaceable(request.out)
    require_no_image(request.out, data)
    return request
