"""What forbids a release: open errors, a split that leaks, names that travel badly."""

from __future__ import annotations

from collections.abc import Sequence

from clothes_toolkit.dataset import Dataset, Layout
from clothes_toolkit.errors import RefusedError
from clothes_toolkit.naming import printable
from clothes_toolkit.release.manifest import Manifest, check_path
from clothes_toolkit.report import Finding, Report, Severity
from clothes_toolkit.split import split_of

LEAK = "split-leak"


def leaks(report: Report) -> tuple[Finding, ...]:
    """Return the leaks of the split, accepted ones included: no word of a maintainer mends them."""
    return tuple(finding for finding in report.findings if finding.rule == LEAK)


def admit(dataset: Dataset, report: Report, manifest: Manifest) -> None:
    """Let a dataset be released, or raise `RefusedError` with what forbids it."""
    root = printable(str(dataset.root))
    if dataset.layout is not Layout.SPLIT:
        raise RefusedError(
            f"{root}: is not split yet; `clothes-toolkit split` makes train and test"
        )
    if found := leaks(report):
        raise RefusedError(
            f"{root}: the split leaks, {_listed(found)}; a leak cannot be accepted, "
            "`clothes-toolkit split` makes one without"
        )
    if found := report.open_findings(Severity.ERROR):
        raise RefusedError(
            f"{root}: is not sound, {_listed(found)}; mend it, or accept findings in clothes.toml "
            f"(`clothes-toolkit validate {root}` shows all)"
        )
    for record in manifest.files:
        _check_name(record.path)
    for split in dataset.splits:
        if not any(pair.sketch.split == split for pair in dataset.pairs):
            raise RefusedError(f"{root}: {split} has no pair; a release needs some in both splits")
    _check_split(dataset)


def _check_name(path: str) -> None:
    try:
        check_path(path)
        can_travel = path.isprintable()
    except ValueError:
        can_travel = False
    if not can_travel:
        raise RefusedError(f"{printable(path)}: a name that not every system can hold")


def _check_split(dataset: Dataset) -> None:
    """Refuse a `split.json` that contradicts the folders."""
    told = split_of(dataset)
    if told is None:
        return
    sides = {stem: split for split in ("train", "test") for stem in getattr(told, split)}
    for photo in dataset.photos:
        if sides.get(photo.stem, photo.split) != photo.split:
            raise RefusedError(
                f"{photo.path}: is a {sides[photo.stem]} photo in split.json; move it, or mend that"
            )


def _listed(findings: Sequence[Finding]) -> str:
    first = findings[0]
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    what = f"{first.rule}: {printable(first.path)} {printable(first.message)}"
    return what + more
