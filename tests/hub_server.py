"""The server of a small Hub: HTTP over loopback, with faults on demand and a log of requests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests import hub_reads, hub_writes  # noqa: F401 - the answers register themselves
from tests.hub_calls import Request, Response, Service, refused, told
from tests.hub_store import File, Files, HubError, Repo, Store, is_large, lfs_file

CONTROL = "/_control/"
TICK = 0.05  # seconds between the pieces of a slow transfer


@dataclass
class Fault:
    """What goes wrong, for which requests; see `tests.hub.Hub.fail`."""

    method: str = ""
    path: str = ""
    status: int | None = None
    skip: int = 0
    times: int = 0
    retry_after: int | None = None
    cut: int | None = None
    slow: int | None = None
    corrupt: bool = False
    lost: bool = False

    def response(self, status: int) -> Response:
        """Return the answer of a Hub that refuses for no good reason."""
        wait = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return refused(HubError(status, f"The Hub was told to answer {status}", **wait))

    def spoiled(self, body: bytes) -> bytes:
        """Return a body with a byte flipped in its middle, where that is the fault."""
        if not self.corrupt or not body:
            return body
        middle = len(body) // 2
        return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]

    def pieces(self, size: int) -> Iterator[int]:
        """Yield how much to transfer at a time, and wait where the transfer is slow."""
        while size > 0:
            piece = min(size, max(1, int(self.slow * TICK)) if self.slow else 2**16)
            yield piece
            size -= piece
            if self.slow:
                time.sleep(piece / self.slow)


class Faults:
    """The faults that tests asked for, and what was asked of the Hub."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._wanted: list[Fault] = []
        self.log: list[list[Any]] = []

    def change(self, fault: Fault | None) -> None:
        """Let something go wrong from now on; or nothing, and what is slow go on fast."""
        with self._lock:
            if fault:
                self._wanted.append(fault)
                return
            for old in self._wanted:
                old.slow = None
            self._wanted.clear()

    def take(self, method: str, path: str) -> tuple[Fault, list[Any]]:
        """Return the fault of a request, and its line in the log, without a status yet."""
        with self._lock:
            line = [method, path, 0]
            self.log.append(line)
            for fault in self._wanted:
                if re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    if fault.skip:
                        fault.skip -= 1
                    elif fault.times:
                        fault.times -= 1
                        return fault, line
            return Fault(), line


class Handler(BaseHTTPRequestHandler):
    """A connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubServer

    def answer(self) -> None:
        """Answer a request, or let it go wrong."""
        path = unquote(urlsplit(self.path).path)
        if path.startswith(CONTROL):
            asked = json.loads(self._body(Fault()) or b"{}")
            self._send(told(self.server.controlled(path.removeprefix(CONTROL), asked)), Fault())
            return
        fault, line = self.server.faults.take(self.command, path)
        body = self._body(fault)
        if body is None:
            self.close_connection = True
            return
        if fault.status:
            response = fault.response(fault.status)
        else:
            response = self.server.hub.answer(self._request(body))
        if fault.lost:
            self.close_connection = True
            return
        line[2] = response.status
        self._send(response, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def _request(self, body: bytes) -> Request:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        headers = {name.title(): value for name, value in self.headers.items()}
        return Request(self.command, parts.path, query, headers, body)

    def _body(self, fault: Fault) -> bytes | None:
        """Read the request's body; None where the connection breaks in it."""
        body = bytearray()
        for piece in fault.pieces(int(self.headers.get("Content-Length", 0))):
            wanted = piece if fault.cut is None else min(piece, fault.cut - len(body))
            got = self.rfile.read(wanted)
            body += got
            if len(got) < wanted or len(body) == fault.cut:
                return None
        return bytes(body)

    def _send(self, response: Response, fault: Fault) -> None:
        body = fault.spoiled(response.body)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", f"Root=1-{time.time_ns():x}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault.cut is not None:
            body = body[: fault.cut]
            self.close_connection = True
        sent = 0
        for piece in fault.pieces(len(body)):
            self.wfile.write(body[sent : sent + piece])
            sent += piece

    def log_message(self, *words: object) -> None:
        """Say nothing; the log is asked for."""


class HubServer(ThreadingHTTPServer):
    """A Hub that listens on a free port of loopback, with its CDN under another name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.hub = Service.open(Store(folder), self.url, f"http://localhost:{self.server_port}")
        self.faults = Faults()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Forget clients that went away, and tell other errors."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def controlled(self, name: str, asked: dict[str, Any]) -> object:
        """Do what a test asks for: tell something, change something, or go wrong."""
        if name == "log":
            return self.faults.log
        if name in ("fail", "heal"):
            self.faults.change(Fault(**asked) if name == "fail" else None)
            return None
        with self.hub.lock:
            repo = self.hub.store.repos["dataset", asked["repo"]]
            if name == "refs":
                return repo.refs
            if name == "commits":
                return [commit.sha for commit in repo.history(asked["ref"])]
            if name == "files":
                return self._files(repo, asked["revision"])
            return self._commit(repo, asked["files"], asked["branch"])

    def _files(self, repo: Repo, revision: str) -> dict[str, str]:
        blobs, files = self.hub.store.blobs, repo.resolve(revision).files
        return {path: base64.b64encode(blobs.get(file)).decode() for path, file in files.items()}

    def _commit(self, repo: Repo, changes: dict[str, str | None], branch: str) -> str:
        ref = repo.moving(branch)
        parent = repo.commits[repo.refs[ref]]
        files = dict(parent.files)
        for path, encoded in changes.items():
            if encoded is None:
                del files[path]
            else:
                files[path] = self._kept(repo, parent.files, path, base64.b64decode(encoded))
        repo.refs[ref] = repo.add_commit(parent.sha, files, "Change it", author="somebody").sha
        return repo.refs[ref]

    def _kept(self, repo: Repo, files: Files, path: str, content: bytes) -> File:
        store = self.hub.store
        if not is_large(store.attributes(files), path, len(content), content[:512]):
            return store.blobs.regular(content)
        sha256 = hashlib.sha256(content).hexdigest()
        store.blobs.put(sha256, content)
        repo.objects[sha256] = len(content)
        return lfs_file(sha256, len(content))
