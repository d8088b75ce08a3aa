"""Writes `docs/cli.md` from the commands' own help, and the card of Clothes-V1: `make docs`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.checks import RULES
from clothes_toolkit.cli import cli
from clothes_toolkit.release.card import CARD_FILE, render_card
from clothes_toolkit.release.facts import clothes_v1_facts

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
WIDTH = 88


def page() -> str:
    """Return the reference of the command line."""
    parts = [
        (
            "# The command line\n\n"
            "Made from the commands' `--help` by `make docs`; a test checks it.\n\n"
            "Exit status: **0** done and sound, **1** done, with findings, **2** could not run.\n"
            "Results go to stdout, messages and progress to stderr.\n"
        )
    ]
    top = click.Context(cli, info_name="clothes-toolkit", terminal_width=WIDTH)
    parts += [_section(name, cli, top) for name in cli.list_commands(top)]
    rules = "".join(f"| `{r.name}` | {r.severity} | {r.summary} |\n" for r in RULES)
    parts.append(
        f"\n## Rules of validate\n\n| rule | severity | fires for |\n|---|---|---|\n{rules}"
    )
    return "".join(parts)


def _section(name: str, group: click.Group, above: click.Context) -> str:
    command = group.get_command(above, name)
    assert command is not None
    context = click.Context(command, above, name, terminal_width=WIDTH)
    path = context.command_path.removeprefix("clothes-toolkit ")
    section = f"\n## {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        section += "".join(_section(n, command, context) for n in command.list_commands(context))
    return section


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    (PAGE.parents[1] / CARD_FILE).write_text(render_card(clothes_v1_facts()), encoding="utf-8")
