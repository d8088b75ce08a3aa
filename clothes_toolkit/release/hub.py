"""Releases on the Hub: a dataset repository, a tag a version."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.hub_errors import NotThereError
from clothes_toolkit.release.hub_run import HubRun
from clothes_toolkit.release.manifest import MANIFEST_FILE, Manifest, read_manifest
from clothes_toolkit.release.package import README, Package
from clothes_toolkit.release.places import State, Step
from clothes_toolkit.release.repository import MAIN, Repository
from clothes_toolkit.release.version import Version

_DATA = (".parquet", ".png", ".jpg", ".jpeg", ".webp", ".zip", ".csv", ".json", ".jsonl", ".arrow")


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
        self.repository = Repository(repo, endpoint)
        self.private, self.take_over = private, take_over

    @property
    def name(self) -> str:
        """ORG/NAME."""
        return self.repository.name

    @property
    def source(self) -> str:
        """ORG/NAME."""
        return self.repository.name

    def state(self) -> State:
        """Look what is there; a repository that does not exist is empty."""
        refs = self.repository.refs()
        if refs is None:
            kind = self.repository.kind()
            if kind is not None:
                raise RefusedError(f"{self.name}: is a {kind}; name a dataset, or a new one")
            return State()
        found = (Version.of_tag(tag) for tag in refs.tags)
        versions = tuple(sorted(version for version in found if version is not None))
        files = frozenset(self.repository.tree(MAIN))
        if not versions:
            self._refuse_foreign(files)
        if self.private and not self.repository.is_private():
            raise RefusedError(f"{self.name}: is public already; leave --private out")
        head = refs.branches[MAIN]
        return State(versions, files, head, self._card(head) if README in files else None)

    def manifest(self, version: Version) -> Manifest:
        """Return the manifest of a release."""
        path = self.fetch(version, MANIFEST_FILE)
        return read_manifest(path.read_bytes(), f"{self.name} {version.tag}")

    def fetch(self, version: Version, path: str, *, again: bool = False) -> Path:
        """Fetch a file of a release through the client's cache, and return where it lies."""
        try:
            return self.repository.fetch(path, version.tag, again=again)
        except NotThereError as error:
            if error.what == "revision":
                raise ToolkitError(f"{self.name}: has no release {version}") from error
            raise

    def commit_of(self, version: Version) -> str:
        """Return the commit of a release's tag; raises `ToolkitError` where there is none."""
        refs = self.repository.refs()
        if refs is None or version.tag not in refs.tags:
            raise ToolkitError(f"{self.name}: has no release {version}")
        return refs.tags[version.tag]

    def publish(
        self,
        package: Package,
        state: State,
        kept: frozenset[str],
        on_step: Step,
        on_progress: Progress,
    ) -> None:
        """Build the release on a branch, load it back, commit it to `main`, tag it."""
        run = HubRun(self.repository, package, state, on_step, on_progress)
        run.release(kept, private=self.private, take_over=self.take_over)

    def settle(self, package: Package) -> None:
        """Remove the branch that an interrupted run left behind."""
        HubRun(self.repository, package, State()).drop_own_branch()

    def _refuse_foreign(self, files: Collection[str]) -> None:
        """Refuse a repository with data that no release of ours accounts for."""
        if MANIFEST_FILE not in files and any(path.endswith(_DATA) for path in files):
            raise RefusedError(
                f"{self.name}: holds data that was not published by clothes-toolkit; name another "
                "repository, or remove the data there"
            )

    def _card(self, revision: str) -> str:
        path = self.repository.fetch(README, revision)
        return path.read_text(encoding="utf-8", errors="replace")
