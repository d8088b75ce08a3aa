"""A change on the disk: what it moves, how far it came, and how to go on from there.

A change gathers the files that it touches into places of their own under `.clothes/` and then
places them where they go; taking it back gathers and places the other way round. The name of the
journal's file says how far it came:

    taking → placing → done → returning → restoring → undone

Whether a file is still to be moved is seen from whether it is in its place, so whoever finds a
change halfway, after a crash at any instant, goes on where it ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from clothes_toolkit.cache import PRIVATE_FOLDER
from clothes_toolkit.edits.files import file_sha256, sync_folder, write_file
from clothes_toolkit.edits.plan import Plan, check_inside
from clothes_toolkit.errors import ToolkitError

SCHEMA = "clothes-toolkit/change/1"
CHANGES, QUARANTINE = f"{PRIVATE_FOLDER}/changes", f"{PRIVATE_FOLDER}/quarantine"


class State(StrEnum):
    """How far a change came, in order."""

    TAKING = "taking"
    PLACING = "placing"
    DONE = "done"
    RETURNING = "returning"
    RESTORING = "restoring"
    UNDONE = "undone"

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left halfway."""
        return self in (State.DONE, State.UNDONE)

    @property
    def is_backward(self) -> bool:
        """Whether the change is being, or was, taken back."""
        return self in (State.RETURNING, State.RESTORING, State.UNDONE)


