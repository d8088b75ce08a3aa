"""`clothes-toolkit diff`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from clothes_toolkit.cli.common import format_option, plural, print_json, print_noted, scheme_option
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.cli.releasing import endpoint_option
from clothes_toolkit.release.changes import Changes, compare
from clothes_toolkit.release.changes_page import to_html
from clothes_toolkit.release.snapshots import open_snapshot

SHOWN = 10


@click.command("diff")
@click.argument("old")
@click.argument("new")
@format_option("text", "json", "html")
@endpoint_option
@scheme_option
@debug_option
def command(old: str, new: str, form: str, endpoint: str | None, scheme: str) -> int:
    """Say what changed from OLD to NEW, and how far that moves the version.

    Each is a dataset's folder, a release's folder or manifest.json, or a version of releases in a
    folder or on the Hub: DIR@1.0.0, ORG/NAME@1.0.0. A changed test split is a major step, changed
    train images are a minor one, everything else is a patch. Exits with 1 if they differ.

    \b
    Example:
      clothes-toolkit diff ORG/Clothes-V1@1.0.0 ./Clothes-V1
      clothes-toolkit diff ./releases@1.0.0 ./releases@1.1.0 --format html > changes.html
    """
    before, after = (open_snapshot(spec, scheme, endpoint) for spec in (old, new))
    changes = compare(before.manifest, after.manifest)
    if form == "json":
        print_json(changes.to_json())
    elif form == "html":
        click.echo(to_html(before, after, changes), nl=False)
    else:
        _print_text(changes)
    return int(not changes.is_empty)


def _print_text(changes: Changes) -> None:
    _print_kind("added", changes.added)
    _print_kind("removed", changes.removed)
    _print_kind("changed", changes.changed)
    _print_kind("moved", [f"{path} → {to}" for path, to in changes.moved])
    if changes.is_empty:
        click.echo("nothing changed")
    else:
        click.secho(f"version step: {changes.step.word}", bold=True)


def _print_kind(word: str, lines: Sequence[str]) -> None:
    if lines:
        click.secho(f"{word} ({plural(len(lines), 'file')})", bold=True)
    for line in lines[:SHOWN]:
        print_noted(line, "")
    if len(lines) > SHOWN:
        click.echo(f"  … and {len(lines) - SHOWN} more (--format json lists all)")
