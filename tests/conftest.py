"""Sound datasets to start from, and the shared real data where it is."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from PIL import Image, ImageDraw

from clothes_toolkit.cli.lazy import LazyGroup
from clothes_toolkit.sources.garments import make_garments

# How long an example takes says nothing on a machine that does other things, too.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _no_debug() -> Iterator[None]:
    LazyGroup.debug = False
    yield
    LazyGroup.debug = False
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that use it skip where it is not."""
    folder = os.environ.get("CLOTHES_SHARED_DATA")
    if not folder:
        pytest.skip("CLOTHES_SHARED_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def garments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A procedural dataset of 12 train and 6 test photos. Read only."""
    out = tmp_path_factory.mktemp("garments") / "Clothes-Demo"
    make_garments(out, train_photos=12, test_photos=6, size=96)
    return out


def draw_picture(path: Path, seed: int, *, photo: bool, size: tuple[int, int] = (80, 80)) -> None:
    """Write an image that no other seed gives: a drawing, or a colored photo."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    random = Random(seed)
    for _ in range(6):
        ends = [(random.randrange(4, side - 4)) for side in size * 2]
        if photo:
            box = [min(ends[::2]), min(ends[1::2]), max(ends[::2]) + 3, max(ends[1::2]) + 3]
            draw.rectangle(box, fill=tuple(random.randrange(40, 220) for _ in range(3)))
        draw.line(ends, fill="black", width=1)
    image.save(path)


PHOTOS = {"train": ("00001", "00002", "00003"), "test": ("00004", "00005")}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A small sound dataset, scheme clothes: 3 train and 2 test photos, two sketches each."""
    root = tmp_path / "Clothes"
    for split, stems in PHOTOS.items():
        (root / f"{split}A").mkdir(parents=True)
        (root / f"{split}B").mkdir()
        for stem in stems:
            number = int(stem)
            draw_picture(root / f"{split}B" / f"{stem}.png", number, photo=True)
            for designer in (1, 2):
                path = root / f"{split}A" / f"{stem}_0{designer}.png"
                draw_picture(path, 100 * designer + number, photo=False)
    return root


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A small sound pool, scheme open: two photos, a sketch each."""
    root = tmp_path / "Pool"
    (root / "A").mkdir(parents=True)
    (root / "B").mkdir()
    for number, stem in enumerate(("oak-chair", "Tall.Stool")):
        draw_picture(root / "B" / f"{stem}.png", number, photo=True)
        draw_picture(root / "A" / f"{stem}_01.png", 50 + number, photo=False)
    return root


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process: (exit status, stdout, stderr)."""
    from clothes_toolkit.cli import main

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["clothes-toolkit", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        status = stopped.value.code
        assert isinstance(status, int)
        return status, out, err

    return call
