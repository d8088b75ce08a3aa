"""The page that shows what changed between two releases, old beside new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from clothes_toolkit.naming import is_image_name
from clothes_toolkit.pages import figure_of, page, text
from clothes_toolkit.release.changes import Changes
from clothes_toolkit.release.snapshots import Snapshot

SHOWN = 200
"""Pictures of a kind on the page; more would make it too heavy to open."""


def to_html(old: Snapshot, new: Snapshot, changes: Changes) -> str:
    """Return the page; its pictures are inside."""
    step = f"version step: {changes.step.word}"
    subtitle = "Nothing changed." if changes.is_empty else f"{changes.counted()}; {step}"
    came_from = {to: path for path, to in changes.moved}
    again = [(came_from.get(path, path), path) for path in changes.changed]
    moved = {to: path for path, to in changes.moved if to not in changes.changed}
    body = [
        *_one_sided("Added", new, changes.added),
        *_one_sided("Removed", old, changes.removed),
        *_two_sided("Drawn or taken again", old, new, again),
        *_one_sided("Moved", new, sorted(moved), moved),
    ]
    return page(f"{old.name} → {new.name}", subtitle, body)


def _one_sided(
    title: str, of: Snapshot, paths: Sequence[str], came_from: Mapping[str, str] | None = None
) -> Iterator[str]:
    if not paths:
        return
    yield f"<h2>{title} ({len(paths)})</h2>"
    told = {path: f"{text(was)} →<br>{text(path)}" for path, was in (came_from or {}).items()}
    images = [path for path in paths if is_image_name(path)][:SHOWN]
    data = of.read(images)
    figures = (figure_of(data.get(path), told.get(path, text(path))) for path in images)
    yield f'<div class="row">{"".join(figures)}</div>'
    yield _others([path for path in paths if path not in images])


def _two_sided(
    title: str, old: Snapshot, new: Snapshot, pairs: Sequence[tuple[str, str]]
) -> Iterator[str]:
    if not pairs:
        return
    yield f"<h2>{title} ({len(pairs)})</h2>"
    shown = [pair for pair in pairs if is_image_name(pair[1])][:SHOWN]
    before, after = old.read([a for a, _ in shown]), new.read([b for _, b in shown])
    for was, now in shown:
        figures = figure_of(before.get(was), f"{text(was)}<br>before")
        figures += figure_of(after.get(now), f"<b>{text(now)}</b><br>after", keep=True)
        yield f'<div class="row">{figures}</div>'
    yield _others([f"{a} → {b}" if a != b else a for a, b in pairs if (a, b) not in shown])


def _others(paths: Sequence[str]) -> str:
    return "".join(f'<p class="quiet">{text(path)}</p>' for path in paths)
