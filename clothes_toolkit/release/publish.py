"""Publishing: a plan of what a release changes at a place, and carrying it out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from clothes_toolkit.errors import RefusedError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.release.card import owners_words
from clothes_toolkit.release.changes import Changes, compare
from clothes_toolkit.release.hub_errors import NotThereError
from clothes_toolkit.release.manifest import Manifest, ManifestError
from clothes_toolkit.release.package import OURS, README, Package
from clothes_toolkit.release.places import Place, State, Step
from clothes_toolkit.release.shards import Shard, lay_out
from clothes_toolkit.release.version import Version


class Becomes(StrEnum):
    """What becomes of a file at the place."""

    NEW = "new"
    WRITTEN = "written again"
    SAME = "stays"
    DELETED = "deleted"
    LEFT = "left alone"


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of the release, or one at the place that is none; its size is that of its content."""

    path: str
    becomes: Becomes
    size: int | None = None


@dataclass(frozen=True)
class ReleasePlan:
    """What publishing a package at a place will do.

    Attributes:
        package: the release.
        state: of the place when it was planned.
        previous: the newest version there, or `None`.
        changes: since the newest version.
        files: what becomes of each.
        loses_edits: whether words that were edited at the place since then are replaced.
        missing: documents that were to be in a release that is done, and are not.
        is_done: whether the place has this version with this content.
    """

    package: Package
    state: State
    previous: Version | None
    changes: Changes
    files: tuple[PlannedFile, ...] = ()
    loses_edits: bool = False
    missing: tuple[str, ...] = ()
    is_done: bool = False


def plan_release(package: Package, place: Place, state: State) -> ReleasePlan:
    """Return what publishing at a place in a state would do.

    Raises `RefusedError` where the version is there with other content, goes back, or is too near
    to the one before for what has changed.
    """
    version = package.version
    if version in state.versions:
        return _again(package, place, state)
    previous = state.versions[-1] if state.versions else None
    if previous is None:
        files = tuple(_files(package, state, None))
        return ReleasePlan(package, state, None, compare(_NOTHING, package.manifest), files)
    if version < previous:
        raise RefusedError(
            f"{version}: goes back behind {previous}, which {place.name} has; name a later version"
        )
    before = _manifest(place, previous)
    changes = compare(before, package.manifest)
    if previous.step_to(version) < changes.step:
        raise RefusedError(
            f"{version}: is a {previous.step_to(version).word} step from {previous}, and what has "
            f"changed asks for a {changes.step.word} one ({_why(changes)}); name "
            f"{previous.after(changes.step)} or later"
        )
    files = tuple(_files(package, state, before))
    edited = _loses_edits(package, place, state)
    return ReleasePlan(package, state, previous, changes, files, loses_edits=edited)


def publish(
    plan: ReleasePlan,
    place: Place,
    on_step: Step = lambda _what: None,
    on_progress: Progress = lambda _done, _total: None,
) -> None:
    """Carry out a plan; one that is done only finishes what an interrupted run left."""
    if plan.is_done:
        place.settle(plan.package)
    else:
        kept = frozenset(file.path for file in plan.files if file.becomes is Becomes.SAME)
        place.publish(plan.package, plan.state, kept, on_step, on_progress)


_NOTHING = Manifest("split", "open", {}, ())


def _again(package: Package, place: Place, state: State) -> ReleasePlan:
    released = _manifest(place, package.version)
    changes = compare(released, package.manifest)
    if released.checksum != package.manifest.checksum:
        raise RefusedError(
            f"{package.version}: is released already, with other content ({_why(changes)}); a "
            f"release never changes, name {state.versions[-1].after(changes.step)} or later"
        )
    missing = sorted(package.documents.keys() - place.files(package.version))
    return ReleasePlan(
        package, state, package.version, changes, missing=tuple(missing), is_done=True
    )


def _manifest(place: Place, version: Version) -> Manifest:
    """Return the manifest of a version that is there; refuse a tag that is none of ours."""
    try:
        return place.manifest(version)
    except (ManifestError, NotThereError) as error:
        raise RefusedError(
            f"{place.name}: {version.tag} cannot be gone on from ({error}); if it is no release, "
            "remove the tag"
        ) from error


def _loses_edits(package: Package, place: Place, state: State) -> bool:
    """Whether the owners' words at a place were edited since its newest release, and would go."""
    if not state.versions or state.card is None:
        return False
    released = place.read(state.versions[-1], README).decode("utf-8", "replace")
    cards = (released, state.card, package.card)
    before, there, ours = (owners_words(card, f"{place.name}: {README}") for card in cards)
    return there not in (before, ours)


def _why(changes: Changes) -> str:
    """Return what changed in a few words, what is in test first."""
    words = []
    for done, paths in (
        ("added", changes.added),
        ("removed", changes.removed),
        ("changed", changes.changed),
        ("moved", [to for _, to in changes.moved]),
    ):
        if paths:
            first = min(paths, key=lambda path: (not path.startswith("test"), path))
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            words.append(f"{done} {first}{more}")
    return "; ".join(words) or "nothing"


def _files(package: Package, state: State, before: Manifest | None) -> Iterable[PlannedFile]:
    """Yield what becomes of each file; of a shard what its rows say, as it is not written yet."""
    old = lay_out(before) if before else None
    was = {shard.path: shard for shard in old.shards} if old else {}
    shards = {shard.path: shard for shard in package.stored.shards}
    for path, size in package.sizes.items():
        becomes = Becomes.NEW
        if path in state.files:
            same = old is not None and (
                _same_rows(shards[path], was.get(path))
                and old.has_strokes == package.stored.has_strokes
                if path in shards
                else path in package.stored.loose
                and old.loose.get(path) == package.stored.loose[path]
            )
            becomes = Becomes.SAME if same else Becomes.WRITTEN
        yield PlannedFile(path, becomes, size)
    for path in sorted(state.files - package.sizes.keys()):
        yield PlannedFile(path, Becomes.DELETED if path.startswith(OURS) else Becomes.LEFT)


def _same_rows(shard: Shard, other: Shard | None) -> bool:
    return other is not None and shard.rows == other.rows
