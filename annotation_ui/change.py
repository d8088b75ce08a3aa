"""One transaction of the store: changes of a state, together with their lines in the log."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from annotation_ui.records import State, Submission


class Change:
    """A transaction of the store."""

    def __init__(self, database: sqlite3.Connection, now: float) -> None:
        self._database, self.now = database, now

    def note(
        self, person: str, what: str, designer: str | None = None, photo: str | None = None,
        **detail: object,
    ) -> None:  # fmt: skip
        """Write a line of the log."""
        self._do(
            "INSERT INTO log (moment, person, what, designer, photo, detail) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            self.now, person, what, designer, photo, json.dumps(detail, sort_keys=True),
        )  # fmt: skip

    def revision(self, designer: str, photo: str) -> tuple[int, str]:
        """Return the revision of a draft and the name of its last save; 0 where there is none."""
        row = self._do(
            "SELECT revision, save FROM drafts WHERE designer = ? AND photo = ?", designer, photo
        ).fetchone()
        return row or (0, "")

    def has_draft(self, designer: str, photo: str) -> bool:
        """Whether there is a draft."""
        return bool(self._do(
            "SELECT 1 FROM drafts WHERE designer = ? AND photo = ? AND document IS NOT NULL",
            designer, photo,
        ).fetchone())  # fmt: skip

    def save_draft(self, designer: str, photo: str, document: bytes | None, save: str = "") -> int:
        """Keep a draft in the place of the one before, and return its revision.

        `None` forgets it; its revision counts on. `save` is a name of this save.
        """
        revision = self.revision(designer, photo)[0] + 1
        self._do(
            "INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?, ?, ?)",
            designer, photo, revision, document, self.now, save,
        )  # fmt: skip
        return revision

    def skip(self, designer: str, photo: str) -> None:
        """Put a photo at the end of a designer's queue."""
        self._do("INSERT OR REPLACE INTO skips VALUES (?, ?, ?)", designer, photo, self.now)

    def submit(
        self,
        designer: str,
        photo: str,
        strokes: bytes | None,
        picture: bytes,
        base: str | None,
        findings: list[dict[str, Any]],
    ) -> int:
        """Add the next version of a sketch, and return its id; one that waits is replaced."""
        (version,) = self._do(
            "SELECT COALESCE(MAX(version), 0) + 1 FROM submissions "
            "WHERE designer = ? AND photo = ?", designer, photo,
        ).fetchone()  # fmt: skip
        self._do(
            "UPDATE submissions SET state = ? WHERE designer = ? AND photo = ? AND state = ?",
            State.REPLACED, designer, photo, State.WAITING,
        )  # fmt: skip
        added = self._do(
            "INSERT INTO submissions (designer, photo, version, state, strokes, picture, base, "
            "findings, moment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            designer, photo, version, State.WAITING, strokes, picture, base,
            json.dumps(findings), self.now,
        )  # fmt: skip
        return int(added.lastrowid or 0)

    def move(self, number: int, before: State, after: State) -> bool:
        """Put a submission into another state; whether it was in the one before."""
        moved = self._do(
            "UPDATE submissions SET state = ? WHERE id = ? AND state = ?", after, number, before
        )
        return moved.rowcount == 1

    def unreview(self, number: int) -> None:
        """Forget the last decision about a submission: it could not be carried out."""
        self._do(
            "DELETE FROM reviews WHERE id = "
            "(SELECT MAX(id) FROM reviews WHERE submission = ?)", number,
        )  # fmt: skip

    def review(self, number: int, reviewer: str, decision: State, comment: str) -> None:
        """Keep what a reviewer decided."""
        self._do(
            "INSERT INTO reviews (submission, reviewer, decision, comment, moment) "
            "VALUES (?, ?, ?, ?, ?)", number, reviewer, decision, comment, self.now,
        )  # fmt: skip

    def begin_session(self, token: str, person: str, secret: str, ends: float) -> None:
        """Keep a session, and forget those that have ended."""
        self._do("DELETE FROM sessions WHERE ends <= ?", self.now)
        self._do("INSERT INTO sessions VALUES (?, ?, ?, ?)", token, person, secret, ends)

    def end_session(self, token: str) -> None:
        """Forget a session."""
        self._do("DELETE FROM sessions WHERE token = ?", token)

    def failures(self, person: str, forgotten_after: float) -> tuple[int, float]:
        """Return how often somebody failed to sign in in a row, and when the last time.

        Failures older than so many seconds are forgotten, everybody's.
        """
        self._do("DELETE FROM failures WHERE moment <= ?", self.now - forgotten_after)
        row: tuple[int, float] | None = self._do(
            "SELECT count, moment FROM failures WHERE person = ?", person
        ).fetchone()
        return row or (0, self.now)

    def failed(self, person: str, count: int) -> None:
        """Keep how often somebody failed to sign in in a row; 0 is forgotten."""
        self._do("DELETE FROM failures WHERE person = ?", person)
        if count:
            self._do("INSERT INTO failures VALUES (?, ?, ?)", person, count, self.now)

    def has_later(self, found: Submission) -> bool:
        """Whether there is a later version of a submission."""
        return bool(self._do(
            "SELECT 1 FROM submissions WHERE designer = ? AND photo = ? AND version > ?",
            found.designer, found.photo, found.version,
        ).fetchone())  # fmt: skip

    def _do(self, query: str, *values: object) -> sqlite3.Cursor:
        return self._database.execute(query, values)
