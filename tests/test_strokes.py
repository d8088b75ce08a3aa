"""Strokes, written, read and drawn."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.strokes import ERASER, Drawing, Stroke, read_drawing, render, to_svg

coordinates = st.floats(-50, 300)
points = st.tuples(
    coordinates, coordinates, st.none() | st.floats(0, 1), st.none() | st.floats(0, 1e6)
)
strokes = st.builds(
    Stroke,
    st.lists(points, max_size=6).map(tuple),
    st.floats(0.1, 20),
    st.sampled_from(["pen", "brush", ERASER]),
    st.none() | st.floats(0, 1e6),
)
drawings = st.builds(
    Drawing,
    st.just("00001_01"),
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.lists(strokes, max_size=4).map(tuple),
    st.none() | st.just("clothes-toolkit 1"),
)


@given(drawings)
def test_what_is_written_is_read(drawing: Drawing) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "00001_01.json"
        file.write_bytes(drawing.to_bytes())
        assert read_drawing(file) == drawing


@given(drawings)
def test_a_drawing_is_ink_on_white_paper_of_its_size(drawing: Drawing) -> None:
    picture = render(drawing)
    assert (picture.mode, picture.size) == ("L", drawing.canvas)
    assert picture.tobytes() == render(drawing).tobytes()
    if not any(stroke.points and stroke.tool != ERASER for stroke in drawing.kept):
        assert picture.getextrema() == (255, 255)


@given(drawings, st.integers(1, 3), st.floats(0, 1))
def test_a_drawing_is_the_same_at_any_size_and_without_what_was_erased(
    drawing: Drawing, times: int, share: float
) -> None:
    width, height = drawing.canvas
    large = render(drawing, (times * width, times * height))
    assert large.size == (times * width, times * height)
    kept = dataclasses.replace(drawing, strokes=drawing.kept)
    assert render(kept, large.size).tobytes() == large.tobytes()
    first = drawing.beginning(share)
    assert first.strokes == drawing.kept[: len(first.strokes)]
    assert share * len(drawing.kept) <= len(first.strokes) <= share * len(drawing.kept) + 1


@given(drawings)
def test_an_svg_holds_what_was_kept(drawing: Drawing) -> None:
    root = ET.fromstring(to_svg(drawing))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("viewBox") == "0 0 {} {}".format(*drawing.canvas)
    drawn = [part for part in root if part.tag != f"{space}rect"]
    assert len(drawn) == sum(bool(stroke.points) for stroke in drawing.kept)


def test_an_eraser_draws_paper_over_what_was_there_before() -> None:
    across = ((10.0, 20.0, None, None), (50.0, 20.0, None, None))
    down = ((30.0, 5.0, None, None), (30.0, 35.0, None, None))
    strokes = (Stroke(across, 4), Stroke(down, 10, ERASER), Stroke(down, 2))
    picture = render(Drawing("x", (60, 40), strokes))
    levels = [picture.getpixel((x, 20)) for x in (15, 27, 30, 33, 45)]
    assert levels == [0, 255, 0, 255, 0]


def test_a_canvas_of_other_proportions_lies_in_the_middle() -> None:
    dot = Stroke(((50.0, 25.0, None, None),), 4)
    picture = render(Drawing("x", (100, 50), (dot,)), (200, 200), line_width=10)
    box = picture.point(lambda level: 255 * (level < 128)).getbbox()
    assert box == pytest.approx((95, 95, 105, 105), abs=1)


def line(width: float, pressure: float | None = None) -> Drawing:
    ends = ((10.0, 20.0, pressure, None), (50.0, 20.0, pressure, None))
    return Drawing("x", (60, 40), (Stroke(ends, width),))


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_a_line_is_as_wide_as_it_says(width: int) -> None:
    picture = render(line(width))
    column = [255 - picture.getpixel((30, y)) for y in range(40)]  # type: ignore[operator]
    assert sum(column) / 255 == pytest.approx(width, abs=0.3)
    assert picture.getpixel((5, 20)) == 255
    assert min(column) == 0
    assert max(column) > 127
    assert {y for y, ink in enumerate(column) if ink} <= set(range(15, 26))


def test_pressure_thins_a_line() -> None:
    full, half = render(line(8)), render(line(8, 0.5))
    assert render(line(8, 1.0)).tobytes() == full.tobytes()
    ink = [sum(255 - level for level in picture.tobytes()) for picture in (full, half)]
    assert 0.4 < ink[1] / ink[0] < 0.6


def test_a_point_is_a_dot() -> None:
    picture = render(Drawing("x", (20, 20), (Stroke(((10.0, 10.0, None, None),), 4.0),)))
    dark = sum(255 - level for level in picture.tobytes()) / 255
    assert dark == pytest.approx(3.14159 * 4, rel=0.2)


def test_another_process_draws_the_same() -> None:
    script = (
        "import hashlib; from tests.test_strokes import line; "
        "from clothes_toolkit.strokes import render; "
        "print(hashlib.sha256(render(line(3, 0.7)).tobytes()).hexdigest())"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert found.stdout.strip() == hashlib.sha256(render(line(3, 0.7)).tobytes()).hexdigest()


GOOD = json.loads(line(2).to_bytes())


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": "else/1"},
        {"canvas": [0, 10]},
        {"canvas": [100_000, 10]},
        {"canvas": "wide"},
        {"strokes": [{"tool": "pen", "width": 1}]},
        {"strokes": [{"tool": "pen", "width": 1, "points": [[1, 2]]}]},
        {"strokes": [{"tool": "pen", "width": float("inf"), "points": []}]},
        {"strokes": [{"tool": "pen", "width": 1, "points": [[1, "nan", None, None]]}]},
        {"strokes": [{"tool": "pen", "width": 1, "points": [[1e308, 1, None, None]]}]},
        {"strokes": [{"tool": "pen", "width": 1, "points": [[1, 1, 7, None]]}]},
        {"strokes": [{"tool": "pen", "width": -1, "points": []}]},
        {"canvas": [float("inf"), 10]},
    ],
)
def test_what_is_no_drawing_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps(GOOD | wrong))
    with pytest.raises(ToolkitError, match="holds no strokes"):
        read_drawing(file)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "[[" * 5000])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ToolkitError, match="holds no strokes"):
        read_drawing(tmp_path / "x.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"none\.json: cannot be read"):
        read_drawing(tmp_path / "none.json")
