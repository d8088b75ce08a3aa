"""Optimizers and their learning rates, as a recipe asks for them."""

from __future__ import annotations

import math

import torch
from timm.models import group_parameters
from torch import nn

from arnet.encoders import Encoder
from arnet.recipes import Recipe


def lr_share(recipe: Recipe, step: int, total: int) -> float:
    """Return the share of the highest learning rate at `step` of `total`, counted from 1."""
    warmup = round(recipe.warmup * total)
    if step <= warmup:
        return step / warmup
    if recipe.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup + 1)))


def make_optimizer(method: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Build the optimizer of all that a method learns.

    Parameters are grouped by the share of the learning rate that their layer has (`lr_scale`) and
    by whether weight decay acts on them: with AdamW on matrices only, as usual.
    """
    depth = layers_from_top(method) if recipe.layer_decay < 1 else {}
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            decays = recipe.optimizer == "adam" or parameter.dim() > 1
            groups.setdefault((depth.get(name, 0), decays), []).append(parameter)
    settings = [
        {
            "params": parameters,
            "lr_scale": recipe.layer_decay**layer,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (layer, decays), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]
    optimizer = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return optimizer(settings, recipe.lr, eps=recipe.eps, fused=True)


def layers_from_top(method: nn.Module) -> dict[str, int]:
    """Return how many layers lie above each parameter of a method's backbones.

    1 is a backbone's last layer; parameters of no backbone, such as heads, are left out.
    """
    depth: dict[str, int] = {}
    for prefix, module in method.named_modules():
        if isinstance(module, Encoder):
            backbone = module.backbone
            layers = group_parameters(backbone, backbone.group_matcher(coarse=False), reverse=True)
            top = max(layers.values()) + 1
            depth |= {f"{prefix}.backbone.{name}": top - layer for name, layer in layers.items()}
    return depth
