"""Any timm backbone as an encoder: a pooled feature and a grid of tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.layers.norm_act import FrozenBatchNormAct2d, freeze_batch_norm_2d
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from arnet.errors import ArnetError, did_you_mean

FROZEN_BATCH_NORM = (FrozenBatchNorm2d, FrozenBatchNormAct2d)


class Features(NamedTuple):
    """What an encoder says of a batch.

    Attributes:
        cls: (B, D), the class token, or the mean of the cells where a backbone has none.
        patches: (B, rows × columns, D), patch tokens or the cells of the last feature map.
    """

    cls: Tensor
    patches: Tensor


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """How to build a backbone, without its weights.

    Attributes:
        name: timm's name.
        options: keyword arguments of `timm.create_model`.
        mean, std: of the inputs in [0, 1]; `None` means the backbone's own.
        freeze_bn: batch norm keeps its statistics and its scale.
        image_size: side of the square input; `None` means the backbone's own.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    freeze_bn: bool = False
    image_size: int | None = None


class LastBlock(Block):
    """A vision transformer's last block, which can leave out what the class token does not need."""

    only_class_token = False

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return all tokens (B, T, D), or the class token alone (B, 1, D)."""
        if not self.only_class_token:
            whole: Tensor = super().forward(x, *args, **kwargs)
            return whole
        mixed = self.attn(self.norm1(x))[:, :1]
        first = x[:, :1] + self.drop_path1(self.ls1(mixed))
        alone: Tensor = first + self.drop_path2(self.ls2(self.mlp(self.norm2(first))))
        return alone


class Encoder(nn.Module):
    """A backbone without its classifier, which normalizes its own inputs.

    Images go in as floats in [0, 1], (B, 3, H, W), and `Features` come out. Raises `ArnetError`
    for a name that timm does not know or options that the backbone does not take.

    Attributes:
        grid: rows and columns of the tokens. `dim`: their width.
        chunk: images that pass through at a time; 0 is all of them.
        full_precision: the backbone runs in fp32 even where the rest does not.
        unreached: parameters of the backbone that only its classifier would use.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: BackboneSpec, pretrained: bool = False) -> None:
        super().__init__()
        self.backbone = _create_backbone(spec, pretrained)
        config = self.backbone.pretrained_cfg
        side = spec.image_size
        self.size: tuple[int, int] = (side, side) if side else tuple(config["input_size"][1:])
        self.prefix_tokens: int = getattr(self.backbone, "num_prefix_tokens", 0)
        self.channels_last_output = getattr(self.backbone, "output_fmt", "NCHW") == "NHWC"
        self.register_buffer("mean", _per_channel(spec.mean or config["mean"]))
        self.register_buffer("std", _per_channel(spec.std or config["std"]))
        if spec.freeze_bn:
            self.backbone = freeze_batch_norm_2d(self.backbone)  # type: ignore[no-untyped-call]
        self.unreached: set[str] = set()
        self.grid, self.dim = self._probe()
        # In a list, so that its parameters are not registered twice.
        self._last_block = [_last_block(self.backbone)]
        self.chunk = 0
        self.full_precision = False

    @property
    def last_block(self) -> LastBlock | None:
        """The block that can give the class token alone, where the backbone has one."""
        return self._last_block[0]

    @property
    def _mixes_the_batch(self) -> bool:
        """Whether a batch norm is learning its statistics, so that a batch must stay whole."""
        return self.training and any(isinstance(m, nn.BatchNorm2d) for m in self.modules())

    def forward(self, images: Tensor) -> Features:
        """Encode images, float in [0, 1], (B, 3, H, W)."""
        parts = [self._encode(part) for part in self._chunks(images)]
        return Features(*(torch.cat(kind) for kind in zip(*parts, strict=True)))

    def class_token(self, images: Tensor) -> Tensor:
        """Return the class tokens alone, (B, D): the same values for less work."""
        if self.last_block is None:
            features: Features = self(images)
            return features.cls
        self.last_block.only_class_token = True
        try:
            return torch.cat([self._encode(part).cls for part in self._chunks(images)])
        finally:
            self.last_block.only_class_token = False

    def _chunks(self, images: Tensor) -> tuple[Tensor, ...]:
        whole = not self.chunk or self._mixes_the_batch
        return (images,) if whole else torch.split(images, self.chunk)

    def _encode(self, images: Tensor) -> Features:
        with self._precision(images.device.type):
            out: Tensor = self.backbone.forward_features((images - self.mean) / self.std)
        if out.dim() == 4:
            patches = out.flatten(1, 2) if self.channels_last_output else out.flatten(2).mT
            return Features(patches.mean(dim=1), patches)
        patches = out[:, self.prefix_tokens :]
        cls = out[:, 0] if self.prefix_tokens else patches.mean(dim=1)
        return Features(cls, patches)

    def _precision(self, device: str) -> AbstractContextManager[object]:
        return torch.autocast(device, enabled=False) if self.full_precision else nullcontext()

    @property
    def has_small_depthwise_convolutions(self) -> bool:
        """Whether the backbone is of the MobileNet kind."""
        return any(
            isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 and m.kernel_size[0] <= 5
            for m in self.modules()
        )

    @property
    def is_convolutional(self) -> bool:
        """Whether the backbone leaves a feature map, so that channels-last memory suits it."""
        return self.prefix_tokens == 0 and not self.channels_last_output

    def _probe(self) -> tuple[tuple[int, int], int]:
        """Return the token grid and width, from one blank image; drop what it does not reach.

        Backbones keep parts that only their classifier uses (a last norm, wide layers before the
        logits), which would never be trained.
        """
        was_training = self.training
        self.eval()
        out = self.backbone.forward_features(torch.zeros(1, 3, *self.size))
        self.train(was_training)
        parameters = dict(self.backbone.named_parameters())
        reached: tuple[Tensor | None, ...] = torch.autograd.grad(
            out.sum(), list(parameters.values()), allow_unused=True
        )
        for name, gradient in zip(parameters, reached, strict=True):
            if gradient is None:
                owner, _, leaf = name.rpartition(".")
                self.backbone.get_submodule(owner).register_parameter(leaf, None)
                self.unreached.add(name)
        if out.dim() == 4:
            rows, columns, dim = (
                out.shape[1:] if self.channels_last_output else (*out.shape[2:], out.shape[1])
            )
            return (rows, columns), dim
        rows, columns = self.backbone.patch_embed.grid_size
        return (rows, columns), out.shape[2]


