"""Commands killed at random instants: what they leave is as before, or as after, and nothing lost.

Run as a program it kills so many of each command and prints what happened as JSON. Each command is
a process of its own, forked from this one, so that it spends its time on the dataset and not on
imports.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

from clothes_toolkit.edits.change import apply, recover
from clothes_toolkit.edits.plan import Plan, Step
from tests.conftest import draw_picture
from tests.forks import finish, hold, start
from tests.trees import Tree, contents, tree

IMPORTED_LATE = (
    "imagehash",
    "clothes_toolkit.likeness.lookalikes",
    *(f"clothes_toolkit.cli.{name}" for name in ("dedup", "fix", "import_", "split", "undo")),
)
"""Modules that a command would import only when it needs them."""
WHILE_LOOKING = 0.2
"""Share of the kills that come before anything is written."""


@dataclass(frozen=True)
class Case:
    """A command to kill.

    Attributes:
        prepare: makes the folder `Set` that it works on.
        arguments: its command line, where it is called beside `Set`.
        out: the new folder that it makes; `None` where it changes `Set` in place.
    """

    prepare: Callable[[Path], None]
    arguments: tuple[str, ...]
    out: str | None = None


def split_set(root: Path) -> None:
    """Write a small dataset in split layout."""
    for split, numbers in (("train", range(1, 5)), ("test", range(5, 7))):
        for side in "AB":
            (root / f"{split}{side}").mkdir(parents=True)
        for number in numbers:
            draw_picture(root / f"{split}B/{number:05}.png", number, photo=True)
            for designer in (1, 2):
                path = root / f"{split}A/{number:05}_0{designer}.png"
                draw_picture(path, 100 * designer + number, photo=False)


def _with_duplicates(root: Path) -> None:
    split_set(root)
    for copy, (number, designer) in enumerate(((1, 3), (2, 1), (3, 4)), 7):
        with Image.open(root / f"trainB/{number:05}.png") as image:
            image.resize((60, 60)).save(root / f"trainB/{copy:05}.png")
        path = root / f"trainA/{copy:05}_0{designer}.png"
        draw_picture(path, 1000 + copy, photo=False)


def _with_faults(root: Path) -> None:
    split_set(root)
    (root / "trainB/00001.png").rename(root / "trainB/00001.PNG")
    (root / "trainA/00002_01.png").rename(root / "trainB/00002_01.png")
    with (root / "testB/00005.png").open("ab") as file:
        file.write(b"trailing")
    with Image.open(root / "testA/00005_01.png") as image:
        image.convert("RGBA").save(root / "testA/00005_01.png")
    layer = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    layer.paste((0, 0, 0, 255), (10, 10, 60, 14))
    layer.save(root / "testA/00006_02.png")
    with Image.open(root / "trainB/00003.png") as image:
        image.copy().save(root / "trainB/00003.png", "WEBP", lossless=True)


def _changed(root: Path) -> None:
    split_set(root)
    steps = (
        Step("trainA/00001_01.png", "trainA/00001_05.png", "renamed"),
        Step("trainA/00002_01.png", "trainA/00003_01.png", "swapped"),
        Step("trainA/00003_01.png", "trainA/00002_01.png", "swapped"),
        Step("testB/00005.png", "testB/00005.png", "rewritten", b"another"),
        Step("testA/00006_01.png", None, "away"),
        Step(None, "strokes/00001_05.json", "new", b"{}"),
    )
    apply(root, Plan("test", steps))


def _flat(root: Path) -> None:
    root.mkdir()
    for number in range(6):
        draw_picture(root / f"chair{number}.png", number, photo=True)
        for designer in (1, 2):
            draw_picture(root / f"chair{number}_{designer}.png", 90 + number, photo=False)


CASES = {
    "dedup": Case(_with_duplicates, ("dedup", "Set", "--apply", "--yes")),
    "fix": Case(_with_faults, ("fix", "Set", "--yes")),
    "split": Case(split_set, ("split", "Set", "--out", "New", "--test-photos", "3"), "New"),
    "import": Case(_flat, ("import", "Set", "--out", "New"), "New"),
    "undo": Case(_changed, ("undo", "Set", "--yes")),
}


def wait_for_writing(case: Case, folder: Path) -> None:
    """Wait until a command has its lock, or for as long as that may take."""
    lock = folder / (f".{case.out}.lock" if case.out else "Set/.clothes/lock")
    for _ in range(20_000):
        if lock.exists():
            break
        time.sleep(0.0001)


def kill(name: str, case: Case, kills: int, random: Random, work: Path) -> dict[str, int]:
    """Kill a command so many times at random instants; raises where anything is amiss."""
    pristine, reference = work / "pristine", work / "reference"
    pristine.mkdir()
    case.prepare(pristine / "Set")
    before = tree(pristine / "Set")
    looking = writing = 0.0
    for _ in range(3):
        shutil.rmtree(reference, ignore_errors=True)
        shutil.copytree(pristine, reference)
        begin = time.perf_counter()
        process = start(reference, case.arguments)
        wait_for_writing(case, reference)
        middle = time.perf_counter()
        status = finish(process)
        looking = max(looking, middle - begin)
        writing = max(writing, time.perf_counter() - middle)
        hold(status in (0, 1), f"{name} ended with {status}")
    after = tree(reference / (case.out or "Set"))
    hold(after != before, f"{name} changed nothing")
    outcomes: Counter[str] = Counter()
    while outcomes["killed"] < kills:
        folder = work / "killed"
        shutil.copytree(pristine, folder)
        process = start(folder, case.arguments)
        if random.random() < WHILE_LOOKING:
            time.sleep(random.uniform(0, looking))
        else:
            wait_for_writing(case, folder)
            time.sleep(random.uniform(0, writing))
        os.kill(process, signal.SIGKILL)
        status = finish(process)
        outcomes["killed" if status == -signal.SIGKILL else "too late"] += 1
        hold(status in (-signal.SIGKILL, 0, 1), f"{name} ended with {status}")
        outcomes[_left(case, folder, before, after)] += 1
        shutil.rmtree(folder)
    return dict(outcomes)


def _left(case: Case, folder: Path, before: Tree, after: Tree) -> str:
    """Check what a killed command left, and that the next one goes on; tell which it was."""
    root = folder / "Set"
    hold(set(before.values()) <= contents(root), "something is lost")
    if case.out:
        found = "after" if (folder / case.out).exists() else "before"
        hold(tree(root) == before, "the source was changed")
        if found == "before":
            hold(finish(start(folder, case.arguments)) in (0, 1), "it cannot be repeated")
        hold(tree(folder / case.out) == after, "the new folder is not complete")
        # Killed between the last two calls, it leaves its lock, which names a dead process.
        kept = {f".{case.out}.lock"} if found == "after" else set()
        there = {path.name for path in folder.iterdir()}
        hold(there - kept == {"Set", case.out}, f"something is left: {there}")
        return found
    told = recover(root)
    now = tree(root)
    hold(now in (before, after), "neither as before nor as after")
    hold(set(before.values()) <= contents(root), "something is lost in recovery")
    if now == before:
        hold(finish(start(folder, case.arguments)) in (0, 1), "it cannot be repeated")
        hold(tree(root) == after, "repeated, it does something else")
    if told:
        return "recovered"
    return "after" if now == after else "before"


def main() -> None:
    """Kill, and print the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=110, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for module in IMPORTED_LATE:
        importlib.import_module(module)
    found = {}
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as work:
            random = Random(f"{asked.seed} {name}")
            found[name] = kill(name, case, asked.kills, random, Path(work))
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
