"""The page that shows each group of duplicates side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.dedup import Group
from clothes_toolkit.merge import Merge
from clothes_toolkit.naming import Side
from clothes_toolkit.pages import figure, page, text


def to_html(dataset: Dataset, groups: Sequence[Group], merged: Merge | None = None) -> str:
    """Return a page that shows each group side by side."""
    left = {conflict.path: conflict.message for conflict in merged.conflicts} if merged else {}
    body = [_section(dataset, group, left) for group in groups]
    how_many = f"{len(groups)} group{'' if len(groups) == 1 else 's'} of images that show the same"
    return page(f"Duplicates in {dataset.root.resolve().name}", how_many, body)


def _section(dataset: Dataset, group: Group, left: Mapping[str, str]) -> str:
    kind = "Equal pixels" if group.exact else "In a mirror" if group.mirrored else "Lookalikes"
    noun = "photos" if group.side is Side.PHOTO else "sketches"
    caption = f"<b>keep</b> {text(group.keep)}<br>{text(group.why)}"
    figures = [figure(dataset.root / group.keep, caption, keep=True)]
    for duplicate in group.duplicates:
        bits = "" if group.exact else f"<br>{duplicate.distance} of 64 bits differ"
        note = left.get(duplicate.path) or duplicate.accepted
        words = f"{text(duplicate.path)}{bits}" + (f"<br>{text(note)}" if note else "")
        figures.append(figure(dataset.root / duplicate.path, words))
    return f"<h2>{kind}: {noun}</h2>" + f'<div class="row">{"".join(figures)}</div>'
