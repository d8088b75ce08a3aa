"""Markdown in lines that can be read in a terminal, too."""

from __future__ import annotations

import textwrap

WIDTH = 100
_VERBATIM = ("|", "```", "#")
"""How tables, code and headings begin, whose lines are kept."""


def filled(markdown: str) -> str:
    """Break paragraphs and list items into lines of at most `WIDTH` characters."""
    parts = markdown.split("\n\n")
    return "\n\n".join(part if part.startswith(_VERBATIM) else _fill(part) for part in parts)


def _fill(part: str) -> str:
    bullet = "* " if part.startswith("* ") else ""
    items = part.removeprefix(bullet).split("\n* ") if bullet else [part]
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()),
            WIDTH,
            initial_indent=bullet,
            subsequent_indent=" " * len(bullet),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )
