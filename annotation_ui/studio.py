"""The rules of the studio: who draws what, what may be handed in, who decides, what happens then.

Every method takes the person who asks, and refuses in one line what they may not do. Nothing gets
into the dataset but through `edits`, after a review.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from annotation_ui.findings import Known, findings_of
from annotation_ui.messages import CANVAS, read_message
from annotation_ui.people import Person, Role
from annotation_ui.photos import plan_photo
from annotation_ui.store import Change, State, Store, Submission
from clothes_toolkit.dataset import Dataset, Photo
from clothes_toolkit.edits.change import apply, recover
from clothes_toolkit.edits.files import file_sha256
from clothes_toolkit.edits.plan import Plan, Step
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import ImageFacts, inspect_data, png_bytes
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.naming import Scheme, Side, SketchName
from clothes_toolkit.report import Finding, Severity
from clothes_toolkit.strokes import Drawing, parse_drawing, render

RELEASE_SIZE = (512, 512)
"""Pixels of the sketches of a release."""
LONGEST_COMMENT = 2000
FIRST_OF_CLOTHES, LAST_OF_CLOTHES = "01", "09"


class NotAllowedError(ToolkitError):
    """Somebody asked for what is not theirs."""


class OutdatedError(ToolkitError):
    """A draft was changed in another tab meanwhile."""


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a sketch that was handed in.

    Attributes:
        submission: its id, or `None` where a finding forbids it.
        findings: what the rules said.
    """

    submission: int | None
    findings: tuple[Finding, ...]


