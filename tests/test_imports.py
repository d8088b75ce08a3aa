"""Folders and archives of other shapes become datasets, and cannot do harm."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.naming import Scheme
from clothes_toolkit.sources import qmul, zips
from clothes_toolkit.sources.imports import import_dataset
from clothes_toolkit.strokes import read_drawing, render
from clothes_toolkit.validate import validate
from tests.conftest import Run, draw_picture
from tests.trees import tree


def names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_picture(path, seed, photo=True)


def sketch(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_picture(path, 1000 + seed, photo=False)


# QMUL with strokes

ZIGZAG = np.array([[80, 80, 0], [400, 80, 0], [400, 400, 1], [160, 640, 0], [640, 640, 1]])


@pytest.fixture
def shoes(tmp_path: Path) -> Path:
    """ShoeV2's shape: photos, and strokes in 800 units with the last point of each marked."""
    root = tmp_path / "ShoeV2"
    for number in (11, 12, 13, 14):
        photo(root / "photo" / f"{number}.png", number)
    strokes = {
        "train/11_1": ZIGZAG,
        "train/11_2": ZIGZAG * [1, 0.5, 1],
        "test/12_1": ZIGZAG[2:].astype(np.int16),
        "train/99_1": ZIGZAG,
        "train/noise": ZIGZAG,
        "train/13_1": np.zeros((0, 3)),
    }
    (root / "ShoeV2_Coordinate").write_bytes(pickle.dumps(strokes, protocol=2))
    return root