def read_spec(name: str, weights: Path, image_size: int | None = None) -> BackboneSpec:
    """Return how to build the backbone that `weights` belongs to.

    `WEIGHTS.json` beside `WEIGHTS.safetensors` tells (`timm`, `mean`, `std`, `freeze_bn`); without
    it the backbone's own defaults hold. Raises `ArnetError` for a sidecar that cannot be used.
    """
    sidecar = weights.with_suffix(".json")
    if not sidecar.exists():
        return BackboneSpec(name, image_size=image_size)
    try:
        told = json.loads(sidecar.read_text(encoding="utf-8"))
        known = {"timm", "mean", "std", "freeze_bn"}
        if unknown := sorted(set(told) - known):
            raise ValueError(f"unknown key '{unknown[0]}'{did_you_mean(unknown[0], known)}")
        mean, std = (_triple(told[key]) if key in told else None for key in ("mean", "std"))
        return BackboneSpec(
            name, dict(told.get("timm", {})), mean, std, bool(told.get("freeze_bn")), image_size
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ArnetError(f"{sidecar}: not a description of weights ({error})") from error


def load_backbone_weights(encoder: Encoder, weights: Path) -> None:
    """Load a safetensors file into the backbone, every parameter of it and nothing else.

    The classifier head alone may be in the file without being in the backbone. Raises `ArnetError`
    for a file that does not fit.
    """
    backbone = encoder.backbone
    try:
        state = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise ArnetError(f"{weights}: cannot be read as safetensors ({error})") from error
    head = backbone.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{name}." for name in ((head,) if isinstance(head, str) else head))
    wanted = {k: v for k, v in backbone.state_dict().items() if not _is_counter(k)}
    state = {
        k: v
        for k, v in state.items()
        if k in wanted or not (_is_counter(k) or k in encoder.unreached or k.startswith(heads))
    }
    if problem := _misfit(state, wanted):
        raise ArnetError(
            f"{weights}: these are not weights of {backbone.pretrained_cfg['architecture']}: "
            f"{problem}; name the --backbone that they were made for"
        )
    backbone.load_state_dict(state, strict=False)
    if _is_folded(state) and not _normalizes_nothing(backbone):
        variance = next(v for k, v in state.items() if k.endswith("running_var"))[0].item()
        raise ArnetError(
            f"{weights}: batch norm is folded into these weights, and they are useless in a "
            f"backbone that is not built for it; {weights.with_suffix('.json').name} must say how: "
            f'{{"timm": {{"bn_eps": {1 - variance:.2g}, ...}}, "mean": [...], "std": [...], '
            '"freeze_bn": true}'
        )


def _create_backbone(spec: BackboneSpec, pretrained: bool) -> Any:
    if not timm.is_model(spec.name):
        hint = did_you_mean(spec.name, timm.list_models())
        raise ArnetError(f"timm knows no backbone '{spec.name}'.{hint}")
    options = {**spec.options, "num_classes": 0}
    config = timm.get_pretrained_cfg(spec.name)
    if spec.image_size and config is not None and config.fixed_input_size:
        options["img_size"] = spec.image_size
    try:
        return timm.create_model(spec.name, pretrained=pretrained, **options)
    except TypeError as error:
        raise ArnetError(f"backbone {spec.name} does not take these options: {error}") from error
    except Exception as error:
        if not pretrained:
            raise
        # The Hub's client raises its own errors, its transport's and the system's.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ArnetError(
            f"the weights of {spec.name} cannot be had from the Hub ({reason}); give a file "
            "(--weights FILE.safetensors), or train from scratch (--weights none)"
        ) from error


