from __future__ import annotations

from pathlib import Path

import pytest

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import inspect
from clothes_toolkit.naming import Side
from clothes_toolkit.sources.garments import HANDS, make_garments
from clothes_toolkit.sources.shapes import KINDS
from clothes_toolkit.validate import validate


def pixels(root: Path) -> dict[str, str | None]:
    files = sorted(root.rglob("*.png"))
    return {path.relative_to(root).as_posix(): inspect(path, Side.PHOTO).pixels for path in files}


def test_a_seed_gives_its_pixels_and_no_other(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_garments(tmp_path / name, train_photos=3, test_photos=1, seed=seed, size=64)
    assert pixels(tmp_path / "a") == pixels(tmp_path / "b")
    photos = [{v for k, v in pixels(tmp_path / n).items() if "B/" in k} for n in ("a", "c")]
    assert photos[0].isdisjoint(photos[1])


def test_more_photos_keep_the_first(tmp_path: Path) -> None:
    make_garments(tmp_path / "a", train_photos=2, test_photos=0, size=64)
    make_garments(tmp_path / "b", train_photos=4, test_photos=1, size=64)
    assert pixels(tmp_path / "a").items() <= pixels(tmp_path / "b").items()


def test_what_is_made_is_sound(tmp_path: Path) -> None:
    make_garments(tmp_path / "a", train_photos=40, test_photos=10)
    dataset = Dataset.open(tmp_path / "a")
    assert dataset.scheme == "clothes"
    assert validate(dataset).findings == ()
    assert set(dataset.counts().designers) == set(HANDS)
    assert len(KINDS) == 7


def test_an_existing_folder_is_refused_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 2:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        make_garments(tmp_path / "a", train_photos=3, test_photos=0, size=64, on_photo=stop)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()
    with pytest.raises(ToolkitError, match="exists already"):
        make_garments(tmp_path / "a", train_photos=1, test_photos=0, size=64)