def test_strokes_become_sketches(shoes: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "Shoes"
    status, told, _ = run("import", shoes, "--out", out)
    assert names(out) == [
        "strokes/11_01.json",
        "strokes/11_02.json",
        "strokes/12_01.json",
        "testA/12_01.png",
        "testB/12.png",
        "trainA/11_01.png",
        "trainA/11_02.png",
        "trainB/11.png",
    ]
    assert status == 1
    for line in (
        "train/99_1  its photo 99 is not there",
        "train/noise  not named like train/STEM_1",
        "photo/14.png  nobody drew it",
    ):
        assert line in told
    assert "no strokes" in told
    drawing = read_drawing(out / "strokes" / "11_01.json")
    assert (drawing.sketch, drawing.canvas) == ("11_01", (256, 256))
    assert [stroke.points[0][:2] for stroke in drawing.strokes] == [(25.6, 25.6), (51.2, 204.8)]
    assert [len(stroke.points) for stroke in drawing.strokes] == [3, 2]
    with Image.open(out / "trainA" / "11_01.png") as image:
        assert image.convert("L").tobytes() == render(drawing).tobytes()
        assert image.getpixel((77, 25)) == 0  # on the first line
        assert image.getpixel((77, 100)) == 255
    assert validate(Dataset.open(out)).ok


def test_an_old_numpys_arrays_are_read(shoes: Path) -> None:
    file = shoes / "ShoeV2_Coordinate"
    data = file.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in data
    file.write_bytes(data)
    found = qmul.read_coordinates(file)
    np.testing.assert_array_equal(found["train/11_1"], ZIGZAG)


class Evil:
    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch harmed",)),
        (eval, ("open('harmed', 'w')",)),
        (getattr, ("text", "upper")),
        (np.load, ("harmed",)),
        (np.array, ([1],)),
        (bytearray, (10**12,)),
    ],
)
def test_nothing_but_arrays_is_unpickled(
    shoes: Path,
    tmp_path: Path,
    function: Callable[..., Any],
    arguments: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = {"train/11_1": ZIGZAG, "train/11_2": Evil(function, *arguments)}
    (shoes / "ShoeV2_Coordinate").write_bytes(pickle.dumps(evil))
    status, _, err = run("import", shoes, "--out", tmp_path / "Shoes")
    assert status == 2
    assert "refused" in err
    assert "Coordinate" in err
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ShoeV2"]


@given(st.binary(max_size=300))
def test_any_bytes_are_strokes_or_refused(data: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            found = qmul.read_coordinates(Path(file.name))
        except ToolkitError:
            return
        assert isinstance(found, dict)


@pytest.mark.parametrize(
    "points",
    [
        np.full((4, 3), np.nan),
        np.full((4, 3), np.inf),
        np.zeros((4, 2)),
        np.zeros(12),
        np.array(["a", "b"]),
        np.array([None, "x", 3], dtype=object),
        "text",
        None,
        [[1, 2]],
    ],
)
def test_strokes_that_are_none_are_left_out(shoes: Path, tmp_path: Path, points: object) -> None:
    table = {"train/11_1": ZIGZAG, "train/11_2": points}
    (shoes / "ShoeV2_Coordinate").write_bytes(pickle.dumps(table))
    found = import_dataset(shoes, tmp_path / "Shoes")
    assert (found.photos, found.sketches) == (1, 1)
    assert "ShoeV2_Coordinate: train/11_2" in {item.path for item in found.left_out}


# QMUL's PNG release


def test_the_png_release(tmp_path: Path) -> None:
    root = tmp_path / "ChairV2"
    for split, number in (("train", 1), ("test", 2)):
        photo(root / f"{split}B" / f"{number}.png", number)
        sketch(root / f"{split}A" / f"{number}_1.png", number)
        sketch(root / f"{split}A" / f"{number}_12.png", 10 * number)
    sketch(root / "trainA" / "3_1.png", 3)
    (root / "readme.txt").write_text("x")
    found = import_dataset(root, tmp_path / "Chairs")
    assert (found.kind, found.photos, found.sketches) == ("qmul", 2, 4)
    assert {item.path for item in found.left_out} == {"trainA/3_1.png", "readme.txt"}
    made = Dataset.open(tmp_path / "Chairs")
    assert made.scheme is Scheme.OPEN
    assert {s.designer for s in made.sketches} == {"01", "12"}
    assert made.counts().splits == {"train": (1, 2), "test": (1, 2)}


def test_the_real_chairs(shared_data: Path, tmp_path: Path) -> None:
    found = import_dataset(shared_data / "chairv2", tmp_path / "Chairs")
    made = Dataset.open(tmp_path / "Chairs")
    ours = Dataset.open(shared_data / "chairv2").counts()
    assert made.counts().splits == ours.splits
    assert (found.photos, found.sketches) == (ours.photos, ours.sketches)
    assert [(f.rule, f.path) for f in validate(made).findings] == [
        ("exact-duplicate", "testA/sd1804-noir_02.png")  # as released
    ]


# Sketchy


@pytest.fixture
def sketchy(tmp_path: Path) -> Path:
    root = tmp_path / "sketchy"
    for rendering in ("tx_000000000000", "tx_000100000000"):
        photo(root / "photo" / rendering / "ape" / "n1_10.jpg", 1)
        photo(root / "photo" / rendering / "ape" / "n1_11.jpg", 2)
        photo(root / "photo" / rendering / "bell" / "n1_10.jpg", 3)
        sketch(root / "sketch" / rendering / "ape" / "n1_10-1.png", 1)
        sketch(root / "sketch" / rendering / "ape" / "n1_10-2.png", 2)
        sketch(root / "sketch" / rendering / "bell" / "n1_10-1.png", 3)
        sketch(root / "sketch" / rendering / "bell" / "n1_99-1.png", 4)
    return root


@pytest.mark.parametrize("renderings", [True, False])
def test_sketchy(sketchy: Path, tmp_path: Path, renderings: bool) -> None:
    if not renderings:
        for side in ("photo", "sketch"):
            inner = sketchy / side / "tx_000000000000"
            for category in inner.iterdir():
                category.rename(sketchy / side / category.name)
            for rendering in (sketchy / side).glob("tx_*"):
                shutil.rmtree(rendering)
    found = import_dataset(sketchy, tmp_path / "Out")
    assert found.kind == "sketchy"
    assert names(tmp_path / "Out") == [
        "A/ape-n1_10_01.png",
        "A/ape-n1_10_02.png",
        "A/bell-n1_10_01.png",
        "B/ape-n1_10.jpg",
        "B/bell-n1_10.jpg",
        "B/n1_11.jpg",
    ]
    reasons = {item.path: item.reason for item in found.left_out}
    prefix = "sketch/tx_000000000000" if renderings else "sketch"
    assert reasons.pop(f"{prefix}/bell/n1_99-1.png") == "its photo bell/n1_99 is not there"
    assert set(reasons.values()) == ({"another rendering"} if renderings else set())


# Flat


def test_a_flat_folder(tmp_path: Path) -> None:
    root = tmp_path / "things"
    for stem in ("vase", "jug_2", "jug"):
        photo(root / f"{stem}.jpg", len(stem))
    sketch(root / "vase_1.png", 1)
    sketch(root / "vase-07.png", 2)
    sketch(root / "jug_2_3.png", 3)
    (root / "notes.txt").write_text("x")
    (root / ".hidden").write_text("x")
    found = import_dataset(root, tmp_path / "Out")
    # jug_2 may be a photo or the second sketch of jug; with a jug beside it, it is a sketch.
    assert names(tmp_path / "Out") == [
        "A/jug_02.jpg",
        "A/vase_01.png",
        "A/vase_07.png",
        "B/jug.jpg",
        "B/vase.jpg",
    ]
    assert {item.path for item in found.left_out} == {"notes.txt", "jug_2_3.png"}


def test_two_sketches_for_one_place(tmp_path: Path) -> None:
    root = tmp_path / "things"
    photo(root / "vase.jpg", 1)
    sketch(root / "vase_1.png", 1)
    sketch(root / "vase-1.png", 2)
    sketch(root / "vase_123.png", 2)
    found = import_dataset(root, tmp_path / "Out")
    assert found.sketches == 1
    assert {item.path: item.reason for item in found.left_out} == {
        "vase_1.png": "vase-1.png is A/vase_01, too",
        "vase_123.png": "a number above 99 has no name here",
    }


def test_names_that_have_no_place_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "things"
    photo(root / "good.jpg", 1)
    photo(root / "two words (1).JPG", 2)
    photo(root / "n\u202egpj.jpg", 3)
    photo(root / ("x" * 251 + ".jpg"), 4)
    photo(root / "!!!.jpg", 5)
    photo(root / "two-words.jpg", 6)
    (root / "link.jpg").symlink_to("good.jpg")
    (root / "empty.jpg").write_bytes(b"")
    found = import_dataset(root, tmp_path / "Out")
    assert names(tmp_path / "Out") == [
        "B/empty.jpg",
        "B/good.jpg",
        "B/n-gpj.jpg",
        "B/two-words.jpg",
        f"B/{'x' * 251}.jpg",
    ]
    assert {item.path: item.reason for item in found.left_out} == {
        "!!!.jpg": "has no name that could be kept",
        "link.jpg": "a link",
        "two-words.jpg": "two words (1).JPG is B/two-words, too",
    }


def test_a_dataset_of_our_own_keeps_its_scheme(sound: Path, tmp_path: Path) -> None:
    import_dataset(sound, tmp_path / "Out")
    assert Dataset.open(tmp_path / "Out").scheme is Scheme.CLOTHES
    assert tree(tmp_path / "Out") == tree(sound)


# What cannot be imported


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda _path: None, "no such file or folder"),
        (lambda path: path.mkdir(), "no known shape"),
        (lambda path: path.write_text("text"), "neither a folder nor a zip file"),
        (lambda path: photo(path / "trainA" / "1_1.png", 1), "no photo"),
        (os.mkfifo, "neither a folder nor a zip file"),
    ],
)
def test_what_has_no_shape_is_refused(
    tmp_path: Path, make: Callable[[Path], object], told: str, run: Run
) -> None:
    make(tmp_path / "source")
    there = set(tmp_path.iterdir())
    status, _, err = run("import", tmp_path / "source", "--out", tmp_path / "Out")
    assert status == 2
    assert told in err
    assert len(err.splitlines()) == 1
    assert set(tmp_path.iterdir()) == there


