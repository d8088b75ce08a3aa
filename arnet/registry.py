"""Names to methods: what can be trained, where it was published, with which numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from arnet.encoders import BackboneSpec, Encoder
from arnet.errors import ArnetError, did_you_mean
from arnet.methods.arnet import ARNet, ARNetOptions
from arnet.methods.base import Method
from arnet.options import with_options
from arnet.weights import load_backbone_weights, read_spec

Weights = Literal["hub", "none"] | Path
"""Where a backbone's weights come from: timm's Hub, nowhere (random), or a safetensors file."""

ARNET_PAPER = (
    "Jiang et al., ARNet: Self-Supervised FG-SBIR with Unified Sample Feature Alignment and "
    "Multi-Scale Token Recycling, AAAI 2025 (arXiv 2406.11551)"
)


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """A method's entry in the registry.

    Attributes:
        name: what `create_method` calls it.
        summary: what it does, in one line.
        paper: authors, title, venue, year.
        backbone: timm name of the published backbone.
        options: the settings that make it this method.
        published: its numbers per dataset: percent, number of queries, protocol.
    """

    name: str
    summary: str
    paper: str
    backbone: str
    options: ARNetOptions
    published: Mapping[str, Mapping[str, float | int | str]]


def _published(
    at1: float, at5: float, at10: float, queries: int, protocol: str = "best-on-test"
) -> dict[str, float | int | str]:
    return {
        "acc@1": at1,
        "acc@5": at5,
        "acc@10": at10,
        "n_queries": queries,
        "protocol": protocol,
    }


_METHODS = {
    info.name: info
    for info in (
        MethodInfo(
            "arnet-basic",
            "two encoders, contrastive alignment within and across domains",
            ARNET_PAPER,
            "vit_base_patch16_224",
            ARNetOptions(),
            {
                # The paper prints 94.12, which is no multiple of 1/275; the authors' log has 94.18.
                "clothes-v1": _published(94.18, 98.91, 99.27, 275),
                "chair-v2": _published(73.31, 93.24, 97.15, 281),
                # The one row that is not the best of its log, which reached 41.23.
                "shoe-v2": _published(40.11, 67.54, 79.29, 536, "epoch 99 of 500"),
            },
        ),
        MethodInfo(
            "arnet-mstr",
            "arnet-basic with multi-scale token recycling",
            ARNET_PAPER,
            "vit_base_patch16_224",
            ARNetOptions(mstr=True),
            {
                "clothes-v1": _published(95.27, 98.55, 99.27, 275),
                "chair-v2": _published(75.45, 94.66, 97.87, 281),
                "shoe-v2": _published(42.91, 72.95, 81.72, 536),
            },
        ),
    )
}


def list_methods() -> tuple[MethodInfo, ...]:
    """Return every method, sorted by name."""
    return tuple(_METHODS[name] for name in sorted(_METHODS))


def method_info(name: str) -> MethodInfo:
    """Return a method's entry; raises `ArnetError` with a suggestion for an unknown name."""
    try:
        return _METHODS[name]
    except KeyError:
        hint = did_you_mean(name, _METHODS) or f" Known: {', '.join(sorted(_METHODS))}."
        raise ArnetError(f"there is no method '{name}'.{hint}") from None


def create_method(
    name: str,
    backbone: str | None = None,
    weights: Weights = "none",
    image_size: int | None = None,
    drop_path: float = 0.0,
    thin_blank: bool = False,
    fit_ink: bool = False,
    **options: object,
) -> Method:
    """Build a method.

    Args:
        name: see `list_methods`.
        backbone: a timm name; the published one if left out.
        weights: of the backbone: "hub", "none" or a safetensors file (see `read_spec`).
        image_size: side of the input; the backbone's own if left out.
        drop_path: share of the residual branches that a training step leaves out.
        fit_ink: whether pictures are framed by what they show, see `arnet.framing`.
        thin_blank: whether most patches without ink are left out, see `arnet.encoders`.
        options: fields of the method's options, such as `temperature=0.1`.

    Raises `ArnetError` for anything that is unknown or does not fit.
    """
    info = method_info(name)
    backbone = backbone or info.backbone
    spec = (
        read_spec(backbone, weights, image_size)
        if isinstance(weights, Path)
        else BackboneSpec(backbone, image_size=image_size)
    )
    spec = replace(_with_drop_path(spec, drop_path), thin_blank=thin_blank, fit_ink=fit_ink)
    method_options = with_options(info.options, options)

    encoder = Encoder(spec, pretrained=weights == "hub")
    if isinstance(weights, Path):
        load_backbone_weights(encoder, weights)
    return _build(info, spec, method_options, encoder)


PREPROCESSING: Mapping[str, Mapping[str, object]] = {
    "backbone": {"mean": None, "std": None, "resample": "bicubic"},
    "authors": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "resample": "bilinear"},
}
"""How images reach a backbone: as it was pretrained, or as ARNet's authors feed it: pixels in
[0, 1] as they are, resized bilinearly."""


def preprocessed(backbone: Mapping[str, Any], how: str) -> dict[str, Any]:
    """Return the description of a backbone (`BackboneSpec` as a mapping) with other preprocessing.

    Raises `ArnetError` for a name that is not in `PREPROCESSING`.
    """
    if how not in PREPROCESSING:
        raise ArnetError(f"preprocess must be {' or '.join(PREPROCESSING)}, not '{how}'")
    return {**backbone, **PREPROCESSING[how]}


def rebuild_method(config: Mapping[str, Any]) -> Method:
    """Build the method that `config` describes (its `Method.config`), with random weights."""
    try:
        info = method_info(config["method"])
        spec = BackboneSpec(**config["backbone"])
        options = with_options(info.options, config["options"])
    except (KeyError, TypeError) as error:
        raise ArnetError(f"this is not the description of a method ({error})") from error
    return _build(info, spec, options, Encoder(spec))


def changed_method(
    method: Method,
    image_size: int | None = None,
    drop_path: float = 0.0,
    thin_blank: bool | None = None,
    fit_ink: bool | None = None,
    **options: object,
) -> Method:
    """Return `method` with other settings, see `create_method`, and the same weights.

    Raises `ArnetError` where the changed method needs other weights than these.
    """
    of_spec = {"image_size": image_size or None, "thin_blank": thin_blank, "fit_ink": fit_ink}
    changes: dict[str, Any] = {name: value for name, value in of_spec.items() if value is not None}
    if not (changes or drop_path or options):
        return method
    config = method.config
    now = with_options(method_info(config["method"]).options, config["options"])
    spec = BackboneSpec(**config["backbone"])
    spec = replace(spec, **changes)
    again = rebuild_method(
        {
            **config,
            "backbone": dataclasses.asdict(_with_drop_path(spec, drop_path)),
            "options": dataclasses.asdict(with_options(now, options)),
        }
    )
    try:
        again.load_state_dict(method.state_dict())
    except RuntimeError as error:
        raise ArnetError(
            "the checkpoint's weights do not fit other settings than its own"
        ) from error
    return again


def _with_drop_path(spec: BackboneSpec, drop_path: float) -> BackboneSpec:
    if not drop_path:
        return spec
    return replace(spec, options={**spec.options, "drop_path_rate": drop_path})


def _build(info: MethodInfo, spec: BackboneSpec, options: ARNetOptions, encoder: Encoder) -> Method:
    method = ARNet(encoder, options)
    method.config = {
        "method": info.name,
        "backbone": dataclasses.asdict(spec),
        "options": dataclasses.asdict(options),
    }
    return method
