"""Leak-free train/test splits: by photo, what looks the same on one side, balanced, repeatable."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from clothes_toolkit.dataset import Dataset, Layout, Sketch
from clothes_toolkit.duplicates import exact_duplicates, near_duplicates
from clothes_toolkit.edits.files import copy_file, new_folder, write_file
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.expectations import FILE_NAME as WORD_FILE
from clothes_toolkit.groups import Groups
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.naming import Side
from clothes_toolkit.subsets import nearest_sum, sum_is_possible

SCHEMA = "clothes-toolkit/split/1"
SPLIT_FILE = "split.json"
DEFAULT_FRACTION = 0.24
"""Clothes-V1's: 120 of 500 photos are test photos."""
LOOK_AHEAD = 64
"""Groups among which the one is chosen that balances best."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which photos are train photos and which are test photos, by stem.

    Attributes:
        seed: what it was drawn with.
        train, test: stems, sorted.
    """

    seed: int
    train: tuple[str, ...]
    test: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return the content of its `split.json`."""
        document = {
            "schema": SCHEMA,
            "seed": self.seed,
            "train": list(self.train),
            "test": list(self.test),
        }
        return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, slots=True)
class SplitResult:
    """A split of a dataset.

    Attributes:
        split: the split.
        wanted: how many test photos were asked for.
        leaks: pairs of photos that look the same, one a train and one a test photo by the split
            that was gone on from.
    """

    split: Split
    wanted: int
    leaks: tuple[tuple[str, str], ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the test photos are as many as were asked for."""
        return len(self.split.test) == self.wanted


