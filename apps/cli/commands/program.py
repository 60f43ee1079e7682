"""What is in a .pte: `edge-effnet inspect` and `diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.help import AsJson
from apps.cli.render.plain import one_line, write_result


def inspect_command(
    program: Annotated[Path, typer.Argument(help="Any .pte, or an artifact folder.")],
    layers: Annotated[bool, typer.Option("--layers", help="Show constants and quantization by layer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is in a .pte, where it runs and what to link."""
    from quant.program.inspect import inspect_program  # noqa: PLC0415

    found = inspect_program(_program_of(program))
    write_result(found.to_json(), lambda: _report(found, layers=layers), as_json=as_json)


def diff_command(
    first: Annotated[Path, typer.Argument(help="First .pte, or artifact folder.")],
    second: Annotated[Path, typer.Argument(help="Second .pte, or artifact folder.")],
    as_json: AsJson = False,
) -> None:
    """Show what differs between two .pte files."""
    from quant.program.inspect import compare_programs  # noqa: PLC0415

    found = compare_programs(_program_of(first), _program_of(second))
    values = {key: {"first": one, "second": two} for key, (one, two) in found.items()}
    write_result({"same": not found, "differences": values}, lambda: _differences(found), as_json=as_json)


def _program_of(path: Path) -> Path:
    """The program of an artifact folder; another path as it is."""
    program = path / "model.pte"
    return program if program.is_file() else path


def _differences(found: dict[str, tuple[Any, Any]]) -> str:
    if not found:
        return "The programs are the same, byte for byte.\n"
    lines = []
    for key, sides in found.items():
        first, second = ("(none)" if value is None else value for value in sides)
        lines += [key, f"  - {first}", f"  + {second}"]
    return "".join(f"{one_line(line)}\n" for line in lines)


def _report(found: Any, *, layers: bool) -> str:
    lines = [f"{found.path}: {found.size_bytes / 1e6:.2f} MB, schema {found.schema}", f"sha256 {found.sha256}"]
    for method in found.methods:
        lines.append(f"method {method.name}: {method.planned_bytes / 1e6:.2f} MB planned for activations")
        lines += [f"  input   {tensor}" for tensor in method.inputs]
        lines += [f"  output  {tensor}" for tensor in method.outputs]
        for delegate in method.delegates:
            settings = ", ".join(f"{key} {value}" for key, value in delegate.settings.items())
            lines.append(f"  delegate {delegate.backend}: {delegate.bytes / 1e6:.2f} MB {settings}".rstrip())
            lines += _counts(delegate.operators)
            lines += [f"    {delegate.note}"] if delegate.note else []
            lines += _layers(delegate.layers) if layers else []
        if method.operators:
            lines.append(f"  portable kernels: {sum(method.operators.values())} calls")
            lines += _counts(method.operators)
        lines += _layers(method.constants) if layers else []
    if found.named_data:
        size = sum(found.named_data.values()) / 1e6
        lines.append(f"named data: {len(found.named_data)} constants, {size:.2f} MB")
    lines += [f"runs with {sentence}" for sentence in found.runs_with]
    lines += list(found.linking)
    return "".join(f"{one_line(line)}\n" for line in lines)


def _counts(operators: dict[str, int]) -> list[str]:
    ranked = sorted(operators.items(), key=lambda item: -item[1])
    return [f"    {', '.join(f'{count} {name}' for name, count in ranked)}"] if ranked else []


def _layers(layers: Any) -> list[str]:
    return [
        f"    {layer.name}: {layer.dtype} {'x'.join(map(str, layer.shape))}, {layer.bytes} bytes"
        + (f", {layer.quantization}" if layer.quantization else "")
        for layer in layers
    ]
