"""Releases on the Hub: a dataset repository, a tag a version."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.hub_errors import NotThereError
from clothes_toolkit.release.hub_run import HubRun
from clothes_toolkit.release.manifest import (
    MANIFEST_FILE,
    Manifest,
    read_manifest,
    read_manifest_of,
)
from clothes_toolkit.release.package import README, Package
from clothes_toolkit.release.places import State, Step
from clothes_toolkit.release.repository import MAIN, Repository
from clothes_toolkit.release.version import Version

_OF_ANYBODY = (README, "LICENSE", "CITATION")
"""How files begin that a repository may have before its first release."""


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
        head = refs.branches[MAIN]
        files = frozenset(self.repository.tree(head))
        if not versions:
            self._refuse_foreign(files, head)
        if self.private and not self.repository.is_private():
            raise RefusedError(f"{self.name}: is public already; leave --private out")
        return State(versions, files, head, self._card(head) if README in files else None)

    def manifest(self, version: Version) -> Manifest:
        """Return the manifest of a release."""
        return read_manifest_of(version, self.read(version, MANIFEST_FILE), self.name)

    def files(self, version: Version) -> frozenset[str]:
        """Return the paths of a release."""
        return frozenset(self.repository.tree(version.tag))

    def read(self, version: Version, path: str) -> bytes:
        """Return a file of a release, which was not damaged on its way."""
        with self._telling_of(version):
            return self.repository.read(path, version.tag)

    def fetch(self, version: Version, path: str, *, again: bool = False) -> Path:
        """Fetch a file of a release through the client's cache, and return where it lies."""
        with self._telling_of(version):
            return self.repository.fetch(path, version.tag, again=again)

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

    def _refuse_foreign(self, files: Collection[str], head: str) -> None:
        """Refuse a repository without a release that holds more than a new one does.

        What an interrupted first release left there has a manifest of ours.
        """
        others = sorted(path for path in files if not path.startswith((".git", *_OF_ANYBODY)))
        if not others:
            return
        if MANIFEST_FILE in files:
            with suppress(ToolkitError):
                read_manifest(self.repository.read(MANIFEST_FILE, head), self.name)
                return
        raise RefusedError(
            f"{self.name}: holds {others[0]}, which was not published by clothes-toolkit; name "
            "another repository, or remove the data there"
        )

    @contextmanager
    def _telling_of(self, version: Version) -> Iterator[None]:
        """Name the release where the Hub says that there is no such revision or file."""
        try:
            yield
        except NotThereError as error:
            if error.what == "revision":
                raise NotThereError(f"{self.name}: has no release {version}", "revision") from error
            if error.what == "file":
                raise NotThereError(
                    f"{self.name}: {version.tag} is no release of clothes-toolkit", "file"
                ) from error
            raise

    def _card(self, revision: str) -> str:
        data = self.repository.read(README, revision)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ToolkitError(f"{self.name}: {README} is no UTF-8 text") from error
