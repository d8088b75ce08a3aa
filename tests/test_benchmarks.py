"""The pages show the results that are committed."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_tables_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    tables = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
    pages = [path.read_text(encoding="utf-8") for path in tables["PAGES"]]
    for page in pages:
        assert tables["filled"](page) == page, "run `python benchmarks/tables.py`"
    for name in tables["TABLES"]:
        assert sum(f"<!-- {name} -->" in page for page in pages) == 1
