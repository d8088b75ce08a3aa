"""Who may sign in: the designers file, with hashed passwords."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from clothes_toolkit.edits.files import write_file
from clothes_toolkit.edits.lock import locked
from clothes_toolkit.errors import ToolkitError

SCHEMA = "clothes-toolkit/designers/1"
SHORTEST_PASSWORD = 8
OWNER_ONLY = 0o600
COST = {"n": 1 << 14, "r": 8, "p": 1}
"""Of scrypt: 16 MiB and some 50 ms a try."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_NUMBER = re.compile(r"[0-9]{2}")


class Role(StrEnum):
    """What a person may do."""

    DESIGNER = "designer"
    REVIEWER = "reviewer"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in.

    Attributes:
        name: to sign in with.
        roles: what they may do.
        designer: the number in the names of their sketches; `None` for who only reviews.
        password: scrypt hash of it.
    """

    name: str
    roles: frozenset[Role]
    designer: str | None = None
    password: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ToolkitError(
                f"{self.name!r} is no name to sign in with: 1 to 32 letters, digits, '.', '_', '-'"
            )
        if not self.roles:
            raise ToolkitError(f"{self.name}: a role is needed, designer or reviewer")
        if (Role.DESIGNER in self.roles) != (self.designer is not None):
            raise ToolkitError(
                f"{self.name}: a designer has a number, such as 03, and nobody else has"
            )
        if self.designer is not None and not _NUMBER.fullmatch(self.designer):
            raise ToolkitError(f"{self.name}: designer {self.designer!r} is not two digits, as 03")

    @property
    def may_draw(self) -> bool:
        """Whether they hand in sketches."""
        return Role.DESIGNER in self.roles

    @property
    def may_review(self) -> bool:
        """Whether they decide about the sketches of others."""
        return Role.REVIEWER in self.roles

    def has_password(self, password: str) -> bool:
        """Whether that is their password; takes as long for a wrong one."""
        return _verify(password, self.password)

    def with_password(self, password: str) -> Person:
        """Return them with another password; raises `ToolkitError` for a short one."""
        if len(password) < SHORTEST_PASSWORD:
            raise ToolkitError(f"a password needs at least {SHORTEST_PASSWORD} characters")
        return replace(self, password=_hash(password))


class People:
    """The designers file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> tuple[Person, ...]:
        """Return everybody, by name; nobody where there is no file.

        Raises `ToolkitError` where the file is damaged.
        """
        try:
            document = json.loads(self.file.read_bytes())
            if document["schema"] != SCHEMA:
                raise ValueError(f"its schema is {document['schema']!r}, not {SCHEMA!r}")
            return tuple(sorted(map(_person, document["people"]), key=lambda person: person.name))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ToolkitError(f"{self.file}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ToolkitError(f"{self.file}: is no designers file ({error})") from error

    def find(self, name: str) -> Person | None:
        """Return who signs in by that name."""
        return next((person for person in self.all() if person.name == name), None)

    def signed_in(self, name: str, password: str) -> Person | None:
        """Return the person whose name and password these are.

        A name that there is not takes as long as a wrong password.
        """
        person = self.find(name)
        if person is None:
            _verify(password, _NOBODY)
            return None
        return person if person.has_password(password) else None

    def add(self, person: Person) -> None:
        """Add somebody; raises `ToolkitError` where their name or number is taken."""
        with self._writing():
            self.check(person)
            self._write([*self.all(), person])

    def check(self, person: Person) -> None:
        """Raise `ToolkitError` where somebody cannot be added."""
        for other in self.all():
            if other.name == person.name:
                raise ToolkitError(f"{person.name} is there already; remove them first")
            if person.designer and other.designer == person.designer:
                raise ToolkitError(f"designer {person.designer} is {other.name} already")

    def remove(self, name: str) -> Person:
        """Take somebody out, and return them; raises `ToolkitError` where there is no such name."""
        with self._writing():
            gone = self.find(name)
            if gone is None:
                raise ToolkitError(f"{self.file}: there is nobody called {name}")
            self._write(person for person in self.all() if person != gone)
            return gone

    def _writing(self) -> Any:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return locked(self.file.with_name(f"{self.file.name}.lock"))

    def _write(self, people: Iterable[Person]) -> None:
        document = {"schema": SCHEMA, "people": [_to_json(person) for person in people]}
        write_file(self.file, (json.dumps(document, indent=1) + "\n").encode(), OWNER_ONLY)


def _person(values: dict[str, Any]) -> Person:
    return Person(
        values["name"],
        frozenset(Role(role) for role in values["roles"]),
        values["designer"],
        values["password"],
    )


def _to_json(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "roles": sorted(person.roles),
        "designer": person.designer,
        "password": person.password,
    }


def _hash(password: str) -> str:
    salt = secrets.token_bytes(16)
    key = hashlib.scrypt(password.encode(), salt=salt, **COST)
    return "$".join(["scrypt", *map(str, COST.values()), salt.hex(), key.hex()])


def _verify(password: str, hashed: str) -> bool:
    try:
        kind, n, r, p, salt, key = hashed.split("$")
        if kind != "scrypt":
            return False
        found = hashlib.scrypt(
            password.encode(), salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p)
        )
        return hmac.compare_digest(found, bytes.fromhex(key))
    except ValueError:
        return False


_NOBODY = "$".join(["scrypt", *map(str, COST.values()), "00" * 16, "00" * 64])
