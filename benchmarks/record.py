"""Keep the figures of a run as a results file, for the pages that quote them.

python -m benchmarks.record b0-int8-xnnpack benchmarks/results/b0.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from quant.artifact.open import open_artifact

_KEPT = (
    "float", "ptq", "quantized", "quantized_images", "pte", "lowering", "drop_interval", "paired", "images",
    "threads", "seconds",
)  # fmt: skip
"""Of the verdict."""


def figures(folder: Path) -> dict[str, object]:
    """What a page may quote of an artifact: no paths, no names of images."""
    manifest = open_artifact(folder).manifest
    verdict = manifest["verdict"]
    float_, pte = verdict["float"], verdict["pte"]
    return {
        "created": manifest["created"],
        "machine": manifest.get("machine", {}),
        "versions": {name: manifest["versions"][name] for name in ("torch", "torchao", "executorch")},
        "variant": manifest["variant"],
        "recipe": manifest["recipe"]["name"],
        "backend": manifest["backend"],
        **{key: verdict[key] for key in _KEPT if key in verdict},
        "flips": len(verdict["flips"]),
        # An emulator's time is no latency.
        "faster": pte["latency_ms"] and round(float_["latency_ms"] / pte["latency_ms"], 4),
        "smaller": round(float_["size_bytes"] / pte["size_bytes"], 4),
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="artifact folder that quantize wrote")
    parser.add_argument("out", type=Path, help="results file")
    given = parser.parse_args()
    given.out.write_text(json.dumps(figures(given.folder), indent=2) + "\n")


if __name__ == "__main__":
    main()
