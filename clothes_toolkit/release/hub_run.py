"""One run of publishing to the Hub.

A release is built on a branch, loaded back from there, and only then committed to `main` and
tagged. The branch is the claim of whoever publishes: its first commit holds the documents of the
release, card and manifest among them, by which an interrupted run knows its own work, and another
publisher that he is second. Two runs of the very same release go on with each other's work.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clothes_toolkit.edits.lock import locked
from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.hub_errors import ChangedError, NotThereError, import_hub
from clothes_toolkit.release.package import OURS, Package
from clothes_toolkit.release.places import State, Step
from clothes_toolkit.release.repository import MAIN, Repository, content_ids
from clothes_toolkit.release.shards import Shard, check
from clothes_toolkit.release.verify import verify

Tree = Mapping[str, str]
"""Files by path, and what names the content of each."""

BRANCH = "clothes-toolkit-publishing"
_NOT_STORED = "was not stored as it is; nothing was released"


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
            try:
                head = self._bring_to_main(head, kept, work, take_over=take_over)
            except NotThereError:
                # Another run of the very same release may have finished, and taken the branch away.
                if not self._is_tagged():
                    raise
            else:
                self._tag(head)
            self.drop_own_branch()

    def _bring_to_main(
        self, main: str, kept: frozenset[str], work: Path, *, take_over: bool
    ) -> str:
        """Return the commit of `main` that has the release, which was loaded back."""
        if self._is_whole(self.repository.tree(main)):
            self.on_step("loading it back")
            self._verify(main, work)
            return main
        shards = self._shards_to_write(kept)
        claimed = self._claim_branch(main, shards, take_over=take_over)
        self.on_step("uploading")
        with self._dropped_if_refused():
            built = self._fill_branch(claimed, shards, work)
            self.on_step("loading it back")
            self._verify(built, work)
        self.on_step("making it known")
        return self._advance(built, main)

    def _is_tagged(self) -> bool:
        refs = self.repository.refs()
        tag = self.package.version.tag
        return refs is not None and tag in refs.tags and self._is_whole(self.repository.tree(tag))

    def drop_own_branch(self) -> None:
        """Remove the branch, if it is of this release."""
        head = self.repository.head(BRANCH)
        if head is not None and self._is_claimed(self.repository.tree(head)):
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

    def _is_claimed(self, tree: Tree) -> bool:
        """Whether a tree is, or is to be, this release: it has its documents."""
        documents = self.package.documents
        return all(tree.get(path) in content_ids(data) for path, data in documents.items())

    def _is_whole(self, tree: Tree) -> bool:
        """Whether a tree has all files of this release by name, and its documents by content."""
        return self.package.sizes.keys() <= tree.keys() and self._is_claimed(tree)

    def _others(self, tree: Tree) -> Tree:
        """Return the files of a tree that no release accounts for."""
        ours = self.package.sizes
        return {p: c for p, c in tree.items() if p not in ours and not p.startswith(OURS)}

    def _claim_branch(self, main: str, shards: Sequence[Shard], *, take_over: bool) -> str:
        """Take the branch, or go on where our own interrupted run stopped; return its commit.

        What is to be written is first deleted there, so that a branch that has all files is whole.
        """
        head = self.repository.head(BRANCH)
        if head is not None and (take_over or self._may_go(head, main)):
            self.repository.drop_branch(BRANCH)
            head = None
        if head is None:
            with suppress(ChangedError):
                self.repository.create_branch(BRANCH, main)
            head = self.repository.head(BRANCH) or main
        if head != main:
            if not self._is_claimed(self.repository.tree(head)):
                raise RefusedError(self._second())
            self.on_step("going on with what a run that stopped, or still runs, has begun")
            return head
        kept = self.package.documents.keys() | {s.path for s in self.package.stored.shards}
        kept -= {shard.path for shard in shards}
        claim = [_add(path, data) for path, data in self.package.documents.items()]
        claim += self._deletions(self.repository.tree(head), kept)
        try:
            return self._commit(BRANCH, claim, head, self._is_claimed)
        except ChangedError as error:
            raise RefusedError(self._second()) from error

    def _may_go(self, head: str, main: str) -> bool:
        """Whether a branch is of no more use.

        One that is what the newest release is was left behind by it; one of this release must not
        be gone on with where `main` has got other files since it began.
        """
        if head == main:
            return False
        tree = self.repository.tree(head)
        newest = self.state.versions[-1:]
        if newest and tree == self.repository.tree(newest[0].tag):
            return True
        others = self._others(self.repository.tree(main))
        return self._is_claimed(tree) and self._others(tree) != others

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
        return [s for s in shards if s.path not in kept or released.get(s.path) != main[s.path]]

    def _fill_branch(self, head: str, shards: Sequence[Shard], work: Path) -> str:
        """Bring the branch to the package's content and return its commit."""
        tree = self.repository.tree(head)
        if self._is_whole(tree):
            return head
        return self._commit(BRANCH, self._upload(shards, work), head, self._is_whole)

    def _upload(self, shards: Sequence[Shard], work: Path) -> Iterator[Any]:
        """Upload shard by shard, so that no more than one takes room, and give the operations."""
        total, done = sum(shard.size for shard in shards), 0
        for path, record in self.package.loose.items():
            yield self.repository.send(path, self.package.read(record), BRANCH)
        for shard in shards:
            file = work / "shard.parquet"
            self.package.write(shard, file)
            yield self.repository.send(shard.path, file, BRANCH)
            file.unlink()
            done += shard.size
            self.on_progress(done, total)

    def _deletions(self, tree: Tree, kept: Collection[str]) -> Iterator[Any]:
        delete = import_hub().CommitOperationDelete
        for path in sorted(tree.keys() - set(kept)):
            if path.startswith(OURS):
                yield delete(path)

    def _commit(
        self,
        branch: str,
        operations: Iterable[Any],
        parent: str,
        is_done: Callable[[Tree], bool],
    ) -> str:
        """Commit to a branch whose head must be `parent`, and return the new head.

        Where the answer to a first try was lost, `is_done` tells by what is there.
        """
        message = f"Release {self.package.version}"
        try:
            made = self.repository.commit(branch, list(operations), parent, message)
        except ChangedError:
            head = self.repository.head(branch)
            if head is None or head == parent or not is_done(self.repository.tree(head)):
                raise
            made = head
        while self.repository.remarks:
            self.on_step(f"the Hub remarks: {self.repository.remarks.pop(0)}")
        return made

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
        for path, record in self.package.loose.items():
            check(record, self.repository.read(path, commit), _NOT_STORED)
        endpoint = self.repository.endpoint
        environment = {"HF_ENDPOINT": endpoint} if endpoint else {}
        verify(self.package, self.name, commit, work, environment, self.on_progress)

    def _advance(self, built: str, main: str) -> str:
        """Bring `main` to what was verified, in one commit on what was planned for."""
        wanted = self.repository.tree(built)
        there = self.repository.tree(main)
        if self._others(wanted) != self._others(there):
            raise ToolkitError(f"{self.name}: what was verified is not what main would be")
        copy = import_hub().CommitOperationCopy
        documents = self.package.documents
        operations = [_add(path, data) for path, data in documents.items()]
        operations += [
            copy(path, path, src_revision=built)
            for path in self.package.sizes
            if path not in documents
        ]
        operations += self._deletions(there, self.package.sizes)
        try:
            head = self._commit(MAIN, operations, main, lambda tree: tree == wanted)
        except ChangedError as error:
            raise ChangedError(
                f"{self.name}: somebody else changed main meanwhile; nothing of this release is on "
                "main, run the command again"
            ) from error
        if self.repository.tree(head) != wanted:
            raise ToolkitError(f"{self.name}: main is not what was verified; it was not tagged")
        return head

    def _tag(self, commit: str) -> None:
        tag = self.package.version.tag
        try:
            self.repository.create_tag(tag, commit)
        except ChangedError as error:
            # Ours, where the answer to a first try was lost; or another's, which is never moved.
            if not self._is_whole(self.repository.tree(tag)):
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