def read_split(path: Path) -> Split:
    """Read a `split.json`; raises `ToolkitError` where it is none."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise ValueError(f"its schema is {told['schema']!r}, not {SCHEMA!r}")
        split = Split(int(told["seed"]), *(_stems(told[side]) for side in ("train", "test")))
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ToolkitError(f"{path}: is no {SPLIT_FILE} ({error})") from error
    both = Counter([*split.train, *split.test]).most_common(1)
    if both and both[0][1] > 1:
        raise ToolkitError(f"{path}: names photo {both[0][0]} twice")
    return split


def _stems(told: object) -> tuple[str, ...]:
    if not isinstance(told, list) or not all(isinstance(stem, str) for stem in told):
        raise ValueError("train and test must be lists of stems")
    return tuple(sorted(told))


def split_of(dataset: Dataset) -> Split | None:
    """Return what the dataset's own `split.json` says, or `None` where it has none.

    Raises `ToolkitError` where it cannot be read.
    """
    path = dataset.root / SPLIT_FILE
    if SPLIT_FILE in dataset.escaped_folders or not path.is_file():
        return None
    return read_split(path)


def with_photos_replaced(split: Split, replaced: Mapping[str, str]) -> Split:
    """Return a split in which photos, by stem, are named by other stems, each once."""
    train, test = (
        tuple(sorted({replaced.get(stem, stem) for stem in side}))
        for side in (split.train, split.test)
    )
    return Split(split.seed, train, test)


def draw_split(
    dataset: Dataset,
    images: Mapping[str, ImageFacts],
    *,
    seed: int = 0,
    test_photos: int | None = None,
    test_fraction: float | None = None,
    go_on_from: Split | None = None,
) -> SplitResult:
    """Draw which photos are test photos.

    Photos that look the same, also in a mirror, or whose sketches have equal pixels, stay on one
    side. The draw depends on the seed, the stems and who drew what, and on nothing else.

    Args:
        dataset: a pool, or a dataset to be split anew.
        images: the facts of its images.
        seed: another seed, another draw.
        test_photos: how many test photos; or
        test_fraction: their share of the photos, 0 to 1; left out, `DEFAULT_FRACTION`.
        go_on_from: photos that it names keep their side. New ones become test photos only to reach
            the size that is asked for, and train photos if none is.

    Raises `ToolkitError` where an image belongs to no photo or the size is impossible.
    """
    _check_whole(dataset)
    stems = sorted({photo.stem for photo in dataset.photos})
    drawer = _Drawer(dataset, images, seed, go_on_from or Split(seed, (), ()))
    kept = len(drawer.kept_in_test)
    if test_photos is None and test_fraction is None and go_on_from is not None:
        wanted = kept
    elif test_photos is not None:
        wanted = test_photos
    else:
        share = DEFAULT_FRACTION if test_fraction is None else test_fraction
        wanted = min(max(1, round(share * len(stems))), len(stems) - 1)
    if not 0 < wanted < len(stems):
        raise ToolkitError(
            f"{wanted} test photos of {len(stems)} leave one side of the split empty"
        )
    test = drawer.draw(wanted)
    train = tuple(stem for stem in stems if stem not in test)
    return SplitResult(Split(seed, train, tuple(sorted(test))), wanted, tuple(drawer.leaks()))


def write_split(dataset: Dataset, split: Split, out: Path, *, link: bool = False) -> None:
    """Write a dataset in split layout, with its `split.json`, into a new folder.

    Args:
        dataset: where the images are; it stays as it is.
        split: which photo goes where; it must name every photo.
        out: the folder to make.
        link: make hard links instead of copies: no space is taken, but an edit in one folder then
            reaches the other.

    Raises `ToolkitError` where `out` exists or cannot be written.
    """
    side_of = dict.fromkeys(split.train, "train") | dict.fromkeys(split.test, "test")
    moved = {photo.path: (side_of[photo.stem], Side.PHOTO) for photo in dataset.photos}
    moved |= {sketch.path: (side_of[sketch.photo], Side.SKETCH) for sketch in dataset.sketches}
    with new_folder(out) as folder:
        for name in Layout.SPLIT.folders:
            (folder / name).mkdir()
        paths = {}
        for path, (name, side) in moved.items():
            paths[path] = f"{Layout.SPLIT.folder(name, side)}/{path.rpartition('/')[2]}"
            copy_file(dataset.root / path, folder / paths[path], link=link)
        _copy_strokes(dataset, folder, link)
        _copy_word(dataset, folder, paths, split)
        write_file(folder / SPLIT_FILE, split.to_bytes())


def _copy_strokes(dataset: Dataset, folder: Path, link: bool) -> None:
    if "strokes" in dataset.escaped_folders or not (dataset.root / "strokes").is_dir():
        return
    (folder / "strokes").mkdir()
    for file in sorted((dataset.root / "strokes").glob("*.json")):
        copy_file(file, folder / "strokes" / file.name, link=link)


def _copy_word(dataset: Dataset, folder: Path, paths: Mapping[str, str], split: Split) -> None:
    """Copy the maintainer's word, with the paths and the counts by split as they are now."""
    file = dataset.root / WORD_FILE
    if WORD_FILE in dataset.escaped_folders or not file.is_file():
        return
    drawn = Counter(pair.photo.stem for pair in dataset.pairs)
    counts = {
        name: {"photos": len(stems), "sketches": sum(drawn[stem] for stem in stems)}
        for name, stems in (("train", split.train), ("test", split.test))
    }
    section, lines = "", []
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        if header := re.match(r"\s*\[+(.+?)\]+", line):
            section = header[1].replace(" ", "")
        elif value := re.match(r"(\s*path\s*=\s*)([\"'])(.+?)\2", line):
            kept = paths.get(value[3], value[3])
            line = f"{value[1]}{value[2]}{kept}{value[2]}{line[value.end() :]}"
        elif (value := re.match(r"(\s*(photos|sketches)\s*=\s*)[0-9_]+", line)) and (
            name := section.removeprefix("expect.")
        ) in counts:
            line = f"{value[1]}{counts[name][value[2]]}{line[value.end() :]}"
        lines.append(line)
    write_file(folder / WORD_FILE, "".join(lines).encode())


def _check_whole(dataset: Dataset) -> None:
    """Raise where an image could not be placed, so that none is left behind unnoticed."""
    whole = {photo.path for photo in dataset.photos} | {p.sketch.path for p in dataset.pairs}
    for entry in dataset.entries:
        if entry.is_image and entry.path not in whole:
            raise ToolkitError(
                f"{entry.path}: belongs to no photo, so it has no place in a split; "
                "see `clothes-toolkit validate`"
            )
    twice = [s for s, count in Counter(p.stem for p in dataset.photos).items() if count > 1]
    if twice:
        raise ToolkitError(f"photo {twice[0]} is in train and in test; keep one of them")


