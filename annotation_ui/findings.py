"""The toolkit's rules, on one sketch that is not in the dataset yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from clothes_toolkit.checks import RULES
from clothes_toolkit.checks.rule import Subject
from clothes_toolkit.dataset import Dataset, Entry, Kind
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.likeness.lookalikes import DRAWINGS, lookalikes_of
from clothes_toolkit.naming import Side, SketchName
from clothes_toolkit.report import Finding, Severity

LEAST_INK = 0.002
"""Share of a sketch that is ink; of 1275 real chairs none has less than 0.008."""
LITTLE_INK, COPY = "little-ink", "copied-sketch"
"""Rules of the studio alone: a dataset's sketches may be thin, and are compared by designer."""
RULES_OF_ONE = ("blank-sketch", "not-a-sketch", "odd-size")

Known = Mapping[SketchName, ImageFacts]
"""The sketches that there are, in the dataset and waiting."""


def findings_of(dataset: Dataset, path: str, name: SketchName, facts: ImageFacts, known: Known
) -> list[Finding]:  # fmt: skip
    """Return what the rules say of a sketch that would lie at `path` in the dataset.

    Blank or with hardly any ink, no drawing, the same as another sketch of the designer, or as one
    by somebody else.
    """
    entry = Entry(path, path.partition("/")[0].rstrip("AB"), Side.SKETCH, Kind.FILE, name)
    alone = dataclasses.replace(dataset, entries=(entry,))
    subject = Subject(alone, images={path: facts})
    rules = [rule for rule in RULES if rule.name in RULES_OF_ONE]
    found = [finding for rule in rules for finding in rule.findings(subject)]
    if facts.is_blank:
        return found
    if facts.ink < LEAST_INK:
        message = f"only {facts.ink:.2%} of it is ink"
        found.append(
            Finding(LITTLE_INK, Severity.WARNING, path, message, "is it finished, and bold enough?")
        )
    return [*found, *_alike(path, name, facts, known)]


def _alike(path: str, name: SketchName, facts: ImageFacts, known: Known) -> Iterator[Finding]:
    """Say which other sketches this one looks like."""
    others = [other for other in known if other != name and known[other].miniature]
    places = lookalikes_of(facts.miniature, [known[other].miniature for other in others], DRAWINGS)
    alike = [others[place] for place in places]
    for rule, same, hint in (
        ("near-duplicate", True, "has one drawing been handed in for two garments?"),
        (COPY, False, "it must be drawn anew, not over somebody's sketch"),
    ):
        stems = tuple(o.stem for o in alike if (o.designer == name.designer) is same)
        if stems:
            message = f"looks like {', '.join(stems)}"
            yield Finding(rule, Severity.WARNING, path, message, hint, stems)
