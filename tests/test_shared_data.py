"""Real data: what the toolkit says of it, and which of its weights it takes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image

from arnet.data import load_images
from arnet.encoders import Encoder
from arnet.errors import ArnetError
from arnet.weights import load_backbone_weights, read_spec
from clothes_toolkit.checks.pixels import SHADED_SHARE
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.images import inspect
from clothes_toolkit.naming import Side
from clothes_toolkit.validate import validate
from tests.conftest import Run


def test_figures_lack_their_test_split_and_nothing_else(shared_data: Path, run: Run) -> None:
    status, out, _ = run("validate", shared_data / "clothes-v1-figures", "--format", "json")
    document = json.loads(out)
    assert (status, document["scheme"]) == (1, "clothes")
    assert [(f["rule"], f["path"]) for f in document["findings"]] == [
        ("missing-folder", "testA"),
        ("missing-folder", "testB"),
    ]
    assert document["counts"]["splits"] == {"train": {"photos": 19, "sketches": 27}}


@pytest.mark.parametrize("scheme", ["open", "auto"])
def test_chairv2_has_one_fault_which_is_accepted(shared_data: Path, scheme: str, run: Run) -> None:
    status, out, _ = run(
        "validate", shared_data / "chairv2", "--scheme", scheme, "--format", "json"
    )
    document = json.loads(out)
    assert (status, document["ok"], document["scheme"]) == (0, True, "open")
    (finding,) = document["findings"]
    assert finding["rule"] == "exact-duplicate"
    assert "published results" in finding["accepted"]
    assert document["counts"]["splits"] == {
        "train": {"photos": 300, "sketches": 952},
        "test": {"photos": 100, "sketches": 323},
    }


def test_photos_alone_are_not_a_dataset(shared_data: Path, run: Run) -> None:
    status, _, err = run("validate", shared_data / "clothing-photos")
    assert status == 2
    assert "not a dataset" in err


def test_photos_among_real_sketches_are_told_apart(shared_data: Path, tmp_path: Path) -> None:
    figures = shared_data / "clothes-v1-figures"
    photos = [*(figures / "gallery").iterdir(), *(figures / "trainB").iterdir()]
    photos += sorted((shared_data / "clothing-photos").glob("*.jpg"))[::50]
    for photo in photos:
        with Image.open(photo) as image:
            image.convert("L").save(tmp_path / "grey.png")
        assert inspect(tmp_path / "grey.png", Side.SKETCH).shading > SHADED_SHARE


def test_expected_counts_of_another_dataset(shared_data: Path) -> None:
    from clothes_toolkit.expectations import CLOTHES_V1

    dataset = Dataset.open(shared_data / "clothes-v1-figures")
    report = validate(dataset, expect=CLOTHES_V1, only=["count-mismatch"])
    assert {"trainA", "trainB", "."} <= {finding.path for finding in report.findings}


def test_real_vit_weights_load_exactly(shared_data: Path) -> None:
    path = shared_data / "weights" / "vit_tiny_patch16_224.safetensors"
    encoder = Encoder(read_spec("vit_tiny_patch16_224", path)).eval()
    load_backbone_weights(encoder, path)
    original: Any = timm.create_model("vit_tiny_patch16_224", checkpoint_path=str(path)).eval()
    photo = next(iter(sorted((shared_data / "clothing-photos").glob("*.jpg"))))
    image = load_images([photo], encoder.size).float() / 255
    with torch.inference_mode():
        expected = original.forward_features((image - 0.5) / 0.5)
        assert torch.allclose(encoder(image, only_class_token=True).cls, expected[:, 0], atol=1e-5)


def test_real_mobilenet_weights_load_right_or_not_at_all(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "weights" / "mobilenetv2_100_tf_ptq.safetensors"
    encoder = Encoder(read_spec("mobilenetv2_100", source)).eval()
    load_backbone_weights(encoder, source)
    told = json.loads(source.with_suffix(".json").read_text())["timm"]
    original: Any = timm.create_model("mobilenetv2_100", checkpoint_path=str(source), **told).eval()
    photos = sorted((shared_data / "clothing-photos").glob("*.jpg"))[:4]
    images = load_images(photos, encoder.size).float() / 255
    with torch.inference_mode():
        expected = original.forward_features((images - 0.5) / 0.5).mean(dim=(2, 3))
        assert torch.allclose(encoder(images, only_class_token=True).cls, expected, atol=1e-4)
    path = tmp_path / "bare.safetensors"
    shutil.copy(source, path)
    with pytest.raises(ArnetError, match="folded"):
        load_backbone_weights(Encoder(read_spec("mobilenetv2_100", path)), path)


def test_vit_weights_do_not_pass_for_another_network(
    shared_data: Path, tmp_path: Path, run: Run
) -> None:
    weights = shared_data / "weights" / "vit_tiny_patch16_224.safetensors"
    for backbone in ("vit_small_patch16_224", "mobilenetv2_100"):
        status, _, err = run(
            "baseline", shared_data / "chairv2", "--model", "arnet-mstr",
            "--backbone", backbone, "--weights", weights, "--out", tmp_path / "run",
        )  # fmt: skip
        assert status == 2
        assert f"not weights of {backbone}" in err
