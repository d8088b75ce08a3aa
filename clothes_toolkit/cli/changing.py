"""What the commands that change a dataset share: show the plan, ask, change, say so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from clothes_toolkit.cli.common import plural, print_noted
from clothes_toolkit.edits.change import apply
from clothes_toolkit.edits.plan import Plan
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.naming import printable

Function = TypeVar("Function", bound=Callable[..., Any])


def change_options(function: Function) -> Function:
    """Add --yes and --dry-run to a command."""
    yes = click.option("--yes", is_flag=True, help="Change without asking.")
    dry_run = click.option("--dry-run", is_flag=True, help="Show what would change, and stop.")
    return yes(dry_run(function))


def print_plan(plan: Plan, *, to_stderr: bool) -> None:
    """Print every step of a plan."""
    for does, where, why in plan.lines():
        print_noted(f"{does:10}  {where}", why, to_stderr=to_stderr)


def may_change(question: str, yes: bool) -> bool:
    """Ask whether to go on; raises `ToolkitError` where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ToolkitError("nothing was changed; --yes changes without asking")
    return click.confirm(question, err=True)


def make_change(root: Path, plan: Plan) -> None:
    """Apply a plan and say how to take it back."""
    change = apply(root, plan)
    click.echo(
        f"changed {plural(len(plan.steps), 'file')}; `clothes-toolkit undo "
        f"{printable(str(root))}` takes change {change.number} back",
        err=True,
    )
