"""Rules that look at what is in the image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clothes_toolkit.checks.rule import Check, Fault, Subject
from clothes_toolkit.containers import EXTENSIONS_OF
from clothes_toolkit.dataset import Entry
from clothes_toolkit.images import Damage, ImageFacts
from clothes_toolkit.naming import Side, split_extension

SHORTEST_SIDE = 64
STRONGEST_ASPECT = 4.0
COLORED_SHARE = 0.01
SHADED_SHARE = 0.05
"""Of 1302 real sketches none is shaded more; of 64 garment photos in grey none is shaded less."""


def _damage_rule(damage: Damage, hint: str) -> Check:
    def check(subject: Subject) -> Iterator[Fault]:
        for path, facts in subject.images.items():
            if facts.damage is damage:
                yield Fault(path, facts.detail, hint)

    return check


unreadable_image = _damage_rule(Damage.UNREADABLE, "export it again from its source")
truncated_image = _damage_rule(Damage.TRUNCATED, "copy or export it again from its source")
oversized_image = _damage_rule(Damage.OVERSIZED, "scale it down")


def _picture_rule(look: Callable[[ImageFacts], str | None], hint: str) -> Check:
    def check(subject: Subject) -> Iterator[Fault]:
        for entry, facts in subject.pictures():
            if message := look(facts):
                yield Fault(entry.path, message, hint)

    return check


def _trailing(facts: ImageFacts) -> str | None:
    return f"{facts.trailing} bytes follow the image's end" if facts.trailing else None


def _animated(facts: ImageFacts) -> str | None:
    return f"{facts.frames} frames in one file" if facts.frames > 1 else None


def _transparent(facts: ImageFacts) -> str | None:
    return "not opaque everywhere" if facts.transparent else None


def _odd_size(facts: ImageFacts) -> str | None:
    short, long = sorted((facts.width, facts.height))
    if short < SHORTEST_SIDE:
        return f"{facts.width}×{facts.height} pixels: a side is under {SHORTEST_SIDE}"
    if long > STRONGEST_ASPECT * short:
        return f"{facts.width}×{facts.height} pixels: longer than {STRONGEST_ASPECT:g} to 1"
    return None


trailing_data = _picture_rule(_trailing, "cut them off; the pixels stay the same")
animated_image = _picture_rule(_animated, "export one frame as a still image")
transparent_image = _picture_rule(_transparent, "flatten it on white")
odd_size = _picture_rule(_odd_size, "check that this is the whole image")


def format_mismatch(subject: Subject) -> Iterator[Fault]:
    """Find files whose bytes are another format than their extension says."""
    for path, facts in subject.images.items():
        extension = split_extension(path)[1].lower()
        if facts.format and extension not in EXTENSIONS_OF.get(facts.format, ()):
            yield Fault(
                path,
                f"the bytes are {facts.format}, the extension says {extension}",
                "export it again in the right format; renaming is not enough",
            )


def blank_sketch(subject: Subject) -> Iterator[Fault]:
    """Find sketches without ink."""
    for path in subject.blank:
        yield Fault(
            path, "no ink on it once flattened on white", "ask the designer to draw it again"
        )


def not_a_sketch(subject: Subject) -> Iterator[Fault]:
    """Find color or photographic content among the sketches."""
    for entry, facts in subject.drawings():
        if facts.color > COLORED_SHARE:
            yield Fault(entry.path, f"{facts.color:.0%} of it is colored", "is it a photo?")
        elif facts.shading > SHADED_SHARE:
            yield Fault(entry.path, f"{facts.shading:.0%} of it is shaded", "is it a photo?")


def exact_duplicate(subject: Subject) -> Iterator[Fault]:
    """Find files with equal pixels on one side of one split."""
    first: dict[tuple[str, Side, str], Entry] = {}
    for entry, facts in subject.pictures():
        if entry.path in subject.blank:
            continue
        twin = first.setdefault((entry.split, entry.side, facts.pixels or ""), entry)
        if twin is not entry:
            hint = "keep one of them"
            if entry.side is Side.SKETCH:
                hint = "ask the designer which photo it draws; nobody else can know"
            yield Fault(entry.path, f"the same pixels as {twin.path}", hint, (twin.path,))


def near_duplicate(subject: Subject) -> Iterator[Fault]:
    """Find photos of one split, and sketches by one designer, that look the same."""
    for group in subject.lookalikes:
        first: dict[str, Entry] = {}
        for entry in group:
            # Photos in both splits are a leak, which is another rule's.
            twin = first.setdefault(entry.split if entry.side is Side.PHOTO else "", entry)
            if twin is not entry:
                yield Fault(entry.path, f"looks like {twin.path}", _hint(entry), (twin.path,))
    for one, other in subject.mirrored:
        if one.split == other.split:
            message = f"looks like {one.path} in a mirror"
            yield Fault(other.path, message, _hint(other), (one.path,))


def _hint(entry: Entry) -> str:
    if entry.side is Side.SKETCH:
        return "has one drawing been handed in for two garments?"
    return "if they are one garment, `clothes-toolkit dedup` makes one photo of them"
