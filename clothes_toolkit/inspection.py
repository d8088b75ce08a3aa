"""Every image of a dataset looked at once, in parallel processes, with what is known kept."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from clothes_toolkit.cache import FactsCache, Stamp
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import OF_FILE, Damage, ImageFacts, inspect, open_image, pixels_hash
from clothes_toolkit.naming import Side

Progress = Callable[[int, int], None]
"""Hears how many images are done, of how many."""

WORTH_A_PROCESS = 64
"""Images below which starting processes costs more than it saves."""


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def inspect_images(
    dataset: Dataset,
    jobs: int = 1,
    on_progress: Progress = lambda _done, _total: None,
) -> dict[str, ImageFacts]:
    """Return the facts of every image file inside the dataset's folders, by path.

    An image that cannot be read is `Damage.UNREADABLE`. With `jobs` above 1 the calling script must
    be importable, as `multiprocessing` asks.
    """
    sides = {entry.path: entry.side for entry in dataset.entries if entry.is_readable}
    paths = list(sides)
    stamps = dict(_stamps(dataset.root, paths))
    cache = FactsCache(dataset.root)
    facts = cache.recall(stamps)
    unknown = {path: side for path, side in sides.items() if path not in facts}
    found = {}
    on_progress(len(facts), len(paths))
    for path, told in _inspect(dataset.root, unknown, jobs):
        found[path] = told
        on_progress(len(facts) + len(found), len(paths))
    found |= _compared(dataset.root, facts | found)
    cache.remember((path, stamps[path], told) for path, told in found.items() if path in stamps)
    return facts | found


def _compared(root: Path, facts: Mapping[str, ImageFacts]) -> dict[str, ImageFacts]:
    """Return new facts of the images whose pixels may be those of another file.

    Hashing the pixels of all would take half as long as decoding them. Only images of one size and
    one miniature can have equal pixels, so only those are decoded again and hashed.
    """
    alike: dict[tuple[int, int, bytes], list[str]] = {}
    for path, told in facts.items():
        if told.pixels is not None:
            alike.setdefault((told.width, told.height, told.miniature), []).append(path)
    found = {}
    for paths in alike.values():
        if len({facts[path].pixels for path in paths}) > 1:
            for path in paths:
                if (facts[path].pixels or "").startswith(OF_FILE):
                    # A file that has changed or gone meanwhile keeps standing for itself.
                    with suppress(ToolkitError, OSError):
                        pixels = pixels_hash(open_image(root / path))
                        found[path] = replace(facts[path], pixels=pixels)
    return found


def _stamps(root: Path, paths: Sequence[str]) -> Iterator[tuple[str, Stamp]]:
    for path in paths:
        try:
            yield path, Stamp.of(root / path)
        except OSError:
            continue


def _inspect(root: Path, sides: Mapping[str, Side], jobs: int) -> Iterator[tuple[str, ImageFacts]]:
    paths = list(sides)
    files = [root / path for path in paths]
    if jobs <= 1 or len(paths) < WORTH_A_PROCESS:
        yield from zip(paths, map(_inspect_one, files, sides.values()), strict=True)
        return
    # Spawned, not forked: the caller may have threads, and a fork would copy their locks.
    context = multiprocessing.get_context("spawn")
    chunk = max(1, min(32, len(paths) // (4 * jobs)))
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            found = pool.map(_inspect_one, files, sides.values(), chunksize=chunk)
            yield from zip(paths, found, strict=True)
        except BrokenProcessPool as error:
            raise ToolkitError(
                "a decoding process was killed, probably for memory; try again with --jobs 1"
            ) from error


def _inspect_one(path: Path, side: Side) -> ImageFacts:
    try:
        return inspect(path, side)
    except OSError as error:
        detail = f"cannot be read ({error.strerror or error})"
        return ImageFacts(size=0, sha256="", damage=Damage.UNREADABLE, detail=detail)
