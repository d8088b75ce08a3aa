"""One run of publishing to the Hub.

A release is built on a branch, `publishing`, loaded back from there, and only then committed to
`main` and tagged. The branch is the claim of whoever publishes: its first commit is the release's
manifest, by which an interrupted run knows its own work, and another publisher that he is second.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clothes_toolkit.edits.lock import locked
from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.hub_errors import ChangedError, NotThereError, import_hub
from clothes_toolkit.release.manifest import MANIFEST_FILE, read_manifest
from clothes_toolkit.release.package import OURS, Package
from clothes_toolkit.release.places import State, Step
from clothes_toolkit.release.repository import MAIN, Refs, Repository, content_ids
from clothes_toolkit.release.shards import Shard
from clothes_toolkit.release.verify import verify

BRANCH = "publishing"


class HubRun:
    """A package on its way into a repository.

    Args:
        repository: where it goes.
        package: the release.
        state: of the repository, which the release was planned for.
        on_step: hears what is done, and `on_progress` how far that is.
    """

    def __init__(
        self,
        repository: Repository,
        package: Package,
        state: State,
        on_step: Step = lambda _what: None,
        on_progress: Progress = lambda _done, _total: None,
    ) -> None:
        self.repository, self.package, self.state = repository, package, state
        self.on_step, self.on_progress = on_step, on_progress
        self.name = repository.name
        self.manifest = package.manifest.to_bytes()
        self.claim = hashlib.sha256(self.manifest).hexdigest()

    def release(self, kept: frozenset[str], *, private: bool, take_over: bool) -> None:
        """Carry it out, from wherever an interrupted run stopped.

        Args:
            kept: files that the newest release has, too.
            private: whether a repository that has to be made is private.
            take_over: whether to drop what another publisher has begun.
        """
        with _work_folder(self.name, self.package) as work:
            if self.state.head is None:
                self.on_step("making the repository")
                self.repository.create(private=private)
            head = self._expect_head()
            if self._is_on(MAIN):
                self.on_step("loading it back")
                self._verify(head, work)
            else:
                self.on_step("uploading")
                claimed = self._claim_branch(head, take_over=take_over)
                with self._dropped_if_refused():
                    built = self._fill_branch(claimed, self._shards_to_write(kept), work)
                    self.on_step("loading it back")
                    self._verify(built, work)
                self.on_step("making it known")
                head = self._advance(built, head)
            self._tag(head)
            self.drop_own_branch()

    def drop_own_branch(self) -> None:
        """Remove the branch, if it is of this release."""
        head = self.repository.head(BRANCH)
        if head is not None and self._claimed(head) == self.claim:
            self.repository.drop_branch(BRANCH)

    def _expect_head(self) -> str:
        """Return the commit of `main`, which must be that of the state that was planned for."""
        head = self.repository.head(MAIN)
        if head is None or (self.state.head is not None and head != self.state.head):
            raise ChangedError(
                f"{self.name}: main has changed since this was planned; run the command again to "
                "see what it would do now"
            )
        return head

    def _is_on(self, branch: str) -> bool:
        """Whether a branch has all files of the package by name, and its documents by content."""
        tree = self.repository.tree(branch)
        return self.package.sizes.keys() <= tree.keys() and all(
            tree[path] in content_ids(data) for path, data in self.package.documents.items()
        )

    def _claim_branch(self, main: str, *, take_over: bool) -> str:
        """Take the branch, or go on where our own interrupted run stopped; return its commit."""
        refs = self.repository.refs() or Refs()
        head = refs.branches.get(BRANCH)
        if head is not None and (take_over or self._is_left_over(head, refs)):
            self.repository.drop_branch(BRANCH)
            head = None
        if head is None:
            with suppress(ChangedError):
                self.repository.create_branch(BRANCH, main)
            head = self.repository.head(BRANCH) or main
        if head != main:
            claimed = self._claimed(head)
            if claimed == self.claim:
                return head
            if claimed != self._claimed(main):
                raise RefusedError(self._second())
        try:
            return self._commit(BRANCH, [_add(MANIFEST_FILE, self.manifest)], head)
        except ChangedError as error:
            raise RefusedError(self._second()) from error

    def _is_left_over(self, head: str, refs: Refs) -> bool:
        """Whether a branch is what a release that is long tagged left behind."""
        claimed = self._claimed(head)
        return claimed is not None and claimed in map(self._claimed, refs.tags.values())

    def _claimed(self, revision: str) -> str | None:
        """Return what tells the release that a revision is, or is to be, from all others."""
        try:
            data = self.repository.fetch(MANIFEST_FILE, revision).read_bytes()
        except NotThereError:
            return None
        return hashlib.sha256(data).hexdigest()

    def _second(self) -> str:
        return (
            f"{self.name}: somebody else is publishing there; wait until that is done, or, if that "
            f"run is gone, add --take-over, which drops the branch '{BRANCH}'"
        )

    def _shards_to_write(self, kept: frozenset[str]) -> list[Shard]:
        """Return the shards that main does not have as the newest release left them."""
        shards = self.package.stored.shards
        if not kept:
            return list(shards)
        released = self.repository.tree(self.state.versions[-1].tag)
        main = self.repository.tree(MAIN)
        return [s for s in shards if s.path not in kept or released[s.path] != main.get(s.path)]

    def _fill_branch(self, head: str, shards: Sequence[Shard], work: Path) -> str:
        """Bring the branch to the package's content and return its commit."""
        if self._is_on(BRANCH):
            return head
        operations = list(self._upload(shards, work))
        return self._commit(BRANCH, [*operations, *self._deletions(BRANCH)], head)

    def _upload(self, shards: Sequence[Shard], work: Path) -> Iterator[Any]:
        """Upload shard by shard, so that no more than one takes room, and give the operations."""
        total, done = sum(shard.size for shard in shards), 0
        for path, data in self.package.documents.items():
            yield _add(path, data)
        for path, record in self.package.stored.loose.items():
            yield self.repository.send(_add(path, self.package.read(record)), BRANCH)
        for shard in shards:
            file = work / "shard.parquet"
            self.package.write(shard, file)
            yield self.repository.send(_add(shard.path, file), BRANCH)
            file.unlink()
            done += shard.size
            self.on_progress(done, total)

    def _deletions(self, branch: str) -> Iterator[Any]:
        delete = import_hub().CommitOperationDelete
        for path in sorted(self.repository.tree(branch).keys() - self.package.sizes.keys()):
            if path.startswith(OURS):
                yield delete(path)

    def _commit(self, branch: str, operations: Iterable[Any], parent: str) -> str:
        """Commit to a branch whose head must be `parent`, and return the new head."""
        message = f"Release {self.package.version}"
        try:
            return self.repository.commit(branch, list(operations), parent, message)
        except ChangedError:
            # The answer to a first try may have been lost: what is there is ours then.
            head = self.repository.head(branch)
            if head not in (None, parent) and self._claimed(str(head)) == self.claim:
                return str(head)
            raise

    @contextmanager
    def _dropped_if_refused(self) -> Iterator[None]:
        """Leave no branch behind of what is not what it should be."""
        try:
            yield
        except ChangedError:
            raise
        except RefusedError:
            self.repository.drop_branch(BRANCH)
            raise

    def _verify(self, commit: str, work: Path) -> None:
        for path, record in self.package.stored.loose.items():
            data = self.repository.fetch(path, commit).read_bytes()
            if hashlib.sha256(data).hexdigest() != record.sha256:
                raise RefusedError(f"{path}: was not stored as it is; nothing was released")
        endpoint = self.repository.endpoint
        environment = {"HF_ENDPOINT": endpoint} if endpoint else {}
        verify(self.package, self.name, commit, work, environment, self.on_progress)

    def _advance(self, built: str, main: str) -> str:
        """Bring `main` to what was verified, in one commit on what was planned for."""
        copy = import_hub().CommitOperationCopy
        documents = self.package.documents
        operations = [_add(path, data) for path, data in documents.items()]
        operations += [
            copy(path, path, src_revision=built)
            for path in self.package.sizes
            if path not in documents
        ]
        try:
            head = self._commit(MAIN, [*operations, *self._deletions(MAIN)], main)
        except ChangedError as error:
            raise ChangedError(
                f"{self.name}: somebody else changed main meanwhile; nothing of this release is on "
                "main, run the command again"
            ) from error
        wanted, there = self.repository.tree(built), self.repository.tree(head)
        if any(there.get(path) != wanted[path] for path in self.package.sizes):
            raise ToolkitError(f"{self.name}: main is not what was verified; it was not tagged")
        return head

    def _tag(self, commit: str) -> None:
        tag = self.package.version.tag
        try:
            self.repository.create_tag(tag, commit)
        except ChangedError as error:
            # Ours, where the answer to a first try was lost; or another's, which is never moved.
            data = self.repository.fetch(MANIFEST_FILE, tag).read_bytes()
            if read_manifest(data, tag).checksum != self.package.manifest.checksum:
                raise RefusedError(
                    f"{self.name}: {tag} was made meanwhile, with other content"
                ) from error


def _add(path: str, content: bytes | Path) -> Any:
    return import_hub().CommitOperationAdd(path, content)


@contextmanager
def _work_folder(repo: str, package: Package) -> Iterator[Path]:
    """Give a folder of this user's for a shard and the loader's caches; one run at a time.

    Raises `LockedError` where this user publishes there already, and `ToolkitError` where it cannot
    be written.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clothes-toolkit"
    name = hashlib.sha256(f"{repo} {package.manifest.checksum}".encode()).hexdigest()[:16]
    folder = cache / name
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_suffix(".lock")):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        where = error.filename or folder
        raise ToolkitError(f"{where}: cannot be written ({error.strerror or error})") from error
