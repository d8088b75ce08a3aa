"""How a small Hub is called: who asks, what a path names, and which function answers it."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any
from urllib.parse import unquote

from tests.hub_store import Commit, HubError, Repo, Store

WRITER = "hf_WriterOfOrgAndOfItsOwn"
READER = "hf_ReaderOfOrgAndNoMore"
STRANGER = "hf_StrangerToOrg"


@dataclass(frozen=True)
class User:
    """Somebody with a token: its role, and the role in each organization."""

    name: str
    role: str
    orgs: Mapping[str, str]


USERS = {
    WRITER: User("writer", "write", {"org": "write"}),
    READER: User("reader", "read", {"org": "read"}),
    STRANGER: User("stranger", "write", {}),
}


@dataclass(frozen=True)
class Request:
    """What is asked; the path as it was sent, with its escapes."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """What is answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def told(found: object, status: int = 200, **headers: str) -> Response:
    """Return an answer in JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Response(status, json.dumps(found).encode(), {**kind, **named})


def refused(error: HubError) -> Response:
    """Return the answer to what the Hub refuses."""
    headers = {"X-Error-Message": error.message, **error.more}
    if error.code:
        headers["X-Error-Code"] = error.code
    return told({"error": error.message}, error.status, **headers)


@dataclass(frozen=True)
class Service:
    """What every call sees: the store, and the addresses of the Hub and of its CDN."""

    store: Store
    url: str
    cdn: str
    secret: bytes
    parts: dict[tuple[str, int], bytes]
    lock: RLock

    @classmethod
    def open(cls, store: Store, url: str, cdn: str) -> Service:
        """Return a hub that signs its links with a secret of its own."""
        return cls(store, url, cdn, secrets.token_bytes(16), {}, RLock())

    def answer(self, request: Request) -> Response:
        """Answer a request, one at a time."""
        method = "GET" if request.method == "HEAD" else request.method
        for wanted, pattern, handler in ROUTES:
            if wanted == method and (found := pattern.fullmatch(request.path)):
                named = {name: unquote(text) for name, text in found.groupdict("").items()}
                with self.lock:
                    return self._called(handler, request, named)
        return refused(HubError(404, "Sorry, we can't find the page you are looking for."))

    def _called(self, handler: Handler, request: Request, named: dict[str, str]) -> Response:
        try:
            return handler(Call(self, request, named, _user(request)))
        except HubError as error:
            return refused(error)

    def signature(self, text: str) -> str:
        """Sign a link."""
        return hmac.new(self.secret, text.encode(), "sha256").hexdigest()


def _user(request: Request) -> User | None:
    authorization = request.headers.get("Authorization", "")
    if not authorization:
        return None
    user = USERS.get(authorization.removeprefix("Bearer "))
    if user is None:
        raise HubError(401, "Invalid credentials in Authorization header")
    return user


@dataclass(frozen=True)
class Call:
    """A request to one of the functions below, with what its path names."""

    hub: Service
    request: Request
    named: Mapping[str, str]
    user: User | None

    @property
    def kind(self) -> str:
        """Whether the path is of a dataset or a model."""
        return self.named.get("kind") or "model"

    @property
    def revision(self) -> str:
        """The revision that the path names."""
        return self.named.get("revision") or "main"

    @property
    def json(self) -> Any:
        """The request's body; an empty one where there is none."""
        return json.loads(self.request.body or b"{}") or {}

    def asked(self, name: str) -> str:
        """Return a value of the query, or nothing."""
        return self.request.query.get(name, [""])[0]

    def repo(self, name: str = "", kind: str = "") -> Repo:
        """Return the repository that the path names, where the caller may see it."""
        key = (kind or self.kind, name or self.named["repo"])
        repo = self.hub.store.repos.get(key)
        user = self.user
        mine = repo and user and (repo.namespace == user.name or repo.namespace in user.orgs)
        if repo and (mine or not repo.private):
            return repo
        if user is None:  # the client knows a hidden repository by its URL on https only
            raise HubError(401, "Invalid username or password.", "RepoNotFound")
        raise HubError(404, "Repository not found", "RepoNotFound")

    def commit(self) -> tuple[Repo, Commit]:
        """Return the repository and the revision that the path names."""
        repo = self.repo()
        return repo, repo.resolve(self.revision)

    def signed_in(self) -> User:
        """Return the caller."""
        if self.user is None:
            raise HubError(401, "Invalid username or password.")
        return self.user

    def writer(self, namespace: str = "") -> User:
        """Return the caller, who may write to a namespace; to some, where none is named."""
        user = self.signed_in()
        if user.role != "write":
            raise HubError(403, "Forbidden: you must use a write token to upload to a repository.")
        if namespace not in ("", user.name) and user.orgs.get(namespace) != "write":
            raise HubError(403, f'You don\'t have the rights to write under "{namespace}"')
        return user

    def link(self, repo: Repo) -> str:
        """Return the address of a repository."""
        return f"{self.hub.url}/{'datasets/' * (repo.kind == 'dataset')}{repo.name}"


Handler = Callable[[Call], Response]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []
NAMES = {
    "api": r"/api/(?P<kind>dataset|model)s/(?P<repo>[^/]+/[^/]+)",
    "web": r"/(?:(?P<kind>dataset)s/)?(?P<repo>[^/]+/[^/]+?)",
    "path": r"(?P<path>.+)",
}


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Let a function answer the paths that a pattern describes."""

    def add(handler: Handler) -> Handler:
        whole = re.sub(r"\{(\w+)\}", lambda m: NAMES.get(m[1], rf"(?P<{m[1]}>[^/]+)"), pattern)
        ROUTES.append((method, re.compile(whole), handler))
        return handler

    return add
