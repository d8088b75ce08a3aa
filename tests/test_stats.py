"""What `stats` counts and shows."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clothes_toolkit.cli.stats import BARS, sparkline
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.images import inspect
from clothes_toolkit.naming import Side
from clothes_toolkit.stats import stats
from tests.conftest import Run, draw_picture
from tests.contract import STATS


class Page(HTMLParser):
    """Collects what a page would fetch, and its tables' rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.cells: list[str] = []
        self.marks = 0
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.marks += ("class", "on") in attrs

    def handle_data(self, data: str) -> None:
        self.cells.append(data.strip())


def test_who_drew_what_and_with_how_much_ink(sound: Path) -> None:
    draw_picture(sound / "trainA" / "00001_07.png", 900, photo=False)
    found = stats(Dataset.open(sound))
    assert found.drawn_by["trainB/00001.png"] == ("01", "02", "07")
    assert found.drawn_by["testB/00004.png"] == ("01", "02")
    assert found.coverage == {"01": 1.0, "02": 1.0, "07": 0.2}
    assert found.sketches_per_photo == {2: 4, 3: 1}
    assert found.sizes == {(80, 80): 16}
    ink = inspect(sound / "trainA" / "00001_07.png", Side.SKETCH).ink
    assert found.ink["07"] == (ink,)
    assert 0 < ink < 0.3


def test_a_photo_without_sketches_is_counted_as_such(sound: Path) -> None:
    for designer in (1, 2):
        (sound / "testA" / f"00005_0{designer}.png").unlink()
    found = stats(Dataset.open(sound))
    assert found.drawn_by["testB/00005.png"] == ()
    assert found.sketches_per_photo == {0: 1, 2: 4}


def test_json_follows_the_contract(sound: Path, run: Run) -> None:
    status, out, _ = run("stats", sound, "--format", "json")
    document = json.loads(out)
    jsonschema.validate(document, STATS)
    assert status == 0
    assert document["sizes"] == [{"width": 80, "height": 80, "images": 15}]
    assert set(document["ink"]["01"]) == {"least", "median", "most"}


def test_the_text_has_the_matrix_while_it_fits(sound: Path, run: Run) -> None:
    (sound / "testA" / "00005_02.png").unlink()
    lines = run("stats", sound)[1].splitlines()
    assert "trainB/00001.png  ■  ■" in lines
    assert "testB/00005.png   ■  ·" in lines


def test_the_page_shows_pictures_and_fetches_nothing(sound: Path, run: Run) -> None:
    status, out, _ = run("stats", sound, "--format", "html")
    page = Page(out)
    assert status == 0
    assert len(page.links) == 15
    assert all(link.startswith("data:image/") for link in page.links)
    assert {"testB/00005.png", "80×80", "15"} <= set(page.cells)
    assert page.marks == 10


def test_a_name_cannot_become_markup(tmp_path: Path, run: Run) -> None:
    root = tmp_path / "<script>alert(1)<"
    (root / "A").mkdir(parents=True)
    (root / "B").mkdir()
    draw_picture(root / "B" / "a.png", 1, photo=True)
    out = run("stats", root, "--format", "html", "--scheme", "open")[1]
    assert "<script" not in out
    assert "&lt;script&gt;" in out


def test_an_empty_pool_has_a_page(tmp_path: Path, run: Run) -> None:
    for side in "AB":
        (tmp_path / "Empty" / side).mkdir(parents=True)
    for form in ("text", "json", "html"):
        assert run("stats", tmp_path / "Empty", "--format", form)[0] == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(1, 30))
def test_a_sparkline_shows_every_value(values: list[float], columns: int) -> None:
    line = sparkline(values, columns)
    assert len(line) == columns
    assert set(line) <= set(BARS)
    assert BARS[-1] in line
    if max(values) > 0:
        assert line[-1] != " "
    filled = {min(columns - 1, int(columns * v / (max(values) or 1))) for v in values}
    assert {place for place, bar in enumerate(line) if bar != " "} == filled


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_a_damaged_image_does_not_stop_it(sound: Path, run: Run, form: str) -> None:
    (sound / "trainA" / "00001_01.png").write_bytes(b"no image")
    (sound / "trainB" / "00002.png").write_bytes(b"")
    assert run("stats", sound, "--format", form)[0] == 0
