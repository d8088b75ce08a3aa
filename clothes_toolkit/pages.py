"""Pages to look at: one HTML file each, with its pictures inside and nothing fetched."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import open_data, read_data
from clothes_toolkit.naming import printable

PICTURE_SIDE = 192

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --keep: #2a7d46; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
.quiet { color: var(--quiet); margin: .2rem 0 1rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; padding: 1rem 0;
  border-top: 1px solid var(--line); }
figure { margin: 0; width: 12rem; } figcaption { font-size: .8rem; overflow-wrap: anywhere; }
figure img { width: 12rem; height: 12rem; object-fit: contain; background: #fff;
  border: 2px solid var(--line); border-radius: 6px; }
figure.keep img { border-color: var(--keep); } figure.keep b { color: var(--keep); }
.missing { width: 12rem; height: 12rem; border: 2px dashed var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; border-bottom: 1px solid var(--line); }
.track { display: inline-block; width: 8rem; text-align: left; }
.bar { display: inline-block; height: .7rem; background: currentColor; opacity: .35; }
.matrix td { padding: 1px; }
.matrix i { display: block; width: .8rem; height: .8rem; background: var(--line); }
.matrix i.on { background: var(--keep); } .scroll { overflow: auto; max-height: 30rem; }
"""


def page(title: str, subtitle: str, body: Iterable[str]) -> str:
    """Return a whole page; the body's parts are HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<h1>{text(title)}</h1>\n<p class="quiet">{text(subtitle)}</p>\n'
        + "\n".join(body)
        + "\n</html>\n"
    )


def text(words: object) -> str:
    """Return words as HTML; what no terminal could print shows as escapes."""
    return escape(printable(str(words)))


def figure(file: Path, caption: str, *, keep: bool = False) -> str:
    """Return a picture of an image file with its caption, which is HTML."""
    try:
        data = read_data(file)
    except (ToolkitError, OSError):
        data = None
    return figure_of(data, caption, keep=keep)


def figure_of(data: bytes | None, caption: str, *, keep: bool = False) -> str:
    """Return a picture of an image file's bytes, or a frame where there is none."""
    kind = ' class="keep"' if keep else ""
    return f"<figure{kind}>{_picture(data)}<figcaption>{caption}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; cells are HTML."""
    titles = "".join(f"<th>{cell}</th>" for cell in head)
    lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table><tr>{titles}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _picture(data: bytes | None) -> str:
    try:
        picture = open_data(data or b"", "picture")
    except ToolkitError:
        return '<div class="missing"></div>'
    picture.thumbnail((2 * PICTURE_SIDE, 2 * PICTURE_SIDE), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    picture.save(small, "WEBP", quality=80)
    encoded = base64.b64encode(small.getvalue()).decode()
    return f'<img alt="" src="data:image/webp;base64,{encoded}">'
