"""Weights from the Hugging Face hub: config.json names the architecture, another file has the weights.

Cache, resumed downloads, offline mode (`HF_HUB_OFFLINE=1`), mirrors (`HF_ENDPOINT`) and tokens are those of
huggingface_hub itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from edge_effnet.errors import InputError, MachineError
from edge_effnet.weights.snapshot import (
    CONFIG_FILE,
    PROCESSOR_FILES,
    WEIGHT_FILES,
    Snapshot,
    is_of_transformers,
    read_config,
    read_processor,
    read_snapshot,
)

SCHEME = "hf://"

_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def fetch_from_hub(source: str, cache_dir: Path | None = None) -> tuple[Path, Snapshot]:
    """Download (or find in the cache) `hf://owner/name` or `hf://owner/name@revision`.

    Returns:
        The weight file in huggingface_hub's cache, and what the files beside it say.

    Raises:
        InputError: no such id, repository or file, or a config that is not an EfficientNet's.
        MachineError: no network, or offline mode, and the file is not in the cache; a full disk.
    """
    match = _ID.fullmatch(source.removeprefix(SCHEME))
    if match is None:
        raise InputError(
            f"{source!r} is no hub id; write hf://owner/name, such as hf://timm/efficientnet_b0.ra_in1k."
        )
    repo, revision = match["repo"], match["revision"]
    where = f"{SCHEME}{repo}"
    config = read_config(_fetch(repo, CONFIG_FILE, revision, cache_dir), where)
    processor = None
    if is_of_transformers(config):

        def read(name: str) -> Any:
            try:
                return read_config(_fetch(repo, name, revision, cache_dir), where)
            except _NoSuchFileError:
                return None
            except MachineError:  # offline, the other file may be the one in the cache
                if name == PROCESSOR_FILES[-1]:
                    raise
                return None

        processor = read_processor(read)
    snapshot = read_snapshot(config, processor, where)
    return _fetch_weights(repo, revision, cache_dir), snapshot


def _fetch_weights(repo: str, revision: str | None, cache_dir: Path | None) -> Path:
    unreachable: MachineError | None = None
    for name in WEIGHT_FILES:
        try:
            return _fetch(repo, name, revision, cache_dir)
        except _NoSuchFileError:
            continue
        except MachineError as error:  # offline, the other file may be the one in the cache
            unreachable = unreachable or error
    raise unreachable or InputError(f"{SCHEME}{repo}: the repository has neither {' nor '.join(WEIGHT_FILES)}.")


class _NoSuchFileError(InputError):
    """The repository exists and lacks this file."""


def _fetch(repo: str, name: str, revision: str | None, cache_dir: Path | None) -> Path:
    problem: str | None = None
    where = f"{SCHEME}{repo}"
    try:
        problem = _connection_problem(hf_hub_url(repo, name, revision=revision))
        cached = problem is not None
        return Path(hf_hub_download(repo, name, revision=revision, cache_dir=cache_dir, local_files_only=cached))
    except HFValidationError as error:
        raise InputError(f"{where}: not a valid id ({error}); write hf://owner/name.") from error
    except GatedRepoError as error:
        raise InputError(
            f"{where}: its owner asks for consent first; give it on the hub and log in (`hf auth login`)."
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(f"{where}: no such repository (or a private one: log in with `hf auth login`).") from error
    except RevisionNotFoundError as error:
        raise InputError(f"{where}: no such revision {revision!r}.") from error
    except LocalEntryNotFoundError as error:  # before EntryNotFoundError, whose subclass it is
        raise _unreachable(repo, name, problem or _first_line(error)) from error
    except EntryNotFoundError as error:
        raise _NoSuchFileError(f"{where}: the repository has no {name}.") from error
    except HfHubHTTPError as error:
        raise _unreachable(repo, name, _first_line(error)) from error
    except OSError as error:
        raise MachineError(
            f"{where}: {name} cannot be stored ({_first_line(error)}); free space or pass cache_dir."
        ) from error
    # A transfer that breaks off: again an error of whichever HTTP library.
    except Exception as error:
        raise _unreachable(repo, name, f"{type(error).__name__}: {_first_line(error)}") from error


def _connection_problem(url: str) -> str | None:
    """Ask the hub once whether it is there; huggingface_hub alone repeats that for half a minute, aloud.

    Returns:
        What is wrong with the connection, or None where the hub answers, be it with a refusal.
    """
    try:
        get_hf_file_metadata(url)
    except OfflineModeIsEnabled:
        return "offline mode is on, see HF_HUB_OFFLINE"
    except HfHubHTTPError as error:
        return _first_line(error) if error.response.status_code >= 500 else None
    # Connection errors belong to the HTTP library below huggingface_hub, another one in each version.
    except Exception as error:
        return f"no connection: {_first_line(error)}"
    return None


def _unreachable(repo: str, name: str, reason: str) -> MachineError:
    return MachineError(
        f"{SCHEME}{repo}: {name} cannot be downloaded ({reason}) and is not in the cache; fetch "
        f"{' or '.join(WEIGHT_FILES)} of that repository elsewhere and pass its path instead."
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
