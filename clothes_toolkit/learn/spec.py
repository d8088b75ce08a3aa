"""What a baseline is asked to be, and what follows from it for the method and the recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clothes_toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from arnet.recipes import Recipe

PROTOCOLS = ("fixed", "validation", "best-on-test")


def _yes_or_no(text: str) -> bool:
    from arnet.options import YES_OR_NO

    if text.lower() not in YES_OR_NO:
        raise ValueError(text)
    return YES_OR_NO[text.lower()]


OF_BACKBONE: Mapping[str, Callable[[str], int | float]] = {
    "image_size": int,
    "drop_path": float,
    "thin_blank": _yes_or_no,
    "fit_ink": _yes_or_no,
}
"""Settings of the backbone, beside those of the method."""


@dataclass(frozen=True, slots=True)
class BaselineSpec:
    """What to train and how; `None` means the method's or the recipe's own.

    Attributes:
        method: its name, see `clothes-toolkit models`.
        backbone: a timm name.
        weights: "hub", "none" or the path of a safetensors file.
        recipe: "strong" or "published".
        init: a checkpoint to start from, see `arnet.checkpoint.load_checkpoint`.
        protocol: how the epoch that is tested is chosen, one of `PROTOCOLS`.
        device: "auto", "cpu" or "cuda". `precision`: "auto", "fp32" or "bf16".
        test_every: epochs from one look at test to the next, for a curve that chooses nothing; 0 is
            never.
        settings: fields of the method's options or of the recipe, as text.
    """

    method: str
    backbone: str | None = None
    weights: str = "hub"
    recipe: str = "strong"
    init: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seeds: tuple[int, ...] = (0,)
    protocol: str = "fixed"
    device: str = "auto"
    precision: str = "auto"
    test_every: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)


def divide_settings(spec: BaselineSpec) -> tuple[dict[str, Any], dict[str, str]]:
    """Tell the settings of the method from those of the recipe."""
    from arnet.options import option_names
    from arnet.recipes import Recipe

    of_recipe = {*option_names(Recipe)} - {"name", "method"}
    recipe = {k: v for k, v in spec.settings.items() if k in of_recipe}
    method = {k: v for k, v in spec.settings.items() if k not in of_recipe}
    return settings_of_method(spec.method, method, of_recipe), recipe


def settings_of_method(
    method: str, settings: Mapping[str, str], others: Collection[str] = ()
) -> dict[str, Any]:
    """Read settings of a method or its backbone, given as text.

    Raises `ToolkitError` for one that there is not, or that cannot be what it is said to be;
    `others` are names that would have done, too.
    """
    from arnet.errors import did_you_mean
    from arnet.options import option_names
    from arnet.registry import method_info

    known = {*option_names(method_info(method).options), *OF_BACKBONE}
    read: dict[str, Any] = dict(settings)
    for name, value in settings.items():
        if name not in known:
            every = sorted({*known, *others})
            hint = did_you_mean(name, every) or f" Known: {', '.join(every)}."
            raise ToolkitError(f"--set: there is no setting '{name}'.{hint}")
        if name in OF_BACKBONE:
            try:
                read[name] = OF_BACKBONE[name](value)
            except ValueError:
                raise ToolkitError(f"--set: {name} cannot be {value!r}") from None
    return read


def recipe_of(spec: BaselineSpec, settings: Mapping[str, object]) -> Recipe:
    """Return the recipe with everything that was asked for."""
    from arnet.options import with_options
    from arnet.recipes import get_recipe

    given = {"epochs": spec.epochs, "batch_size": spec.batch_size, "lr": spec.lr}
    changes = {name: value for name, value in given.items() if value is not None}
    return with_options(get_recipe(spec.recipe), {**settings, **changes})


def asks_for_batch(spec: BaselineSpec) -> bool:
    """Whether a batch size was named."""
    return spec.batch_size is not None or "batch_size" in spec.settings


def fitting(recipe: Recipe, pairs: int, *, explicit: bool) -> Recipe:
    """Shrink a batch that nobody asked for to the set; one that was asked for stays, and fails."""
    if explicit or recipe.batch_size <= pairs:
        return recipe
    return dataclasses.replace(recipe, batch_size=max(2, pairs))


def weights_of(text: str) -> Literal["hub", "none"] | Path:
    """Read `--weights`; raises `ToolkitError` for a file that is not there."""
    if text == "hub":
        return "hub"
    if text == "none":
        return "none"
    path = Path(text)
    if not path.is_file():
        raise ToolkitError(f"{text}: no such weights file; --weights takes hub, none or a file")
    return path
