"""`publish` and `download` killed at random instants: nothing unverified is known, all completes.

Run as a program it kills so many of each command and prints what happened as JSON. Commands are
processes forked from this one, so that they spend their time on the release and not on imports; the
loader that they start, and the Hub that they talk to, are processes of their own.
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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from clothes_toolkit.release.manifest import read_manifest
from clothes_toolkit.release.shards import lay_out, take_out
from tests.conftest import draw_picture
from tests.forks import finish, hold, start
from tests.hub import Hub, running_hub
from tests.killed import split_set
from tests.trees import Tree, tree

IMPORTED_LATE = (
    "datasets",
    "huggingface_hub.hf_api",
    "pyarrow.parquet",
    "yaml",
    "clothes_toolkit.likeness.lookalikes",
    *(f"clothes_toolkit.cli.{name}" for name in ("publish", "download")),
)
REPO = "org/Clothes"
GONE = -signal.SIGKILL
SAID = Path("said.txt")
"""What the commands print."""


def make_dataset(root: Path) -> None:
    """Write a small dataset with strokes."""
    split_set(root)
    (root / "strokes").mkdir()
    (root / "strokes" / "00001_01.json").write_text("{}")
    (root / "clothes.toml").write_text("")


def seconds_of(words: tuple[str, ...]) -> float:
    """Return how long a command takes that nobody kills."""
    begin = time.perf_counter()
    hold(finish(start(Path(), words, SAID)) == 0, f"{words[0]} fails: {SAID.read_text()[-3000:]}")
    return time.perf_counter() - begin


def instant(random: Random, takes: float) -> float:
    """Return when to kill: anywhere, or, as often, near the end, where more is at stake."""
    return random.choice([random.uniform(0, takes), random.uniform(0.7 * takes, 1.1 * takes)])


def killed_after(words: tuple[str, ...], delay: float) -> bool:
    """Start a command, kill it after some seconds; return whether it was still running."""
    process = start(Path(), words, SAID)
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)
    status = finish(process)
    said = SAID.read_text()[-3000:]
    hold(status in (0, GONE), f"{words[0]} ended with {status}: {said}")
    return status == GONE


def complete(words: tuple[str, ...]) -> None:
    """Run a command to its end."""
    status = finish(start(Path(), words, SAID))
    hold(status == 0, f"repeated, it ends with {status}: {SAID.read_text()[-3000:]}")


@dataclass
class OnTheHub:
    """`publish` to the Hub: version after version, each killed, perhaps more than once.

    Every version has a sketch that the one before has not, so that there is something to send.
    """

    hub: Hub
    number: int = 0

    def words(self) -> tuple[str, ...]:
        version = f"1.{self.number}.0"
        return ("publish", "Set", "--repo-id", REPO, "--version", version, "--yes", "--jobs", "1")

    def next(self) -> dict[str, str]:
        """Make the next version and return what the Hub knows before it."""
        self.number += 1
        draw_picture(Path("Set/trainA/00001_03.png"), 1000 + self.number, photo=False)
        return self.hub.refs(REPO)

    def check(self, before: Mapping[str, str]) -> str:
        """Make sure that what is known is whole; return how far the killed command came."""
        refs = self.hub.refs(REPO)
        tag = f"tags/v1.{self.number}.0"
        for name in ("heads/main", tag):
            if name in refs and refs[name] != before["heads/main"]:
                self._hold_whole(self.hub.files(REPO, refs[name]))
        hold(all(refs.get(n) == c for n, c in before.items() if n[:4] == "tags"), "a tag moved")
        if tag in refs:
            return "tagged"
        return "on main" if refs["heads/main"] != before["heads/main"] else "before main"

    def _hold_whole(self, files: Mapping[str, bytes]) -> None:
        """Take a release apart and compare it with the dataset, file by file."""
        manifest = read_manifest(files["manifest.json"], "manifest.json")
        hold(manifest.version == f"1.{self.number}.0", f"it is {manifest.version}")
        stored = lay_out(manifest)
        found = {record.path: files[path] for path, record in stored.loose.items()}
        for shard in stored.shards:
            Path("shard.parquet").write_bytes(files[shard.path])
            wanted = manifest.by_path
            found |= {r.path: data for r, data in take_out(shard, Path("shard.parquet"), wanted)}
        hold(found == tree(Path("Set")), "what is known is not what was to be released")

    def kill(self, random: Random, takes: float) -> str:
        before = self.next()
        while not self._killed(random, takes, before):
            self.check(before)
            before = self.next()
        found = self.check(before)
        while random.random() < 0.3:
            killed_after(self.words(), instant(random, takes))
            found = self.check(before)
        complete(self.words())
        hold(self.check(before) == "tagged", "completed, it is not tagged")
        hold(not any("publishing" in name for name in self.hub.refs(REPO)), "a branch is left")
        return found

    def _killed(self, random: Random, takes: float, before: Mapping[str, str]) -> bool:
        """Kill at an instant, or, now and then, as soon as main has moved."""
        if random.random() < 0.75:
            return killed_after(self.words(), instant(random, takes))
        process = start(Path(), self.words(), SAID)
        for _ in range(3000):
            if self.hub.refs(REPO)["heads/main"] != before["heads/main"]:
                break
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)
        return finish(process) == GONE


def kill_on_the_hub(kills: int, random: Random, hub: Hub) -> dict[str, int]:
    """Kill `publish` to the Hub."""
    publisher = OnTheHub(hub)
    seconds_of(publisher.words())
    publisher.next()
    takes = max(seconds_of(publisher.words()), 0.1)
    return dict(Counter(publisher.kill(random, takes) for _ in range(kills)))


def kill_in_a_folder(kills: int, random: Random) -> dict[str, int]:
    """Kill `publish` to a folder of releases."""
    words = ("publish", "Set", "--to", "Releases", "--version", "1.0.0", "--yes", "--jobs", "1")
    takes = seconds_of(words)
    whole = tree(Path("Releases"))
    outcomes: Counter[str] = Counter()
    while outcomes.total() < kills:
        shutil.rmtree("Releases")
        if not killed_after(words, instant(random, takes)):
            continue
        released = Path("Releases/v1.0.0")
        outcomes["after" if released.exists() else "before"] += 1
        if released.exists():
            hold(tree(released) == _below(whole, "v1.0.0/"), "what is released is not whole")
        complete(words)
        left = {path.name for path in Path("Releases").iterdir()}
        hold(tree(Path("Releases")) == whole, f"completed, it is something else: {left}")
    return dict(outcomes)


def kill_downloads(kills: int, random: Random, source: str) -> dict[str, int]:
    """Kill `download` of the newest release, which must bring the same folder every time."""
    complete(("publish", "Set", "--repo-id", source, "--version", "2.0.0", "--yes"))
    words = ("download", source, "--version", "2.0.0", "--out", "Back")
    takes = seconds_of(words)
    whole = tree(Path("Set"))
    outcomes: Counter[str] = Counter()
    while outcomes.total() < kills:
        for leftover in ("Back", "Back.partial", "home"):
            shutil.rmtree(leftover, ignore_errors=True)
        if not killed_after(words, instant(random, takes)):
            continue
        done = Path("Back").exists()
        outcomes["after" if done else "before"] += 1
        if not done:
            complete(words)
        hold(tree(Path("Back")) == whole, "what came back is something else")
        hold(not Path("Back.partial").exists(), "something is left")
    return dict(outcomes)


def _below(files: Tree, folder: str) -> Tree:
    return {p.removeprefix(folder): data for p, data in files.items() if p.startswith(folder)}


def main() -> None:
    """Kill, and print the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=110, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, running_hub(Path(work) / "hub") as hub:
        os.environ.update(hub.env(Path(work) / "home") | {"XDG_CACHE_HOME": f"{work}/cache"})
        for module in IMPORTED_LATE:
            importlib.import_module(module)
        os.chdir(work)
        make_dataset(Path("Set"))
        random = Random(asked.seed)
        found = {
            "publish to the Hub": kill_on_the_hub(asked.kills, random, hub),
            "publish to a folder": kill_in_a_folder(asked.kills, random),
            "download from the Hub": kill_downloads(asked.kills, random, REPO),
        }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
