"""Serving a studio until it is stopped."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from annotation_ui.people import People
from annotation_ui.search import Search
from annotation_ui.sessions import Door, OpenDoor, Sessions
from annotation_ui.store import Store
from annotation_ui.studio import Studio
from annotation_ui.web import build
from clothes_toolkit.cache import PRIVATE_FOLDER
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.edits.lock import locked
from clothes_toolkit.errors import ToolkitError

DATABASE = "studio.sqlite"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def serve(
    root: Path,
    *,
    designers: Path,
    alone: str | None = None,
    checkpoint: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    scheme: str = "auto",
    on_ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve a dataset's studio until it is interrupted.

    Args:
        root: the dataset's folder.
        designers: the designers file.
        alone: number of the one designer who draws without signing in, on this machine only.
        checkpoint: of a network that ranks the photos.
        host: address to listen on.
        port: likewise; 0 takes a free one.
        scheme: how files are named.
        on_ready: hears the address.

    Raises `ToolkitError` where that is no dataset, nobody could sign in, or the port is taken.
    """
    Dataset.open(root, scheme)
    if alone is not None and host not in LOOPBACK:
        raise ToolkitError(f"--no-login is for this machine only, not for --host {host}")
    people = People(designers)
    if alone is None and not people.all():
        raise ToolkitError(
            f"{people.file}: nobody may sign in yet; add somebody with `clothes-toolkit designers "
            "add`, or draw alone with --no-login"
        )
    private = root / PRIVATE_FOLDER
    private.mkdir(exist_ok=True)
    # A second studio would take an accept of this one for what a dead server left.
    with locked(private / "studio.lock"), _listening(host, port) as listener:
        store = Store(private / DATABASE)
        door: Door = Sessions(people, store) if alone is None else OpenDoor(alone)
        studio = Studio(root, store, scheme, alone=alone is not None)
        search = None if checkpoint is None else Search(root, checkpoint, scheme)
        gate = build(studio, door, search, LOOPBACK if alone is not None else None)
        on_ready(f"http://{_name(host)}:{listener.getsockname()[1]}")
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        config = uvicorn.Config(gate, log_level="error", access_log=False)
        # Whoever interrupts it closes the studio: that is how it ends.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Named as TCP: only then asyncio sends small answers at once, and not 40 ms later.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except BaseException:
            listener.close()
            raise
        return listener
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ToolkitError(f"{host}:{port}: cannot be listened on ({why}); try --port 0") from error


def _name(host: str) -> str:
    return f"[{host}]" if ":" in host else "localhost" if host == "127.0.0.1" else host
