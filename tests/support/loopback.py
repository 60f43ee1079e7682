"""A small server on 127.0.0.1 that hands out files as github releases or the Hugging Face hub do."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Loopback:
    files: dict[str, bytes] = field(default_factory=dict)
    """By path. A path under `/owner/name/resolve/` is answered with the hub's headers."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range header of every request, in order."""
    break_after: int | None = None
    """Bytes after which the next GET of a longer file breaks off, once."""
    status: int = 200
    """Anything else is the answer to every request."""
    url: str = ""


@contextlib.contextmanager
def loopback() -> Iterator[Loopback]:
    state = Loopback()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

        def do_HEAD(self) -> None:
            self.answer(b"")

        def do_GET(self) -> None:
            self.answer(None)

        def answer(self, body: bytes | None) -> None:
            state.requests.append((self.command, self.path, self.headers["Range"]))
            data = state.files.get(self.path)
            if state.status != 200 or data is None:
                self.send_response(404 if state.status == 200 else state.status)
                self.send_header("X-Error-Code", self.error_code())
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            if body is None:
                end = len(data)
                if state.break_after is not None and end > state.break_after:
                    end, state.break_after = state.break_after, None
                self.wfile.write(data[start:end])

        def error_code(self) -> str:
            repo = self.path.partition("/resolve/")[0]
            known = any(path.startswith(f"{repo}/resolve/") for path in state.files)
            return "EntryNotFound" if known else "RepoNotFound"

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
