"""Write the results of the benchmarks into `docs/speed.md`, between its markers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.planted import KINDS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "speed.md"
RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; columns but for the first stand right."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def duplicates() -> str:
    """Return the tables of `duplicates.py`: one a folder."""
    return "\n\n".join(
        _contest(what, rows) for what, rows in _read("duplicates")["folders"].items()
    )


def _contest(what: str, rows: list[Row]) -> str:
    floor = rows[0]["seconds"]
    cells = [
        [
            row["who"],
            f"{row['seconds']:.2f}",
            f"{row['seconds'] / floor:.2f}",
            str(row["mebibytes"]),
            *_links(row),
        ]
        for row in rows
    ]
    head = ("", "s", "of decoding", "MiB", "links", "wrong", "recall", "precision")
    return f"{what.capitalize()}, {rows[0]['images']:,} images:\n\n{table(head, cells)}"


def _links(row: Row) -> Iterator[str]:
    for key in ("links", "wrong"):
        yield f"{row[key]:,}" if key in row else ""
    for key in ("recall", "precision"):
        yield "" if row.get(key) is None else f"{row[key]:.4f}"


def hash_search() -> str:
    """Return the table of `hash_search.py`."""
    head = ("hashes", "", "s", "MiB", "pairs", "recall, 7 bits", "recall, 8 bits")
    rows = [
        [
            f"{row['hashes']:,} {what}",
            row["who"],
            f"{row['seconds']:.2f}",
            str(row["mebibytes"]),
            f"{row['pairs']:,}",
            *(f"{row[key]:.4f}" if key in row else "" for key in ("recall_to_7", "recall_at_8")),
        ]
        for what, rows in _read("hash-search")["hashes"].items()
        for row in rows
    ]
    return table(head, rows)


def lookalikes() -> str:
    """Return the table of `lookalikes.py`: what was measured on images held out."""
    rows = [
        [
            f"{what}: {folder}",
            str(row["images"]),
            f"{row['recall']:.4f}",
            f"{row['precision']:.4f}",
            *(f"{row['recall_by_kind'][kind]:.3f}" for kind in KINDS),
        ]
        for what, results in _read("lookalikes").items()
        for folder, row in results["held_out"].items()
    ]
    return table(("", "images", "recall", "precision", *KINDS), rows)


TABLES: dict[str, Callable[[], str]] = {
    "duplicates": duplicates,
    "hash-search": hash_search,
    "lookalikes": lookalikes,
}


def filled(page: str) -> str:
    """Return a page with every table between its markers made anew."""
    for name, make in TABLES.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        page = pattern.sub(lambda _: f"{start}\n\n{make()}\n\n{end}", page)  # noqa: B023
    return page


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
