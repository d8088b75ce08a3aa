"""What stands before every request: who may ask for what, from where, and how much at a time.

Gradio brings many routes; only those are open that the studio needs, so that what another release
of it adds is closed until somebody looks at it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from annotation_ui.sessions import Door

COOKIE = "clothes_session"
MOST_BYTES, MOST_OF_CALL = 32 * 1024 * 1024, 12 * 1024 * 1024
"""Of a file sent, and of a call."""
STATE = "clothes_person"
"""Where a request carries who asks."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ANYBODY = re.compile(r"/login|/studio/assets/[a-z]+\.(js|css|svg)|/favicon\.ico")
SIGNED_IN = {
    "GET": re.compile(
        r"/|/config/?|/theme\.css|/(assets|static)/[\w./@-]+|/studio/[\w./-]+"
        r"|/gradio_api/(info/?|startup-events|app_id/?|theme\.css|user/?|heartbeat/\w[\w-]*"
        r"|queue/data|login_check/?|call/\w+/\w+)"
    ),
    "POST": re.compile(
        r"/logout|/studio/[\w./-]+|/gradio_api/(run/\w+|call/\w+|queue/join|reset|cancel)/?"
    ),
}
CALL = re.compile(r"/gradio_api/(?:run|call)/(\w+)(?:/.*)?")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Gate:
    """An ASGI application around another one.

    Args:
        app: what answers the requests that get through.
        door: who comes in.
        calls: names of the studio's endpoints.
        hosts: names that a request may call the server by; any, if left out. Without passwords it
            keeps pages of other sites, that point a name of theirs at this machine, outside.
    """

    def __init__(
        self, app: App, door: Door, calls: frozenset[str], hosts: frozenset[str] | None = None
    ) -> None:
        self.app, self.door, self.calls, self.hosts = app, door, calls, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await _refuse(scope, send, 404, "there is nothing here")
        headers = {name.decode("latin-1"): value.decode("latin-1")
                   for name, value in scope["headers"]}  # fmt: skip
        try:
            refusal = self._refusal(scope, headers)
        except ValueError:
            refusal = 400, "a header of this request cannot be read"
        if refusal is not None:
            return await _refuse(scope, send, *refusal)
        # Clients of an older HTTP may leave out how long a body is, pages never do.
        if "transfer-encoding" in headers:
            return await _refuse(scope, send, 411, "say how long the body is")
        return await self.app(scope, receive, _hardened(scope, send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        method, path, host = scope["method"], scope["path"], headers.get("host", "")
        if self.hosts is not None and urlsplit(f"//{host}").hostname not in self.hosts:
            return 403, "this studio answers on this machine only"
        if method not in ("GET", "HEAD") and not _from_here(headers, host):
            return 403, "this came from another site"
        most = MOST_BYTES if path.startswith("/studio/") else MOST_OF_CALL
        if int(headers.get("content-length") or 0) > most:
            return 413, f"more than {most >> 20} MiB at a time"
        scope.setdefault("state", {})[STATE] = person = self.door.person(token_of(headers))
        if ANYBODY.fullmatch(path):
            return None
        if person is None:
            return 401, "sign in first"
        allowed = SIGNED_IN.get("GET" if method == "HEAD" else method)
        if allowed is None or not allowed.fullmatch(path) or ".." in path:
            return 404, "there is nothing here"
        called = CALL.fullmatch(path)
        if called is not None and called[1] not in self.calls:
            return 404, f"there is no call '{called[1]}'"
        return None


def token_of(headers: dict[str, str]) -> str | None:
    """Return the session's token among the cookies of a request."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


def _from_here(headers: dict[str, str], host: str) -> bool:
    """Whether a request that may change something comes from a page of ours, or from no page."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _hardened(scope: Scope, send: Send) -> Send:
    """Add headers, and make Gradio's answer to a bad call one line instead of a server's error."""
    refused: list[Message] = []

    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == 500 and scope["path"].startswith("/gradio_api/"):
                refused.append(message)
                return
            message["headers"] = [*message.get("headers", []), *HEADERS]
        elif refused:
            if not message.get("more_body"):
                await _refuse(scope, send, 400, "this call has not the inputs that it needs")
            return
        await send(message)

    return hardened


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *HEADERS]
    if status == 401 and scope["method"] == "GET" and scope["path"] == "/":
        status, headers = 303, [(b"location", b"/login"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": why}).encode()})
