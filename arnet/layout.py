"""Whether drawings lie as what they show lies in the photos.

Where designers drew over the photos, the place and the size of a drawing tell which photo it is
of, and framing (`arnet.framing`) loses that. Where they drew on paper of their own, place and size
say nothing, and framing lays a drawing as its photo is laid.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from arnet.data import Loader, Pairs, each_picture, open_rgb
from arnet.framing import shown

ENOUGH = 500
"""Pairs that tell how drawings lie, at most."""

Edges = NDArray[np.float64]
"""Left, top, right, bottom of what is shown, (N, 4), as shares of the canvas."""


def should_fit_ink(pairs: Pairs, loader: Loader = open_rgb) -> bool:
    """Whether drawings tell no less about their photos when both are framed than as they lie.

    Framing is right where it makes the mean rank of a sketch's own photo no higher, see
    `ranks_by_edges`. Raises `ArnetError` naming a file that cannot be read.
    """
    as_is, framed = ranks_by_edges(pairs, loader)
    return framed <= as_is


def ranks_by_edges(pairs: Pairs, loader: Loader = open_rgb) -> tuple[float, float]:
    """Return the mean rank of a sketch's own photo by the edges of what is shown alone.

    As the pictures are, and when both are framed; 0 is the first rank. The photos of up to
    `ENOUGH` sketches are ranked for each of them.
    """
    every = math.ceil(len(pairs.sketches) / ENOUGH)
    sketches, photo_of = pairs.sketches[::every], pairs.photo_of[::every]
    kept, own = np.unique(photo_of, return_inverse=True)
    files = [*sketches, *(pairs.photos[photo] for photo in kept)]
    edges = np.array([box for box, _ in each_picture(files, loader, shown)])
    drawn, gallery = edges[: len(sketches)], edges[len(sketches) :]
    as_is = mean_rank(drawn, gallery, own)
    return as_is, mean_rank(_framed(drawn), _framed(gallery), own)


def mean_rank(queries: Edges, gallery: Edges, own: NDArray[np.intp]) -> float:
    """Return the mean number of entries nearer to a query than its own; an equal one is half.

    `own[i]` is the place in `gallery` of what query i shows.
    """
    distances = np.abs(queries[:, None] - gallery).sum(axis=2)
    to_own = distances[np.arange(len(own)), own][:, None]
    nearer, equal = distances < to_own, distances == to_own
    return float((nearer.sum(axis=1) + (equal.sum(axis=1) - 1) / 2).mean())


def _framed(edges: Edges) -> Edges:
    """Return the edges when the longer side has length 1 and the middle is at 0."""
    sides = edges[:, 2:] - edges[:, :2]
    half = sides / sides.max(axis=1, keepdims=True) / 2
    return np.concatenate([-half, half], axis=1)
