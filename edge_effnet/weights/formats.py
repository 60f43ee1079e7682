"""Files that are no PyTorch weights, told by their first bytes: what each one is, and how to make a usable one."""

from __future__ import annotations

import codecs
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

HEAD_BYTES = 512
"""Of a file, enough to tell its format."""

ZIP_SIGNATURE = b"PK\x03\x04"

SAVE = 'torch.save(model.state_dict(), "weights.pth")'
_FROM_SOURCE = f"in the Python that made it: import torch; model = ...  # the network; {SAVE}."
_FROM_KERAS = (
    "PyTorch weights are needed, which timm has of the same networks: import timm, torch; model = "
    f"timm.create_model('tf_efficientnet_b0', pretrained=True); {SAVE}; or copy your layers' weights into such a one."
)

_MAGIC_OF_TORCH = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How the older format of torch.save begins, after the pickle's protocol."""

_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype html|html|head)",
    re.IGNORECASE | re.DOTALL,
)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml", re.IGNORECASE)
_OPENVINO = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<net\s[^>]*>")
_FROM_SERVER = (
    "a server's answer in place of the file; download or copy it again from the address of the file itself."
)

_MOST_OF_HEADER = 100_000_000
"""Bytes that safetensors allows its header to have."""

_OF_EXPORT = (
    *("models/model.json", "serialized_exported_program.json", "archive_format", "archive_version"),
    *("serialized_state_dict.pt", "serialized_state_dict.json"),
)
"""Files in a zip of torch.export.save, of today and of earlier releases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A kind of file that is refused."""

    name: str
    """What it is, as messages say it."""
    remedy: str
    """What to do instead."""
    is_one: Callable[[bytes, Path], bool]
    """From the file's first bytes and its path."""
    is_text: bool = False
    """Whether its first words say what it is, so that messages have them."""


def _starts(*signatures: bytes, at: int = 0) -> Callable[[bytes, Path], bool]:
    return lambda head, _: head[at:].startswith(signatures)


def _is_json(head: bytes, path: Path) -> bool:
    if not re.match(rb"\s*[\[{]\s*[\"\[{\]}0-9]", head):
        return False
    if len(head) < HEAD_BYTES:
        try:
            json.loads(head)
        except (ValueError, RecursionError):
            return False
    return b"\0" not in head


def _is_text(head: bytes, _: Path) -> bool:
    try:
        # The last character may be cut.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\n\r\f" for character in text) and bool(text.strip())


def _is_core_ml(head: bytes, path: Path) -> bool:
    """Whether field 2 of a protocol buffer holds another message, not the name of who wrote it as ONNX's does."""
    if head[:1] != b"\x08" or path.suffix.lower() == ".onnx":
        return False
    producer = head[4 : 4 + head[3]] if len(head) > 3 else b""
    nested = head[2:3] == b"\x12" and not all(0x20 <= byte < 0x7F for byte in producer)
    return nested or path.suffix.lower() == ".mlmodel"


def _is_plain_pickle(head: bytes, path: Path) -> bool:
    if len(head) < 3 or head[0] != 0x80 or not 2 <= head[1] <= 5 or _MAGIC_OF_TORCH.startswith(head[2:16]):
        return False
    with path.open("rb") as file:
        file.seek(-1, io.SEEK_END)
        return not head[2:].startswith(_MAGIC_OF_TORCH) and file.read() == b"."


def _has(*names: str) -> Callable[[bytes, Path], bool]:
    """Whether it is a zip with one of these files, at its top or in its first folder."""
    return lambda head, path: any({name, name.partition("/")[2]} & {*names} for name in zip_names(head, path))


def _is_foreign_zip(head: bytes, path: Path) -> bool:
    names = zip_names(head, path)
    return bool(names) and not any(name.lower().endswith("data.pkl") for name in names)