class Studio:
    """One dataset being drawn.

    Args:
        root: the dataset's folder.
        store: what is remembered.
        scheme: how files are named; "auto" looks.
        size: pixels of the sketches, (width, height).
        line_width: of all sketches, in their pixels at full pressure; as drawn, if left out.
        alone: whether one person uses it, who then decides about their own sketches, too.
    """

    def __init__(
        self,
        root: Path,
        store: Store,
        scheme: str = "auto",
        size: tuple[int, int] = RELEASE_SIZE,
        line_width: float | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self.root, self.store, self.scheme = root, store, scheme
        self.size, self.line_width, self.alone = size, line_width, alone
        self._waiting_facts: dict[int, ImageFacts] = {}
        # One change of the folder after the other: its own lock does not wait.
        self._writing = threading.Lock()
        self.settle()

    def dataset(self) -> Dataset:
        """Index the dataset's folder as it is now."""
        return Dataset.open(self.root, self.scheme)

    def photo(self, stem: str) -> Photo:
        """Return a photo by its stem; raises `ToolkitError` where there is none."""
        return _photo_of(self.dataset(), stem)

    def photo_file(self, stem: str) -> Path:
        """Return a photo's file; raises `ToolkitError` where there is none inside the dataset."""
        file = (self.root / self.photo(stem).path).resolve()
        if not file.is_relative_to(self.root.resolve()):
            raise ToolkitError(f"{stem}: leads out of the dataset")
        return file

    # Drawing

    def tasks(self, person: Person) -> list[Task]:
        """Return every photo, in the order in which a designer is asked to draw them."""
        designer = _designer(person)
        dataset = self.dataset()
        drawn = {sketch.photo for sketch in dataset.sketches if sketch.designer == designer}
        drafts, skips = self.store.drafted(designer), self.store.skipped(designer)
        latest = {photo: found for (_, photo), found in self.store.latest(designer).items()}
        moments = self.store.moments(designer)

        def is_skipped(stem: str) -> bool:
            # What was drawn on or returned since comes back.
            since = max(drafts.get(stem, 0.0), moments.get(stem, 0.0))
            return skips.get(stem, -1.0) > since

        def task(stem: str) -> Task:
            number, state, comment = latest.get(stem, (None, None, ""))
            if state not in (State.WAITING, State.ACCEPTING) and is_skipped(stem):
                done = stem in drawn and stem not in drafts and state is not State.RETURNED
                return Task(stem, Standing.DONE if done else Standing.SKIPPED, comment, number)
            if state is State.RETURNED:
                return Task(stem, Standing.RETURNED, comment, number)
            if state in (State.WAITING, State.ACCEPTING):
                return Task(stem, Standing.WAITING, "", number)
            if stem in drafts:
                return Task(stem, Standing.STARTED, "", number)
            if stem in drawn:
                return Task(stem, Standing.DONE, "", number)
            return Task(stem, Standing.OPEN, "", number)

        tasks = [task(stem) for stem in dict.fromkeys(photo.stem for photo in dataset.photos)]
        return sorted(tasks, key=lambda t: (t.standing, skips.get(t.photo, 0.0), t.photo))

    def next_task(self, person: Person, after: str | None = None) -> Task | None:
        """Return what a designer is asked to draw now, `after` last; `None` where all is done."""
        todo = [task for task in self.tasks(person) if task.standing < Standing.WAITING]
        todo.sort(key=lambda task: task.photo == after)
        return todo[0] if todo else None

    def skip(self, person: Person, photo: str) -> None:
        """Put a photo at the end of a designer's queue."""
        designer = _designer(person)
        self.photo(photo)
        with self.store.changing() as change:
            change.skip(designer, photo)
            change.note(person.name, "skip", designer, photo)

    def drawing(self, person: Person, photo: str) -> tuple[bytes, int]:
        """Return what a designer goes on with, as a document, and its revision.

        That is their draft, or the strokes that they handed in last, or an empty canvas.
        """
        designer = _designer(person)
        self.photo(photo)
        draft = self.store.draft(designer, photo)
        if draft is not None:
            return draft.document, draft.revision
        versions = self.store.submissions(designer=designer, photo=photo)
        last = next((s.strokes for s in reversed(versions) if s.strokes is not None), None)
        empty = Drawing(f"{photo}_{designer}", CANVAS, ())
        return last or empty.to_bytes(), self.store.revision(designer, photo)

    def save_draft(
        self, person: Person, photo: str, revision: int, data: bytes, save: str = ""
    ) -> int:
        """Keep what was drawn so far, and return the new revision.

        Args:
            person: the designer.
            photo: its stem.
            revision: the one that `data` goes on from.
            data: the drawing, as JSON.
            save: a name of this save; sent again, because its answer was lost, it changes nothing.

        Raises `OutdatedError` where another tab saved meanwhile.
        """
        designer = _designer(person)
        self.photo(photo)
        drawing = read_message(data, f"{photo}_{designer}")
        with self.store.changing() as change:
            there, last = change.revision(designer, photo)
            if save and (there, last) == (revision + 1, save):
                return there
            if there != revision:
                raise OutdatedError(f"{photo}: this drawing was changed in another window")
            if not change.has_draft(designer, photo):
                change.note(person.name, "begin", designer, photo)
            return change.save_draft(designer, photo, drawing.to_bytes(), save)

    def submit_drawing(self, person: Person, photo: str) -> Outcome:
        """Hand in a designer's draft of a photo; see `submit_picture`."""
        designer = _designer(person)
        draft = self.store.draft(designer, photo)
        if draft is None:
            raise ToolkitError(f"{photo}: nothing is drawn yet")
        drawing = parse_drawing(json.loads(draft.document))
        picture = png_bytes(render(drawing, self.size, self.line_width).convert("RGB"))

        def keep(change: Change) -> None:
            if change.revision(designer, photo)[0] != draft.revision:
                raise OutdatedError(f"{photo}: it was drawn on meanwhile; hand it in again")
            change.save_draft(designer, photo, None)

        return self._submit(person, photo, drawing.to_bytes(), picture, keep)

    def submit_picture(self, person: Person, photo: str, picture: bytes) -> Outcome:
        """Hand in a sketch drawn elsewhere, the bytes of a PNG of the release's size.

        An error among the findings forbids it: then nothing is kept.
        """
        return self._submit(person, photo, None, picture, lambda _change: None)

    def _submit(
        self,
        person: Person,
        photo: str,
        strokes: bytes | None,
        picture: bytes,
        keep: Callable[[Change], None],
    ) -> Outcome:
        name = SketchName(photo, _designer(person))
        dataset = self.dataset()
        path = _place_of(dataset, name)
        facts = inspect_data(picture, Side.SKETCH)
        findings = findings_of(dataset, path, name, facts, self._known(dataset))
        if any(finding.severity is Severity.ERROR for finding in findings):
            return Outcome(None, tuple(findings))
        told = [finding.to_json() for finding in findings]
        old = _file_of(dataset, name)
        base = None if old is None else self._sha256(old)
        with self.store.changing() as change:
            keep(change)
            number = change.submit(name.designer, photo, strokes, picture, base, told)
            change.note(
                person.name, "submit", name.designer, photo,
                submission=number, sha256=hashlib.sha256(picture).hexdigest(),
            )  # fmt: skip
        self._waiting_facts[number] = facts
        return Outcome(number, tuple(findings))

    def _known(self, dataset: Dataset) -> Known:
        """Return the facts of the sketches in the dataset and of those that wait."""
        facts = inspect_images(dataset)
        known = {
            SketchName(sketch.photo, sketch.designer): facts[sketch.path]
            for sketch in dataset.sketches
            if sketch.path in facts
        }
        waiting = self.store.submissions(State.WAITING)
        for one in waiting:
            if one.id not in self._waiting_facts:
                self._waiting_facts[one.id] = inspect_data(one.picture, Side.SKETCH)
            known[SketchName(one.photo, one.designer)] = self._waiting_facts[one.id]
        return known

    # Reviewing

    def waiting(self, person: Person) -> list[Submission]:
        """Return what a reviewer may decide about, oldest first; own sketches are not among it."""
        _require(person, Role.REVIEWER)
        waiting = self.store.submissions(State.WAITING)
        return [one for one in waiting if self._may_decide(person, one)]

    def submission(self, person: Person, number: int) -> Submission:
        """Return a submission of the person's own, or any for a reviewer."""
        found = self.store.submission(number)
        if found is None or not (person.may_review or found.designer == person.designer):
            raise NotAllowedError(f"there is no submission {number} for you")
        return found

    def give_back(self, person: Person, number: int, comment: str) -> None:
        """Return a sketch to its designer, who reads the comment and draws on."""
        found = self._to_decide(person, number)
        comment = comment.strip()
        if not comment:
            raise ToolkitError("say in a comment what is to be changed")
        if len(comment) > LONGEST_COMMENT:
            raise ToolkitError(f"the comment has more than {LONGEST_COMMENT} characters")
        with self.store.changing() as change:
            self._leave_waiting(change, found, State.RETURNED)
            change.review(number, person.name, State.RETURNED, comment)
            if found.strokes is not None and not change.has_draft(found.designer, found.photo):
                change.save_draft(found.designer, found.photo, found.strokes)
            change.note(person.name, "return", found.designer, found.photo, submission=number)

    def accept(self, person: Person, number: int) -> str:
        """Put a sketch into the dataset, and return its path there.

        Raises `ToolkitError` where the dataset has changed so that it does not fit, or cannot be
        written; the sketch then waits as before.
        """
        found = self._to_decide(person, number)
        with self.store.changing() as change:
            self._leave_waiting(change, found, State.ACCEPTING)
            change.review(number, person.name, State.ACCEPTED, "")
            change.note(person.name, "accept", found.designer, found.photo, submission=number)
        try:
            with self._writing:
                plan = self._plan(found)
                apply(self.root, plan)
        except BaseException as error:
            self._take_back(found, str(error))
            raise
        self._finish(found)
        return plan.steps[0].target or ""

    def settle(self) -> None:
        """Finish or take back what a server that died left halfway."""
        recover(self.root)
        for found in self.store.submissions(State.ACCEPTING):
            try:
                path = _place_of(self.dataset(), SketchName(found.photo, found.designer))
                done = self._sha256(path) == hashlib.sha256(found.picture).hexdigest()
            except ToolkitError:
                # Its photo is gone meanwhile: whoever accepts it again is told.
                done = False
            if done:
                self._finish(found)
            else:
                self._take_back(found, "the server stopped")

    def _to_decide(self, person: Person, number: int) -> Submission:
        _require(person, Role.REVIEWER)
        found = self.submission(person, number)
        if not self._may_decide(person, found):
            raise NotAllowedError("nobody decides about a sketch of their own")
        return found

    def _may_decide(self, person: Person, found: Submission) -> bool:
        return self.alone or found.designer != person.designer

    def _leave_waiting(self, change: Change, found: Submission, state: State) -> None:
        if not change.move(found.id, State.WAITING, state):
            raise ToolkitError(
                f"{found.photo}_{found.designer}: is not waiting any more; look at the list again"
            )

    def _take_back(self, found: Submission, why: str) -> None:
        with self.store.changing() as change:
            replaced = change.has_later(found)
            state = State.REPLACED if replaced else State.WAITING
            if change.move(found.id, State.ACCEPTING, state):
                change.unreview(found.id)
                change.note("studio", "take back", found.designer, found.photo, why=why)

    def _finish(self, found: Submission) -> None:
        with self.store.changing() as change:
            if change.move(found.id, State.ACCEPTING, State.ACCEPTED):
                change.note("studio", "accepted", found.designer, found.photo,
                            submission=found.id)  # fmt: skip
        self._waiting_facts.pop(found.id, None)

    def _plan(self, found: Submission) -> Plan:
        """Return the change that puts a sketch and its strokes into the dataset."""
        name = SketchName(found.photo, found.designer)
        dataset = self.dataset()
        path, old = _place_of(dataset, name), _file_of(dataset, name)
        there = None if old is None else self._sha256(old)
        if there is not None and there not in self._expected(found):
            raise ToolkitError(
                f"{path}: was changed by somebody else since the sketch was handed in; "
                "return it, or put the file right first"
            )
        why = f"submission {found.id}, version {found.version}"
        steps = [Step(None if there is None else old, path, why, found.picture, there)]
        strokes = f"strokes/{name.stem}.json"
        drawn = self._sha256(strokes)
        if found.strokes is not None:
            source = None if drawn is None else strokes
            steps.append(Step(source, strokes, why, found.strokes, drawn))
        elif drawn is not None:
            steps.append(Step(strokes, None, "the strokes of an earlier version"))
        return Plan("annotate", tuple(steps))

    def _expected(self, found: Submission) -> set[str | None]:
        """Return the hashes that the file in a sketch's place may have."""
        versions = self.store.submissions(State.ACCEPTED, found.designer, found.photo)
        return {found.base, *(hashlib.sha256(v.picture).hexdigest() for v in versions)}

    def _sha256(self, path: str) -> str | None:
        try:
            return file_sha256(self.root / path)
        except FileNotFoundError:
            return None

    def add_photo(self, person: Person, data: bytes, split: str = "train") -> str:
        """Add a photo to the dataset under the next free number, and return its stem.

        Raises `TwinError` where it looks like one that is there.
        """
        _require(person, Role.REVIEWER)
        with self._writing:
            stem, plan = plan_photo(self.dataset(), data, split)
            apply(self.root, plan)
        with self.store.changing() as change:
            change.note(person.name, "add photo", None, stem)
        return stem

    # Looking

    def coverage(self) -> Mapping[tuple[str, str], Standing]:
        """Return where every designer stands with every photo, by (photo, designer)."""
        found = {
            (sketch.photo, sketch.designer): Standing.DONE for sketch in self.dataset().sketches
        }
        standing = {State.WAITING: Standing.WAITING, State.ACCEPTING: Standing.WAITING,
                    State.RETURNED: Standing.RETURNED}  # fmt: skip
        for (designer, photo), (_, state, _) in self.store.latest().items():
            if state in standing:
                found[photo, designer] = standing[state]
        return found


def _designer(person: Person) -> str:
    _require(person, Role.DESIGNER)
    return str(person.designer)


def _require(person: Person, role: Role) -> None:
    if role not in person.roles:
        raise NotAllowedError(f"{person.name} is no {role}")


def _photo_of(dataset: Dataset, stem: str) -> Photo:
    for photo in dataset.photos:
        if photo.stem == stem:
            return photo
    raise ToolkitError(f"{stem!r}: there is no such photo")


def _place_of(dataset: Dataset, name: SketchName) -> str:
    """Return the path of a sketch, beside its photo's split; raises `ToolkitError`."""
    if (
        dataset.scheme is Scheme.CLOTHES
        and not FIRST_OF_CLOTHES <= name.designer <= LAST_OF_CLOTHES
    ):
        raise ToolkitError(
            f"designer {name.designer}: a dataset named as Clothes-V1 has designers 01 to 09"
        )
    photo = _photo_of(dataset, name.photo)
    return f"{dataset.layout.folder(photo.split, Side.SKETCH)}/{name.stem}.png"


def _file_of(dataset: Dataset, name: SketchName) -> str | None:
    """Return the path of the sketch that is there, whatever its extension."""
    split = _photo_of(dataset, name.photo).split
    for sketch in dataset.sketches:
        if (sketch.split, sketch.photo, sketch.designer) == (split, name.photo, name.designer):
            return sketch.path
    return None
