"""What the commands that release share: where to, which version, the plan, carrying it out."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from clothes_toolkit.cli.common import (
    FOLDER,
    dataset_argument,
    jobs_option,
    open_dataset,
    plural,
    print_noted,
    progress_bar,
    scheme_option,
)
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.inspection import Progress
from clothes_toolkit.naming import printable
from clothes_toolkit.release.assemble import Examined, examine
from clothes_toolkit.release.hub import HubPlace
from clothes_toolkit.release.package import README
from clothes_toolkit.release.places import FolderPlace, Place
from clothes_toolkit.release.publish import Becomes, ReleasePlan, publish
from clothes_toolkit.release.version import Step, Version

Function = TypeVar("Function", bound=Callable[..., Any])

# The client's own bars, of files that it need not name, would stand among ours.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


class VersionType(click.ParamType[Version]):
    """A version X.Y.Z."""

    name = "X.Y.Z"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Version:
        """Read a version."""
        try:
            return value if isinstance(value, Version) else Version.parse(value)
        except ToolkitError as error:
            self.fail(str(error), param, ctx)


def version_option(told: str) -> Callable[[Function], Function]:
    """Add --version."""
    return click.option("--version", type=VersionType(), required=True, help=told)


endpoint_option = click.option(
    "--endpoint", metavar="URL", help="Another Hub; else HF_ENDPOINT, else huggingface.co."
)


def release_options(function: Function) -> Function:
    """Add the options of a command that releases; it is called with `place` for those of where to.

    The command has the parameters dataset, place, version, baselines, yes, dry_run, scheme, jobs.
    """

    @wraps(function)
    def command(
        dataset: Path,
        repo_id: str | None,
        to: Path | None,
        endpoint: str | None,
        private: bool,
        take_over: bool,
        **others: Any,
    ) -> Any:
        place = _place(dataset, repo_id, to, endpoint, private=private, take_over=take_over)
        return function(dataset=dataset, place=place, **others)

    options = (
        dataset_argument,
        click.option("--repo-id", metavar="ORG/NAME", help="To this dataset of the Hub."),
        click.option("--to", type=FOLDER, metavar="DIR", help="Or to a folder of releases."),
        version_option("The release's version."),
        click.option("--baselines", type=FOLDER, help="Run folders whose results join it."),
        endpoint_option,
        click.option("--private", is_flag=True, help="Make a new repository private."),
        click.option(
            "--take-over",
            is_flag=True,
            help="Drop what another publisher began, whose run is gone.",
        ),
        click.option("--yes", is_flag=True, help="Publish without asking."),
        click.option("--dry-run", is_flag=True, help="Show the plan, send nothing, and stop."),
        scheme_option,
        jobs_option,
        debug_option,
    )
    decorated: Any = command
    for option in reversed(options):
        decorated = option(decorated)
    return cast(Function, decorated)


def _place(
    dataset: Path,
    repo_id: str | None,
    to: Path | None,
    endpoint: str | None,
    *,
    private: bool,
    take_over: bool,
) -> Place:
    """Return the place that the options name."""
    if (repo_id is None) == (to is None):
        raise click.UsageError("name one place: --repo-id ORG/NAME or --to DIR")
    if to is not None:
        if to.resolve().is_relative_to(dataset.resolve()):
            raise click.UsageError(f"{to} lies in the dataset; name a folder beside it")
        return FolderPlace(to)
    if endpoint:
        # What is imported later, and processes that are started, must look there, too.
        os.environ["HF_ENDPOINT"] = endpoint
    return HubPlace(str(repo_id), endpoint, private=private, take_over=take_over)


def examine_dataset(root: Path, scheme: str, version: Version | None, jobs: int) -> Examined:
    """Open a dataset and look at all its files, with a bar."""
    with progress_bar("looking at images") as on_progress:
        return examine(open_dataset(root, scheme), version, jobs, on_progress)


def print_release_plan(plan: ReleasePlan, place: Place) -> None:
    """Print what a release would change at its place."""
    package, version = plan.package, plan.package.version
    click.secho(f"{printable(place.name)}  {package.version.tag}", bold=True)
    click.echo(f"  release checksum {package.manifest.checksum}")
    click.echo(f"  {_since(plan)}")
    if plan.is_done:
        for path in plan.missing:
            click.echo(f"  not in it: {path}; name {version.after(Step.PATCH)} to release it, too")
        return
    for file in plan.files:
        size = "" if file.size is None else _bytes(file.size)
        print_noted(f"{file.becomes.value:13}  {file.path}", size)
    sent = [f for f in plan.files if f.becomes in (Becomes.NEW, Becomes.WRITTEN)]
    deleted = sum(file.becomes is Becomes.DELETED for file in plan.files)
    click.echo(
        f"  {plural(len(sent), 'file')} to write, {_bytes(sum(f.size or 0 for f in sent))}; "
        f"{deleted} deleted; tag {package.version.tag}"
    )
    if plan.loses_edits:
        click.secho(
            f"  {README} was edited at {printable(place.name)} since {plan.previous}, and the card "
            "beside the dataset replaces it",
            fg="yellow",
        )
    if "To be completed by the owners" in package.card:
        click.secho(
            "  the card has parts for the owners to complete; `clothes-toolkit card` writes it",
            dim=True,
        )


def carry_out(plan: ReleasePlan, place: Place) -> None:
    """Publish, with a bar for every step, and say what is there now."""
    version = plan.package.version
    with ExitStack() as bars:
        bar: list[Progress] = []

        def on_step(step: str) -> None:
            bars.close()
            say_step(step)
            bar[:] = [bars.enter_context(progress_bar(step))]

        publish(plan, place, on_step, lambda done, total: bar[0](done, total))
    if plan.is_done:
        click.echo(f"{printable(place.name)} has {version} with this content; nothing to do")
        return
    click.secho("released", fg="green", bold=True, nl=False)
    click.echo(f" {printable(place.name)} {version.tag}")


def say_step(step: str) -> None:
    """Say what is being done."""
    click.echo(f"{step} …", err=True)


def _since(plan: ReleasePlan) -> str:
    if plan.previous is None:
        return "the first release"
    changes = plan.changes
    if changes.is_empty:
        return f"the same content as {plan.previous}"
    return f"since {plan.previous}: {changes.counted()} (a {changes.step.word} step)"


def _bytes(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    power = min(len(_UNITS), (len(str(size)) - 1) // 3)
    return f"{size / 1000**power:.1f} {_UNITS[power - 1]}"


_UNITS = ("kB", "MB", "GB", "TB")
