"""`ios:FILE`: an iPhone that cannot be reached from here; its app exports the results file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from apps.device.job.results import Results, read_results
from edge_effnet.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class IosApp:
    """The app of `apps/ios`."""

    executorch: str
    """Of the app's runtime."""
    swift_package: str
    branch: str
    """Of the Swift package."""
    products: tuple[str, ...]
    """Of the Swift package that the app links."""
    backends: tuple[str, ...]
    """That these make, as `quantize --backend` calls them."""
    project: str
    """The Xcode project, below `apps/ios`."""
    model_folder: str
    """Where the artifact lies, below `apps/ios` and in the app's bundle."""
    bundle_id: str
    min_ios: str


@cache
def ios_app() -> IosApp:
    """Read `ios.json`."""
    values = json.loads(resources.files("apps.device").joinpath("ios.json").read_text())
    lists = {key: tuple(values[key]) for key in ("products", "backends")}
    return IosApp(**{**values, **lists})


NAME = "ios"


def read_exported(detail: str) -> Results:
    """Read the file that the iOS app shared.

    Raises:
        InputError: no file named, not a results file, or one of an unfinished run.
    """
    if not detail:
        raise InputError(
            "--device ios: an iPhone cannot be reached from here; run the job in the app of apps/ios, share its "
            "results and name the file: --device ios:FILE."
        )
    results = read_results(Path(detail))
    if not results.values["complete"]:
        done = len(results.values["photographs"])
        raise InputError(f"{detail}: exported after {done} images, before the run was complete; let it finish.")
    return results
