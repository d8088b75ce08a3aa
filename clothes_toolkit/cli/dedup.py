"""`clothes-toolkit dedup`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.changing import change_options, make_change, may_change, print_plan
from clothes_toolkit.cli.common import (
    dataset_argument,
    format_option,
    jobs_option,
    look_at_images,
    plural,
    print_json,
    print_noted,
    scheme_option,
)
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.dedup import Group, accepted_duplicates, find_groups
from clothes_toolkit.dedup_page import to_html
from clothes_toolkit.merge import Merge, merge
from clothes_toolkit.naming import Side


@click.command("dedup")
@dataset_argument
@click.option("--apply", "applies", is_flag=True, help="Make one photo of each group of photos.")
@click.option(
    "--across-designers", is_flag=True, help="Compare sketches of different designers, too."
)
@change_options
@format_option("text", "json", "html")
@scheme_option
@jobs_option
@debug_option
def command(
    dataset: Path,
    applies: bool,
    across_designers: bool,
    yes: bool,
    dry_run: bool,
    form: str,
    scheme: str,
    jobs: int,
) -> int:
    """Find images of DATASET that show the same.

    Photos are compared with photos, sketches with sketches by the same designer. With --apply the
    best photo of each group takes over the sketches of the others, which go to quarantine under
    .clothes/. Sketches under two photos are only listed: nobody can know which is right.

    Exits with 1 if there are groups; with --apply, if conflicts were left.

    \b
    Example:
      clothes-toolkit dedup ./Clothes-V1 --format html > duplicates.html
      clothes-toolkit dedup ./Clothes-V1 --apply
    """
    found, images = look_at_images(dataset, scheme, jobs)
    accepted = accepted_duplicates(found)
    groups = find_groups(found, images, accepted, across_designers=across_designers)
    merged = merge(found, images, groups) if applies else None
    if form == "html":
        click.echo(to_html(found, groups, merged), nl=False)
    elif form == "text":
        _print_text(groups)
    status = int(bool(groups))
    applied = False
    if merged is not None:
        status = int(bool(merged.conflicts))
        _print_merge(merged, to_stderr=form != "text")
        if merged.plan.steps and not dry_run:
            applied = may_change(f"Change {plural(len(merged.plan.steps), 'file')}?", yes)
            if applied:
                make_change(found.root, merged.plan)
            status = status if applied else 1
    if form == "json":
        conflicts = merged.conflicts if merged else ()
        print_json(
            {
                "schema": "clothes-toolkit/dedup/1",
                "root": str(found.root),
                "applied": applied,
                "groups": [group.to_json() for group in groups],
                "conflicts": [{"path": c.path, "message": c.message} for c in conflicts],
            }
        )
    return status


def _print_text(groups: list[Group]) -> None:
    for group in groups:
        kind = "exact" if group.exact else "mirrored" if group.mirrored else "near"
        what = "photos" if group.side is Side.PHOTO else "sketches"
        click.secho(f"{kind} {what} ({1 + len(group.duplicates)})", bold=True)
        print_noted(f"keep  {group.keep}", group.why)
        for duplicate in group.duplicates:
            near = "equal pixels" if group.exact else f"{duplicate.distance} of 64 bits differ"
            note = f"accepted: {duplicate.accepted}" if duplicate.accepted else near
            print_noted(f"      {duplicate.path}", note)
        click.echo()
    photos = sum(group.side is Side.PHOTO for group in groups)
    click.echo(
        f"{plural(photos, 'group')} of photos, {plural(len(groups) - photos, 'group')} of sketches"
    )


def _print_merge(merged: Merge, *, to_stderr: bool) -> None:
    if merged.conflicts:
        click.secho("\nleft as they are", bold=True, err=to_stderr)
    for conflict in merged.conflicts:
        print_noted(conflict.path, conflict.message, to_stderr=to_stderr)
    if merged.plan.steps:
        click.secho("\nplan", bold=True, err=to_stderr)
        print_plan(merged.plan, to_stderr=to_stderr)
