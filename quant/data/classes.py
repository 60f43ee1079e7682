"""From names of folders to outputs of the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_effnet.class_names import is_line_of_text
from edge_effnet.errors import InputError
from quant.data.listing import Listed


def match_classes(
    root: Path, images: Sequence[Listed], class_names: tuple[str, ...] | None, num_classes: int | None
) -> tuple[str, ...] | None:
    """Class names in the network's order, or None where the images have no labels."""
    found = sorted({p.class_name for p in images if p.class_name is not None})
    if not found or num_classes is None:
        return None
    if odd := [name for name in found if not is_line_of_text(name)]:
        raise InputError(f"{root}: class folders whose names are not one line of text: {some(odd)}; rename them.")
    if class_names is None:
        if len(found) != num_classes:
            raise InputError(
                f"{root}: has {len(found)} class folders, the network tells {num_classes} classes apart; "
                "their sorted names have to be its classes, one by one."
            )
        return tuple(found)
    if twins := sorted({name for name in class_names if class_names.count(name) > 1}):
        raise InputError(
            f"{root}: the network has several classes of one name ({some(twins)}), which folders cannot tell apart; "
            "rename them in the weights, or pass images without class folders."
        )
    missing, unknown = sorted(set(class_names) - set(found)), sorted(set(found) - set(class_names))
    if missing or unknown:
        parts = [f"no folder for {some(missing)}"] if missing else []
        parts += [f"unknown class {some(unknown)}"] if unknown else []
        raise InputError(
            f"{root}: its {len(found)} class folders are not the network's {len(class_names)} classes "
            f"({'; '.join(parts)}); rename, add or remove folders."
        )
    return class_names


def some(names: Sequence[str]) -> str:
    """The first few names, for messages."""
    shown = ", ".join(repr(n) for n in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
