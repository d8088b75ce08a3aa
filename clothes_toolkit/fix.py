"""The safe repairs of what validation finds: names, sides, formats, alpha, trailing bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from clothes_toolkit import naming
from clothes_toolkit.checks import RULES, Subject
from clothes_toolkit.containers import EXTENSIONS_OF, read_container
from clothes_toolkit.dataset import Dataset, Entry
from clothes_toolkit.edits.plan import Plan, Step
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.expectations import read_word_of
from clothes_toolkit.images import ImageFacts, open_image, pixels_hash, png_bytes
from clothes_toolkit.naming import EXTENSIONS

FIXABLE = {
    "name-case": "rename to lower case",
    "name-format": "rename to the name that was probably meant",
    "wrong-side": "move to the side where the name belongs",
    "format-mismatch": "make the format and the extension agree, without loss",
    "transparent-image": "flatten on white",
    "trailing-data": "cut off what follows the image's end",
}
"""Rules whose findings can be repaired, and how."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What can be done about one file.

    Attributes:
        rules: whose findings it repairs.
        step: what changes, or `None` where it cannot be done, which `obstacle` then explains.
    """

    path: str
    rules: tuple[str, ...]
    step: Step | None
    obstacle: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the repair as JSON values."""
        return {
            "path": self.path,
            "rules": list(self.rules),
            "to": self.step.target if self.step else None,
            "obstacle": self.obstacle or None,
        }


def fixable_findings(
    dataset: Dataset, images: Mapping[str, ImageFacts], rules: Collection[str]
) -> dict[str, set[str]]:
    """Return which of the rules fired at which paths; accepted findings stay as they are."""
    subject = Subject(dataset, images=images)
    accepted = {(entry.rule, entry.path) for entry in read_word_of(dataset).accepted}
    found: dict[str, set[str]] = {}
    for rule in RULES:
        if rule.name in FIXABLE and rule.name in rules:
            for finding in rule.findings(subject):
                if (rule.name, finding.path) not in accepted:
                    found.setdefault(finding.path, set()).add(rule.name)
    if "wrong-side" in rules:
        _add_wrong_sides(dataset, found)
    return found


def _add_wrong_sides(dataset: Dataset, found: Mapping[str, set[str]]) -> None:
    """Add `wrong-side` where a name, once repaired, is at home on the other side."""
    for entry in dataset.entries:
        if fired := found.get(entry.path):
            meant = _meant(dataset, entry, fired)
            name = None if meant is None else naming.parse(meant, dataset.scheme, entry.side)
            if name is not None and naming.belongs_on(name) is not entry.side:
                fired.add("wrong-side")


def find_repairs(
    dataset: Dataset,
    images: Mapping[str, ImageFacts],
    findings: Mapping[str, Collection[str]],
) -> list[Repair]:
    """Return what can be done about findings, by path.

    Args:
        dataset: the index of the folder.
        images: the facts of its images.
        findings: the rules that fired, by path; those that are not `FIXABLE` are passed over.
    """
    entries = {entry.path: entry for entry in dataset.entries}
    wanted = {
        path: tuple(rule for rule in FIXABLE if rule in rules)
        for path, rules in sorted(findings.items())
        if path in entries
    }
    repairs = [
        _repair(dataset, entries[path], images.get(path), rules)
        for path, rules in wanted.items()
        if rules
    ]
    return list(_without_collisions(repairs, entries))


def plan_of(repairs: Collection[Repair]) -> Plan:
    """Return the plan of all repairs that can be done."""
    return Plan("fix", tuple(repair.step for repair in repairs if repair.step))


