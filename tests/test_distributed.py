"""Two processes that share a batch train what one process trains."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from arnet.data import PairImages, load_pairs
from arnet.distributed import gather_rows, process_group, rank, share_of, shares, world_size
from arnet.recipes import STRONG
from arnet.registry import create_method
from arnet.train import Trainer
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.bridge import pairs_of

ROOT = Path(__file__).parent.parent
# Adam moves a weight with next to no gradient as far as any other, whichever way rounding points.
RECIPE = dataclasses.replace(
    STRONG, epochs=2, batch_size=7, lr=3e-4, ema=0.9, views="affine+A1", eps=1e-6
)


def train(root: Path, method: str, out: Path) -> None:
    """Train two epochs, in as many processes as the environment names; the first one saves."""
    torch.manual_seed(0)
    name, options = OPTIONS[method]
    network = create_method(name, "test_vit", image_size=64, **options)  # type: ignore[arg-type]
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with process_group("cpu"):
        images: PairImages = load_pairs(pairs_of(Dataset.open(root), "train"), network.size)
        trainer = Trainer(network, images, RECIPE)
        losses = [trainer.train_epoch().loss for _ in range(2)]
        if rank() == 0:
            state = {k: v.contiguous() for k, v in trainer.trained.state_dict().items()}
            save_file({**state, "losses": torch.tensor(losses)}, out)


OPTIONS: dict[str, tuple[str, dict[str, object]]] = {
    "basic": ("arnet-basic", {"learn_temperature": True, "all_positives": True}),
    "fuse": ("arnet-mstr", {"scales": (1, 2), "learn_fusion": True}),
    "match": ("arnet-mstr", {"scales": (1, 2), "form": "match", "shared_encoder": True}),
}


def start(command: list[str], processes: int, **more: str) -> list[subprocess.Popen[str]]:
    """Start processes as `torchrun` does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            command,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "RANK": str(place),
                "LOCAL_RANK": str(place),
                "WORLD_SIZE": str(processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1",
                **more,
            },
        )
        for place in range(processes)
    ]


def run(command: list[str], processes: int) -> list[tuple[str, str]]:
    started = start(command, processes)
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * processes, said
    return said


@pytest.mark.parametrize("method", OPTIONS)
def test_two_processes_equal_one(method: str, garments: Path, tmp_path: Path) -> None:
    found = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.safetensors"
        code = (
            "from pathlib import Path; from tests.test_distributed import train; "
            f"train(Path({str(garments)!r}), {method!r}, Path({str(out)!r}))"
        )
        run([sys.executable, "-c", code], processes)
        found.append(load_file(out))
    one, two = found
    assert torch.allclose(one["losses"], two["losses"], atol=1e-5)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        difference = (tensor - two[name]).abs()
        if name.endswith("qkv.bias"):
            # A softmax takes no notice of its keys' bias: that gradient is rounding alone, which
            # Adam blows up.
            query, key, value = difference.chunk(3)
            assert key.max() < RECIPE.lr
            difference = torch.cat([query, value])
        assert difference.max() < 1e-5, name


def test_a_baseline_by_two_processes_writes_once(garments: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "clothes_toolkit", "baseline", str(garments), "--model=arnet-basic",
        "--backbone=test_vit", "--weights=none", "--set=image_size=64", "--epochs=2",
        "--batch-size=8", "--protocol=validation", "--device=cpu", "--precision=fp32",
        f"--out={tmp_path / 'run'}",
    ]  # fmt: skip
    (first, _), (second, complaint) = run(command, 2)
    assert "Acc@1" in first
    assert (second, complaint) == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    assert '"processes": 2' in (tmp_path / "run" / "result.json").read_text()


def test_a_single_process_has_everything() -> None:
    assert (world_size(), rank()) == (1, 0)
    rows = torch.arange(5)
    assert shares(5) == [5]
    assert torch.equal(share_of(rows), rows)
    assert gather_rows(rows, shares(5)) is rows