class _Drawer:
    """Draws groups of photos for the test side, each the best balanced of the next few."""

    def __init__(
        self, dataset: Dataset, images: Mapping[str, ImageFacts], seed: int, old: Split
    ) -> None:
        self.dataset, self.seed = dataset, seed
        self.stems = {photo.stem for photo in dataset.photos}
        self.old_train, self.old_test = set(old.train) & self.stems, set(old.test) & self.stems
        self.pairs = list(_belong_together(dataset, images))
        joined = Groups[str](self.pairs)
        groups: dict[str, list[str]] = {}
        for stem in sorted(self.stems):
            groups.setdefault(joined.find(stem), []).append(stem)
        self.groups = list(groups.values())

    @cached_property
    def kept_in_test(self) -> set[str]:
        """The photos that are test photos whatever is drawn: old ones, and what is like them."""
        found = set(self.old_test)
        for group in self.groups:
            if self.old_test & set(group):
                found |= set(group) - self.old_train
        return found

    def leaks(self) -> Iterator[tuple[str, str]]:
        """Return pairs of an old train photo and an old test photo that belong together."""
        for group in self.groups:
            train, test = sorted(self.old_train & set(group)), sorted(self.old_test & set(group))
            if train and test:
                yield train[0], test[0]

    def draw(self, wanted: int) -> set[str]:
        """Return the stems of the test photos, `wanted` or as near as the groups allow."""
        test = set(self.kept_in_test)
        fixed = self.old_train | test
        free = [group for group in self.groups if not fixed & set(group)]
        free.sort(key=self._lot)
        sizes = Counter(len(group) for group in free)
        # A group fewer than all: no side is left empty.
        room = len(self.stems) - 1 - len(test)
        left = nearest_sum(sizes, wanted - len(test), room)
        balance = _Balance(self.dataset, wanted / len(self.stems))
        balance.add(test)
        while left:
            fitting = (
                group
                for group in free
                if sum_is_possible(sizes - Counter([len(group)]), left - len(group))
            )
            best = min(islice(fitting, LOOK_AHEAD), key=balance.after)
            free.remove(best)
            sizes -= Counter([len(best)])
            left -= len(best)
            balance.add(best)
            test |= set(best)
        return test

    def _lot(self, group: Sequence[str]) -> str:
        return hashlib.sha256(f"{self.seed} {group[0]}".encode()).hexdigest()


def _belong_together(
    dataset: Dataset, images: Mapping[str, ImageFacts]
) -> Iterator[tuple[str, str]]:
    """Yield pairs of stems of photos that must not be on two sides."""
    stems = {photo.path: photo.stem for photo in dataset.photos}
    stems |= {sketch.path: sketch.photo for sketch in dataset.sketches}
    for pair in near_duplicates(dataset, images):
        if pair.first in stems and pair.second in stems and _is_photo(dataset, pair.first):
            yield stems[pair.first], stems[pair.second]
    for side in Side:
        for paths in exact_duplicates(dataset, images, side):
            for path in paths[1:]:
                yield stems[paths[0]], stems[path]


def _is_photo(dataset: Dataset, path: str) -> bool:
    folders = {dataset.layout.folder(split, Side.PHOTO) for split in dataset.splits}
    return path.partition("/")[0] in folders


class _Balance:
    """How far the test side is from its share of each designer and each number of sketches."""

    def __init__(self, dataset: Dataset, share: float) -> None:
        sketches: dict[str, list[Sketch]] = {photo.stem: [] for photo in dataset.photos}
        for pair in dataset.pairs:
            sketches[pair.photo.stem].append(pair.sketch)
        self._of = {
            stem: Counter([*(f"by {s.designer}" for s in drawn), f"{len(drawn)} sketches"])
            for stem, drawn in sketches.items()
        }
        total: Counter[str] = Counter()
        for counts in self._of.values():
            total += counts
        self._wanted = {what: share * count for what, count in total.items()}
        self._have: Counter[str] = Counter()

    def add(self, stems: Iterable[str]) -> None:
        for stem in stems:
            self._have += self._of[stem]

    def after(self, stems: Sequence[str]) -> float:
        """Return how much worse the balance would be with these photos, too; less is better."""
        counts: Counter[str] = Counter()
        for stem in stems:
            counts += self._of[stem]
        worse = 0.0
        for what, count in counts.items():
            wanted, have = self._wanted[what], self._have[what]
            worse += ((have + count - wanted) ** 2 - (have - wanted) ** 2) / wanted
        return worse / len(stems)