def _last_block(backbone: Any) -> LastBlock | None:
    """Return the last block of a plain vision transformer, able to give its class token alone."""
    blocks = getattr(backbone, "blocks", None)
    if type(backbone) is not VisionTransformer or not backbone.num_prefix_tokens or not blocks:
        return None
    if type(blocks[-1]) is not Block:
        return None
    last: Any = blocks[-1]
    last.__class__ = LastBlock
    block: LastBlock = last
    return block


def _misfit(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    missing = sorted(wanted.keys() - state.keys())
    surplus = sorted(state.keys() - wanted.keys())
    if missing:
        return f"{len(missing)} of its {len(wanted)} tensors are missing, the first '{missing[0]}'"
    if surplus:
        return f"{len(surplus)} tensors have no place in it, the first '{surplus[0]}'"
    for key, tensor in wanted.items():
        if state[key].shape != tensor.shape:
            return f"'{key}' is {list(state[key].shape)} instead of {list(tensor.shape)}"
    return None


def _is_folded(state: Mapping[str, Tensor]) -> bool:
    """Whether batch norm holds no statistics but what undoes its own epsilon."""
    means = [v for k, v in state.items() if k.endswith("running_mean")]
    variances = [v for k, v in state.items() if k.endswith("running_var")]
    if not means or any(m.any() for m in means):
        return False
    values = torch.unique(torch.cat(variances))
    # Batch norm that was never trained has variance 1.
    return len(values) == 1 and bool(values != 1)


def _normalizes_nothing(backbone: nn.Module) -> bool:
    """Whether every batch norm is frozen and its scale is 1."""
    return all(
        isinstance(m, FROZEN_BATCH_NORM) and _scale(m).sub(1).abs().max() < 1e-5
        for m in backbone.modules()
        if isinstance(m, (nn.BatchNorm2d, *FROZEN_BATCH_NORM))
    )


def _scale(norm: Any) -> Tensor:
    """Return what a frozen batch norm multiplies its channels by."""
    scale: Tensor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _per_channel(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)


def _triple(values: object) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)  # type: ignore[attr-defined]
    return red, green, blue
