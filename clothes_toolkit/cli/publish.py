"""`clothes-toolkit publish`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.changing import may_change
from clothes_toolkit.cli.common import print_noted
from clothes_toolkit.cli.releasing import (
    carry_out,
    examine_dataset,
    print_release_plan,
    release_options,
    say_step,
)
from clothes_toolkit.release.assemble import assemble
from clothes_toolkit.release.hub import HubPlace
from clothes_toolkit.release.models import TrainedModel, models_of, push_models
from clothes_toolkit.release.package import Package
from clothes_toolkit.release.places import Place, State
from clothes_toolkit.release.publish import plan_release
from clothes_toolkit.release.version import Version


@click.command("publish")
@release_options
@click.option(
    "--models", is_flag=True, help="Push the networks of the baselines, too: ORG/NAME-RUN-seed-N."
)
def command(
    dataset: Path,
    place: Place,
    version: Version,
    baselines: Path | None,
    models: bool,
    yes: bool,
    dry_run: bool,
    scheme: str,
    jobs: int,
) -> int:
    """Release DATASET: data, card, manifest, baselines, under one version.

    A release goes to the Hub, or to a folder of releases. It is stored aside, loaded back in a
    fresh process and compared with DATASET row by row; only then it gets its tag, which never
    moves. Interrupted, the same command goes on. Images are Parquet shards with the files' own
    bytes; `clothes-toolkit download` gives the folder back.

    Exits with 1 if it is refused: for errors that are not accepted in clothes.toml, a split that
    leaks, a version that is there with other content or too near to the one before, or a baseline
    of other data. The same version with the same content again changes nothing and exits with 0.

    \b
    Example:
      clothes-toolkit publish ./Clothes-V1 --repo-id ORG/Clothes-V1 --version 1.0.0 --dry-run
      clothes-toolkit publish ./Clothes-V1 --to ./releases --version 1.0.0
    """
    package, state = _assembled(dataset, place, version, baselines, scheme, jobs)
    plan = plan_release(package, place, state)
    print_release_plan(plan, place)
    pushed = _models(plan.package, place) if models else ()
    for model in pushed:
        print_noted(f"model          {model.repo}", str(model.folder))
    if dry_run:
        return 0
    if (pushed or not plan.is_done) and not may_change(f"Publish {version.tag}?", yes):
        return 1
    carry_out(plan, place)
    if pushed and isinstance(place, HubPlace):
        push_models(plan.package, place, say_step)
    return 0


def _assembled(
    dataset: Path, place: Place, version: Version, baselines: Path | None, scheme: str, jobs: int
) -> tuple[Package, State]:
    """Return the package, and let go of all else that was learned of the images."""
    found = examine_dataset(dataset, scheme, version, jobs)
    state = place.state()
    return assemble(found, place, state, version, baselines), state


def _models(package: Package, place: Place) -> tuple[TrainedModel, ...]:
    if not isinstance(place, HubPlace):
        raise click.UsageError("--models goes with --repo-id: networks are pushed to the Hub")
    return models_of(package, place)
