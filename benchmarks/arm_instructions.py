"""ARM instructions of one forward, by every toolchain that has an aarch64 package, under qemu.

    python benchmarks/arm_instructions.py --arm DIR --tools DIR [--network NAME ...] [--toolchain NAME ...]
        [--cpu NAME ...] [--folder DIR]

`--arm` is what `setup.sh` of `--tools` made: an emulated ARM64 Python with executorch, and a qemu that counts. The
peers' aarch64 packages are installed into its `peers/` where they are missing. Counts say what the processor has to
execute, not how long it takes; they are the same in every run. Programs and networks as in `latency.py`. Writes
`benchmarks/results/NAME.md` and `.json`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from networks import NETWORKS, make_material
from tables import versions_of, write_results
from toolchains import OURS_FLOAT, RECIPES_OF_OURS, Program, make_programs

REFERENCE = "ai-edge-quantizer"

TOOLCHAINS = (*RECIPES_OF_OURS, REFERENCE, "executorch", "onnxruntime")

CPUS = ("cortex-a76", "cortex-a53")

_MORE = 8
"""Forwards: a process's start differs by some million from run to run where strings are hashed by chance."""

PACKAGES = ("ai-edge-litert", "onnxruntime")

COLUMNS = (
    "", "processor", "instructions, M", "of LiteRT's", "of fp32's", "dot products and multiplies, M",
    "loads and stores, M",
)  # fmt: skip

PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def install_peers(folder: Path) -> None:
    """Install the peers' aarch64 packages, of the versions that make the programs."""
    if folder.exists():
        return
    named = [f"{package}=={version(package)}" for package in PACKAGES]
    platforms = [f"--platform={platform}" for platform in PLATFORMS]
    options = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--no-deps"]
    needed = ["flatbuffers", "protobuf", "packaging", "tqdm", "backports.strenum"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *platforms, *options, "--target", folder, *named, *needed],
        check=True,
    )


def count(program: Program, side: int, cpu: str, arm: Path, tools: Path) -> dict[str, float]:
    """Millions of instructions of one forward by class: what `_MORE` forwards add to one, shared among them."""
    counted = []
    processors = arm / "sysroot" / "proc" / "cpuinfo"
    processors.parent.mkdir(exist_ok=True)
    processors.write_bytes((tools / "cpuinfo" / cpu).read_bytes())
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "counts")
        environment = os.environ | {
            "LD_LIBRARY_PATH": str(arm / "icount"),
            "HOWMANY_OUT": str(out),
            "QEMU": str(arm / "icount" / "qemu-aarch64"),
            "QEMU_OPT": f"-plugin {arm / 'icount' / 'libicount.so'}",
            "CPU": cpu,
            "PYTHONHASHSEED": "0",
        }
        for forwards in (1, 1 + _MORE):
            guest = [Path(__file__).with_name("arm_guest.py"), program.path.resolve(), forwards, side, arm / "peers"]
            done = subprocess.run(
                [arm / "armpy", *map(str, guest)], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"{program.title} on {cpu}: {done.stderr[-1000:]}")
            lines = (line.rsplit(" ", 1) for line in out.read_text().splitlines())
            counted.append({kind: int(number) for kind, number in lines})
    processors.unlink()
    one, more = counted
    return {kind: (more[kind] - one[kind]) / (_MORE * 1e6) for kind in more}


def measure(
    name: str, folder: Path, toolchains: list[str], cpus: list[str], arm: Path, tools: Path
) -> list[dict[str, Any]]:
    """Count every program of a network on every processor."""
    material = make_material(name, folder)
    programs = make_programs(material, toolchains)
    rows = []
    for cpu in cpus:
        counts = {p.toolchain: count(p, material.example.shape[-1], cpu, arm, tools) for p in programs}
        for program in programs:
            total = counts[program.toolchain]["TOTAL"]
            rows.append(
                {
                    "network": name,
                    "toolchain": program.toolchain,
                    "title": program.title,
                    "versions": program.versions,
                    "cpu": cpu,
                    "millions": counts[program.toolchain],
                    "of_litert": total / counts[REFERENCE]["TOTAL"],
                    "of_float": total / counts[OURS_FLOAT]["TOTAL"],
                }
            )
            print(" | ".join(cells(rows[-1])), flush=True)
    return rows


def cells(row: dict[str, Any]) -> list[str]:
    """Row of the table."""
    kinds = row["millions"]
    products = sum(kinds[kind] for kind in kinds if kind.startswith(("sdot", "smmla", "smlal", "smull", "fmla")))
    return [
        f"{NETWORKS[row['network']].title}: {row['title']}",
        row["cpu"],
        f"{kinds['TOTAL']:.1f}",
        f"{row['of_litert']:.2f}",
        f"{row['of_float']:.2f}",
        f"{products:.1f}",
        f"{kinds['ldst.simd'] + kinds['ldst.gpr']:.1f}",
    ]


def main() -> None:
    """Count and write table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", required=True, type=Path)
    parser.add_argument("--tools", type=Path, default=Path("../shared/tools/arm64"))
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=["b0", "b0-hardswish", "lite0"])
    parser.add_argument("--toolchain", nargs="+", choices=TOOLCHAINS, default=list(TOOLCHAINS))
    parser.add_argument("--cpu", nargs="+", choices=CPUS, default=list(CPUS))
    parser.add_argument("--folder", help="keeps the programs; a temporary one by default")
    parser.add_argument("--name", default="arm-instructions")
    arguments = parser.parse_args()
    arm = arguments.arm.resolve()
    # The two that others are compared with always.
    chosen = list(dict.fromkeys((*arguments.toolchain, REFERENCE, OURS_FLOAT)))
    install_peers(arm / "peers")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.folder or temporary)
        rows = [
            row
            for name in arguments.network
            for row in measure(name, folder / name, chosen, arguments.cpu, arm, arguments.tools)
        ]
    write_results(
        arguments.name,
        "ARM instructions of one forward",
        COLUMNS,
        [cells(row) for row in rows],
        f"{versions_of(row['versions'] for row in rows)}, aarch64 wheels under qemu-user, one thread, batch 1",
        data={"rows": rows},
    )


if __name__ == "__main__":
    main()
