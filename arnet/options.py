"""Settings as frozen dataclasses: changing some by name, reading them from text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from arnet.errors import ArnetError, did_you_mean

Options = TypeVar("Options")

YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def option_names(options: object) -> tuple[str, ...]:
    """Return the names of the settings of a dataclass instance or class."""
    return tuple(f.name for f in dataclasses.fields(options))  # type: ignore[arg-type]


def with_options(options: Options, changes: Mapping[str, object]) -> Options:
    """Return `options` with some settings changed; values may be text, as from a command line.

    Raises `ArnetError` for a name that there is not, with a suggestion, or a value of another type.
    """
    kinds = get_type_hints(type(options))
    values = {}
    for name, value in changes.items():
        if name not in kinds:
            hint = did_you_mean(name, kinds) or f" Known: {', '.join(sorted(kinds))}."
            raise ArnetError(f"there is no setting '{name}'.{hint}")
        try:
            values[name] = _convert(value, kinds[name])
        except (KeyError, TypeError, ValueError):
            raise ArnetError(f"setting '{name}' cannot be {value!r}") from None
    return dataclasses.replace(options, **values)  # type: ignore[type-var]


def _convert(value: object, kind: Any) -> object:
    """Return `value` as `kind`: a number, a word, a yes or no, a tuple or a dataclass of these."""
    if get_origin(kind) is tuple:
        parts = value.split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]
        kinds = get_args(kind)
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(parts)
        return tuple(_convert(part, k) for part, k in zip(parts, kinds, strict=True))
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return kind(**value)  # type: ignore[operator]
    if kind is bool and isinstance(value, str):
        return YES_OR_NO[value.lower()]
    if kind in (int, float) and isinstance(value, str):
        return kind(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(value)
    return value
