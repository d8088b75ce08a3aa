from __future__ import annotations

import pytest
from hypothesis import given

from clothes_toolkit import naming
from clothes_toolkit.naming import PhotoName, Scheme, Side, SketchName
from tests import strategies as given_


@given(given_.photo_numbers, given_.designers)
def test_clothes_names_come_apart_as_they_were_put_together(number: str, designer: str) -> None:
    for name in (PhotoName(number), SketchName(number, designer)):
        for side in Side:
            assert naming.parse(naming.filename(name), Scheme.CLOTHES, side) == name


@given(given_.open_stems, given_.open_designers)
def test_open_names_come_apart_as_they_were_put_together(stem: str, designer: str) -> None:
    sketch = SketchName(stem, designer)
    for extension in naming.EXTENSIONS[Scheme.OPEN]:
        photo = naming.filename(PhotoName(stem), extension)
        assert naming.parse(photo, Scheme.OPEN, Side.PHOTO) == PhotoName(stem)
        drawn = naming.filename(sketch, extension)
        assert naming.parse(drawn, Scheme.OPEN, Side.SKETCH) == sketch


@given(given_.any_filenames)
def test_what_is_suggested_is_allowed(filename: str) -> None:
    for scheme in Scheme:
        for side in Side:
            meant = naming.suggest(filename, scheme, side)
            assert meant is None or naming.parse(meant, scheme, side) is not None


@given(given_.any_filenames)
def test_a_name_is_never_both_right_and_wrong_in_case(filename: str) -> None:
    for scheme in Scheme:
        for side in Side:
            right = naming.parse(filename, scheme, side) is not None
            assert not (right and naming.differs_in_case_only(filename, scheme, side))


@pytest.mark.parametrize(
    "filename",
    ["00003_1.png", "0003.png", "000003.png", "00003_10.png", "00003_00.png", "00003.jpg",
     "００００３.png", "00003 .png", " 00003.png", "00003.png.png", "00003_01_01.png", "00003.PNG",
     "00003\n.png", "00003.png\n", "٠٠٠٠٣.png", ".png", "00003"],
)  # fmt: skip
def test_clothes_refuses(filename: str) -> None:
    for side in Side:
        assert naming.parse(filename, Scheme.CLOTHES, side) is None


@pytest.mark.parametrize(
    ("filename", "side", "meant"),
    [
        ("00003_1.png", Side.SKETCH, "00003_01.png"),
        ("3.png", Side.PHOTO, "00003.png"),
        ("00003.jpg", Side.PHOTO, "00003.png"),
        ("００００３.png", Side.PHOTO, "00003.png"),
        ("00003.png.png", Side.PHOTO, "00003.png"),
        ("00003 (1).png", Side.PHOTO, "00003.png"),
        ("00003_01 - Copy.PNG", Side.SKETCH, "00003_01.png"),
        ("00003 01.png", Side.SKETCH, "00003_01.png"),
        ("blouse.png", Side.PHOTO, None),
        ("00003_11.png", Side.SKETCH, None),
    ],
)
def test_clothes_suggests(filename: str, side: Side, meant: str | None) -> None:
    assert naming.suggest(filename, Scheme.CLOTHES, side) == meant


def test_open_suggests() -> None:
    assert naming.suggest("oak chair_1.png", Scheme.OPEN, Side.SKETCH) == "oak-chair_01.png"
    assert naming.suggest("oak chair.JPG", Scheme.OPEN, Side.PHOTO) == "oak-chair.jpg"
    assert naming.suggest("oak.png", Scheme.OPEN, Side.SKETCH) is None


@pytest.mark.parametrize(
    ("filenames", "scheme"),
    [
        (["00001.png", "00002.jpg", "x.png", "y.png"], Scheme.CLOTHES),
        (["00001.png", "x.png", "y.png"], Scheme.OPEN),
        (["00001_01.PNG", "notes.txt", "other.txt"], Scheme.CLOTHES),
        ([], Scheme.CLOTHES),
    ],
)
def test_scheme_is_clothes_from_half_of_the_image_files(
    filenames: list[str], scheme: Scheme
) -> None:
    assert naming.guess_scheme(filenames) is scheme


def test_open_keeps_dots_and_underscores_of_the_stem() -> None:
    name = naming.parse("00140128_v1.2_01.png", Scheme.OPEN, Side.SKETCH)
    assert name == SketchName("00140128_v1.2", "01")
    assert naming.parse("chair_01.png", Scheme.OPEN, Side.PHOTO) == PhotoName("chair_01")
    assert naming.parse("chair.png.png", Scheme.OPEN, Side.PHOTO) is None