_NEXT = {
    State.TAKING: State.PLACING,
    State.PLACING: State.DONE,
    State.RETURNING: State.RESTORING,
    State.RESTORING: State.UNDONE,
}
_TURNED = {
    State.TAKING: State.RESTORING,
    State.PLACING: State.RETURNING,
    State.RETURNING: State.PLACING,
    State.RESTORING: State.TAKING,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A file that a change moves; paths are relative to the dataset's root.

    Attributes:
        source: where it was; `None` for new content.
        target: where it goes; `None` if it stays in quarantine.
        place: where it is in between.
        sha256: of its content.
    """

    source: str | None
    target: str | None
    place: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was written into the journal.

    Attributes:
        number: counts the changes of a dataset, from 1.
        command: what asked for it.
        made: when, ISO 8601 in UTC.
        slots: the files that it moves.
        folders: the folders that it makes.
    """

    number: int
    command: str
    made: str
    slots: tuple[Slot, ...]
    folders: tuple[str, ...]

    def __str__(self) -> str:
        return f"change {self.number} ({self.command}, {self.made})"


class Journal:
    """The record of one change of the dataset at `root`."""

    def __init__(self, root: Path, number: int) -> None:
        self.root = root
        self.number = number
        self._folder = root / CHANGES / f"{number:04}"

    @classmethod
    def all_of(cls, root: Path) -> list[Journal]:
        """Return the journals of a dataset, oldest first."""
        folder = root / CHANGES
        if folder.is_symlink() or not folder.is_dir():
            return []
        return [cls(root, number) for number in sorted(int(f.name) for f in _numbered(folder))]

    @classmethod
    def begin(cls, root: Path) -> Journal:
        """Make the next journal."""
        kept = root / QUARANTINE
        numbers = [int(item.name) for item in _numbered(kept)] if kept.is_dir() else []
        numbers += [journal.number for journal in cls.all_of(root)]
        journal = cls(root, max(numbers, default=0) + 1)
        journal._folder.mkdir(parents=True)
        return journal

    @property
    def state(self) -> State | None:
        """How far the change came; `None` if it has not begun."""
        found = [state for state in State if self._file(state).exists()]
        return found[-1] if found else None

    @property
    def is_settled(self) -> bool:
        """Whether nothing of the change is left halfway."""
        state = self.state
        return state is not None and state.is_settled

    def read(self, state: State) -> Change:
        """Return the change, which is in `state`; raises `ToolkitError` where it cannot be read."""
        file = self._file(state)
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            slots = tuple(Slot(**slot) for slot in told["slots"])
            change = Change(
                self.number, told["command"], told["made"], slots, tuple(told["folders"])
            )
            self._check(change)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ToolkitError(f"{file}: cannot be read ({error})") from error
        return change

    def _check(self, change: Change) -> None:
        """Raise where a journal, which may have come with a folder from anywhere, leads out."""
        for slot in change.slots:
            if not slot.place.startswith(
                (f"{CHANGES}/{self.number:04}/", f"{QUARANTINE}/{self.number:04}/")
            ):
                raise ValueError(f"{slot.place} is no place of this change")
            for path in (slot.source, slot.target, slot.place):
                if path is not None:
                    check_inside(self.root, path)
        for folder in change.folders:
            check_inside(self.root, folder)

    def stage(self, plan: Plan) -> Change:
        """Write new content and the journal itself; from then on the change will be made.

        Raises `ToolkitError` where the disk refuses or a file is not what the plan was made for.
        """
        slots = [slot for number, _ in enumerate(plan.steps) for slot in self._slots(plan, number)]
        folders = _missing_folders(self.root, [slot.target for slot in slots if slot.target])
        made = datetime.now(UTC).isoformat(timespec="seconds")
        change = Change(self.number, plan.command, made, tuple(slots), tuple(folders))
        text = json.dumps({"schema": SCHEMA} | asdict(change), indent=1)
        write_file(self._file(State.TAKING), text.encode())
        return change

    def abandon(self) -> None:
        """Drop a change that has not begun; nothing but copies of new content is lost."""
        shutil.rmtree(self._folder)

    def enter(self, old: State, new: State) -> None:
        """Go from one state to the next, on the disk."""
        self._file(old).rename(self._file(new))
        sync_folder(self._folder)

    def go_on(self, change: Change) -> None:
        """Do what is left of a change, forward or backward, whichever way it was going.

        Raises `OSError` where the disk refuses; calling again goes on.
        """
        while (state := self.state) in _NEXT:
            if state in (State.TAKING, State.RETURNING):
                self._gather(change, state)
            else:
                self._place(change, state)
            self.enter(state, _NEXT[state])
        _prune(self.root / QUARANTINE / f"{self.number:04}")

    def turn(self) -> None:
        """Go the other way from here on."""
        if (state := self.state) in _TURNED:
            self.enter(state, _TURNED[state])

    def _gather(self, change: Change, state: State) -> None:
        """Bring files from where they are into their places."""
        for slot in change.slots:
            here = slot.source if state is State.TAKING else slot.target
            place = self.root / slot.place
            if here is not None and not os.path.lexists(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                (self.root / here).rename(place)
        self._sync(change)

    def _place(self, change: Change, state: State) -> None:
        """Bring files from their places to where they go."""
        backward = state is State.RESTORING
        if not backward:
            for folder in change.folders:
                (self.root / folder).mkdir(exist_ok=True)
        for slot in change.slots:
            there = slot.source if backward else slot.target
            place = self.root / slot.place
            if there is not None and os.path.lexists(place):
                _rename_to_new(place, self.root / there)
        self._sync(change)
        if backward:
            for folder in reversed(change.folders):
                _remove_if_empty(self.root / folder)

    def _slots(self, plan: Plan, number: int) -> Iterable[Slot]:
        step = plan.steps[number]
        if step.source is not None:
            sha256 = file_sha256(self.root / step.source)
            if step.sha256 not in (None, sha256):
                raise ToolkitError(f"{step.source}: was changed; look again and plan anew")
            stays = step.target if step.data is None else None
            place = f"{QUARANTINE}/{self.number:04}/{step.source}"
            yield Slot(step.source, stays, place, sha256)
        if step.data is not None:
            place = f"{CHANGES}/{self.number:04}/new-{number}"
            write_file(self.root / place, step.data)
            yield Slot(None, step.target, place, hashlib.sha256(step.data).hexdigest())

    def _sync(self, change: Change) -> None:
        paths = [(slot.source, slot.target, slot.place) for slot in change.slots]
        folders = {(self.root / path).parent for row in paths for path in row if path is not None}
        for folder in folders:
            sync_folder(folder)

    def _file(self, state: State) -> Path:
        return self._folder / f"{state.value}.json"


def _numbered(folder: Path) -> list[Path]:
    return [item for item in folder.iterdir() if item.name.isdecimal()]


def _rename_to_new(old: Path, new: Path) -> None:
    """Rename, but never over a file that somebody else put there meanwhile."""
    if os.path.lexists(new):
        raise FileExistsError(17, "a file has appeared there; move it away and try again", str(new))
    old.rename(new)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _prune(folder: Path) -> None:
    """Remove the folders from which everything has gone again."""
    for inner, _, _ in os.walk(folder, topdown=False):
        _remove_if_empty(Path(inner))


def _missing_folders(root: Path, paths: Iterable[str]) -> list[str]:
    """Return the folders that paths need and that are not there, outer ones first."""
    needed = {
        parent.as_posix()
        for path in paths
        for parent in Path(path).parents
        if not (root / parent).exists()
    }
    return sorted(needed)
