"""The seal of a manifest: tells an edit by hand; no secret is in it, and who wants to can compute it anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "seal"


def seal_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its seal: compact JSON in ASCII, keys sorted."""
    rest = {key: value for key, value in manifest.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
