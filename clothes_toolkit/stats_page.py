"""The page that shows what a dataset holds: counts, who drew what, and examples."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from clothes_toolkit.dataset import Dataset, Sketch
from clothes_toolkit.pages import figure, page, table, text
from clothes_toolkit.stats import Stats, histogram

EXAMPLES = 8
BINS = 24


def to_html(dataset: Dataset, found: Stats) -> str:
    """Return the page."""
    counts = found.counts
    subtitle = (
        f"{counts.photos} photos, {counts.sketches} sketches, "
        f"{len(counts.designers)} designers, scheme {found.scheme}"
    )
    body = [
        *_splits(found),
        *_designers(found),
        *_examples(dataset),
        *_matrix(found),
        *_sizes(found),
    ]
    return page(dataset.root.resolve().name, subtitle, body)


def _splits(found: Stats) -> Iterator[str]:
    if found.counts.splits:
        rows = [
            (text(split), str(photos), str(sketches))
            for split, (photos, sketches) in found.counts.splits.items()
        ]
        yield "<h2>Splits</h2>" + table(("split", "photos", "sketches"), rows)


def _designers(found: Stats) -> Iterator[str]:
    rows = []
    top = max((shares[-1] for shares in found.ink.values()), default=0.0)
    for designer, sketches in found.counts.designers.items():
        ink = found.ink.get(designer, ())
        rows.append(
            (
                text(designer),
                str(sketches),
                f"{found.coverage[designer]:.1%} {_bar(found.coverage[designer])}",
                f"{statistics.median(ink):.2%}" if ink else "",
                _histogram(ink, top),
            )
        )
    if rows:
        head = ("designer", "sketches", "of the photos", "ink, median", f"0 to {top:.1%}")
        yield "<h2>Designers</h2>" + table(head, rows)
    per_photo = [
        (str(count), str(photos), _bar(photos / max(found.sketches_per_photo.values())))
        for count, photos in found.sketches_per_photo.items()
    ]
    yield "<h2>Sketches per photo</h2>" + table(("sketches", "photos", ""), per_photo)


def _examples(dataset: Dataset) -> Iterator[str]:
    """Show some photos with their sketches, spread evenly over the dataset."""
    sketches: dict[str, list[Sketch]] = {}
    for pair in dataset.pairs:
        sketches.setdefault(pair.photo.path, []).append(pair.sketch)
    paths = sorted(sketches)
    if paths:
        yield "<h2>Examples</h2>"
    for path in paths[:: max(1, -(-len(paths) // EXAMPLES))]:
        figures = [figure(dataset.root / path, text(path), keep=True)]
        figures += [
            figure(dataset.root / sketch.path, f"designer {text(sketch.designer)}")
            for sketch in sketches[path]
        ]
        yield f'<div class="row">{"".join(figures)}</div>'


def _matrix(found: Stats) -> Iterator[str]:
    designers = list(found.counts.designers)
    if not designers:
        return
    rows = []
    for path, drawn_by in found.drawn_by.items():
        cells = (
            f'<i class="on" title="{text(designer)}"></i>' if designer in drawn_by else "<i></i>"
            for designer in designers
        )
        rows.append((text(path), *cells))
    head = ("photo", *(text(designer) for designer in designers))
    yield f'<h2>Who drew which photo</h2><div class="scroll matrix">{table(head, rows)}</div>'


def _sizes(found: Stats) -> Iterator[str]:
    rows = [(f"{width}×{height}", str(n)) for (width, height), n in found.sizes.items()]
    yield f'<h2>Sizes</h2><div class="scroll">{table(("pixels", "images"), rows)}</div>'


def _bar(share: float) -> str:
    bar = f'<span class="bar" style="width:{8 * share:.2f}rem"></span>'
    return f'<span class="track">{bar}</span>'


def _histogram(values: Sequence[float], top: float) -> str:
    """Return a small picture of how values spread from 0 to `top`."""
    counts = histogram(values, BINS, top)
    most = max(counts) or 1
    bars = "".join(
        f'<rect x="{4 * number}" y="{20 - 20 * count / most:.1f}" width="3" '
        f'height="{20 * count / most:.1f}"/>'
        for number, count in enumerate(counts)
    )
    return f'<svg width="{4 * BINS}" height="20" fill="currentColor" opacity=".5">{bars}</svg>'
