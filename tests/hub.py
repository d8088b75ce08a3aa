"""A small, real Hugging Face Hub on loopback, in a process of its own, and what tests do with it.

It speaks what `huggingface_hub` and `datasets` speak, except for Xet: repositories with branches,
tags and pull requests, regular and LFS files, and links to a CDN that takes no tokens.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from tests.hub_calls import READER, STRANGER, WRITER

__all__ = ["READER", "STRANGER", "WRITER", "Hub", "running_hub"]

QUIET = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


@dataclass(frozen=True)
class Hub:
    """A Hub that runs. Repositories that are named here are datasets.

    `WRITER` is the user `writer`, who may write to `org`; `READER` is the user `reader`, who may
    read what is private in `org`; `STRANGER` is the user `stranger`, who has only its own.

    Attributes:
        url: its address, for `HF_ENDPOINT`.
    """

    url: str

    def env(self, home: Path, token: str | None = WRITER) -> dict[str, str]:
        """Return the environment of a client that has nothing cached but what `home` holds."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
        secret = {} if token is None else {"HF_TOKEN": token}
        return {**kept, **QUIET, "HF_ENDPOINT": self.url, "HF_HOME": str(home), **secret}

    def fail(
        self,
        method: str,
        path: str,
        *,
        status: int | None = None,
        skip: int = 0,
        times: int = 1,
        retry_after: int | None = None,
        cut: int | None = None,
        slow: int | None = None,
        corrupt: bool = False,
        lost: bool = False,
    ) -> None:
        """Let requests go wrong: some `times`, after the first `skip` that match.

        LFS content is uploaded with PUT to `/lfs/<sha256>`, and served at `/cdn/<sha256>/<path>`.

        Args:
            method: a pattern that is the whole method.
            path: a pattern that occurs in the path, which has no escapes and no query.
            status: to answer, and do nothing.
            skip: how many requests go well before.
            times: how many requests go wrong.
            retry_after: seconds, which are told together with the status.
            cut: break the connection after so many bytes of what the request sends, or of the
                answer where it sends nothing.
            slow: bytes a second, of what the request sends and of the answer.
            corrupt: flip a bit in the middle of the answer.
            lost: do what is asked, and break the connection instead of answering.
        """
        asked = {"method": method, "path": path, "status": status, "skip": skip, "times": times}
        asked |= {"retry_after": retry_after, "cut": cut, "slow": slow}
        self._ask("fail", **asked, corrupt=corrupt, lost=lost)

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._ask("heal")

    def log(self) -> list[tuple[str, str, int]]:
        """Return what was asked: method, path and status; 0 where nothing was answered (yet)."""
        return [(method, path, status) for method, path, status in self._ask("log")]

    def refs(self, repo: str) -> dict[str, str]:
        """Return the commit that each of `heads/main`, `tags/v1.0.0`, `pr/1` points to."""
        found: dict[str, str] = self._ask("refs", repo=repo)
        return found

    def files(self, repo: str, revision: str) -> dict[str, bytes]:
        """Return the content of all files of a revision."""
        found = self._ask("files", repo=repo, revision=revision)
        return {path: base64.b64decode(content) for path, content in found.items()}

    def commits(self, repo: str, ref: str) -> list[str]:
        """Return the commits that led to a revision, newest first."""
        found: list[str] = self._ask("commits", repo=repo, ref=ref)
        return found

    def commit(self, repo: str, files: Mapping[str, bytes | None], branch: str = "main") -> str:
        """Commit as somebody else, with None for a file to delete; return the commit."""
        encoded = {
            path: None if content is None else base64.b64encode(content).decode()
            for path, content in files.items()
        }
        return str(self._ask("commit", repo=repo, files=encoded, branch=branch))

    def _ask(self, name: str, **asked: Any) -> Any:
        place = urlsplit(self.url).netloc
        with closing(HTTPConnection(place, timeout=60)) as connection:
            connection.request("POST", f"/_control/{name}", json.dumps(asked))
            answer = connection.getresponse()
            told = answer.read()
        assert answer.status == 200, told
        return json.loads(told)


@contextmanager
def running_hub(folder: Path) -> Iterator[Hub]:
    """Start a Hub that keeps its content in a folder, and stop it in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hub", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "the Hub did not start"
        yield Hub(url)
    finally:
        process.terminate()
        process.wait(20)
        process.stdin.close()
        process.stdout.close()


def main() -> None:
    """Serve, until whoever started this is gone."""
    from tests.hub_server import HubServer

    with HubServer(Path(sys.argv[1])) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
