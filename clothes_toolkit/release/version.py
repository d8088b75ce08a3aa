"""Versions of releases, and how far a change moves them (semver.org, read for a dataset)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from clothes_toolkit.errors import ToolkitError

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_FORM = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)


class Step(IntEnum):
    """How far a change moves a version.

    A changed test split is major: numbers measured before and after cannot be compared. Changed
    train images are minor, everything else is a patch.
    """

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    @property
    def word(self) -> str:
        """The step's name as reports give it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version X.Y.Z; its tag is vX.Y.Z."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read a version, with or without its v; raises `ToolkitError` for anything else."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ToolkitError(f"'{text}' is not a version; versions are X.Y.Z, like 1.2.0")
        return cls(*(int(number) for number in found.groups()))

    @classmethod
    def of_tag(cls, tag: str) -> Version | None:
        """Return the version that a tag or folder `vX.Y.Z` stands for, or `None`."""
        return cls.parse(tag) if tag.startswith("v") and _FORM.fullmatch(tag) else None

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def tag(self) -> str:
        """What the version is called on the Hub, and its folder in a folder of releases."""
        return f"v{self}"

    def after(self, step: Step) -> Version:
        """Return the next version that is this step away."""
        if step is Step.MAJOR:
            return Version(self.major + 1, 0, 0)
        if step is Step.MINOR:
            return Version(self.major, self.minor + 1, 0)
        return Version(self.major, self.minor, self.patch + 1)

    def step_to(self, later: Version) -> Step:
        """Return how far a later version is away; `Step.NONE` where it is not later."""
        if later <= self:
            return Step.NONE
        if later.major > self.major:
            return Step.MAJOR
        return Step.MINOR if later.minor > self.minor else Step.PATCH
