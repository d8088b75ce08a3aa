"""Sketch-photo pairs: the files, and their pixels decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from arnet.errors import ArnetError
from arnet.framing import Side, frame

Result = TypeVar("Result")

Loader = Callable[[Path], Image.Image]
"""Opens one file as an RGB picture. Raises `OSError` or `ValueError` where it cannot."""

DECODING_THREADS = 4

RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which sketch shows which photo.

    `photo_of[i]` is the index into `photos` of the photo that `sketches[i]` draws. Photos that
    nobody drew may be among `photos`: they are part of the gallery.
    """

    sketches: tuple[Path, ...]
    photos: tuple[Path, ...]
    photo_of: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.sketches or not self.photos:
            raise ArnetError("there are no pairs: at least one sketch and one photo are needed")
        if len(self.photo_of) != len(self.sketches):
            raise ArnetError(
                f"photo_of has {len(self.photo_of)} entries for {len(self.sketches)} sketches"
            )
        if not all(0 <= i < len(self.photos) for i in self.photo_of):
            raise ArnetError("photo_of names a photo that is not in the list")


@dataclass(frozen=True, slots=True)
class PairImages:
    """The pixels of some pairs, decoded and resized once.

    Attributes:
        sketches: uint8, (S, 3, H, W).
        photos: uint8, (P, 3, H, W), each photo once however often it was drawn.
        photo_of: int64, (S,), an index into `photos`.
    """

    sketches: Tensor
    photos: Tensor
    photo_of: Tensor

    def __len__(self) -> int:
        return len(self.sketches)

    def of_photos(self, chosen: Tensor) -> PairImages:
        """Return the pairs of some photos; `chosen` is bool, (P,)."""
        pairs = chosen[self.photo_of]
        place = chosen.cumsum(0) - 1
        return PairImages(self.sketches[pairs], self.photos[chosen], place[self.photo_of[pairs]])

    def hold_out(self, photos: int, seed: int) -> tuple[PairImages, PairImages]:
        """Divide the pairs by photo: those of all others, and those of so many drawn by `seed`."""
        order = torch.randperm(len(self.photos), generator=torch.Generator().manual_seed(seed))
        held = torch.zeros(len(self.photos), dtype=torch.bool)
        held[order[:photos]] = True
        return self.of_photos(~held), self.of_photos(held)

    def to(self, device: torch.device) -> PairImages:
        """Return the same pairs on `device`."""
        return PairImages(
            self.sketches.to(device), self.photos.to(device), self.photo_of.to(device)
        )


def open_rgb(path: Path) -> Image.Image:
    """Open a picture with Pillow, transparency flattened on white, 16-bit grey in its range."""
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            # Pillow clips 16-bit grey when it converts; the high byte is what a viewer shows.
            levels = image.convert("I").point(lambda level: level * (1 / 257))
            return levels.convert("L").convert("RGB")
        if not image.has_transparency_data:
            return image.convert("RGB")
        layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB")


def load_images(
    paths: Sequence[Path],
    size: tuple[int, int],
    loader: Loader = open_rgb,
    on_image: Callable[[], None] = lambda: None,
    resample: str = "bicubic",
    fit_ink: bool = False,
    side: Side = "sketch",
) -> Tensor:
    """Decode files into one uint8 tensor (N, 3, H, W), resized to `size` = (H, W).

    `resample` is "bicubic" or "bilinear". The aspect ratio is not kept, as in the published recipe.
    With `fit_ink` they are framed by what they show, see `arnet.framing`; then `side` says whether
    they are sketches or photos.
    Raises `ArnetError` naming the file that cannot be read.
    """
    height, width = size
    images = torch.empty((len(paths), 3, height, width), dtype=torch.uint8)

    def pixels(picture: Image.Image) -> Tensor:
        to, how = (width, height), RESAMPLING[resample]
        small = frame(picture, to, how, side) if fit_ink else picture.resize(to, how)
        return torch.from_numpy(np.array(small, dtype=np.uint8)).permute(2, 0, 1)

    for index, decoded in enumerate(each_picture(paths, loader, pixels)):
        images[index] = decoded
        on_image()
    return images


def each_picture(
    paths: Sequence[Path], loader: Loader, use: Callable[[Image.Image], Result]
) -> Iterator[Result]:
    """Decode files on several threads and give what `use` makes of each, in their order.

    Raises `ArnetError` naming the file that cannot be read.
    """

    def decode(path: Path) -> Result:
        try:
            return use(loader(path))
        except (OSError, ValueError) as error:
            raise ArnetError(f"{path}: cannot be read as an image ({error})") from error

    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        yield from pool.map(decode, paths)


def load_pairs(
    pairs: Pairs,
    size: tuple[int, int],
    loader: Loader = open_rgb,
    on_image: Callable[[], None] = lambda: None,
    resample: str = "bicubic",
    fit_ink: bool = False,
) -> PairImages:
    """Decode every sketch and every photo of `pairs` once; see `load_images`."""
    return PairImages(
        sketches=load_images(pairs.sketches, size, loader, on_image, resample, fit_ink, "sketch"),
        photos=load_images(pairs.photos, size, loader, on_image, resample, fit_ink, "photo"),
        photo_of=torch.tensor(pairs.photo_of, dtype=torch.int64),
    )
