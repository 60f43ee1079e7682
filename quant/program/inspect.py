"""A doctor for any .pte: what is in it, where it can run, what linking it takes; and what differs between two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from quant.program import ethosu_library, qnn_payload, vulkan_payload
from quant.program.coreml_payload import quiet_converter, read_mlprogram
from quant.program.flatbuffer import Budget
from quant.program.reader import PteDelegate, PteFile, PteMethod, PteTensor, read_pte
from quant.program.vulkan_payload import ADRENO
from quant.program.xnnpack_payload import read_payload

RELEASE = "1.4.1"
"""Of executorch: what our own programs are made with and tested on."""

_ANDROID = "org.pytorch:executorch-android"
_SPM = f"pytorch/executorch, branch swiftpm-{RELEASE}"

# Of a Core ML payload, read for an element of the budget: 2 GiB use it up.
_COREML_BYTES = 1024

_QNN = (
    "Android: the app ships libQnnHtp.so, libQnnSystem.so and the stub and skel of its chip's HTP "
    "(libQnnHtpV79Stub.so, libQnnHtpV79Skel.so for v79), of the QNN release that compiled it or a later one: "
    "Maven com.qualcomm.qti:qnn-runtime."
)

_ETHOS_U = (
    "Microcontroller: link executorch_delegate_ethos_u (EXECUTORCH_BUILD_ARM_BAREMETAL), Arm's ethosu_core_driver "
    "and the quantized kernels, which turn float32 into the delegate's int8 and back."
)

_LOAD_ALL = (
    "iOS: backends and kernels register themselves from static initializers: link them with -force_load (or "
    "-all_load in Other Linker Flags), or loading fails with an unregistered backend or a missing operator."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Home:
    """Where the runtime side of a backend comes from."""

    android: str | None
    """Maven artifact; None where it runs on no Android phone."""
    spm: str | None
    """Swift package product; None where it runs on no Apple device."""
    note: str = ""


_HOMES: Mapping[str, _Home] = {
    "XnnpackBackend": _Home(android=_ANDROID, spm="backend_xnnpack"),
    "CoreMLBackend": _Home(
        android=None, spm="backend_coreml", note="iOS: link CoreML.framework, Accelerate.framework and libsqlite3."
    ),
    "VulkanBackend": _Home(android=f"{_ANDROID}-vulkan", spm=None, note=f"Android: {ADRENO}"),
    "QnnBackend": _Home(android=f"{_ANDROID}-qnn", spm=None, note=_QNN),
    "EthosUBackend": _Home(android=None, spm=None, note=_ETHOS_U),
    "OpenvinoBackend": _Home(android=None, spm=None, note="PC: needs OpenVINO 2025.1 to 2025.4 (libopenvino_c)."),
    "MPSBackend": _Home(android=None, spm="backend_mps"),
    "NeuropilotBackend": _Home(android=None, spm=None, note="Android: build executorch with MediaTek's SDK."),
    "EnnBackend": _Home(android=None, spm=None, note="Android: build executorch with Samsung's SDK."),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """Constants of one layer, as far as its backend's format says."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    quantization: str
    """In words; empty in float or where it is not readable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DelegateView:
    """One delegate."""

    backend: str
    bytes: int
    settings: dict[str, str]
    operators: dict[str, int] = field(default_factory=dict)
    """Empty where the backend's format is not readable here."""
    layers: tuple[Layer, ...] = ()
    note: str = ""
    """What could not be read, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodView:
    """One method."""

    name: str
    inputs: tuple[str, ...]
    """Shape, dtype and layout of each."""
    outputs: tuple[str, ...]
    delegates: tuple[DelegateView, ...]
    operators: dict[str, int]
    """Run by portable kernels."""
    constants: tuple[Layer, ...]
    """Read by portable kernels."""
    planned_bytes: int
    """Activations outside delegates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What a .pte says, and what that means."""

    path: str
    size_bytes: int
    sha256: str
    schema: str
    """File identifier and version."""
    methods: tuple[MethodView, ...]
    named_data: dict[str, int]
    """Constants that delegates look up by key, bytes."""
    runs_with: tuple[str, ...]
    linking: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return asdict(self)


def inspect_program(path: Path) -> Inspection:
    """Read a .pte.

    Raises:
        InputError: not there, not a .pte, or a broken one.
    """
    program, budget = read_pte(path), Budget()
    backends = list(dict.fromkeys(d.backend for m in program.methods for d in m.delegates))
    return Inspection(
        path=program.path,
        size_bytes=program.size_bytes,
        sha256=program.sha256,
        schema=f"{program.magic}, version {program.version}",
        methods=tuple(_method(method, budget) for method in program.methods),
        named_data=dict(program.named_data),
        runs_with=_runs_with(program, backends),
        linking=_linking(backends),
    )


def compare_programs(first: Path, second: Path) -> dict[str, tuple[Any, Any]]:
    """Facts that differ between two programs: name -> (of the first, of the second).

    Raises:
        InputError: one of them is no readable .pte.
    """
    one, two = (_facts(inspect_program(path)) for path in (first, second))
    return {key: (one.get(key), two.get(key)) for key in dict.fromkeys([*one, *two]) if one.get(key) != two.get(key)}


def _facts(inspection: Inspection) -> dict[str, Any]:
    """An inspection as single facts by name."""
    facts: dict[str, Any] = {"sha256": inspection.sha256, "bytes": inspection.size_bytes, "schema": inspection.schema}
    for method in inspection.methods:
        facts[f"{method.name}: inputs"] = ", ".join(method.inputs)
        facts[f"{method.name}: outputs"] = ", ".join(method.outputs)
        facts[f"{method.name}: planned bytes"] = method.planned_bytes
        facts |= {f"{method.name}: portable {operator}": count for operator, count in method.operators.items()}
        for index, delegate in enumerate(method.delegates):
            name = f"{method.name}: delegate {index}"
            facts[name] = delegate.backend
            facts[f"{name} bytes"] = delegate.bytes
            facts |= {
                f"{name} {key}": value for key, value in [*delegate.settings.items(), *delegate.operators.items()]
            }
            for layer in delegate.layers:
                facts[f"{name} {layer.name}"] = f"{layer.dtype} {_shape(layer.shape)} {layer.quantization}".strip()
    return facts


def _method(method: PteMethod, budget: Budget) -> MethodView:
    return MethodView(
        name=method.name,
        inputs=tuple(_tensor(t) for t in method.inputs),
        outputs=tuple(_tensor(t) for t in method.outputs),
        delegates=tuple(_delegate(d, budget) for d in method.delegates),
        operators=dict(method.operators),
        constants=tuple(
            Layer(name=f"constant {i}", dtype=t.dtype, shape=t.shape, bytes=t.constant_bytes, quantization="")
            for i, t in enumerate(method.constants)
        ),
        planned_bytes=method.planned_bytes,
    )


def _delegate(delegate: PteDelegate, budget: Budget) -> DelegateView:
    view = DelegateView(backend=delegate.backend, bytes=len(delegate.data), settings=_settings(delegate.specs))
    if delegate.backend not in _READERS:
        return replace(view, note=_UNREAD)
    try:
        return replace(view, **_READERS[delegate.backend](delegate, budget))
    except ValueError as error:
        return replace(view, note=f"its payload is not readable ({error})")


def _settings(specs: Mapping[str, bytes]) -> dict[str, str]:
    return {key: _setting(value) for key, value in specs.items()}


def _xnnpack(delegate: PteDelegate, budget: Budget) -> dict[str, Any]:
    payload = read_payload(delegate.data, budget)
    layers = tuple(
        Layer(
            name=layer.name,
            dtype=layer.weight_dtype,
            shape=layer.weight_shape,
            bytes=layer.constant_bytes,
            quantization=_quantization(layer.weight_scales, layer.output_scale),
        )
        for layer in payload.layers
    )
    return {"operators": dict(payload.operators), "layers": layers}


def _qnn(delegate: PteDelegate, budget: Budget) -> dict[str, Any]:
    others = {key: value for key, value in delegate.specs.items() if key != qnn_payload.SETTINGS}
    found = qnn_payload.read_settings(delegate.specs.get(qnn_payload.SETTINGS, b""), delegate.data)
    return {"settings": _settings(others) | found, "note": _UNREAD}


def _ethos_u(delegate: PteDelegate, budget: Budget) -> dict[str, Any]:
    return {"settings": ethosu_library.read_settings(delegate.specs, delegate.data), "note": _UNREAD}


def _vulkan(delegate: PteDelegate, budget: Budget) -> dict[str, Any]:
    return {"operators": dict(vulkan_payload.read_operators(delegate.data, budget))}


def _coreml(delegate: PteDelegate, budget: Budget) -> dict[str, Any]:
    try:
        budget.spend(len(delegate.data) // _COREML_BYTES)
        with quiet_converter():
            return {"operators": dict(read_mlprogram(bytes(delegate.data)).operators)}
    except Exception as error:  # whatever a broken package makes protobuf and the file system raise
        return {"note": f"its mlprogram is not readable ({type(error).__name__})"}


_UNREAD = "the inside of its payload is not read"

_READERS: Mapping[str, Callable[[PteDelegate, Budget], dict[str, Any]]] = {
    "XnnpackBackend": _xnnpack,
    "QnnBackend": _qnn,
    "EthosUBackend": _ethos_u,
    "VulkanBackend": _vulkan,
    "CoreMLBackend": _coreml,
}
"""What reads a backend's payload: fields of its `DelegateView`."""


