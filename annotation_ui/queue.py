"""The queue: where a designer stands with every photo, and which one is to be drawn now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from annotation_ui.records import State
from annotation_ui.store import Store


class Standing(IntEnum):
    """Where a designer stands with a photo, most urgent first."""

    RETURNED = 0
    STARTED = 1
    OPEN = 2
    SKIPPED = 3
    WAITING = 4
    DONE = 5


@dataclass(frozen=True, slots=True)
class Task:
    """A photo and where a designer stands with it.

    Attributes:
        comment: the reviewer's, where a sketch was returned.
        submission: id of the last version, where there is one.
    """

    photo: str
    standing: Standing
    comment: str = ""
    submission: int | None = None


def tasks_of(
    store: Store, designer: str, photos: Iterable[str], drawn: frozenset[str]
) -> list[Task]:
    """Return a designer's tasks in the order in which they are asked to draw them.

    Args:
        store: what is remembered of them.
        designer: their number.
        photos: the stems of all photos.
        drawn: those whose sketch of theirs is in the dataset.
    """
    drafts, skips, moments = (
        found(designer) for found in (store.drafted, store.skipped, store.moments)
    )
    latest = {photo: found for (_, photo), found in store.latest(designer).items()}

    def standing(stem: str, state: State | None) -> Standing:
        if state is State.RETURNED:
            return Standing.RETURNED
        if state in (State.WAITING, State.ACCEPTING):
            return Standing.WAITING
        if stem in drafts:
            return Standing.STARTED
        return Standing.DONE if stem in drawn else Standing.OPEN

    def task(stem: str) -> Task:
        number, state, comment = latest.get(stem, (None, None, ""))
        found = Task(stem, standing(stem, state), comment, number)
        # What was drawn on or returned since it was skipped comes back.
        since = max(drafts.get(stem, 0.0), moments.get(stem, 0.0))
        if found.standing < Standing.SKIPPED and skips.get(stem, -1.0) > since:
            return replace(found, standing=Standing.SKIPPED)
        return found

    found = [task(stem) for stem in dict.fromkeys(photos)]
    return sorted(found, key=lambda t: (t.standing, skips.get(t.photo, 0.0), t.photo))
