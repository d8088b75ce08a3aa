"""Signing in: passwords tried, too many wrong ones locked out, sessions that end."""

from __future__ import annotations

import hashlib
import secrets
from typing import Protocol

from annotation_ui.people import People, Person, Role
from annotation_ui.store import Store
from clothes_toolkit.errors import ToolkitError

SESSION_SECONDS = 12 * 3600.0
TRIES = 5
"""Wrong passwords in a row before somebody is locked out."""
LOCKED_SECONDS = 15 * 60.0
LONGEST_NAME = 100


class SignInError(ToolkitError):
    """A name and password that do not open the door."""


class Door(Protocol):
    """Who comes in."""

    def person(self, token: str | None) -> Person | None:
        """Return whose session a cookie's token is; `None` where it is nobody's."""

    def named(self, name: str | None) -> Person | None:
        """Return who comes in by a name."""

    def sign_in(self, name: str, password: str) -> str:
        """Return the token of a new session; raises `SignInError`."""

    def sign_out(self, token: str | None) -> None:
        """End a session."""


class Sessions:
    """The door of a studio that several people use.

    The database holds hashes of the tokens: who reads it cannot take over a session.
    """

    def __init__(self, people: People, store: Store) -> None:
        self.people, self.store = people, store

    def person(self, token: str | None) -> Person | None:
        """Return whose session it is, by what the designers file says of them now.

        Who has another password since, or left and came back, has to sign in again.
        """
        found = None if token is None else self.store.session(_hashed(token))
        person = None if found is None else self.people.find(found[0])
        if found is None or person is None or _hashed(person.password) != found[1]:
            return None
        return person

    def named(self, name: str | None) -> Person | None:
        """Return who has a name."""
        return None if name is None else self.people.find(name)

    def sign_in(self, name: str, password: str) -> str:
        """Return the token of a new session; raises `SignInError` saying what to do."""
        name = name.strip()[:LONGEST_NAME]
        # Counted before the password is looked at: many tries at once are many tries.
        with self.store.changing() as change:
            count, last = change.failures(name, LOCKED_SECONDS)
            if count >= TRIES:
                minutes = max(round((last + LOCKED_SECONDS - change.now) / 60), 1)
                raise SignInError(f"too many wrong passwords; try again in {minutes} minutes")
            change.failed(name, count + 1)
        person = self.people.signed_in(name, password)
        with self.store.changing() as change:
            if person is not None:
                token = secrets.token_urlsafe(32)
                change.failed(name, 0)
                ends = change.now + SESSION_SECONDS
                change.begin_session(_hashed(token), name, _hashed(person.password), ends)
                change.note(name, "sign in")
                return token
            if self.people.find(name) is not None:
                change.note(name, "wrong password")
        raise SignInError("that name and password do not belong together")

    def sign_out(self, token: str | None) -> None:
        """End a session."""
        if token is not None:
            with self.store.changing() as change:
                change.end_session(_hashed(token))


class OpenDoor:
    """The door of a studio that one person uses on their own machine."""

    def __init__(self, designer: str) -> None:
        self._me = Person("me", frozenset(Role), designer)

    def person(self, token: str | None) -> Person | None:  # noqa: ARG002 - whoever comes
        """Return the one person."""
        return self._me

    def named(self, name: str | None) -> Person | None:
        """Return the one person, if that is their name."""
        return self._me if name == self._me.name else None

    def sign_in(self, name: str, password: str) -> str:  # noqa: ARG002
        """Refuse: there is nothing to sign in to."""
        raise SignInError("this studio was started with --no-login")

    def sign_out(self, token: str | None) -> None:
        """Do nothing."""


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