def _repair(
    dataset: Dataset, entry: Entry, facts: ImageFacts | None, rules: tuple[str, ...]
) -> Repair:
    file = dataset.root / entry.path
    if file.is_symlink():
        return Repair(entry.path, rules, None, "is a link; repair what it names")
    target = _target(dataset, entry, rules)
    if target is None:
        return Repair(entry.path, rules, None, "nobody can tell which name was meant")
    form = facts.format if facts else None
    data = None
    try:
        if form is not None and _extension(target) not in EXTENSIONS_OF.get(form, ()):
            target, data = _agree(dataset, target, file, form)
        if data is None and "transparent-image" in rules:
            data = _flattened(file, _extension(target))
        if data is not None and facts is not None and facts.frames > 1:
            raise ToolkitError("it has more than one frame; export one as a still image")
        if data is None and "trailing-data" in rules:
            data = _cut(file)
    except ToolkitError as error:
        return Repair(entry.path, rules, None, str(error))
    if target == entry.path and data is None:
        return Repair(entry.path, rules, None, "there is no repair without loss")
    why = "; ".join(FIXABLE[rule] for rule in rules)
    sha256 = facts.sha256 if facts and facts.sha256 else None
    return Repair(entry.path, rules, Step(entry.path, target, why, data, sha256))


def _target(dataset: Dataset, entry: Entry, rules: Collection[str]) -> str | None:
    """Return the path that a file should have."""
    filename = _meant(dataset, entry, rules)
    if filename is None:
        return None
    folder = entry.path.rpartition("/")[0]
    name = naming.parse(filename, dataset.scheme, entry.side)
    if "wrong-side" in rules and name is not None:
        folder = dataset.layout.folder(entry.split, naming.belongs_on(name))
    return f"{folder}/{filename}"


def _meant(dataset: Dataset, entry: Entry, rules: Collection[str]) -> str | None:
    """Return a file's name, the one that was probably meant where a rule says it is wrong."""
    filename = entry.path.rpartition("/")[2]
    if {"name-case", "name-format"} & set(rules):
        return naming.suggest(filename, dataset.scheme, entry.side)
    return filename


def _agree(dataset: Dataset, target: str, file: Path, form: str) -> tuple[str, bytes | None]:
    """Return a path and content whose formats agree: the right extension, or a PNG.

    Raises `ToolkitError` where neither is allowed.
    """
    folder, _, filename = target.rpartition("/")
    stem = naming.split_extension(filename)[0]
    allowed = [e for e in EXTENSIONS_OF.get(form, ()) if e in EXTENSIONS[dataset.scheme]]
    if _extension(target) == ".png":
        return target, _same_pixels(file, png_bytes)
    if allowed:
        return f"{folder}/{stem}{allowed[0]}", None
    raise ToolkitError(f"{form} images have no place here; export it as PNG")


def _flattened(file: Path, extension: str) -> bytes:
    return _same_pixels(file, png_bytes if extension == ".png" else _webp_bytes)


def _same_pixels(file: Path, encode: Callable[[Image.Image], bytes]) -> bytes:
    """Return an image encoded anew, upright and on white, after looking that nothing was lost."""
    picture = open_image(file)
    data = encode(picture)
    with Image.open(io.BytesIO(data)) as again:
        if pixels_hash(again.convert("RGB")) != pixels_hash(picture):
            raise ToolkitError("its pixels cannot be kept")
    return data


def _webp_bytes(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", lossless=True, exact=True)
    return file.getvalue()


def _cut(file: Path) -> bytes:
    """Return an image up to its end, after looking that the pixels stay."""
    data = file.read_bytes()
    container = read_container(data)
    if container is None or container.end is None:
        raise ToolkitError("its end cannot be found")
    with Image.open(io.BytesIO(data[: container.end])) as short, Image.open(file) as long:
        if short.convert("RGBA").tobytes() != long.convert("RGBA").tobytes():
            raise ToolkitError("its pixels would change")
    return data[: container.end]


def _without_collisions(repairs: list[Repair], entries: Mapping[str, Entry]) -> Iterator[Repair]:
    """Give up repairs whose target is, or would be, somebody else's."""
    taken = {naming.folded(path): path for path in entries}
    for repair in repairs:
        if repair.step is None or repair.step.target is None:
            yield repair
            continue
        owner = taken.setdefault(naming.folded(repair.step.target), repair.path)
        if owner != repair.path:
            how = "is there already" if owner == repair.step.target else f"is taken by {owner}"
            obstacle = f"{repair.step.target} {how}"
            yield Repair(repair.path, repair.rules, None, obstacle)
        else:
            yield repair


def _extension(path: str) -> str:
    return naming.split_extension(path.rpartition("/")[2])[1].lower()
