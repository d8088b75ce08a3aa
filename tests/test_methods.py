"""What every registered method promises, on a small backbone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from arnet.checkpoint import load_method, load_tensors, save_method
from arnet.device import prepare
from arnet.errors import ArnetError
from arnet.methods.base import Batch, Method
from arnet.registry import create_method, list_methods

NAMES = [info.name for info in list_methods()]
FORMS: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in NAMES},
    "arnet-mstr, match": ("arnet-mstr", {"form": "match", "fusion_weight": 0.5}),
}
BACKBONES: dict[str, dict[str, object]] = {
    "test_vit": {},
    "test_efficientnet": {"image_size": 96, "scales": (1, 2, 3)},
    "test_convnext": {"image_size": 96, "scales": (1, 2, 3)},
    "swin_tiny_patch4_window7_224": {},
}


def build(form: str, backbone: str = "test_vit", **options: object) -> Method:
    torch.manual_seed(0)
    name, of_form = FORMS[form]
    settings = {**BACKBONES[backbone], **of_form, **options}
    if name == "arnet-basic":
        settings.pop("scales", None)
    return create_method(name, backbone, "none", **settings)  # type: ignore[arg-type]


def random_batch(method: Method, count: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(5)
    views = torch.rand((4, count, 3, *method.size), generator=generator)
    sketch, photo, sketch_view, photo_view = views
    return Batch(sketch, photo, sketch_view, photo_view, torch.arange(count))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", FORMS)
def test_shapes_and_gradients(name: str, backbone: str) -> None:
    method = build(name, backbone)
    loss = method.training_loss(random_batch(method))
    assert loss.total.shape == ()
    assert all(term.isfinite() for term in loss.terms.values())
    torch.autograd.backward(loss.total)
    without = [n for n, p in method.named_parameters() if p.grad is None or not p.grad.any()]
    # What goes into a softmax as a constant has no gradient: attention's key biases.
    assert [n for n in without if not n.endswith((".k_bias", "qkv.bias"))] == []
    for embed in (method.embed_sketch, method.embed_photo):
        vectors = embed(torch.rand(2, 3, *method.size))
        assert vectors.shape == (2, 512) or "match" in name
        assert torch.allclose(vectors[:, :512].norm(dim=1), torch.ones(2), atol=1e-5)


@pytest.mark.parametrize("name", FORMS)
def test_batch_mates_do_not_matter(name: str) -> None:
    method = build(name).eval()
    prepare(method, torch.device("cpu"))
    images = torch.rand(37, 3, *method.size)
    with torch.inference_mode():
        for embed in (method.embed_sketch, method.embed_photo):
            together = embed(images)
            alone = torch.cat([embed(image[None]) for image in images])
            assert (together - alone).abs().max() < 1e-5
            assert torch.equal(embed(images), together)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", FORMS)
def test_a_reloaded_checkpoint_embeds_identically(name: str, backbone: str, tmp_path: Path) -> None:
    method = build(name, backbone).eval()
    save_method(tmp_path, method)
    saved, _ = load_tensors(tmp_path / "model.safetensors")
    assert set(saved) >= {key for key, _ in method.named_parameters()}
    again = load_method(tmp_path)
    images = torch.rand(3, 3, *method.size)
    with torch.inference_mode():
        assert torch.equal(again.embed_sketch(images), method.embed_sketch(images))
        assert torch.equal(again.embed_photo(images), method.embed_photo(images))
    assert again.config == method.config


@pytest.mark.parametrize("name", FORMS)
def test_seeds_repeat(name: str) -> None:
    first, second = build(name), build(name)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )


@pytest.mark.parametrize("name", FORMS)
def test_two_encoders_start_alike_and_are_two(name: str) -> None:
    method = build(name)
    images = torch.rand(2, 3, *method.size)
    found = [embed(images)[:, :512] for embed in (method.eval().embed_sketch, method.embed_photo)]
    assert torch.equal(*found)
    shared = build(name, shared_encoder=True)
    count = [sum(p.numel() for p in m.parameters()) for m in (method, shared)]
    assert count[0] == 2 * count[1]


@pytest.mark.parametrize("name", FORMS)
def test_a_method_ranks_as_it_says(name: str) -> None:
    method = build(name).eval()
    sketches, photos = torch.rand(2, 5, 3, *method.size)
    with torch.inference_mode():
        queries, gallery = method.embed_sketch(sketches), method.embed_photo(photos)
        together = method.similarity(queries, gallery)
        assert together.shape == (5, 5)
        for i, query in enumerate(queries):
            for j, photo in enumerate(gallery):
                alone = method.similarity(query[None], photo[None])
                assert torch.allclose(alone, together[i, j], atol=1e-5)
        cosine = queries[:, :512] @ gallery[:, :512].T
        assert torch.allclose(together, cosine, atol=1e-6) == ("match" not in name)


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    weights = {"multi": 1.0, "intra": 0.5, "inter": 2.0, "recycling": 3.0}
    options: dict[str, object] = {f"{name}_weight": weight for name, weight in weights.items()}
    method = build("arnet-mstr", "test_vit", **options).eval()
    loss = method.training_loss(random_batch(method))
    assert set(loss.terms) == set(weights)
    total = sum(weights[name] * term.item() for name, term in loss.terms.items())
    assert loss.total.item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("name", FORMS)
def test_a_shared_batch_norm_learns_what_it_will_see(name: str) -> None:
    method = build(name, "test_efficientnet", shared_encoder=True, intra_weight=0.0)
    for norm in method.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 1.0
    batch = random_batch(method, 8)
    # Photos far from sketches: statistics of one of them alone would fit the other badly.
    batch = replace(batch, sketch=1 - 0.1 * batch.sketch, photo=0.1 * batch.photo)
    with torch.no_grad():
        learning = method.train().training_loss(batch).total
        learned = method.eval().training_loss(batch).total
    assert learned.item() == pytest.approx(learning.item(), rel=0.05)


def test_second_views_never_meet_the_other_domain() -> None:
    method = build("arnet-mstr").eval()
    batch = random_batch(method)
    views = [1 - view for view in (batch.sketch_view, batch.photo_view) if view is not None]
    other = Batch(batch.sketch, batch.photo, views[0], views[1], batch.photo_id)
    first, second = method.training_loss(batch).terms, method.training_loss(other).terms
    for term in ("multi", "inter", "recycling"):
        assert first[term].item() == pytest.approx(second[term].item(), rel=1e-4)
    assert first["intra"].item() != pytest.approx(second["intra"].item(), rel=1e-4)


@pytest.mark.parametrize("form", ["arnet-mstr", "arnet-mstr, match"])
def test_fusion_weight_zero_is_the_control(form: str) -> None:
    control, basic = build(form, fusion_weight=0.0).eval(), build("arnet-basic").eval()
    state = control.state_dict().items()
    basic.load_state_dict({k: v for k, v in state if not re.search(r"\.(mstr|matching)\.", k)})
    sketches, photos = torch.rand(2, 3, 3, *basic.size)
    found = [
        method.similarity(method.embed_sketch(sketches), method.embed_photo(photos))
        for method in (control, basic)
    ]
    assert torch.allclose(found[0], found[1], atol=1e-6)


@pytest.mark.parametrize("form", ["arnet-mstr", "arnet-mstr, match"])
def test_half_precision_around_a_ranking_does_not_blur_it(form: str) -> None:
    method = build(form).eval()
    sketches, photos = torch.rand(2, 3, 3, *method.size)
    found = method.embed_sketch(sketches), method.embed_photo(photos)
    exact = method.similarity(*found)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(method.similarity(*found), exact)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "arnet-mtsr"}, "Did you mean 'arnet-mstr'"),
        ({"name": "arnet-mstr", "backbone": "vit_tiny_patch16_242"}, "Did you mean 'vit_tiny_pa"),
        ({"name": "arnet-mstr", "backbone": "resnet10t"}, "grid of 6×6"),
        ({"name": "arnet-mstr", "backbone": "test_vit", "temprature": 1}, "Did you mean 'temper"),
        ({"name": "arnet-mstr", "backbone": "test_vit", "temperature": "hot"}, "cannot be 'hot'"),
        ({"name": "arnet-mstr", "backbone": "test_vit", "temperature": "0"}, "above 0"),
        ({"name": "arnet-mstr", "backbone": "test_vit", "mstr": "perhaps"}, "cannot be 'perhaps'"),
        ({"name": "arnet-mstr", "backbone": "test_vit", "fusion_weight": 2}, "between 0 and 1"),
        ({"name": "arnet-mstr", "backbone": "test_vit", "match_place": 1}, "to below 1"),
        ({"name": "arnet-mstr", "backbone": "test_vit", "form": "mix"}, "fuse or match"),
        ({"name": "arnet-mstr", "backbone": "resnet10t", "form": "match"}, "grid of 6×6"),
    ],
)
def test_what_cannot_be_built_is_one_line(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ArnetError, match=message) as caught:
        create_method(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArnetError, match="no checkpoint here"):
        load_method(tmp_path)
    save_method(tmp_path, build("arnet-mstr"))
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"arnet-mstr"', '"arnet-basic"'))
    (tmp_path / "config.json").write_text(config.replace('"mstr": true', '"mstr": false'))
    with pytest.raises(ArnetError, match="another method or backbone"):
        load_method(tmp_path)
    (tmp_path / "config.json").write_text('{"method": "arnet-mstr"}')
    with pytest.raises(ArnetError, match="not the description"):
        load_method(tmp_path)
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(ArnetError, match="not a checkpoint"):
        load_method(tmp_path)
