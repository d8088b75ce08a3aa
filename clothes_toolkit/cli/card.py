"""`clothes-toolkit card`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.common import FOLDER, jobs_option, scheme_option
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.cli.releasing import examine_dataset
from clothes_toolkit.edits.files import write_file
from clothes_toolkit.naming import printable
from clothes_toolkit.release.assemble import name_for
from clothes_toolkit.release.baselines import read_baselines
from clothes_toolkit.release.card import CARD_FILE, read_card, render_card
from clothes_toolkit.release.facts import clothes_v1_facts, facts_of


@click.command("card")
@click.argument("dataset", type=FOLDER, required=False)
@click.option(
    "--expect",
    type=click.Choice(["clothes-v1"]),
    help="Instead of DATASET: what is published of this one.",
)
@click.option("--baselines", type=FOLDER, help="Run folders whose results it shows.")
@click.option("--repo-id", metavar="ORG/NAME", help="The dataset on the Hub that it is for.")
@click.option(
    "--out", type=FOLDER, help="Where it goes; - is stdout.  [default: DATASET/DATASET_CARD.md]"
)
@scheme_option
@jobs_option
@debug_option
def command(
    dataset: Path | None,
    expect: str | None,
    baselines: Path | None,
    repo_id: str | None,
    out: Path | None,
    scheme: str,
    jobs: int,
) -> int:
    """Write DATASET_CARD.md beside DATASET's folders, or bring the one there up to date.

    What follows from the data is made anew: metadata, counts, splits, checks, accepted findings,
    baselines, how to load. Every other word is yours: write what the owners know (license,
    provenance, consent) and it stays. `clothes-toolkit publish` takes the card from here.

    \b
    Example:
      clothes-toolkit card ./Clothes-V1
    """
    if (dataset is None) == (expect is None):
        raise click.UsageError("name a DATASET, or --expect clothes-v1")
    if dataset is None:
        target = out or Path(CARD_FILE)
        _write(render_card(clothes_v1_facts(), read_card(target), str(target)), target)
        return 0
    found = examine_dataset(dataset, scheme, None, jobs)
    measured = read_baselines(baselines, found.manifest) if baselines else ()
    name = repo_id.rpartition("/")[2] if repo_id else name_for(found.dataset)
    beside = found.dataset.root / CARD_FILE
    target = out or beside
    facts = facts_of(found.dataset, name, found.manifest, found.report, baselines=measured)
    _write(render_card(facts, read_card(target) or read_card(beside), str(target)), target)
    return 0


def _write(card: str, target: Path) -> None:
    if str(target) == "-":
        click.echo(card, nl=False)
        return
    write_file(target, card.encode())
    click.echo(f"wrote {printable(str(target))}")
