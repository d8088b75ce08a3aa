"""`clothes-toolkit models`."""

from __future__ import annotations

import click

from clothes_toolkit.cli.common import format_option, print_json
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.learn.models import list_models


@click.command("models")
@format_option("text", "json")
@debug_option
def command(form: str) -> None:
    """List every method with its published numbers.

    Names its paper and the backbone that it was published with, too.

    \b
    Example:
      clothes-toolkit models
    """
    models = list_models()
    if form == "json":
        print_json({"schema": "clothes-toolkit/models/1", "methods": models})
        return
    for model in models:
        click.secho(model["name"], bold=True, nl=False)
        click.echo(f"  {model['summary']}")
        click.echo(f"  {model['paper']}")
        click.echo(f"  backbone {model['backbone']}")
        for dataset, row in model["published"].items():
            numbers = " / ".join(f"{row[f'acc@{q}']:.2f}" for q in (1, 5, 10))
            click.echo(
                f"  {dataset:11} Acc@1/5/10 {numbers}  (n = {row['n_queries']}, {row['protocol']})"
            )
        click.echo()