def _quantization(scales: int, output: tuple[float, int] | None) -> str:
    parts = [f"{scales} weight scales"] if scales else []
    if output is not None:
        parts.append(f"output scale {output[0]:.6g}, zero point {output[1]}")
    return ", ".join(parts)


def _setting(value: bytes) -> str:
    text = value.rstrip(b"\0")
    return text.decode() if text.isascii() and text.decode().isprintable() and text else value.hex()


def _tensor(tensor: PteTensor) -> str:
    return f"{tensor.dtype} {_shape(tensor.shape)} {tensor.layout}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _runs_with(program: PteFile, backends: list[str]) -> tuple[str, ...]:
    release = f"{RELEASE} or later; the file does not say which release made it"
    if program.version != 0 or program.magic != "ET12":
        return (f"schema {program.magic}, version {program.version}: not one that executorch {RELEASE} reads.",)
    unknown = [backend for backend in backends if backend not in _HOMES]
    found = [f"{backend}: not a backend of executorch {RELEASE}; ask whoever made the file." for backend in unknown]
    homes = [_HOMES[backend] for backend in backends if backend in _HOMES]
    androids, products = [home.android for home in homes], [home.spm for home in homes]
    if not unknown and all(androids):
        maven = ", ".join(filter(None, dict.fromkeys(androids or [_ANDROID])))
        found.append(f"Android: Maven {maven}:{RELEASE} ({release})")
    if not unknown and all(products):
        swift = ", ".join(["executorch", *filter(None, products), "kernels_optimized"])
        found.append(f"iOS, macOS: Swift package {_SPM}, products {swift} ({release})")
    return tuple(found)


def _linking(backends: list[str]) -> tuple[str, ...]:
    homes = [_HOMES[backend] for backend in backends if backend in _HOMES]
    notes = [home.note for home in homes if home.note]
    return (*notes, *([_LOAD_ALL] if not backends or any(home.spm for home in homes) else []))
