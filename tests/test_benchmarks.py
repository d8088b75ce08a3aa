"""The pages show the results that are committed."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_tables_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    tables = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
    page = tables["PAGE"].read_text(encoding="utf-8")
    assert tables["filled"](page) == page, "run `python benchmarks/tables.py`"
    for name in tables["TABLES"]:
        assert f"<!-- {name} -->" in page
