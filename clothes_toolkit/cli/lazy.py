"""A group that imports a command's module only when the command is used."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


class LazyGroup(click.Group):
    """Commands by name, each at "module:attribute"; unknown names get a suggestion.

    Those of other packages are found by the entry points of a group, after its own.
    """

    debug = False
    """Whether --debug was given anywhere on the command line."""

    def __init__(
        self, *args: Any, commands_at: Mapping[str, str], entry_points: str, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.own, self.entry_points = commands_at, entry_points

    @cached_property
    def commands_at(self) -> Mapping[str, str]:
        """Where every command is."""
        others = importlib.metadata.entry_points(group=self.entry_points)
        return {**self.own, **{point.name: point.value for point in others}}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a dataset's life."""
        return [*self.commands_at, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        place = self.own.get(cmd_name) or self.commands_at.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called for."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            close = difflib.get_close_matches(name, self.commands_at, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)


def _set_debug(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    LazyGroup.debug = LazyGroup.debug or value


def debug_option(function: Function) -> Function:
    """Add --debug to a command."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_set_debug,
        help="Show a traceback when something fails.",
    )(function)
