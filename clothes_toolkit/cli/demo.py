"""`clothes-toolkit demo`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.baseline import print_result, watcher_for_terminal
from clothes_toolkit.cli.common import FOLDER, jobs_option, plural
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.learn.demo import demo
from clothes_toolkit.naming import printable
from clothes_toolkit.report import Severity


@click.command("demo")
@click.option(
    "--out",
    type=FOLDER,
    default=Path("clothes-demo"),
    show_default=True,
    help="The new folder to work in.",
)
@jobs_option
@debug_option
def command(out: Path, jobs: int) -> None:
    """Run the whole chain on a small made-up dataset.

    Draws garments, validates them, trains a small network from scratch on the CPU or GPU, and
    shows its numbers beside chance and the untrained network, and a picture of what it retrieves.

    \b
    Example:
      clothes-toolkit demo --out clothes-demo
    """
    with watcher_for_terminal() as watcher:
        found = demo(
            out,
            jobs=jobs,
            watcher=watcher,
            on_stage=lambda stage: click.echo(f"{stage} …", err=True),
        )
    counts, findings = found.report.counts, found.report.open_findings()
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    click.secho(f"\n{'sound' if found.report.ok else 'not sound'}", bold=True, nl=False)
    click.echo(
        f": {plural(counts.photos, 'photo')}, {plural(counts.sketches, 'sketch')}, "
        f"{plural(errors, 'error')}, {plural(len(findings) - errors, 'warning')}"
    )
    print_result(found.trained, {"untrained": found.untrained})
    for what, path in (("dataset", found.dataset), ("run", found.run), ("picture", found.picture)):
        click.echo(f"{what:8} {printable(str(path))}")
