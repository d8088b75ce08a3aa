"""Checkpoints: ours, the authors', and what must never be loaded."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arnet.checkpoint import load_checkpoint, load_method, save_method
from arnet.errors import ArnetError
from arnet.methods.base import Method
from arnet.registry import changed_method, create_method
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.learn.bridge import load_images_for, pairs_of
from tests.conftest import Run
from tests.contract import EVALUATE


class TheirEncoder(nn.Module):
    """An encoder with the key names of the released code: a whole timm ViT and a head."""

    def __init__(self, backbone: str, width: int) -> None:
        super().__init__()
        encoder: Any = timm.create_model(backbone)
        self.encoder, features = encoder, int(encoder.num_features)
        self.mlp_head = nn.Sequential(nn.Linear(features, width))

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.mlp_head(self.encoder.forward_features(images)[:, 0]), dim=1)


def released(
    path: Path, backbone: str = "vit_tiny_patch16_224", width: int = 512
) -> list[nn.Module]:
    """Write a file as the released trainer does; return its sketch and photo encoders."""
    torch.manual_seed(3)
    sketch, photo = TheirEncoder(backbone, width).eval(), TheirEncoder(backbone, width).eval()
    told = {
        "img_model": photo.state_dict(), "skt_model": sketch.state_dict(),
        "epoch": 331, "loss": 12.5, "top1": 73.31, "top5": 93.238, "top10": 97.153,
    }  # fmt: skip
    torch.save(told, path)
    return [sketch, photo]


@pytest.mark.parametrize(
    "backbone",
    ["vit_tiny_patch16_224", pytest.param("vit_base_patch16_224", marks=pytest.mark.slow)],
)
def test_a_released_checkpoint_embeds_as_their_code_does(backbone: str, tmp_path: Path) -> None:
    theirs = released(tmp_path / "model_Best.pth", backbone)
    ours = load_checkpoint(tmp_path / "model_Best.pth")
    normalized = load_checkpoint(tmp_path / "model_Best.pth", "backbone")
    assert (ours.config["method"], ours.config["backbone"]["name"]) == ("arnet-basic", backbone)
    images = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        for encoder, embed in zip(theirs, (ours.embed_sketch, ours.embed_photo), strict=True):
            assert torch.allclose(embed(images), encoder(images), atol=1e-5)
        # With the backbone's own normalization it is another network.
        assert torch.allclose(normalized.embed_sketch(images), theirs[0](2 * images - 1), atol=1e-5)
    assert (ours.resample, normalized.resample) == ("bilinear", "bicubic")


def test_a_base_state_dict_has_the_keys_that_are_read() -> None:
    with torch.device("meta"):
        theirs = TheirEncoder("vit_base_patch16_224", 512)
        ours = create_method("arnet-basic", "test_vit")
    keys = {key.partition(".")[0] for key in theirs.state_dict()}
    assert keys == {"encoder", "mlp_head"}
    assert sum(p.numel() for p in theirs.encoder.parameters()) == 86_567_656
    assert ours.config["method"] == "arnet-basic"


def test_a_released_checkpoint_is_kept_and_loaded_again(tmp_path: Path) -> None:
    released(tmp_path / "theirs.pth", width=256)
    first = load_checkpoint(tmp_path / "theirs.pth")
    save_method(tmp_path, first)
    again, normalized = load_method(tmp_path), load_method(tmp_path, "backbone")
    images = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(again.embed_photo(images), first.embed_photo(images))
        changed = normalized.embed_photo((images + 1) / 2)
    assert torch.allclose(changed, first.embed_photo(images), atol=1e-4)


def test_evaluate_reads_a_released_checkpoint(garments: Path, tmp_path: Path, run: Run) -> None:
    theirs = released(tmp_path / "theirs.pth")
    status, out, err = run(
        "evaluate", garments, "--checkpoint", tmp_path / "theirs.pth", "--format", "json"
    )
    assert status == 0, err
    found = json.loads(out)
    jsonschema.validate(found, EVALUATE)
    ours = load_checkpoint(tmp_path / "theirs.pth")
    images = load_images_for(ours, pairs_of(Dataset.open(garments), "test"))
    with torch.inference_mode():
        queries, gallery = (
            encoder(pixels.float() / 255)
            for encoder, pixels in zip(theirs, (images.sketches, images.photos), strict=True)
        )
    best = (queries @ gallery.T).argmax(dim=1)
    assert found["acc@1"] == pytest.approx(100 * (best == images.photo_of).float().mean().item())
    assert found["n_queries"] == len(images)
    status, out, _ = run("evaluate", garments, "--checkpoint", tmp_path / "theirs.pth")
    assert status == 0
    assert "95 % interval" in out


def test_evaluate_gives_a_runs_own_numbers(garments: Path, tmp_path: Path, run: Run) -> None:
    settings = ["--model=arnet-basic", "--backbone=test_vit", "--weights=none", "--epochs=1",
                "--set=image_size=64", "--batch-size=8", "--seeds=0,1", "--device=cpu"]  # fmt: skip
    status, _, err = run("baseline", garments, *settings, "--out", tmp_path / "run")
    assert status == 0, err
    status, _, err = run("evaluate", garments, "--checkpoint", tmp_path / "run")
    assert status == 2
    assert "a run of several seeds (seed-0, seed-1)" in err
    for seed in (0, 1):
        folder = tmp_path / "run" / f"seed-{seed}"
        written = json.loads((folder / "result.json").read_text())
        for checkpoint in (folder, folder / "model.safetensors"):
            _, out, _ = run("evaluate", garments, "--checkpoint", checkpoint, "--format", "json")
            found = json.loads(out)
            assert [found[f"acc@{q}"] for q in (1, 5, 10)] == [
                written[f"acc@{q}"] for q in (1, 5, 10)
            ]


def test_evaluate_tries_other_settings_on_the_same_weights(
    garments: Path, tmp_path: Path, run: Run
) -> None:
    torch.manual_seed(5)
    method = create_method("arnet-mstr", "test_vit", image_size=64, scales=(1, 2), form="match")
    for name, weight in (("own", 1.0), ("control", 0.0)):
        (tmp_path / name).mkdir()
        save_method(tmp_path / name, changed_method(method, fusion_weight=weight))

    def measured(name: str, *settings: str) -> dict[str, Any]:
        command = ("evaluate", garments, "--checkpoint", tmp_path / name, "--format", "json")
        status, out, err = run(*command, *(f"--set={setting}" for setting in settings))
        assert status == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    own, control = measured("own"), measured("control")
    changed = measured("own", "fusion_weight=0")
    assert changed.pop("settings") == {"fusion_weight": "0"}
    assert control.pop("settings") == {}
    assert changed == control != {k: v for k, v in own.items() if k != "settings"}
    for setting, message in (
        ("fusion_wait=0", "Did you mean 'fusion_weight'"),
        ("match_width=3", "do not fit other settings"),
        ("epochs=3", "there is no setting 'epochs'"),
        ("method=x", "there is no setting 'method'"),
        ("fusion_weight", "is not KEY=VALUE"),
    ):
        command = ("evaluate", garments, "--checkpoint", tmp_path / "own", "--set", setting)
        status, out, err = run(*command)
        assert (status, out) == (2, "")
        assert message in err.splitlines()[-1]
        assert "Traceback" not in err


class Bomb:
    """What a hostile pickle would do."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.mkdir, (str(MARK),)