def test_an_existing_folder_is_not_touched(sound: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "Out").mkdir()
    (tmp_path / "Out" / "mine.txt").write_text("mine")
    status, _, err = run("import", sound, "--out", tmp_path / "Out")
    assert (status, "exists already" in err) == (2, True)
    assert names(tmp_path / "Out") == ["mine.txt"]


def test_a_full_disk_leaves_nothing(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(reader: io.BufferedReader, writer: io.BufferedWriter) -> None:
        writer.write(reader.read(100))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    monkeypatch.setattr("clothes_toolkit.edits.files._cloned", lambda *_: False)
    with pytest.raises(ToolkitError, match="No space left"):
        import_dataset(sound, tmp_path / "Out")
    assert {path.name for path in tmp_path.iterdir()} == {sound.name}


# Zip files


def zipped(folder: Path, archive: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names(folder):
            file.write(folder / name, prefix + name)
    return archive


@pytest.mark.parametrize("prefix", ["", "ShoeV2/", "a/b/c/"])
def test_a_zip_is_as_good_as_its_folder(shoes: Path, tmp_path: Path, prefix: str) -> None:
    archive = zipped(shoes, tmp_path / "ShoeV2.zip", prefix)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("__MACOSX/._photo", "x")
    import_dataset(shoes, tmp_path / "one")
    import_dataset(archive, tmp_path / "other")
    assert tree(tmp_path / "one") == tree(tmp_path / "other")


def member(name: str, **settings: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for key, value in settings.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    ("evil", "data", "told"),
    [
        (member("../harmed.png"), b"x", "leads out"),
        (member("photo/../../harmed.png"), b"x", "leads out"),
        (member("/harmed.png"), b"x", "leads out"),
        (member("C:\\harmed.png"), b"x", "leads out"),
        (member("..\\harmed.png"), b"x", "leads out"),
        (member("link", external_attr=(stat.S_IFLNK | 0o777) << 16), b"/etc", "is a link"),
        (member("fifo", external_attr=(stat.S_IFIFO | 0o666) << 16), b"", "is a link"),
        (member("bomb.png", compress_type=zipfile.ZIP_DEFLATED), bytes(1 << 25), "too much"),
        (member("11.png/inner.png"), b"x", "11.png"),
    ],
)
def test_an_evil_zip_is_refused(
    shoes: Path, tmp_path: Path, evil: zipfile.ZipInfo, data: bytes, told: str, run: Run
) -> None:
    work = tmp_path / "deep" / "er"
    work.mkdir(parents=True)
    archive = zipped(shoes / "photo", work / "evil.zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(evil, data)
    status, _, err = run("import", archive, "--out", work / "Out")
    assert status == 2
    assert told in err
    assert len(err.splitlines()) == 1
    assert {path.name for path in work.iterdir()} == {"evil.zip"}
    assert {path.name for path in tmp_path.rglob("*harmed*")} == set()


def test_a_member_that_is_larger_than_it_says_is_refused(shoes: Path, tmp_path: Path) -> None:
    archive = tmp_path / "lying.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1.png", bytes(1 << 16))
    data = bytearray(archive.read_bytes())
    size = struct.pack("<I", 1 << 16)
    while (place := data.find(size)) >= 0:
        data[place : place + 4] = struct.pack("<I", 10)
    archive.write_bytes(data)
    with pytest.raises(ToolkitError):
        import_dataset(archive, tmp_path / "Out")
    assert {path.name for path in tmp_path.iterdir()} == {"lying.zip", "ShoeV2"}


def test_limits_of_a_zip(shoes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(shoes, tmp_path / "shoes.zip")
    monkeypatch.setattr(zips, "MOST_MEMBERS", 4)
    with pytest.raises(ToolkitError, match="4 are the limit"):
        import_dataset(archive, tmp_path / "Out")
    monkeypatch.undo()
    monkeypatch.setattr(zips, "MOST_BYTES", 1000)
    with pytest.raises(ToolkitError, match="unpacks to more"):
        import_dataset(archive, tmp_path / "Out")


def test_a_zip_that_holds_a_file_twice_is_refused(shoes: Path, tmp_path: Path) -> None:
    archive = zipped(shoes / "photo", tmp_path / "twice.zip")
    with warnings.catch_warnings(), zipfile.ZipFile(archive, "a") as file:
        warnings.simplefilter("ignore")
        file.writestr("11.png", b"another")
    with pytest.raises(ToolkitError, match="twice"):
        import_dataset(archive, tmp_path / "Out")


def test_an_encrypted_zip_is_refused(shoes: Path, tmp_path: Path) -> None:
    archive = zipped(shoes / "photo", tmp_path / "secret.zip")
    data = bytearray(archive.read_bytes())
    place = data.find(b"PK\1\2")
    while place >= 0:
        data[place + 8] |= 1
        place = data.find(b"PK\1\2", place + 1)
    archive.write_bytes(data)
    with pytest.raises(ToolkitError, match="encrypted"):
        import_dataset(archive, tmp_path / "Out")


@given(data=st.data())
def test_a_damaged_zip_is_refused_or_whole(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sketch(folder / "in" / "vase_1.png", 1)
        photo(folder / "in" / "vase.png", 1)
        archive = zipped(folder / "in", folder / "damaged.zip")
        damaged = bytearray(archive.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        archive.write_bytes(damaged)
        try:
            import_dataset(archive, folder / "Out")
            assert (folder / "Out" / "B").is_dir()
        except ToolkitError:
            assert not (folder / "Out").exists()
        assert {p.name for p in folder.iterdir()} <= {"in", "damaged.zip", "Out"}


class Pointers:
    """An array of objects whose dtype denies it: NumPy would take its bytes for addresses."""

    class Dtype:
        def __reduce__(self) -> tuple[object, ...]:
            return np.dtype, ("O", False, True), (3, "|", None, None, None, -1, -1, 0)

    def __reduce__(self) -> tuple[object, ...]:
        rebuild = np.zeros(0).__reduce__()[0]
        state = (1, (1, 3), Pointers.Dtype(), False, b"AAAAAAAA" * 3)
        return rebuild, (np.ndarray, (0,), b"b"), state


def test_no_bytes_are_taken_for_addresses(shoes: Path, tmp_path: Path) -> None:
    table = {"train/11_1": ZIGZAG, "train/11_2": Pointers()}
    (shoes / "ShoeV2_Coordinate").write_bytes(pickle.dumps(table, protocol=2))
    found = import_dataset(shoes, tmp_path / "Shoes")
    assert found.sketches == 1
    assert "ShoeV2_Coordinate: train/11_2" in {item.path for item in found.left_out}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<i4", "<i8", "u1", ">i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_through_every_pickle(
    tmp_path: Path, protocol: int, dtype: str, order: str
) -> None:
    array = np.asarray(ZIGZAG % 200, dtype=dtype, order=order)  # type: ignore[call-overload]
    file = tmp_path / "x_Coordinate"
    file.write_bytes(pickle.dumps({"train/1_1": array}, protocol=protocol))
    np.testing.assert_array_equal(qmul.read_coordinates(file)["train/1_1"], array)


def test_points_out_of_reach_are_left_out(shoes: Path, tmp_path: Path) -> None:
    table = {"train/11_1": ZIGZAG, "train/11_2": ZIGZAG * 1e30}
    (shoes / "ShoeV2_Coordinate").write_bytes(pickle.dumps(table, protocol=2))
    assert import_dataset(shoes, tmp_path / "Shoes").sketches == 1


def test_categories_whose_names_run_together(tmp_path: Path) -> None:
    """Each sketch goes to its own photo, or nowhere."""
    root = tmp_path / "sketchy"
    homes = ("dog/x", "cat/x", "bird/dog-x", "Cat/y", "cat/y", "a b/z", "a-b/z")
    for number, home in enumerate(homes):
        photo(root / "photo" / f"{home}.jpg", number)
        sketch(root / "sketch" / f"{home}-1.png", number)
    found = import_dataset(root, tmp_path / "Out")
    made = Dataset.open(tmp_path / "Out")
    of = {(root / "photo" / f"{home}.jpg").read_bytes(): home for home in homes}
    drawn = {(root / "sketch" / f"{home}-1.png").read_bytes(): home for home in homes}
    assert found.photos >= 4
    for pair in made.pairs:
        home = of[(made.root / pair.photo.path).read_bytes()]
        assert drawn[(made.root / pair.sketch.path).read_bytes()] == home
    stems = [photo.stem.casefold() for photo in made.photos]
    assert len(set(stems)) == len(stems)
    assert found.photos + found.sketches + len(found.left_out) == 2 * len(homes)
