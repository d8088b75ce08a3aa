"""What a small Hub keeps: repositories with their revisions, and the content of their files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path
from typing import Any

LARGE = 10 * 2**20  # bytes, from which every file is LFS
LFS_KINDS = ("arrow", "bin", "gz", "jpg", "npy", "npz", "parquet", "png", "tar", "webp", "zip")
ATTRIBUTES = "".join(f"*.{kind} filter=lfs diff=lfs merge=lfs -text\n" for kind in LFS_KINDS)
REVISION = re.compile(r"[0-9a-f]{7,40}")
BRANCH = re.compile(r"(?!refs/|[./-])(?!.*(\.\.|//|\.lock$|[/.]$))[\w./-]+")


class HubError(Exception):
    """Something that the Hub refuses, with the status and the code that it answers."""

    def __init__(self, status: int, message: str, code: str = "", **more: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.more = status, message, code, more


def now() -> str:
    """Return the time as the Hub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def git_oid(content: bytes) -> str:
    """Return the name that git gives to a file's content."""
    blob = b"blob %d\0" % len(content) + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    """Return what git keeps of a file that is in LFS."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    )


@dataclass(frozen=True)
class File:
    """A file of a revision.

    Attributes:
        oid: its name in git; of the pointer, where it is in LFS.
        size: of its content.
        sha256: of its content, where it is in LFS.
    """

    oid: str
    size: int
    sha256: str = ""

    @property
    def etag(self) -> str:
        """What its content is known as."""
        return self.sha256 or self.oid


def lfs_file(sha256: str, size: int) -> File:
    """Return the file that an LFS object makes."""
    return File(git_oid(pointer(sha256, size)), size, sha256)


Files = Mapping[str, File]


@dataclass(frozen=True)
class Commit:
    """A commit, with all files of its revision."""

    sha: str
    parent: str
    files: Files
    title: str
    message: str
    author: str
    date: str


@dataclass
class Discussion:
    """A discussion or pull request."""

    num: int
    title: str
    author: str
    fork: str  # the commit that a pull request started from
    status: str
    date: str = field(default_factory=now)
    merged: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, author: str, data: dict[str, Any]) -> dict[str, Any]:
        """Append an event, and return it as the Hub tells it."""
        event: dict[str, Any] = {"id": f"{self.num:08x}{len(self.events):08x}", "type": kind}
        event |= {"createdAt": now(), "author": {"name": author}, "data": data}
        self.events.append(event)
        return event

    def comment(self, author: str, text: str) -> dict[str, Any]:
        """Append what somebody says."""
        latest = {"raw": text, "html": text, "updatedAt": now(), "author": {"name": author}}
        return self.add("comment", author, {"edited": False, "hidden": False, "latest": latest})


class Blobs:
    """Content by name, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        """Keep content."""
        (self.folder / name).write_bytes(content)

    def get(self, file: File) -> bytes:
        """Return the content of a file."""
        return (self.folder / file.etag).read_bytes()

    def regular(self, content: bytes) -> File:
        """Keep the content of a file that is not in LFS."""
        file = File(git_oid(content), len(content))
        self.put(file.oid, content)
        return file


