"""Where releases are kept: a plain folder here, the Hub in `hub`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clothes_toolkit.edits.files import new_folder, write_file
from clothes_toolkit.edits.lock import locked
from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.card import is_made_here, pointing_to, read_text
from clothes_toolkit.release.manifest import (
    MANIFEST_FILE,
    Manifest,
    read_manifest,
    read_manifest_of,
)
from clothes_toolkit.release.package import README, Package
from clothes_toolkit.release.verify import verify
from clothes_toolkit.release.version import Version

LOCK_FILE, CACHES = ".publishing.lock", ".publishing.caches"

Step = Callable[[str], None]
"""Hears in a few words what is being done."""


@dataclass(frozen=True, slots=True)
class State:
    """What a place holds before something is published.

    Attributes:
        versions: released ones, sorted.
        files: what the next release is built upon; empty where each is whole in itself.
        head: what tells this state from a later one.
        card: the newest card, or `None`.
    """

    versions: tuple[Version, ...] = ()
    files: frozenset[str] = frozenset()
    head: str | None = None
    card: str | None = None


class Place(Protocol):
    """Keeps releases."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def source(self) -> str | None:
        """ORG/NAME, by which its releases can be loaded from anywhere; `None` for a folder."""

    def state(self) -> State:
        """Look what is there; changes nothing."""

    def manifest(self, version: Version) -> Manifest:
        """Return the manifest of a release; raises `ToolkitError` where there is none."""

    def files(self, version: Version) -> frozenset[str]:
        """Return the paths of a release."""

    def read(self, version: Version, path: str) -> bytes:
        """Return a small file of a release."""

    def fetch(self, version: Version, path: str, *, again: bool = False) -> Path:
        """Return a file of a release; `again` distrusts what was fetched before."""

    def publish(
        self,
        package: Package,
        state: State,
        kept: frozenset[str],
        on_step: Step,
        on_progress: Progress,
    ) -> None:
        """Store a release, load it back, and only then make it known.

        Args:
            package: the release.
            state: what it was planned for; raises `RefusedError` where that is no longer so.
            kept: files that the newest release there has, too.
            on_step: hears what is done.
            on_progress: hears how far that is.
        """

    def settle(self, package: Package) -> None:
        """Finish what an interrupted `publish` of a package that is released left undone."""


class FolderPlace:
    """Releases in a folder: each in `vX.Y.Z`, and a `README.md` that loads the newest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.single = (folder / MANIFEST_FILE).is_file()

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.folder)

    @property
    def source(self) -> str | None:
        """None: a folder is where it is."""
        return None

    def state(self) -> State:
        """Look what is there."""
        if not self.folder.exists():
            return State()
        if not self.folder.is_dir() or self.single:
            raise ToolkitError(f"{self.folder}: is no folder of releases")
        if not self._may_point():
            raise RefusedError(
                f"{self.folder / README}: is not of a release, and would be replaced; name another "
                "folder"
            )
        versions = self._versions()
        if not versions:
            return State()
        newest = versions[-1].tag
        return State(versions, head=newest, card=read_text(self.folder / newest / README))

    def manifest(self, version: Version) -> Manifest:
        """Return the manifest of a release."""
        path = self._at(version) / MANIFEST_FILE
        if not path.is_file():
            there = ", ".join(map(str, self._versions())) or "none"
            raise ToolkitError(f"{self.folder}: has no release {version} (there: {there})")
        return read_manifest_of(version, _read(path), self.name)

    def files(self, version: Version) -> frozenset[str]:
        """Return the paths of a release."""
        root = self._at(version)
        return frozenset(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())

    def read(self, version: Version, path: str) -> bytes:
        """Return a small file of a release."""
        return _read(self._at(version) / path)

    def fetch(self, version: Version, path: str, *, again: bool = False) -> Path:  # noqa: ARG002
        """Return a file of a release, which lies there."""
        return self._at(version) / path

    def publish(
        self,
        package: Package,
        state: State,
        kept: frozenset[str],  # noqa: ARG002 - every release is whole in itself
        on_step: Step,
        on_progress: Progress,
    ) -> None:
        """Write the release beside, load it back, rename it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / LOCK_FILE):
            if self.state() != state:
                raise RefusedError(f"{self.folder}: has changed meanwhile; run the command again")
            target = self.folder.resolve() / package.version.tag
            with new_folder(target) as beside:
                on_step("writing")
                _write(package, beside, on_progress)
                on_step("loading it back")
                with _caches(self.folder / CACHES) as work:
                    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
                    verify(package, str(beside), None, work, offline, on_progress)
            self._point_to_newest()

    def settle(self, package: Package) -> None:  # noqa: ARG002
        """Let `README.md` load the newest release."""
        with locked(self.folder / LOCK_FILE):
            self._point_to_newest()

    def _versions(self) -> tuple[Version, ...]:
        found = (Version.of_tag(path.name) for path in self.folder.iterdir() if path.is_dir())
        return tuple(sorted(version for version in found if version is not None))

    def _at(self, version: Version) -> Path:
        if self.single:
            # A release's own folder, named without the folder of all releases.
            manifest = read_manifest(_read(self.folder / MANIFEST_FILE), str(self.folder))
            if manifest.version != str(version):
                raise ToolkitError(f"{self.folder}: is release {manifest.version}, not {version}")
            return self.folder
        return self.folder / version.tag

    def _may_point(self) -> bool:
        """Whether the folder's `README.md` is ours to write."""
        path = self.folder / README
        return not path.exists() or is_made_here(read_text(path))

    def _point_to_newest(self) -> None:
        newest = self._versions()[-1].tag
        card = read_text(self.folder / newest / README)
        pointing = pointing_to(newest, card).encode()
        path = self.folder / README
        if not path.is_file() or path.read_bytes() != pointing:
            write_file(path, pointing)


def _write(package: Package, folder: Path, on_progress: Progress) -> None:
    total = sum(package.sizes.values())
    done = 0
    for path in package.sizes:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    for path, data in package.documents.items():
        write_file(folder / path, data)
        done += len(data)
    for path, record in package.loose.items():
        write_file(folder / path, package.read(record))
        done += record.size
    for shard in package.stored.shards:
        package.write(shard, folder / shard.path)
        done += shard.size
        on_progress(done, total)


@contextmanager
def _caches(work: Path) -> Iterator[Path]:
    """Give a folder for the loader's caches, on the disk where the release goes."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read ({error.strerror})") from error
