"""The peer: ARNet in a plain fp32 loop, as its authors trained it, written without our package.

Files are opened and transformed by DataLoader workers in every epoch, the network runs in fp32 on
the batches as they come, the classifiers of both encoders are kept, and evaluation embeds the photo
of every pair. Batch, views, losses and optimizer are those of the released recipe.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

BATCH, TEST_BATCH, WORKERS, TEMPERATURE, RATE, DECAY = 16, 128, 4, 0.07, 6e-6, 1e-4

ANCHOR = T.Compose([T.Resize((224, 224)), T.ToTensor()])
SECOND = T.Compose(
    [
        T.Resize((268, 268)),
        T.RandomRotation(30),
        T.RandomHorizontalFlip(0.8),
        T.CenterCrop(224),
        T.ToTensor(),
    ]
)


class PairFiles(Dataset[tuple[Tensor, ...]]):
    """Opens the files of a pair whenever it is asked for."""

    def __init__(self, pairs: list[tuple[Path, Path]], train: bool) -> None:
        self.pairs, self.train = pairs, train

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        sketch, photo = (Image.open(path).convert("RGB") for path in self.pairs[index])
        views = (ANCHOR(sketch), ANCHOR(photo))
        return (*views, SECOND(sketch), SECOND(photo)) if self.train else views


class PlainRecycling(nn.Module):
    """Three token scales, a two-layer transformer each, one weight a token."""

    wanted: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transformers = nn.ModuleList(
            nn.TransformerEncoder(
                nn.TransformerEncoderLayer(dim, 8, 2048, batch_first=True), 2,
                enable_nested_tensor=False,
            )
            for _ in range(3)
        )  # fmt: skip
        self.recycle = nn.Linear(249, 1)
        self.register_buffer("wanted", torch.eye(249))

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return the recycled vector and its loss."""
        grid = patches.transpose(1, 2).reshape(len(patches), -1, 14, 14)
        scales = [F.avg_pool2d(grid, s).flatten(2).transpose(1, 2) for s in (1, 2, 7)]
        tokens = torch.cat([t(x) for t, x in zip(self.transformers, scales, strict=True)], dim=1)
        q = F.avg_pool1d(tokens, tokens.shape[2] // 16)
        loss = F.mse_loss(q @ q.transpose(1, 2), self.wanted.expand(len(q), -1, -1))
        return self.recycle(tokens.transpose(1, 2)).squeeze(2), loss


class PlainEncoder(nn.Module):
    """A whole timm ViT with a head beside its classifier."""

    def __init__(self, backbone: str, weights: Path, mstr: bool) -> None:
        super().__init__()
        encoder: Any = timm.create_model(backbone)
        encoder.load_state_dict(load_file(weights))
        self.encoder, dim = encoder, int(encoder.num_features)
        self.head = nn.Linear(dim, 512)
        self.mstr = PlainRecycling(dim) if mstr else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return class token, embedding and the loss of the recycling."""
        tokens: Tensor = self.encoder.forward_features(images)
        cls, loss = tokens[:, 0], torch.zeros(())
        if self.mstr is None:
            return cls, self.head(cls), loss
        recycled, loss = self.mstr(tokens[:, 1:])
        return cls, self.head(0.9 * cls + 0.1 * recycled), loss


def nt_xent(a: Tensor, b: Tensor) -> Tensor:
    """Contrast two views over the 2B vectors of both."""
    z = F.normalize(torch.cat([a, b]), dim=1)
    similar = z @ z.T / TEMPERATURE
    similar.fill_diagonal_(-torch.inf)
    return F.cross_entropy(similar, torch.arange(len(z), device=z.device).roll(len(a)))


def train_epoch(
    pairs: list[tuple[Path, Path]], backbone: str, weights: Path, mstr: bool, device: str = "cpu"
) -> float:
    """Train one epoch and return its seconds."""
    sketches, photos = (PlainEncoder(backbone, weights, mstr).to(device) for _ in range(2))
    optimizer = torch.optim.Adam(
        [*sketches.parameters(), *photos.parameters()], RATE, weight_decay=DECAY
    )
    on_gpu = device == "cuda"
    loader = DataLoader(
        PairFiles(pairs, True), BATCH, shuffle=True, num_workers=WORKERS, pin_memory=on_gpu
    )
    start = time.perf_counter()
    for images in loader:
        sketch, photo, sketch2, photo2 = (image.to(device) for image in images)
        cls_s, z_s, extra_s = sketches(sketch)
        cls_p, z_p, extra_p = photos(photo)
        loss = nt_xent(z_s, z_p) + nt_xent(cls_s, cls_p) + extra_s + extra_p
        loss = loss + nt_xent(sketches(sketch2)[0], cls_s) + nt_xent(photos(photo2)[0], cls_p)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        loss.item()
    return time.perf_counter() - start


@torch.no_grad()
def evaluate(pairs: list[tuple[Path, Path]], backbone: str, weights: Path, mstr: bool) -> float:
    """Embed both sides of every test pair and rank; return the seconds."""
    sketches, photos = (PlainEncoder(backbone, weights, mstr).eval() for _ in range(2))
    loader = DataLoader(PairFiles(pairs, False), TEST_BATCH, num_workers=WORKERS)
    start = time.perf_counter()
    found = [(sketches(sketch)[1], photos(photo)[1]) for sketch, photo in loader]
    queries, gallery = (F.normalize(torch.cat(side), dim=1) for side in zip(*found, strict=True))
    (queries @ gallery.T).argsort(dim=1, descending=True)
    return time.perf_counter() - start