MARK = Path("hostile")


@pytest.fixture(autouse=True)
def mark(tmp_path: Path) -> Path:
    global MARK
    MARK = tmp_path / "was-run"
    return MARK


def hostile_bytes(kind: str) -> bytes:
    if kind == "zip":
        buffer = io.BytesIO()
        torch.save({"skt_model": Bomb(), "img_model": {}}, buffer)
        return buffer.getvalue()
    if kind == "plain pickle":
        return pickle.dumps({"skt_model": Bomb()})
    if kind == "cut short":
        buffer = io.BytesIO()
        torch.save({"skt_model": {"x": torch.zeros(1000)}}, buffer)
        return buffer.getvalue()[:1500]
    if kind == "another zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("data.pkl", b"no")
        return buffer.getvalue()
    return {"empty": b"", "text": b"hello", "noise": bytes(range(256)) * 9}[kind]


@pytest.mark.parametrize(
    "kind", ["zip", "plain pickle", "cut short", "another zip", "empty", "text", "noise"]
)
def test_nothing_in_a_file_is_run(
    kind: str, garments: Path, tmp_path: Path, mark: Path, run: Run
) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(hostile_bytes(kind))
    for arguments in (
        ("evaluate", garments, "--checkpoint", path),
        ("baseline", garments, "--model", "arnet-basic", "--init", path, "--out", tmp_path / "r"),
    ):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert "can be read as tensors alone" in err
        assert len(err.splitlines()) == 1
    assert not mark.exists()


def broken(change: str, told: dict[str, Any]) -> object:
    if change == "mstr":
        told["skt_model"]["recycle_model.fc.weight"] = torch.zeros(1, 249)
    if change == "a key too few":
        del told["img_model"]["encoder.blocks.3.attn.qkv.weight"]
    if change == "another width":
        told["img_model"]["mlp_head.0.weight"] = torch.zeros(512, 7)
    if change == "a cnn":
        told["skt_model"] = {"features.0.weight": torch.zeros(1)}
    if change == "no tensors":
        told["skt_model"] = {"x": 1}
    return [told] if change == "a list" else told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("mstr", r"cannot be recovered.*33,083,904.*never saved"),
        ("a key too few", "not ARNet basic"),
        ("another width", "not ARNet basic"),
        ("a cnn", "patches of 16"),
        ("no tensors", "skt_model and img_model"),
        ("a list", "skt_model and img_model"),
    ],
)
def test_other_files_are_refused_in_a_line(change: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    released(path)
    torch.save(broken(change, torch.load(path, weights_only=True)), path)
    with pytest.raises(ArnetError, match=message) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ArnetError, match="no checkpoint here"):
        load_checkpoint(tmp_path / "gone.pth")


def test_a_description_cannot_reach_for_other_files(tmp_path: Path) -> None:
    save_method(tmp_path, create_method("arnet-basic", "test_vit"))
    config = json.loads((tmp_path / "config.json").read_text())
    config["backbone"]["options"] = {"checkpoint_path": str(tmp_path / "evil.pth")}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArnetError, match="must not read other files: checkpoint_path"):
        load_method(tmp_path)


def test_the_hubs_mixin_writes_and_reads_our_checkpoints(tmp_path: Path) -> None:
    torch.manual_seed(0)
    method = create_method("arnet-mstr", "test_vit", image_size=64, scales=(1, 2)).eval()
    method.card = "---\ntags: [mine]\n---\n\n# Mine\n"
    method.save_pretrained(tmp_path / "saved")
    images = torch.rand(1, 3, 64, 64)
    again = Method.from_pretrained(tmp_path / "saved")
    with torch.inference_mode():
        assert torch.equal(again.embed_sketch(images), method.embed_sketch(images))
    assert again.config == method.config
    assert again.card == method.card
    assert (tmp_path / "saved" / "README.md").read_text() == method.card
    plain = create_method("arnet-basic", "test_vit", image_size=64)
    plain.save_pretrained(tmp_path / "plain")
    assert "clothes-toolkit" in (tmp_path / "plain" / "README.md").read_text()
