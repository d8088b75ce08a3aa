"""A dataset repository of the Hub: branches, tags, files, commits, each call patient and plain."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.release.hub_errors import (
    NotThereError,
    import_hub,
    patiently,
    told_plainly,
)

MAIN = "main"
DATASET = "dataset"


@dataclass(frozen=True, slots=True)
class Refs:
    """Commits by the names of branches and tags."""

    branches: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Repository:
    """A dataset repository.

    What the Hub or the network refuses is raised as a `ToolkitError`: `NotThereError` for what does
    not exist, `ChangedError` for what somebody else did meanwhile.

    Args:
        name: ORG/NAME.
        endpoint: the Hub's address; left out, the usual one, or `HF_ENDPOINT`.

    Attributes:
        remarks: what the Hub had to say of commits that it took.
    """

    def __init__(self, name: str, endpoint: str | None = None) -> None:
        self.name = name
        self.remarks: list[str] = []
        self.endpoint = endpoint or os.environ.get("HF_ENDPOINT")

    @cached_property
    def api(self) -> Any:
        """The client of this Hub."""
        return import_hub().HfApi(endpoint=self.endpoint, library_name="clothes-toolkit")

    def refs(self) -> Refs | None:
        """Return branches and tags, or `None` where there is no repository."""
        try:
            with told_plainly(self.name):
                found = self._call("list_repo_refs")
        except NotThereError:
            return None
        parts = (found.branches, found.tags)
        return Refs(*({ref.name: ref.target_commit for ref in part} for part in parts))

    def head(self, branch: str) -> str | None:
        """Return the commit of a branch, or `None` where there is none."""
        return (self.refs() or Refs()).branches.get(branch)

    def kind(self) -> str | None:
        """Return whether the name is that of a "model" or a "space", or `None`."""
        for kind in ("model", "space"):
            try:
                with told_plainly(self.name):
                    patiently(partial(self.api.repo_info, self.name, repo_type=kind))
                return kind
            except NotThereError:
                continue
        return None

    def is_private(self) -> bool:
        """Whether only some may see it."""
        with told_plainly(self.name):
            return bool(self._call("repo_info").private)

    def create(self, *, private: bool) -> None:
        """Make the repository, if it is not there."""
        with told_plainly(self.name):
            self._call("create_repo", private=private, exist_ok=True)

    def tree(self, revision: str) -> dict[str, str]:
        """Return the files of a revision, and what names the content of each, see `content_ids`."""
        with told_plainly(self.name):
            listed = patiently(
                lambda: list(
                    self.api.list_repo_tree(
                        self.name, recursive=True, revision=revision, repo_type=DATASET
                    )
                )
            )
        return {
            item.path: item.lfs.sha256 if item.lfs else item.blob_id
            for item in listed
            if hasattr(item, "blob_id")
        }

    def fetch(self, path: str, revision: str, *, again: bool = False) -> Path:
        """Fetch a file through the client's cache, which `again` distrusts; return where it is."""
        with told_plainly(self.name):
            found = self._call("hf_hub_download", path, revision=revision, force_download=again)
            return Path(found)

    def read(self, path: str, revision: str) -> bytes:
        """Return a file's content; one in the cache that was damaged on its way is fetched again.

        Without a network what is in the cache is taken as it is. Raises `RefusedError` where what
        is fetched again is damaged, too.
        """
        data = self.fetch(path, revision).read_bytes()
        try:
            wanted = self._content_id(path, revision)
        except ToolkitError:
            return data
        if wanted not in content_ids(data):
            data = self.fetch(path, revision, again=True).read_bytes()
        if wanted not in content_ids(data):
            raise RefusedError(f"{self.name}: {path} does not fit its checksum")
        return data

    def create_branch(self, branch: str, revision: str) -> None:
        """Make a branch; raises `ChangedError` where it is there."""
        with told_plainly(self.name):
            self._call("create_branch", branch=branch, revision=revision)

    def drop_branch(self, branch: str) -> None:
        """Remove a branch, if it is there."""
        try:
            with told_plainly(self.name):
                self._call("delete_branch", branch=branch)
        except NotThereError:
            return

    def create_tag(self, tag: str, commit: str) -> None:
        """Make a tag; raises `ChangedError` where it is there."""
        with told_plainly(self.name):
            self._call("create_tag", tag=tag, revision=commit)

    def send(self, path: str, content: bytes | Path, branch: str) -> Any:
        """Upload a file, and return the operation that commits it; the file may go then."""
        add = import_hub().CommitOperationAdd
        operation = add(path, content)
        with told_plainly(self.name):
            self._call("preupload_lfs_files", [operation], revision=branch)
        if isinstance(content, Path) and operation.path_or_fileobj:
            # What is no LFS file to the Hub goes with the commit itself.
            return add(path, content.read_bytes())
        return operation

    def commit(self, branch: str, operations: Sequence[Any], parent: str, message: str) -> str:
        """Commit to a branch and return the commit; `ChangedError` if its head is not `parent`."""
        with told_plainly(self.name), warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            made = self._call(
                "create_commit",
                list(operations),
                commit_message=message,
                revision=branch,
                parent_commit=parent,
            )
        remarks = (str(r.message) for r in said if "README.md" in str(r.message))
        self.remarks += [" ".join(remark.split()) for remark in remarks]
        return str(made.oid)

    def _content_id(self, path: str, revision: str) -> str:
        with told_plainly(self.name):
            (found,) = self._call("get_paths_info", [path], revision=revision)
        return str(found.lfs.sha256 if found.lfs else found.blob_id)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        function = getattr(self.api, method)
        return patiently(lambda: function(self.name, *args, repo_type=DATASET, **kwargs))


def content_ids(data: bytes) -> tuple[str, str]:
    """Return what the Hub calls content: Git's name of a regular file, the sha256 of an LFS one."""
    git = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return git, hashlib.sha256(data).hexdigest()
