"""The backends by name: what each supports, said before any work starts. How to add one: docs/backends.md."""

from __future__ import annotations

from edge_effnet.errors import InputError
from quant.lower.backend import Backend, Precision
from quant.program import ethosu_library, openvino_library, qnn_library, qnn_socs
from quant.program.vulkan_payload import ADRENO

_FP32 = Precision(summary="fp32 weights and activations")
_FP16 = Precision(summary="fp16 weights and activations")

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend(
            name="xnnpack",
            devices="Android and iOS CPU",
            apps=("android", "ios"),
            precisions={
                "int8": Precision(placement="xnnpack", exact=True, summary="static int8 weights and activations"),
                "fp32": _FP32,
                "fp16": Precision(needs="ARMv8.2 with FP16", summary="fp16 weights and activations"),
                "int8-dynamic": Precision(
                    summary="classifier with int8 weights and dynamic int8 activations, convolutions in fp32"
                ),
            },
            default="int8",
            module="quant.lower.xnnpack.lower",
            runs_here=True,
            ranges_readable=True,
        ),
        Backend(
            name="coreml",
            devices="iOS and macOS: Neural Engine, GPU, CPU",
            apps=("ios",),
            precisions={
                "fp16": _FP16,
                "fp32": Precision(needs="GPU or CPU; the Neural Engine computes in fp16", summary=_FP32.summary),
                "int8": Precision(placement="inputs", summary="static int8 weights and activations, the rest fp16"),
                "int8-weights": Precision(summary="int8 weights, fp16 activations"),
            },
            default="fp16",
            module="quant.lower.coreml",
            runs_here=False,
            options=("compute_units", "ios"),
        ),
        Backend(
            name="vulkan",
            devices="Android GPU",
            apps=("android",),
            precisions={
                "fp16": _FP16,
                "fp32": _FP32,
                "int8": Precision(
                    placement="vulkan", summary="static int8 convolutions and additions, the rest in fp32"
                ),
            },
            default="fp16",
            module="quant.lower.vulkan",
            runs_here=False,
            reports=ADRENO,
        ),
        Backend(
            name="openvino",
            devices="AI PCs: Intel CPU, GPU, NPU",
            precisions={
                "int8": Precision(placement="inputs", summary="static int8 weights and activations"),
                "fp32": _FP32,
            },
            default="int8",
            module="quant.lower.openvino",
            runs_here=True,
            missing=openvino_library.missing,
        ),
        Backend(
            name="qnn",
            devices="Snapdragon phones: Qualcomm's NPU (HTP)",
            apps=("android",),
            precisions={
                "w8a8": Precision(placement="htp", summary="static int8 weights and activations"),
                "w16a8": Precision(placement="htp-16", summary="int8 weights, static int16 activations"),
                "fp16": Precision(needs="HTP v69 or later", summary="fp16 weights and activations"),
                "mixed": Precision(
                    placement="htp-mixed", mixes=True, summary="int8 weights, static int8 and int16 activations"
                ),
            },
            default="w8a8",
            module="quant.lower.qnn.lower",
            runs_here=True,
            emulated="HTP",
            options=("soc",),
            # B0 takes 0.8 s of a core for each forward in w8a8, 2 in w16a8.
            images=1000,
            refuses=lambda precision, options: qnn_socs.refuses(precision, options.soc),
            missing=qnn_library.missing,
        ),
        Backend(
            name="ethos-u",
            devices="microcontrollers with Arm's NPU (Ethos-U55, U65, U85)",
            precisions={
                target: Precision(
                    # SiLU is one operator, and every result the exact one, rounded: the HTP's grids and arithmetic.
                    placement="htp",
                    needs=f"Ethos-{target.upper()}: {macs} products a cycle",
                    summary="static int8 weights and activations",
                )
                for target, macs in ethosu_library.TARGETS.items()
            },
            default="u85-256",
            module="quant.lower.ethosu.lower",
            runs_here=True,
            emulated="TOSA reference model",
            chips=True,
            # B0 takes about a second of a core for each forward of the reference model.
            images=1000,
            missing=ethosu_library.missing,
        ),
        Backend(
            name="portable",
            devices="any: reference kernels",
            apps=("android", "ios"),
            precisions={"fp32": _FP32},
            default="fp32",
            module="quant.lower.portable",
            runs_here=True,
            # 1.8 s for each forward of B0.
            images=16,
        ),
    )
}


def find_backend(name: str) -> Backend:
    """Look a backend up.

    Raises:
        InputError: no such backend; the message lists the choices.
    """
    if name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}; choose one of: {', '.join(BACKENDS)}, or all.")
    return BACKENDS[name]
