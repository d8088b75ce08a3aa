"""The error that means: this cannot be done, and here is what to do."""

from __future__ import annotations


class ToolkitError(Exception):
    """Something the caller asked for cannot be done; one line says what, where and what to do.

    Attributes:
        exit_status: what a command that ends with it exits with.
    """

    exit_status = 2


class RefusedError(ToolkitError):
    """What was asked for could be done, and must not be: the data or its state forbids it."""

    exit_status = 1


class MissingExtraError(ToolkitError):
    """An optional part of the toolkit is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the '{extra}' extra; install it with: "
            f"pip install 'clothes-toolkit[{extra}]'"
        )
