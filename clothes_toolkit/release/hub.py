"""Releases on the Hub: a dataset repository, a tag a version.

A release is built on a branch, `publishing`, loaded back from there, and only then committed to
`main` and tagged. The branch is the claim of whoever publishes: its first commit is the release's
manifest, by which an interrupted run knows its own work, and another publisher that he is second.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from clothes_toolkit.edits.lock import locked
from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.hub_errors import ChangedError, import_hub, patiently, told_plainly
from clothes_toolkit.release.manifest import MANIFEST_FILE, Manifest, read_manifest
from clothes_toolkit.release.package import OURS, README, Package
from clothes_toolkit.release.places import State, Step
from clothes_toolkit.release.shards import Shard
from clothes_toolkit.release.verify import verify
from clothes_toolkit.release.version import Version

MAIN, BRANCH = "main", "publishing"
DATASET = "dataset"


class HubPlace:
    """A dataset repository on the Hub.

    Args:
        repo: ORG/NAME.
        endpoint: the Hub's address; left out, the usual one, or `HF_ENDPOINT`.
        private: whether a repository that has to be made is private.
        take_over: whether to drop what another publisher has begun.
    """

    def __init__(
        self,
        repo: str,
        endpoint: str | None = None,
        *,
        private: bool = False,
        take_over: bool = False,
    ) -> None:
        self.repo, self.private, self.take_over = repo, private, take_over
        self.endpoint = endpoint or os.environ.get("HF_ENDPOINT")

    @property
    def name(self) -> str:
        """ORG/NAME."""
        return self.repo

    @property
    def source(self) -> str | None:
        """ORG/NAME."""
        return self.repo

    def state(self) -> State:
        """Look what is there; a repository that does not exist is empty."""
        with told_plainly(self.repo):
            refs = self._refs()
            if refs is None:
                self._refuse_other_kinds()
                return State()
            branches, tags = refs
            found = (Version.of_tag(tag) for tag in tags)
            versions = tuple(sorted(version for version in found if version is not None))
            files = frozenset(self._tree(MAIN))
            if not versions:
                self._refuse_foreign(files)
            if self.private and not self._call("repo_info").private:
                raise RefusedError(f"{self.repo}: is public already; leave --private out")
            card = self._text(README, branches[MAIN]) if README in files else None
            return State(versions, files, branches[MAIN], card)

    def manifest(self, version: Version) -> Manifest:
        """Return the manifest of a release."""
        path = self.fetch(version, MANIFEST_FILE)
        return read_manifest(path.read_bytes(), f"{self.repo} {version.tag}")

    def fetch(self, version: Version, path: str, *, again: bool = False) -> Path:
        """Fetch a file of a release through the client's cache, and return where it lies."""
        with told_plainly(self.repo):
            try:
                return self._fetch(path, version.tag, again=again)
            except import_hub().errors.RevisionNotFoundError as error:
                raise ToolkitError(f"{self.repo}: has no release {version}") from error

    def publish(
        self,
        package: Package,
        state: State,
        kept: frozenset[str],
        on_step: Step,
        on_progress: Progress,
    ) -> None:
        """Build the release on a branch, load it back, commit it to `main`, tag it."""
        with _work_folder(self.repo, package) as work, told_plainly(self.repo):
            if state.head is None:
                on_step("making the repository")
                self._create()
            head = self._expect_head(state)
            if self._holds(package, head, state):
                # An interrupted run came as far as this; what it left is loaded back once more.
                on_step("loading it back")
                self._verify(package, head, work, on_progress)
            else:
                on_step("uploading")
                shards = self._shards_to_write(package, state, kept)
                built = self._build(package, head, shards, work, on_progress)
                on_step("loading it back")
                self._verify_or_drop(package, built, work, on_progress)
                on_step("making it known")
                head = self._advance(package, built, head)
            self._tag(package, head)
            self._drop_branch()

    def settle(self, package: Package) -> None:
        """Remove the branch that an interrupted run left behind."""
        with told_plainly(self.repo):
            branches, _ = self._refs() or ({}, {})
            if BRANCH in branches and self._claimed(branches[BRANCH]) == _claim(package):
                self._drop_branch()

    @cached_property
    def _api(self) -> Any:
        return import_hub().HfApi(endpoint=self.endpoint, library_name="clothes-toolkit")

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the client on this repository, patiently."""
        function: Callable[..., Any] = getattr(self._api, method)
        return patiently(lambda: function(self.repo, *args, repo_type=DATASET, **kwargs))

    def _refs(self) -> tuple[dict[str, str], dict[str, str]] | None:
        """Return branches and tags with their commits, or `None` where there is no repository."""
        try:
            refs = self._call("list_repo_refs")
        except import_hub().errors.RepositoryNotFoundError:
            return None
        parts = (refs.branches, refs.tags)
        branches, tags = ({ref.name: ref.target_commit for ref in part} for part in parts)
        return branches, tags

    def _refuse_other_kinds(self) -> None:
        """Refuse a name that a model or a space has, which is more likely a slip than a wish."""
        for kind in ("model", "space"):
            try:
                patiently(partial(self._api.repo_info, self.repo, repo_type=kind))
            except import_hub().errors.HfHubHTTPError as error:
                if error.response.status_code not in (401, 404):
                    raise
            else:
                raise RefusedError(f"{self.repo}: is a {kind}; name a dataset, or a new one")

    def _refuse_foreign(self, files: Iterable[str]) -> None:
        """Refuse a repository with data that no release of ours accounts for."""
        if MANIFEST_FILE not in files and any(path.endswith(_DATA) for path in files):
            raise RefusedError(
                f"{self.repo}: holds data that was not published by clothes-toolkit; name another "
                "repository, or remove the data there"
            )

    def _tree(self, revision: str) -> dict[str, str]:
        """Return the files of a revision, and what names the content of each."""
        listed = patiently(
            lambda: list(
                self._api.list_repo_tree(
                    self.repo, recursive=True, revision=revision, repo_type=DATASET
                )
            )
        )
        return {
            item.path: item.lfs.sha256 if item.lfs else item.blob_id
            for item in listed
            if hasattr(item, "blob_id")
        }

    def _fetch(self, path: str, revision: str, *, again: bool = False) -> Path:
        found = patiently(
            lambda: self._api.hf_hub_download(
                self.repo, path, revision=revision, repo_type=DATASET, force_download=again
            )
        )
        return Path(found)

    def _text(self, path: str, revision: str) -> str:
        return self._fetch(path, revision).read_text(encoding="utf-8", errors="replace")

    def _create(self) -> None:
        patiently(
            lambda: self._api.create_repo(
                self.repo, repo_type=DATASET, private=self.private, exist_ok=True
            )
        )

    def _expect_head(self, state: State) -> str:
        """Return the commit of `main`, which must be that of the state that was planned for."""
        branches, _ = self._refs() or ({}, {})
        head = branches.get(MAIN)
        if head is None or (state.head is not None and head != state.head):
            raise ChangedError(
                f"{self.repo}: main has changed since this was planned; run the command again to "
                "see what it would do now"
            )
        return head

    def _holds(self, package: Package, revision: str, state: State) -> bool:
        """Whether a revision has all files of a package, by name, and its documents, by content."""
        return package.sizes.keys() <= state.files and _same_documents(
            package, self._tree(revision)
        )

    def _shards_to_write(self, package: Package, state: State, kept: frozenset[str]) -> list[Shard]:
        """Return the shards that main does not have as the newest release left them."""
        if not kept:
            return list(package.stored.shards)
        released, main = self._tree(state.versions[-1].tag), self._tree(MAIN)
        there = {path for path in kept if released.get(path) == main.get(path)}
        return [shard for shard in package.stored.shards if shard.path not in there]

    def _build(
        self,
        package: Package,
        main: str,
        shards: Sequence[Shard],
        work: Path,
        on_progress: Progress,
    ) -> str:
        """Bring the branch to the package's content and return its commit."""
        head = self._claim_branch(package, main)
        tree = self._tree(BRANCH)
        if package.sizes.keys() <= tree.keys() and _same_documents(package, tree):
            return head
        operations = list(self._upload(package, shards, work, on_progress))
        operations += self._deletions(package, tree)
        return self._commit(package, BRANCH, operations, head)

    def _claim_branch(self, package: Package, main: str) -> str:
        """Take the branch, or go on where our own interrupted run stopped; return its commit."""
        branches, tags = self._refs() or ({}, {})
        head = branches.get(BRANCH)
        if head is not None and (self.take_over or self._is_left_over(head, tags)):
            self._drop_branch()
            head = None
        if head is None:
            with suppress(ChangedError), told_plainly(self.repo):
                self._call("create_branch", branch=BRANCH, revision=main)
            head = (self._refs() or ({}, {}))[0].get(BRANCH, main)
        if head != main:
            claimed = self._claimed(head)
            if claimed == _claim(package):
                return head
            if claimed != self._claimed(main):
                raise RefusedError(self._second(claimed))
        operation = import_hub().CommitOperationAdd(MANIFEST_FILE, package.manifest.to_bytes())
        try:
            return self._commit(package, BRANCH, [operation], head)
        except ChangedError as error:
            raise RefusedError(self._second(None)) from error

    def _is_left_over(self, head: str, tags: dict[str, str]) -> bool:
        """Whether a branch is what a release that is long tagged left behind."""
        claimed = self._claimed(head)
        return claimed is not None and any(self._claimed(tag) == claimed for tag in tags.values())

    def _claimed(self, revision: str) -> str | None:
        """Return what tells the release that a revision is, or is to be, from all others."""
        errors = import_hub().errors
        try:
            return _digest(self._fetch(MANIFEST_FILE, revision).read_bytes())
        except errors.EntryNotFoundError:
            return None

    def _second(self, claimed: str | None) -> str:
        what = f" (manifest {claimed[:12]}…)" if claimed else ""
        return (
            f"{self.repo}: somebody else is publishing there{what}; wait until that is done, or, "
            f"if that run is gone, add --take-over, which drops the branch '{BRANCH}'"
        )

    def _upload(
        self, package: Package, shards: Sequence[Shard], work: Path, on_progress: Progress
    ) -> Iterator[Any]:
        """Upload shard by shard, so that no more than one takes room, and give the operations."""
        add = import_hub().CommitOperationAdd
        total, done = sum(shard.size for shard in shards), 0
        for path, data in package.documents.items():
            yield add(path, data)
        for path, record in package.stored.loose.items():
            yield self._sent(add(path, package.read(record)))
        for shard in shards:
            file = work / "shard.parquet"
            package.write(shard, file)
            yield self._sent(add(shard.path, file))
            file.unlink()
            done += shard.size
            on_progress(done, total)

    def _sent(self, operation: Any) -> Any:
        self._call("preupload_lfs_files", [operation], revision=BRANCH)
        return operation

    def _deletions(self, package: Package, tree: Iterable[str]) -> Iterator[Any]:
        delete = import_hub().CommitOperationDelete
        for path in sorted(set(tree) - package.sizes.keys()):
            if path.startswith(OURS):
                yield delete(path)

    def _commit(self, package: Package, branch: str, operations: list[Any], parent: str) -> str:
        """Commit to a branch whose head must be `parent`, and return the new head."""
        try:
            with told_plainly(self.repo):
                info = self._call(
                    "create_commit",
                    operations,
                    commit_message=f"Release {package.version}",
                    revision=branch,
                    parent_commit=parent,
                )
            return str(info.oid)
        except ChangedError:
            # The answer to a first try may have been lost: what is there is ours then.
            head = (self._refs() or ({}, {}))[0].get(branch, parent)
            if head != parent and self._claimed(head) == _claim(package):
                return head
            raise

    def _verify(self, package: Package, commit: str, work: Path, on_progress: Progress) -> None:
        environment = {"HF_ENDPOINT": self.endpoint} if self.endpoint else {}
        self._check_loose(package, commit)
        verify(package, self.repo, commit, work, environment, on_progress)

    def _verify_or_drop(
        self, package: Package, commit: str, work: Path, on_progress: Progress
    ) -> None:
        """Verify, and leave nothing behind of what is not what it should be."""
        try:
            self._verify(package, commit, work, on_progress)
        except RefusedError:
            self._drop_branch()
            raise

    def _check_loose(self, package: Package, commit: str) -> None:
        """Compare the files that no row holds with the folder's."""
        for path, record in package.stored.loose.items():
            data = self._fetch(path, commit).read_bytes()
            if _digest(data) != record.sha256:
                raise RefusedError(f"{path}: was not stored as it is; nothing was released")

    def _advance(self, package: Package, built: str, main: str) -> str:
        """Bring `main` to what was verified, in one commit on what was planned for."""
        hub = import_hub()
        operations: list[Any] = [
            hub.CommitOperationAdd(path, data) for path, data in package.documents.items()
        ]
        operations += [
            hub.CommitOperationCopy(path, path, src_revision=built)
            for path in package.sizes
            if path not in package.documents
        ]
        operations += self._deletions(package, self._tree(main))
        try:
            head = self._commit(package, MAIN, operations, main)
        except ChangedError as error:
            raise ChangedError(
                f"{self.repo}: somebody else changed main meanwhile; nothing of this release is on "
                "main, run the command again"
            ) from error
        wanted, there = self._tree(built), self._tree(head)
        if any(there.get(path) != wanted[path] for path in package.sizes):
            raise ToolkitError(f"{self.repo}: main is not what was verified; it was not tagged")
        return head

    def _tag(self, package: Package, commit: str) -> None:
        try:
            with told_plainly(self.repo):
                self._call("create_tag", tag=package.version.tag, revision=commit)
        except ChangedError as error:
            # Ours, where the answer to a first try was lost; or another's, which is never moved.
            if self.manifest(package.version).checksum != package.manifest.checksum:
                raise RefusedError(
                    f"{self.repo}: {package.version.tag} was made meanwhile, with other content"
                ) from error

    def _drop_branch(self) -> None:
        with suppress(import_hub().errors.RevisionNotFoundError):
            self._call("delete_branch", branch=BRANCH)


_DATA = (".parquet", ".png", ".jpg", ".jpeg", ".webp", ".zip", ".csv", ".json", ".jsonl", ".arrow")


def _same_documents(package: Package, tree: dict[str, str]) -> bool:
    return all(
        tree.get(path) in (_blob_id(data), _digest(data))
        for path, data in package.documents.items()
    )


def _blob_id(data: bytes) -> str:
    """Return what Git calls a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _claim(package: Package) -> str:
    return _digest(package.manifest.to_bytes())


@contextmanager
def _work_folder(repo: str, package: Package) -> Iterator[Path]:
    """Give a folder of this user's for a shard and the loader's caches; one run at a time.

    Raises `LockedError` where this user publishes there already.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clothes-toolkit"
    folder = cache / hashlib.sha256(f"{repo} {package.manifest.checksum}".encode()).hexdigest()[:16]
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
