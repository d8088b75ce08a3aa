"""Things joined into groups by pairs: a disjoint-set forest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

Thing = TypeVar("Thing", int, str)


class Groups(Generic[Thing]):
    """Numbers or names, each alone until it is joined to another."""

    def __init__(self, pairs: Iterable[tuple[Thing, Thing]] = ()) -> None:
        self._parent: dict[Thing, Thing] = {}
        for one, other in pairs:
            self.join(one, other)

    def find(self, thing: Thing) -> Thing:
        """Return the thing that stands for the group: its smallest member."""
        parent = self._parent
        while (above := parent.get(thing, thing)) != thing:
            parent[thing] = parent.get(above, above)
            thing = above
        return thing

    def join(self, one: Thing, other: Thing) -> bool:
        """Make one group of two; false if they are one already."""
        ends: list[Any] = sorted((self.find(one), self.find(other)))
        low, high = ends
        self._parent.setdefault(low, low)
        self._parent[high] = low
        return bool(low != high)

    def together(self) -> list[list[Thing]]:
        """Return the groups of two and more, by smallest member, members in order."""
        found: dict[Thing, list[Thing]] = {}
        for thing in sorted(self._parent):
            found.setdefault(self.find(thing), []).append(thing)
        return [members for members in found.values() if len(members) > 1]
