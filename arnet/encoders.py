"""Any timm backbone as an encoder: a pooled feature and a grid of tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import timm
import torch
import torch.nn.functional as F
from timm.layers.norm_act import freeze_batch_norm_2d
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from arnet.errors import ArnetError, did_you_mean
from arnet.ink import thinned_cells

Forward = Callable[..., Tensor]

REACHING_OUT = frozenset(
    {"cache_dir", "checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"}
)
"""Options of `timm.create_model` that load something; a checkpoint's description must not."""


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
        resample: how images are resized to it, "bicubic" or "bilinear".
        thin_blank: of the patches without ink only a lattice is looked at, to save time; plain
            vision transformers can, others look at all.
        fit_ink: pictures are framed by what they show, see `arnet.framing`.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    freeze_bn: bool = False
    image_size: int | None = None
    resample: str = "bicubic"
    thin_blank: bool = False
    fit_ink: bool = False


class LastBlock(Block):
    """A vision transformer's last block, which can leave out what the class token does not need."""

    only_class_token = False

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return all tokens (B, T, D), or the class token alone (B, 1, D)."""
        if not self.only_class_token:
            whole: Tensor = super().forward(x, *args, **kwargs)
            return whole
        mixed = self.attn(self.norm1(x), *args, **kwargs)[:, :1]
        first = x[:, :1] + self.drop_path1(self.ls1(mixed))
        alone: Tensor = first + self.drop_path2(self.ls2(self.mlp(self.norm2(first))))
        return alone


class KeptPatches(nn.Module):
    """Leaves out patch tokens on their way into the blocks: all but those in `index`, (B, K)."""

    def __init__(self, prefix: int) -> None:
        super().__init__()
        self.prefix, self.index = prefix, torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """Return prefix tokens and the kept patches of tokens (B, T, D)."""
        if not self.index.numel():
            return x
        patches = x[:, self.prefix :]
        kept = patches.gather(1, self.index[..., None].expand(-1, -1, x.shape[2]))
        return torch.cat([x[:, : self.prefix], kept], dim=1)


class Encoder(nn.Module):
    """A backbone without its classifier, which normalizes its own inputs.

    Images go in as floats in [0, 1], (B, 3, H, W), and `Features` come out. Raises `ArnetError`
    for a name that timm does not know or options that the backbone does not take.

    Attributes:
        grid: rows and columns of the tokens. `dim`: their width.
        chunk: images that pass through at a time; 0 is all of them.
        compiled: the backbone's forward pass is compiled, on its first use.
        thins: patches without ink are thinned out.
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
        self.thins = spec.thin_blank and _is_plain(self.backbone)
        if self.thins:
            self.backbone.patch_drop = KeptPatches(self.prefix_tokens)
        _let_last_block_stop_early(self.backbone)
        self.chunk = 0
        self.compiled = False
        self.full_precision = False

    @property
    def last_block(self) -> LastBlock | None:
        """The block that can give the class token alone, where the backbone has one.

        A block that is computed again in the backward pass would not know what it was asked for.
        """
        if not hasattr(self.backbone, "blocks") or self.backbone.grad_checkpointing:
            return None
        last = self.backbone.blocks[-1]
        return last if isinstance(last, LastBlock) else None

    @property
    def mixes_the_batch(self) -> bool:
        """Whether a batch norm is learning its statistics, so that a batch must stay whole."""
        return self.training and any(isinstance(m, nn.BatchNorm2d) for m in self.modules())

    def forward(self, images: Tensor, *, only_class_token: bool = False) -> Features:
        """Encode images, float in [0, 1], (B, 3, H, W).

        `only_class_token` allows leaving out the patches, (B, 0, D), where that saves work.
        """
        last = self.last_block
        if last is not None:
            last.only_class_token = only_class_token
        try:
            if not (self.thins and self.chunk):
                return self._encode_in_chunks(images)
            # Images with as many patches to look at share a chunk.
            order = thinned_cells(images, self.grid).sum(dim=1).argsort(stable=True)
            back = order.argsort()
            return Features(*(kind[back] for kind in self._encode_in_chunks(images[order])))
        finally:
            if last is not None:
                last.only_class_token = False

    def together(
        self, batches: Sequence[Tensor], *, only_class_token: bool = False
    ) -> list[Features]:
        """Encode several batches in one pass, as `forward` would their union."""
        if not batches:
            return []
        found: Features = self(torch.cat(tuple(batches)), only_class_token=only_class_token)
        sizes = [len(batch) for batch in batches]
        parts = (torch.split(kind, sizes) for kind in found)
        return [Features(*part) for part in zip(*parts, strict=True)]

    def checkpoint_blocks(self) -> None:
        """Compute each block again in the backward pass instead of keeping what is inside.

        Raises `ArnetError` where timm offers that for this backbone not.
        """
        if self.thins:
            raise ArnetError("grad_checkpointing cannot thin out patches; add thin_blank=false")
        try:
            self.backbone.set_grad_checkpointing(True)
        except (AssertionError, AttributeError) as error:
            raise ArnetError(
                f"backbone {self.backbone.pretrained_cfg['architecture']} cannot do without what "
                "it computed; leave grad_checkpointing=false"
            ) from error

    def _chunks(self, images: Tensor) -> tuple[Tensor, ...]:
        whole = not self.chunk or self.mixes_the_batch
        return (images,) if whole else torch.split(images, self.chunk)

    def _encode_in_chunks(self, images: Tensor) -> Features:
        parts = [self._encode(part) for part in self._chunks(images)]
        return Features(*(torch.cat(kind) for kind in zip(*parts, strict=True)))

    def _encode(self, images: Tensor) -> Features:
        with self._precision(images.device.type):
            normalized = (images - self.mean) / self.std
            features = _compiled_features() if self.compiled else _features
            if self.thins:
                return self._encode_thinned(images, normalized, features)
            out = features(self.backbone, normalized)
        if out.dim() == 4:
            patches = out.flatten(1, 2) if self.channels_last_output else out.flatten(2).mT
            return Features(patches.mean(dim=1), patches)
        patches = out[:, self.prefix_tokens :]
        cls = out[:, 0] if self.prefix_tokens else patches.mean(dim=1)
        return Features(cls, patches)

    def _encode_thinned(self, images: Tensor, normalized: Tensor, features: Forward) -> Features:
        """Encode without most of the blank patches, which are zero in what is returned.

        Tokens that fill up a batch, or stay where counting them would hold up a GPU, are masked, so
        that they change nothing.
        """
        kept = thinned_cells(images, self.grid)
        on_cpu = images.device.type == "cpu"
        count = int(kept.sum(dim=1).max()) if on_cpu else kept.shape[1]
        index = kept.int().argsort(dim=1, descending=True, stable=True)[:, :count]
        self.backbone.patch_drop.index = index
        looked_at = F.pad(kept.gather(1, index), (self.prefix_tokens, 0), value=True)
        mask = torch.zeros_like(looked_at, dtype=images.dtype).masked_fill_(~looked_at, -torch.inf)
        out = features(self.backbone, normalized, mask[:, None, None])
        if out.shape[1] == 1:
            return Features(out[:, 0], out[:, :0])
        tokens = out[:, self.prefix_tokens :] * kept.gather(1, index)[..., None]
        places = index[..., None].expand_as(tokens)
        patches = tokens.new_zeros(len(out), kept.shape[1], out.shape[2]).scatter(1, places, tokens)
        return Features(out[:, 0], patches)

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

    @torch.enable_grad()
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


def _features(backbone: Any, images: Tensor, mask: Tensor | None = None) -> Tensor:
    tokens: Tensor = (
        backbone.forward_features(images)
        if mask is None
        else backbone.forward_features(images, attn_mask=mask)
    )
    return tokens


@cache
def _compiled_features() -> Forward:
    return torch.compile(_features)


def _create_backbone(spec: BackboneSpec, pretrained: bool) -> Any:
    if not timm.is_model(spec.name):
        hint = did_you_mean(spec.name, timm.list_models())
        raise ArnetError(f"timm knows no backbone '{spec.name}'.{hint}")
    if reaching := sorted(REACHING_OUT & spec.options.keys()):
        raise ArnetError(f"a backbone's options must not read other files: {', '.join(reaching)}")
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


def _let_last_block_stop_early(backbone: Any) -> None:
    """Make a plain vision transformer able to give its class token alone."""
    if _is_plain(backbone):
        backbone.blocks[-1].__class__ = LastBlock


def _is_plain(backbone: Any) -> bool:
    plain = type(backbone) is VisionTransformer and backbone.num_prefix_tokens > 0
    return plain and type(backbone.blocks[-1]) is Block


def _per_channel(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)
