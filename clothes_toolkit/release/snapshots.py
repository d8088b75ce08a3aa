"""Something that can be compared: a dataset's folder, or a release wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.release.download import contents, place_named
from clothes_toolkit.release.manifest import MANIFEST_FILE, Manifest, make_manifest, read_manifest
from clothes_toolkit.release.places import FolderPlace, Place
from clothes_toolkit.release.version import Version


@dataclass(frozen=True)
class Snapshot:
    """A dataset at one time.

    Attributes:
        name: what people call it.
        manifest: its files.
        read: gives the bytes of files by path, of those that can be had.
    """

    name: str
    manifest: Manifest
    read: Callable[[Collection[str]], dict[str, bytes]]


def open_snapshot(spec: str, scheme: str = "auto", endpoint: str | None = None) -> Snapshot:
    """Open what is named.

    Args:
        spec: a dataset's folder, a release's folder, a `manifest.json`, or a version of releases
            in a folder or on the Hub, `PLACE@X.Y.Z`.
        scheme: how a dataset's files are named.
        endpoint: the Hub's address.

    Raises `ToolkitError` where there is nothing to open.
    """
    path = Path(spec)
    if (path / MANIFEST_FILE).is_file():
        place = FolderPlace(path)
        manifest = read_manifest((path / MANIFEST_FILE).read_bytes(), spec)
        return _release(spec, place, Version.parse(str(manifest.version)))
    if path.is_dir():
        dataset = Dataset.open(path, scheme)
        return Snapshot(spec, make_manifest(dataset, {}), lambda paths: _files(path, paths))
    if path.is_file():
        return Snapshot(spec, read_manifest(path.read_bytes(), spec), lambda _paths: {})
    name, at, version = spec.rpartition("@")
    if not at:
        raise ToolkitError(
            f"{spec}: no such folder; of releases name a version too, like {spec}@1.0.0"
        )
    return _release(spec, place_named(name, endpoint), Version.parse(version))


def _release(name: str, place: Place, version: Version) -> Snapshot:
    manifest = place.manifest(version)
    return Snapshot(
        name,
        manifest,
        lambda paths: {r.path: data for r, data in contents(place, version, manifest, paths)},
    )


def _files(root: Path, paths: Collection[str]) -> dict[str, bytes]:
    return {path: (root / path).read_bytes() for path in paths if (root / path).is_file()}