FORMATS: tuple[Format, ...] = (
    Format(
        name="a pointer of git LFS, not the file that it points to",
        remedy="fetch the file itself: `git lfs install`, then `git lfs pull` in that repository.",
        is_one=_starts(b"version https://git-lfs"),
    ),
    Format(
        name="an HTML page, not weights",
        remedy="the download was answered by a web page (a login, a link to a page about the file); download or copy "
        "it again from the address of the file itself.",
        is_one=lambda head, _: bool(_HTML.match(head)),
    ),
    Format(
        name="a model of OpenVINO",
        remedy=f"it and the .bin beside it have no PyTorch names any more; {_FROM_SOURCE}",
        is_one=lambda head, _: bool(_OPENVINO.match(head)),
    ),
    Format(
        name="an XML file, not weights",
        remedy=f"it may be {_FROM_SERVER}",
        is_one=lambda head, _: bool(_XML.match(head)),
        is_text=True,
    ),
    Format(name="a Keras or TensorFlow file (HDF5)", remedy=_FROM_KERAS, is_one=_starts(b"\x89HDF\r\n\x1a\n")),
    Format(name="a Keras model", remedy=_FROM_KERAS, is_one=_has("model.weights.h5")),
    Format(name="a TensorFlow Lite model", remedy=_FROM_SOURCE, is_one=_starts(b"TFL3", at=4)),
    Format(
        name="an ExecuTorch program, which is what comes out here",
        remedy=f"give the weights that it was made of; {_FROM_SOURCE}",
        is_one=_starts(b"ET1", at=4),
    ),
    Format(
        name="a program of torch.export (.pt2)",
        remedy="its weights are inside: import torch; program = torch.export.load(PATH); "
        'torch.save(dict(program.state_dict), "weights.pth").',
        is_one=_has(*_OF_EXPORT),
    ),
    Format(
        name="arrays of NumPy (.npz)",
        remedy="give them the names of a PyTorch network: import numpy, torch; weights = {k: torch.from_numpy(v) for "
        'k, v in numpy.load(PATH).items()}; torch.save(weights, "weights.pth").',
        is_one=lambda head, path: any(name.endswith(".npy") for name in zip_names(head, path)),
    ),
    Format(
        name="a zip of other files",
        remedy="unpack it and give the weight file in it: import zipfile; archive = zipfile.ZipFile(PATH); "
        'archive.extractall("weights").',
        is_one=_is_foreign_zip,
    ),
    Format(
        # torch.load goes by the name, and would not open it.
        name="a file of torch.save under a name of safetensors",
        remedy="rename it to end in .pth.",
        is_one=lambda head, path: path.suffix.lower() == ".safetensors" and bool(zip_names(head, path)),
    ),
    Format(
        name="a tar archive",
        remedy="unpack it and give the weight file in it (one of PyTorch before 0.2 is loaded by PyTorch alone): "
        'import tarfile; archive = tarfile.open(PATH); archive.extractall("weights", filter="data").',
        is_one=_starts(b"ustar", at=257),
    ),
    Format(
        name="a compressed file (gzip, bzip2, xz, zstandard or 7z)",
        remedy="unpack it and give the weight file in it.",
        is_one=_starts(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"),
    ),
    Format(
        name="a file that was written by pickle.dump, not by torch.save",
        remedy="write it again where you trust it: import pickle, torch; weights = pickle.load(open(PATH, 'rb')); "
        'torch.save(weights, "weights.pth").',
        is_one=_is_plain_pickle,
    ),
    Format(name="a JSON file, not weights", remedy="give the weight file that lies beside it.", is_one=_is_json),
    Format(
        name="text, not weights",
        remedy=f"it may be {_FROM_SERVER}",
        is_one=_is_text,
        is_text=True,
    ),
    Format(
        name="a Core ML model",
        remedy=f"its weights have no PyTorch names any more; {_FROM_SOURCE}",
        is_one=_is_core_ml,
    ),
    Format(
        name="an ONNX model",
        remedy=f"its graph has no PyTorch names any more; {_FROM_SOURCE}",
        # Protocol buffers have no signature: field 1 is the version of the format, field 2 who wrote it.
        is_one=lambda head, path: head[:1] == b"\x08" and (path.suffix.lower() == ".onnx" or head[2:3] == b"\x12"),
    ),
)
"""In the order in which they are tried: what is told by a signature first."""


def refuse_other_formats(head: bytes, path: Path) -> None:
    """Name a file's format, told by its first `HEAD_BYTES` bytes, where it is none that is read.

    Raises:
        InputError: what it is, and how to make a file that is read.
    """
    found = next((known for known in FORMATS if known.is_one(head, path)), None)
    if found is not None:
        begins = f" ({brief(_first_words(head))})" if found.is_text else ""
        raise InputError(f"{path}: {found.name}{begins}; {found.remedy}")


def _first_words(head: bytes) -> str:
    return " ".join(head.decode("utf-8-sig", errors="ignore").split())


def is_safetensors(head: bytes, path: Path) -> bool:
    """Whether a file is one of safetensors, whatever its name: the length of a header, then the header's JSON."""
    if len(head) < 10:
        return False
    (length,) = struct.unpack("<Q", head[:8])
    return head[8:9] == b"{" and 2 <= length <= min(_MOST_OF_HEADER, path.stat().st_size - 8)


def zip_names(head: bytes, path: Path) -> tuple[str, ...]:
    """Names in a zip; none where the file is no zip, or a damaged one."""
    if not head.startswith(ZIP_SIGNATURE):
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return ()
