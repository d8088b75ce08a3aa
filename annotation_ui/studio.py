"""The rules of the studio: who draws what, what may be handed in, who decides, what happens then.

Every method takes the person who asks, and refuses in one line what they may not do. Nothing gets
into the dataset but through `edits`, after a review.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from annotation_ui.change import Change
from annotation_ui.findings import Known, findings_of
from annotation_ui.messages import CANVAS, read_message
from annotation_ui.people import Person, Role
from annotation_ui.photos import plan_photo
from annotation_ui.placing import file_of, photo_of, place_of, plan_sketch, sha256_at, sha256_of
from annotation_ui.queue import Standing, Task, tasks_of
from annotation_ui.records import State, Submission
from annotation_ui.store import Store
from clothes_toolkit.dataset import Dataset, Photo
from clothes_toolkit.edits.change import apply, recover
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import ImageFacts, inspect_data, png_bytes
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.naming import Side, SketchName
from clothes_toolkit.report import Finding, Severity
from clothes_toolkit.strokes import Drawing, parse_drawing, render

RELEASE_SIZE = (512, 512)
"""Pixels of the sketches of a release."""
LONGEST_COMMENT = 2000


class NotAllowedError(ToolkitError):
    """Somebody asked for what is not theirs."""


class OutdatedError(ToolkitError):
    """A draft was changed in another tab meanwhile."""


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
        return photo_of(self.dataset(), stem)

    def photo_file(self, stem: str) -> Path:
        """Return a photo's file; raises `ToolkitError` where there is none inside the dataset."""
        file = (self.root / self.photo(stem).path).resolve()
        if not file.is_relative_to(self.root.resolve()):
            raise ToolkitError(f"{stem}: leads out of the dataset")
        return file

    # Drawing

    def tasks(self, person: Person) -> list[Task]:
        """Return every photo, in the order in which a designer is asked to draw them."""
        designer, dataset = _designer(person), self.dataset()
        drawn = {sketch.photo for sketch in dataset.sketches if sketch.designer == designer}
        photos = (photo.stem for photo in dataset.photos)
        return tasks_of(self.store, designer, photos, frozenset(drawn))

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
        path = place_of(dataset, name)
        facts = inspect_data(picture, Side.SKETCH)
        findings = findings_of(dataset, path, name, facts, self._known(dataset))
        if any(finding.severity is Severity.ERROR for finding in findings):
            return Outcome(None, tuple(findings))
        told = [finding.to_json() for finding in findings]
        old = file_of(dataset, name)
        base = None if old is None else sha256_at(self.root, old)
        with self.store.changing() as change:
            keep(change)
            number = change.submit(name.designer, photo, strokes, picture, base, told)
            change.note(
                person.name, "submit", name.designer, photo,
                submission=number, sha256=sha256_of(picture),
            )  # fmt: skip
        return Outcome(number, tuple(findings))

    def _known(self, dataset: Dataset) -> Known:
        """Return the facts of the sketches in the dataset and of those that wait."""
        facts = inspect_images(dataset)
        known = {
            SketchName(sketch.photo, sketch.designer): facts[sketch.path]
            for sketch in dataset.sketches
            if sketch.path in facts
        }
        waiting = {
            number: SketchName(photo, designer)
            for (designer, photo), (number, state, _) in self.store.latest().items()
            if state is State.WAITING
        }
        seen = self._waiting_facts
        told = {number: seen.get(number) or self._facts_of(number) for number in waiting}
        self._waiting_facts = told
        return known | {name: told[number] for number, name in waiting.items()}

    def _facts_of(self, number: int) -> ImageFacts:
        found = self.store.submission(number)
        return inspect_data(found.picture if found else b"", Side.SKETCH)

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
                versions = self.store.submissions(State.ACCEPTED, found.designer, found.photo)
                accepted = [version.picture for version in versions]
                plan = plan_sketch(self.dataset(), found, accepted)
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
                path = place_of(self.dataset(), SketchName(found.photo, found.designer))
                done = sha256_at(self.root, path) == sha256_of(found.picture)
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
