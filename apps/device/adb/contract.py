"""What Python and the Android app share: names and versions of `android.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, kw_only=True, slots=True)
class AndroidApp:
    """The app of `apps/android`."""

    package: str
    activity: str
    """That runs a job."""
    action: str
    jobs_folder: str
    """Below the app's private folder."""
    job_extra: str
    """Intent extra that names the job."""
    executorch: str
    """Of the app's runtime."""


@cache
def android_app() -> AndroidApp:
    """Read `android.json`."""
    values = json.loads(resources.files("apps.device.adb").joinpath("android.json").read_text())
    return AndroidApp(
        package=values["package"],
        activity=values["activity"],
        action=values["action"],
        jobs_folder=values["jobs_folder"],
        job_extra=values["extras"]["job"],
        executorch=values["executorch"],
    )
