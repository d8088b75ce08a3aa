"""The error that means: this cannot be done, and here is what to do."""

from __future__ import annotations


class ToolkitError(Exception):
    """Something the caller asked for cannot be done; one line says what, where and what to do."""


class MissingExtraError(ToolkitError):
    """An optional part of the toolkit is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the '{extra}' extra; install it with: "
            f"pip install 'clothes-toolkit[{extra}]'"
        )
