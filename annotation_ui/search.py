"""The search page's eye: a checkpoint that ranks the dataset's photos for a drawing."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from annotation_ui.messages import read_message
from annotation_ui.studio import RELEASE_SIZE
from clothes_toolkit.cache import Stamp
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.bridge import network, one_line_errors, open_picture
from clothes_toolkit.strokes import render

if TYPE_CHECKING:
    from torch import Tensor

    from arnet.data import Loader
    from arnet.framing import Side

SHOWN = 10
AT_ONCE = 4
"""Searches that run or wait at a time."""
Ranked = list[tuple[str, float]]
"""Stems of photos and their likeness, most alike first."""


class Search:
    """Ranks photos for drawings; each photo is embedded once, and again when its file changes.

    Args:
        root: the dataset's folder.
        checkpoint: see `arnet.load_checkpoint`.
        scheme: how files are named.

    Raises `ToolkitError` where the checkpoint will not do, `MissingExtraError` without `[learn]`.
    """

    def __init__(self, root: Path, checkpoint: Path, scheme: str = "auto") -> None:
        arnet = network("--checkpoint")
        from arnet.device import choose_device, prepare

        self.root, self.scheme = root, scheme
        with one_line_errors():
            self._method = arnet.load_checkpoint(checkpoint)
            self._device = choose_device("auto")
            prepare(self._method, self._device)
        self._vectors: dict[tuple[str, str], Tensor] = {}
        self._lock, self._room = threading.Lock(), threading.BoundedSemaphore(AT_ONCE)
        # Photos are looked at before the first sketch comes, not while its designer waits.
        if photos := self._photos():
            with one_line_errors():
                self._gallery(photos)

    def find_drawing(self, data: bytes) -> Ranked:
        """Rank the photos for what a browser sent of a drawing; nothing for an empty one."""
        drawing = read_message(data, "search")
        return self.find(render(drawing, RELEASE_SIZE).convert("RGB")) if drawing.kept else []

    def find(self, picture: Image.Image, among: int = SHOWN) -> Ranked:
        """Rank the photos for the picture of a sketch, and return the first ones.

        Raises `ToolkitError` where too many search at once.
        """
        # Whoever waits holds a thread that others need to save what they draw.
        if not self._room.acquire(blocking=False):
            raise ToolkitError("many search at once; try again in a moment")
        try:
            return self._ranked(picture, among)
        finally:
            self._room.release()

    def _ranked(self, picture: Image.Image, among: int) -> Ranked:
        import torch

        with self._lock, one_line_errors():
            if not (photos := self._photos()):
                return []
            stems, gallery = self._gallery(photos)
            sketch = self._embed([Path("sketch")], "sketch", lambda _path: picture)
            likeness = self._method.similarity(sketch, gallery)[0]
            order = torch.argsort(likeness, descending=True, stable=True)[:among]
            return [(stems[place], float(likeness[place])) for place in order.tolist()]

    def rank_of(self, picture: Image.Image, stem: str) -> tuple[int, Ranked]:
        """Return the place of a photo for a picture, from 1, 0 where it is none; and the first."""
        ranked = self.find(picture, among=1 << 30)
        places = [found for found, _ in ranked]
        return (places.index(stem) + 1 if stem in places else 0), ranked[:SHOWN]

    def _photos(self) -> dict[str, str]:
        """Return the stems of all photos, by path."""
        return {photo.path: photo.stem for photo in Dataset.open(self.root, self.scheme).photos}

    def _gallery(self, photos: Mapping[str, str]) -> tuple[list[str], Tensor]:
        """Return stems and vectors of photos, given by path; embed those that are new."""
        import torch

        keys = {path: (path, str(Stamp.of(self.root / path))) for path in photos}
        new = [path for path, key in keys.items() if key not in self._vectors]
        if new:
            vectors = self._embed([self.root / path for path in new], "photo")
            self._vectors |= zip((keys[path] for path in new), vectors.unbind(), strict=True)
        self._vectors = {key: self._vectors[key] for key in keys.values()}
        return list(photos.values()), torch.stack(list(self._vectors.values()))

    def _embed(self, files: Sequence[Path], side: Side, loader: Loader = open_picture) -> Tensor:
        from arnet import embed, load_images

        method = self._method
        images = load_images(
            files,
            method.size,
            loader,
            resample=method.resample,
            fit_ink=method.fits_ink,
            side=side,
        )
        encode = method.embed_sketch if side == "sketch" else method.embed_photo
        return embed(encode, images.to(self._device))
