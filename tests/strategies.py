"""What property tests share: names, images, features, scores."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

photo_numbers = st.integers(0, 99_999).map("{:05}".format)
designers = st.integers(1, 9).map("0{}".format)
open_stems = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True).filter(
    lambda stem: not stem.lower().endswith((".png", ".jpg", ".jpeg", ".webp"))
)
open_designers = st.integers(0, 99).map("{:02}".format)
any_filenames = st.text(min_size=1, max_size=30)


@st.composite
def features(draw: st.DrawFn, width: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Draw two views of 1 to 6 pairs and their photos' ids, with repeated photos among them."""
    count = draw(st.integers(1, 6))
    seed = draw(st.integers(0, 2**31))
    ids = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn((2, count, width), generator=generator, dtype=torch.float64)
    return a, b, torch.tensor(ids)


@st.composite
def rankings(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Draw scores with many ties (Q, G) and the right photo of each query (Q,)."""
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    levels = st.integers(0, 3).map(float)
    rows = st.lists(levels, min_size=gallery, max_size=gallery)
    scores = draw(st.lists(rows, min_size=queries, max_size=queries))
    right = draw(st.lists(st.integers(0, gallery - 1), min_size=queries, max_size=queries))
    return torch.tensor(scores), torch.tensor(right)