class Repo:
    """A repository: commits, refs, LFS objects and discussions.

    Attributes:
        refs: the commit that each of `heads/main`, `tags/v1.0.0`, `pr/1` points to.
        arrived: the LFS objects that came and nobody verified yet, with their size.
        objects: the LFS objects that a commit may name, with their size.
    """

    _numbers = count()

    def __init__(self, kind: str, name: str, private: bool) -> None:
        self.kind, self.name, self.private = kind, name, private
        self.gated: str | bool = False
        self.created = now()
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        self.arrived: dict[str, int] = {}
        self.objects: dict[str, int] = {}
        self.discussions: list[Discussion] = []

    @property
    def namespace(self) -> str:
        """The user or organization that it belongs to."""
        return self.name.split("/")[0]

    def add_commit(
        self, parent: str, files: Files, title: str, message: str = "", author: str = "system"
    ) -> Commit:
        """Make a commit that no ref points to."""
        date = now()
        listing = sorted((path, file.oid) for path, file in files.items())
        told = [next(self._numbers), parent, listing, title, message, author, date]
        sha = hashlib.sha1(json.dumps(told).encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = Commit(sha, parent, dict(files), title, message, author, date)
        return self.commits[sha]

    def resolve(self, revision: str) -> Commit:
        """Return the commit that a branch, tag, `refs/pr/1` or (short) sha names."""
        for ref in (f"heads/{revision}", f"tags/{revision}", revision.removeprefix("refs/")):
            if ref in self.refs:
                return self.commits[self.refs[ref]]
        if REVISION.fullmatch(revision):
            for sha, commit in self.commits.items():
                if sha.startswith(revision):
                    return commit
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def moving(self, revision: str) -> str:
        """Return the ref that a commit to a branch or `refs/pr/1` moves."""
        for ref in (f"heads/{revision}", revision.removeprefix("refs/")):
            if ref in self.refs and not ref.startswith("tags/"):
                return ref
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def history(self, revision: str) -> list[Commit]:
        """Return the commits that led to a revision, newest first."""
        found = [self.resolve(revision)]
        while parent := found[-1].parent:
            found.append(self.commits[parent])
        return found

    def check_parent(self, head: str, parent: str | None) -> None:
        """Refuse a commit that was made for another head."""
        if parent is not None and not head.startswith(parent):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")

    def create_ref(self, kind: str, name: str, revision: str, taken: str) -> None:
        """Create a branch or tag."""
        if not BRANCH.fullmatch(name):
            raise HubError(400, f"Invalid reference for a {taken}: {name}")
        target = self.resolve(revision).sha
        if f"{kind}/{name}" in self.refs:
            exists = (
                "Tag reference exists already" if kind == "tags" else "Reference already exists"
            )
            raise HubError(409, f"{exists}: refs/{kind}/{name}")
        self.refs[f"{kind}/{name}"] = target

    def delete_ref(self, kind: str, name: str) -> None:
        """Delete a branch or tag."""
        if (kind, name) == ("heads", "main"):
            raise HubError(403, "Cannot delete refs/heads/main")
        if self.refs.pop(f"{kind}/{name}", None) is None:
            raise HubError(404, f"Invalid rev id: {name}", "RevisionNotFound")

    def discussion(self, num: int) -> Discussion:
        """Return a discussion by its number."""
        if not 0 < num <= len(self.discussions):
            raise HubError(404, "Discussion not found")
        return self.discussions[num - 1]

    def open_pull(self, title: str, author: str, fork: str, head: str, status: str) -> Discussion:
        """Open a pull request from a commit, with another as its head."""
        found = Discussion(len(self.discussions) + 1, title, author, fork, status)
        self.discussions.append(found)
        self.refs[f"pr/{found.num}"] = head
        return found

    def changed(self, pull: Discussion) -> dict[str, File | None]:
        """Return the files that a pull request changes; None where it deletes one."""
        base = self.commits[pull.fork].files
        theirs = self.resolve(f"refs/pr/{pull.num}").files
        paths = base.keys() | theirs.keys()
        return {path: theirs.get(path) for path in paths if base.get(path) != theirs.get(path)}

    def conflicts(self, pull: Discussion) -> list[str]:
        """Return the files that both a pull request and its target changed."""
        base, main = self.commits[pull.fork].files, self.resolve("main").files
        return sorted(
            path
            for path, file in self.changed(pull).items()
            if main.get(path) not in (base.get(path), file)
        )

    def merge(self, pull: Discussion, author: str) -> None:
        """Commit to main what a pull request changes."""
        if pull.status != "open":
            raise HubError(409, f"This pull request cannot be merged: it is {pull.status}")
        if self.conflicts(pull):
            raise HubError(409, "This pull request has conflicts")
        main = self.resolve("main")
        after = {**main.files, **self.changed(pull)}
        files = {path: file for path, file in after.items() if file is not None}
        commit = self.add_commit(main.sha, files, f"{pull.title} (#{pull.num})", author=author)
        self.refs["heads/main"] = pull.merged = commit.sha
        pull.status = "merged"
        pull.add("status-change", author, {"status": "merged"})


def is_large(attributes: bytes, path: str, size: int, sample: bytes) -> bool:
    """Tell whether a file goes to LFS: by its name, its size, or since it is no text."""
    for line in attributes.decode("utf-8", "replace").splitlines():
        pattern, *marks = line.split() or ["#"]
        name = path if "/" in pattern else path.rpartition("/")[2]
        if "filter=lfs" in marks and fnmatchcase(name, pattern):
            return True
    return size > LARGE or b"\0" in sample


class Store:
    """All repositories, and the content of their files."""

    def __init__(self, folder: Path) -> None:
        self.blobs = Blobs(folder)
        self.repos: dict[tuple[str, str], Repo] = {}

    def create(self, kind: str, name: str, private: bool) -> Repo:
        """Create a repository with the commit that each one starts with."""
        repo = self.repos[kind, name] = Repo(kind, name, private)
        files = {".gitattributes": self.blobs.regular(ATTRIBUTES.encode())}
        repo.refs["heads/main"] = repo.add_commit("", files, "initial commit").sha
        return repo

    def attributes(self, files: Files) -> bytes:
        """Return the rules of a revision for what goes to LFS."""
        file = files.get(".gitattributes")
        return self.blobs.get(file) if file else b""

    def applied(self, repo: Repo, files: Files, operations: list[dict[str, Any]]) -> Files:
        """Return the files of a revision after the operations of a commit."""
        after = dict(files)
        for operation in operations:
            value: dict[str, Any] = operation["value"]
            path = value["path"].rstrip("/")
            if not path or {"", ".", ".."} & set(path.split("/")):
                raise HubError(400, f"Invalid path: {path}")
            if operation["key"] == "file":
                after[path] = self.blobs.regular(_content(value))
            elif operation["key"] == "lfsFile":
                after[path] = self._object(repo, path, value["oid"])
            else:
                self._delete(after, path, operation["key"])
        return after

    @staticmethod
    def _object(repo: Repo, path: str, sha256: str) -> File:
        if sha256 not in repo.objects:
            raise HubError(
                400,
                "Your push was rejected because an LFS pointer pointed to a file that does not"
                f" exist. Offending file: - {path}",
            )
        return lfs_file(sha256, repo.objects[sha256])

    @staticmethod
    def _delete(files: dict[str, File], path: str, key: str) -> None:
        gone = [path] if key == "deletedFile" else [p for p in files if p.startswith(f"{path}/")]
        if not gone or gone[0] not in files:
            raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        for name in gone:
            del files[name]


def _content(value: dict[str, Any]) -> bytes:
    content: str = value["content"]
    return base64.b64decode(content) if value.get("encoding") == "base64" else content.encode()
