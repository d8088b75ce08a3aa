"""What the pages, and programs, can ask of the studio: one function each, JSON in and out.

Each answers with an object; what cannot be done has the one line `error` in it. They are Gradio's
named endpoints: `gradio_client` reaches them as well as the pages do.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from inspect import isfunction
from typing import Any

import gradio as gr

from annotation_ui.people import Person
from annotation_ui.queue import Standing, Task
from annotation_ui.records import Submission
from annotation_ui.search import Ranked, Search
from annotation_ui.sessions import Door
from annotation_ui.studio import NotAllowedError, Outcome, OutdatedError, Studio
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import open_data
from clothes_toolkit.report import Finding

Answer = dict[str, Any]
MOST_OF_NAME = 64
"""Characters that are kept of the name of a save."""


@dataclass(frozen=True)
class Calls:
    """What can be asked: a public method is a call, named as its endpoint."""

    studio: Studio
    door: Door
    search: Search | None = None

    def _asking(self, request: gr.Request) -> Person:
        # Gradio's queue carries the name only.
        person = self.door.named(request.username)
        if person is None:
            raise NotAllowedError("sign in first")
        return person

    def me(self, request: gr.Request) -> Answer:
        """Say who asks, what they may do, and what this studio has."""
        person = self._asking(request)
        dataset = self.studio.dataset()
        return {
            "name": person.name,
            "designer": person.designer,
            "draws": person.may_draw,
            "reviews": person.may_review,
            "dataset": self.studio.root.name,
            "photos": len({photo.stem for photo in dataset.photos}),
            "searches": self.search is not None,
            "alone": self.studio.alone,
        }

    def tasks(self, request: gr.Request) -> Answer:
        """List every photo and where the designer stands with it, in the order of the queue."""
        return {"tasks": [_task(task) for task in self.studio.tasks(self._asking(request))]}

    def next_task(self, after: str, request: gr.Request) -> Answer:
        """Say which photo is to be drawn now; `after` comes last, "" is none."""
        task = self.studio.next_task(self._asking(request), after or None)
        return {"task": None if task is None else _task(task)}

    def drawing(self, photo: str, request: gr.Request) -> Answer:
        """Return what the designer goes on with, its revision, the task, and how far they are."""
        person = self._asking(request)
        document, revision = self.studio.drawing(person, photo)
        every = self.studio.tasks(person)
        return {
            "drawing": json.loads(document),
            "revision": revision,
            "task": _task(next(task for task in every if task.photo == photo)),
            "drawn": sum(task.standing >= Standing.WAITING for task in every),
            "photos": len(every),
        }

    def save_draft(
        self, photo: str, revision: int, drawing: str, save: str, request: gr.Request
    ) -> Answer:
        """Keep what is drawn so far, JSON as text; `revision` is the one that it goes on from.

        `save` is a name of this save, so that it can be sent again; "" is none.
        """
        person, data = self._asking(request), drawing.encode()
        return {
            "revision": self.studio.save_draft(person, photo, revision, data, save[:MOST_OF_NAME])
        }

    def skip(self, photo: str, request: gr.Request) -> Answer:
        """Put a photo at the end of the queue."""
        self.studio.skip(self._asking(request), photo)
        return {}

    def submit(self, photo: str, request: gr.Request) -> Answer:
        """Hand in the draft of a photo."""
        person = self._asking(request)
        return told_of(
            self.studio, self.search, person, photo, self.studio.submit_drawing(person, photo)
        )

    def waiting(self, request: gr.Request) -> Answer:
        """List the sketches that a reviewer may decide about, oldest first."""
        return {"waiting": [_submission(one) for one in self.studio.waiting(self._asking(request))]}

    def accept(self, submission: int, request: gr.Request) -> Answer:
        """Put a sketch into the dataset."""
        # Gradio's client would fetch what is called a path.
        return {"sketch": self.studio.accept(self._asking(request), submission)}

    def give_back(self, submission: int, comment: str, request: gr.Request) -> Answer:
        """Return a sketch to its designer with a comment."""
        self.studio.give_back(self._asking(request), submission, comment)
        return {}

    def coverage(self, request: gr.Request) -> Answer:
        """Say who has drawn what: photos down, designers across."""
        self._asking(request)
        found = self.studio.coverage()
        photos = sorted({photo.stem for photo in self.studio.dataset().photos})
        designers = sorted({designer for _, designer in found})
        return {
            "photos": photos,
            "designers": designers,
            "standing": [
                [_name(found.get((photo, designer))) for designer in designers] for photo in photos
            ],
        }

    def find(self, drawing: str, request: gr.Request) -> Answer:
        """Rank the photos for a drawing, JSON as text, most alike first."""
        self._asking(request)
        return {"photos": ranked_json(required(self.search).find_drawing(drawing.encode()))}


def endpoints(calls: Calls) -> list[Callable[..., Answer]]:
    """Return the calls as functions, which answer in one line where something cannot be done."""
    names = [name for name, made in vars(Calls).items() if isfunction(made) and name[0] != "_"]
    return [_answering(getattr(calls, name)) for name in names]


def told_of(
    studio: Studio, search: Search | None, person: Person, photo: str, outcome: Outcome
) -> Answer:
    """Return what a designer is told of a sketch handed in, and what it retrieves, if that works.

    `found` has the rank of its own photo, of how many, and the first photos.
    """
    answer: Answer = {
        "submission": outcome.submission,
        "findings": [_finding(finding) for finding in outcome.findings],
        "revision": studio.store.revision(str(person.designer), photo),
    }
    if search is not None and outcome.submission is not None:
        picture = studio.submission(person, outcome.submission).picture
        # It is handed in, whatever becomes of the search: a damaged photo, a full card.
        with suppress(ToolkitError, RuntimeError, OSError):
            rank, first = search.rank_of(open_data(picture, "the sketch"), photo)
            among = len(studio.dataset().photos)
            answer["found"] = {"rank": rank, "among": among, "photos": ranked_json(first)}
    return answer


def required(search: Search | None) -> Search:
    """Return the search; raises `ToolkitError` where the studio has none."""
    if search is None:
        raise ToolkitError("this studio was started without --checkpoint")
    return search


def ranked_json(ranked: Ranked) -> list[Answer]:
    """Return ranked photos as JSON values."""
    return [{"photo": photo, "likeness": likeness} for photo, likeness in ranked]


def _answering(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Return a function that answers in one line where something cannot be done."""

    @wraps(function)
    def answering(*inputs: Any, **named: Any) -> Answer:
        try:
            return function(*inputs, **named)
        except ToolkitError as error:
            kind = {NotAllowedError: "not allowed", OutdatedError: "outdated"}.get(type(error), "")
            return {"error": " ".join(str(error).split()), "kind": kind}
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            return {"error": f"this call cannot be understood ({error})", "kind": "bad call"}

    return answering


def _name(standing: Standing | None) -> str:
    return Standing.OPEN.name.lower() if standing is None else standing.name.lower()


def _task(task: Task) -> Answer:
    return {
        "photo": task.photo,
        "standing": _name(task.standing),
        "comment": task.comment,
        "submission": task.submission,
    }


def _finding(finding: Finding) -> Answer:
    told = finding.to_json()
    return {name: told[name] for name in ("rule", "severity", "message", "hint", "related")}


def _submission(one: Submission) -> Answer:
    return {
        "submission": one.id,
        "photo": one.photo,
        "designer": one.designer,
        "version": one.version,
        "moment": one.moment,
        "findings": [dict(finding) for finding in one.findings],
        "picture": png_url(one.picture),
    }


def png_url(picture: bytes) -> str:
    """Return a PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
