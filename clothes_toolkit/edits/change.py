"""Changes of a dataset in place: all or nothing, and taken back on demand.

What leaves the dataset stays in `.clothes/quarantine/`; nothing is ever deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clothes_toolkit.cache import PRIVATE_FOLDER
from clothes_toolkit.edits.files import file_sha256
from clothes_toolkit.edits.journal import Change, Journal, State
from clothes_toolkit.edits.lock import LockedError, locked
from clothes_toolkit.edits.plan import Plan, is_taken
from clothes_toolkit.errors import ToolkitError


def apply(root: Path, plan: Plan) -> Change:
    """Make a plan's changes, all or none.

    Raises `ToolkitError` where the plan does not fit the folder any more, somebody else is writing,
    or the disk refuses; the folder is then as it was before.
    """
    with _writing(root):
        plan.check(root)
        try:
            journal = Journal.begin(root)
        except OSError as error:
            raise ToolkitError(_say(error)) from error
        try:
            change = journal.stage(plan)
        except OSError as error:
            journal.abandon()
            raise ToolkitError(f"{_say(error)}; nothing was changed") from error
        except BaseException:
            journal.abandon()
            raise
        _go_on_or_turn(journal, change)
    return change


def last_change(root: Path) -> Change | None:
    """Return the change that `undo` would take back, or `None`."""
    journal = _last_done(root)
    return None if journal is None else journal.read(State.DONE)


def undo(root: Path) -> Change | None:
    """Take back the last change that was not taken back yet; `None` if there is none.

    Raises `ToolkitError` where a file that it made was changed since, or where its old place is
    taken; nothing is changed then.
    """
    if not Journal.all_of(root):
        return None
    with _writing(root):
        journal = _last_done(root)
        if journal is None:
            return None
        change = journal.read(State.DONE)
        _check_undo(root, change)
        journal.enter(State.DONE, State.RETURNING)
        _go_on_or_turn(journal, change)
    return change


def _last_done(root: Path) -> Journal | None:
    done = [journal for journal in Journal.all_of(root) if journal.state is State.DONE]
    return done[-1] if done else None


def recover(root: Path) -> list[str]:
    """Finish what a process that died left halfway, and say in words what was done.

    Does nothing where nothing is to be done, and while another process writes. Raises
    `ToolkitError` where the disk refuses.
    """
    private = root / PRIVATE_FOLDER
    if private.is_symlink() or all(journal.is_settled for journal in Journal.all_of(root)):
        return []
    try:
        with locked(private / "lock"):
            return list(_recover(root))
    except LockedError:
        return []


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Hold the dataset's lock, with nothing left halfway."""
    private = root / PRIVATE_FOLDER
    if private.is_symlink():
        raise ToolkitError(f"{private}: is a link; it must be a folder of the dataset")
    try:
        private.mkdir(exist_ok=True)
    except OSError as error:
        raise ToolkitError(f"{private}: cannot be made ({error.strerror})") from error
    with locked(private / "lock"):
        for _ in _recover(root):
            pass
        yield


def _recover(root: Path) -> Iterator[str]:
    for journal in Journal.all_of(root):
        state = journal.state
        if state is None:
            journal.abandon()
            yield f"change {journal.number} was interrupted before it began; dropped it"
        elif not state.is_settled:
            change = journal.read(state)
            _go_on_or_turn(journal, change)
            what = "took it back" if state.is_backward else "finished it"
            yield f"{change} was interrupted; {what}"


def _go_on_or_turn(journal: Journal, change: Change) -> None:
    """Go on with a change; where the disk refuses, go back to where it began, and raise why."""
    try:
        journal.go_on(change)
    except OSError as error:
        try:
            journal.turn()
            journal.go_on(change)
        except OSError as again:
            raise ToolkitError(
                f"{change} stopped halfway: {_say(again)}; the next command goes on with it"
            ) from error
        raise ToolkitError(f"{_say(error)}; nothing was changed") from error


def _check_undo(root: Path, change: Change) -> None:
    """Raise `ToolkitError` where a change cannot be taken back without losing anything."""
    targets = {slot.target for slot in change.slots}
    for slot in change.slots:
        here = slot.target or slot.place
        if _sha256(root / here) != slot.sha256:
            raise ToolkitError(f"{here}: was changed or moved since; {change} cannot be taken back")
        leaving = (root / target for target in targets if target is not None)
        if slot.source not in (None, *targets) and is_taken(root / str(slot.source), leaving):
            raise ToolkitError(f"{slot.source}: is there again; move it away to undo {change}")


def _sha256(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None


def _say(error: OSError) -> str:
    return f"{error.filename or 'the disk'}: {error.strerror}"


__all__ = ["Change", "apply", "last_change", "recover", "undo"]
