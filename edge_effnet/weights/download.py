"""Fetching one published file: cached, checked by its hash, and a clear word where there is no network."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError

import torch

from edge_effnet.errors import MachineError
from edge_effnet.weights.files import sha256_of
from edge_effnet.weights.sources import Source

_logger = logging.getLogger(__name__)

# torch.hub waits for ever on a firewall that drops packets silently.
_TIMEOUT_S = 30.0


def download(source: Source, cache_dir: Path | None = None) -> Path:
    """Return the source's file, from the cache where it is there whole.

    Args:
        source: what to fetch.
        cache_dir: where files are kept; `checkpoints` in torch.hub's folder by default.

    Raises:
        MachineError: no network, the server refuses, the file that came is another one, or the disk is full.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints" if cache_dir is None else cache_dir
    path = folder / source.file_name
    if path.is_file():
        if sha256_of(path).startswith(source.sha256_prefix):
            return path
        _logger.warning("%s does not match its hash; downloading it again", path)
    _logger.info("downloading %s to %s", source.url, path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _socket_timeout(_TIMEOUT_S):
            torch.hub.download_url_to_file(
                source.url, str(path), hash_prefix=source.sha256_prefix, progress=sys.stderr.isatty()
            )
    except HTTPError as error:
        error.close()
        raise _failure(source, f"the server answers {error.code} {error.reason}") from error
    except (URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise _failure(source, f"no connection: {reason or type(error).__name__}") from error
    except OSError as error:
        raise MachineError(f"{path}: cannot be written ({error.strerror}); free space or pass cache_dir.") from error
    except RuntimeError as error:  # torch.hub's way to say that the hash differs
        raise _failure(source, f"what came does not match the hash {source.sha256_prefix}") from error
    return path


def _failure(source: Source, reason: str) -> MachineError:
    return MachineError(
        f"{source.name} cannot be downloaded from {source.url} ({reason}); fetch {source.file_name} "
        "elsewhere and pass its path instead of the name."
    )


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
