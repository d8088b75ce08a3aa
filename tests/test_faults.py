"""Kills, damaged images, odd names, and folders that change while they are read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.validate import validate
from tests.conftest import Run, draw_picture
from tests.trees import contents, tree

ROOT = Path(__file__).parent.parent
LOOKING = ("validate", "stats", "dedup")


def program(module: str, *arguments: str) -> dict[str, dict[str, int]]:
    """Run a program of the tests and return what it prints."""
    found = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert found.returncode == 0, found.stderr[-4000:]
    document: dict[str, dict[str, int]] = json.loads(found.stdout)
    return document


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
@pytest.mark.parametrize("kills", [4, pytest.param(120, marks=pytest.mark.slow)])
def test_killed_commands_lose_nothing(kills: int) -> None:
    """The slow one kills 600 times."""
    found = program("tests.killed", "--kills", str(kills))
    assert set(found) == {"dedup", "fix", "split", "import", "undo"}
    assert all(outcomes["killed"] == kills for outcomes in found.values())
    if kills > 100:
        for outcomes in found.values():
            assert outcomes["before"] > 0
        assert sum(outcomes.get("recovered", 0) for outcomes in found.values()) > 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
@pytest.mark.parametrize("kills", [2, pytest.param(120, marks=pytest.mark.slow)])
def test_killed_releases_are_completed(kills: int) -> None:
    """The slow one kills 360 times."""
    found = program("tests.release_killed", "--kills", str(kills))
    assert set(found) == {"publish to the Hub", "publish to a folder", "download from the Hub"}
    assert all(sum(outcomes.values()) == kills for outcomes in found.values())
    if kills > 100:
        assert {"before main", "on main", "tagged"} <= found["publish to the Hub"].keys()


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory")
@pytest.mark.parametrize("cases", [25, pytest.param(700, marks=pytest.mark.slow)])
def test_damaged_images_are_told_and_do_no_harm(cases: int) -> None:
    """The slow one looks at 9100 images."""
    found = program("tests.fuzzing", "--cases", str(cases))
    assert sum(found["found"].values()) == 13 * cases
    assert found["found"]["sound"] > 0
    assert found["found"]["truncated"] > 0
    assert found["found"]["unreadable"] > 0
    assert int(str(found["mebibytes"])) < 700


def test_odd_names_are_findings(sound: Path, run: Run) -> None:
    side = sound / "trainB"
    names = [
        "two\nlines.png",
        "gnp.\u202etxt.png",
        "\u200f00001.png",
        "-rf.png",
        "x" * 251 + ".png",
        "\x1b[31mred.png",
        os.fsdecode(b"\xff\xfe.png"),
    ]
    for number, name in enumerate(names):
        draw_picture(side / "new.png", 500 + number, photo=True)
        (side / "new.png").rename(side / name)
    for command in LOOKING:
        status, out, err = run(command, sound)
        assert status in (0, 1), err
        for character in ("\x1b", "\u202e", "\u200f"):
            assert character not in out
    findings = {f.path for f in validate(Dataset.open(sound)).findings if f.rule == "name-format"}
    assert findings == {f"trainB/{name}" for name in names}
    assert json.loads(run("validate", sound, "--format", "json")[1])["ok"] is False
    for form in ("json", "html"):
        assert run("dedup", sound, "--format", form)[0] == 0


def test_names_that_differ_in_case_are_one_on_some_disks(sound: Path) -> None:
    draw_picture(sound / "trainB/00002.PNG", 500, photo=True)
    found = {(f.rule, f.path) for f in validate(Dataset.open(sound)).findings}
    assert ("name-case", "trainB/00002.PNG") in found


def test_links_that_lead_in_circles(sound: Path, run: Run) -> None:
    (sound / "trainB/00008.png").symlink_to("00009.png")
    (sound / "trainB/00009.png").symlink_to("00008.png")
    (sound / "trainA/up").symlink_to("..", target_is_directory=True)
    (sound / "self").symlink_to("self")
    for command in LOOKING:
        status, _, err = run(command, sound)
        assert status in (0, 1), err
    rules = {f.rule for f in validate(Dataset.open(sound)).findings}
    assert "unexpected-file" in rules


def test_files_that_vanish_while_they_are_read(sound: Path) -> None:
    dataset = Dataset.open(sound)
    (sound / "trainB/00001.png").unlink()
    (sound / "trainA/00002_01.png").unlink()
    facts = inspect_images(dataset)
    assert facts["trainB/00001.png"].damage is not None
    report = validate(dataset)
    assert {"trainB/00001.png", "trainA/00002_01.png"} <= {f.path for f in report.findings}


def test_a_folder_that_changes_all_the_time(sound: Path, run: Run) -> None:
    stop = threading.Event()

    def disturb() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            path = sound / "trainB" / f"{90_000 + number % 50:05}.png"
            path.write_bytes(b"half" * (number % 7))
            if number % 3 == 0:
                path.unlink()
            inner = sound / "trainA" / f"folder{number % 5}"
            inner.mkdir(exist_ok=True)
            inner.rmdir()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for command in LOOKING * 5:
            status, _, err = run(command, sound)
            assert status in (0, 1), err
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount file systems of so many KiB in memory, where that is allowed."""
    mounted: list[Path] = []

    def mount(kibibytes: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "none", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("command", ["split", "import"])
def test_a_full_disk_gets_no_half_folder(
    sound: Path, small_disk: Callable[[int], Path], command: str, run: Run
) -> None:
    disk = small_disk(48)
    status, _, err = run(command, sound, "--out", disk / "New")
    assert status == 2
    assert "No space left on device" in err
    assert len(err.splitlines()) == 1
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("free", range(0, 33, 8))
def test_a_full_disk_changes_nothing(
    sound: Path, small_disk: Callable[[int], Path], free: int, run: Run
) -> None:
    (sound / "trainA/00001_01.png").rename(sound / "trainA/00001_01.PNG")
    with (sound / "testB/00005.png").open("ab") as file:
        file.write(b"trailing" * 1000)
    root = small_disk(256) / "Set"
    shutil.copytree(sound, root)
    before = tree(root)
    filler = root.parent / "filler"
    blocks = os.statvfs(root).f_bavail - free // 4
    filler.write_bytes(bytes(4096 * blocks))
    status, _, err = run("fix", root, "--yes")
    assert status in (0, 2), err
    assert status == 2 or free
    if status == 2:
        assert "No space left on device" in err
        assert tree(root) == before
    filler.unlink()
    assert run("fix", root, "--yes")[0] == 0
    assert validate(Dataset.open(root)).findings == ()
    assert set(before.values()) <= contents(root)
    assert run("undo", root, "--yes")[0] == 0
    assert tree(root) == before
