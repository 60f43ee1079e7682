"""What Python and the iOS app share: names and versions of `ios.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


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
