"""`ios:FILE`: an iPhone that cannot be reached from here; its app exports the results file."""

from __future__ import annotations

from pathlib import Path

from apps.device.job.results import Results, read_results
from edge_effnet.errors import InputError

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
