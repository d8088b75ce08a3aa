"""What a rule is: a named function from a dataset to the faults it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from clothes_toolkit.dataset import Dataset, Entry, Photo, Sketch
from clothes_toolkit.duplicates import NearDuplicate
from clothes_toolkit.expectations import Expectation
from clothes_toolkit.groups import Groups
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.naming import PhotoName, Side
from clothes_toolkit.report import Finding, Severity


class Needs(IntEnum):
    """What must be known before a rule can look; each includes the ones before."""

    NAMES = 0
    PIXELS = 1
    LIKENESS = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """Something a rule found: where, what, what to do, what else belongs to it."""

    path: str
    message: str
    hint: str | None = None
    related: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """What the rules look at.

    Attributes:
        dataset: the index of the folder.
        expect: what the maintainer expects of it.
        images: facts of every readable image by path; empty where no rule asked for pixels.
        near: pairs that look the same; empty where no rule asked for them.
    """

    dataset: Dataset
    expect: Expectation = field(default_factory=Expectation)
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    near: tuple[NearDuplicate, ...] = ()

    @cached_property
    def photos(self) -> dict[tuple[str, str], Photo]:
        """Photos by split and stem."""
        return {(photo.split, photo.stem): photo for photo in self.dataset.photos}

    @cached_property
    def sketches(self) -> dict[tuple[str, str], list[Sketch]]:
        """Sketches by split and their photo's stem."""
        found: dict[tuple[str, str], list[Sketch]] = {}
        for sketch in self.dataset.sketches:
            found.setdefault((sketch.split, sketch.photo), []).append(sketch)
        return found

    def is_empty(self, split: str, side: Side) -> bool:
        """Whether a side of a split holds no image file at all, however named."""
        return not any(
            entry.is_image
            for entry in self.dataset.entries
            if (entry.split, entry.side) == (split, side)
        )

    def drawings(self) -> Iterator[tuple[Entry, ImageFacts]]:
        """Return the decoded images on side A that are not photos by their name."""
        for entry, facts in self.pictures():
            if entry.side is Side.SKETCH and not isinstance(entry.name, PhotoName):
                yield entry, facts

    def pictures(self) -> Iterator[tuple[Entry, ImageFacts]]:
        """Return every image that was decoded whole."""
        for entry in self.dataset.entries:
            facts = self.images.get(entry.path)
            if facts is not None and facts.pixels is not None:
                yield entry, facts

    @cached_property
    def lookalikes(self) -> list[list[Entry]]:
        """Return the groups of images that look the same, members by path."""
        entries = {entry.path: entry for entry in self.dataset.entries}
        pairs = ((pair.first, pair.second) for pair in self.near if not pair.mirrored)
        return [[entries[path] for path in group] for group in Groups(pairs).together()]

    @cached_property
    def mirrored(self) -> list[tuple[Entry, Entry]]:
        """Return the pairs of an image and its mirror image."""
        entries = {entry.path: entry for entry in self.dataset.entries}
        return [(entries[p.first], entries[p.second]) for p in self.near if p.mirrored]

    @cached_property
    def blank(self) -> frozenset[str]:
        """The paths of drawings without ink."""
        return frozenset(entry.path for entry, facts in self.drawings() if facts.is_blank)


Check = Callable[[Subject], Iterable[Fault]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A check with its name.

    Attributes:
        name: what findings and options call it.
        severity: of its findings.
        summary: when it fires, in one line.
        needs: what must be known for it.
    """

    name: str
    severity: Severity
    summary: str
    check: Check
    needs: Needs = Needs.NAMES

    def findings(self, subject: Subject) -> list[Finding]:
        """Return what the rule finds, by path, at most one finding a path."""
        faults: dict[str, Fault] = {}
        for fault in self.check(subject):
            faults.setdefault(fault.path, fault)
        return [
            Finding(self.name, self.severity, path, fault.message, fault.hint, fault.related)
            for path, fault in sorted(faults.items())
        ]
