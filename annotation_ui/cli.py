"""`clothes-toolkit annotate` and `clothes-toolkit designers`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click

from annotation_ui.people import People, Person, Role
from clothes_toolkit.cache import PRIVATE_FOLDER
from clothes_toolkit.cli.common import FOLDER, dataset_argument, open_dataset, scheme_option
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import MissingExtraError, ToolkitError

DESIGNERS = "designers.json"
ALONE = "01"

designers_option = click.option(
    "--designers",
    type=FOLDER,
    metavar="FILE",
    help="Who may sign in.  [default: DATASET/.clothes/designers.json]",
)


@click.command("annotate")
@dataset_argument
@designers_option
@click.option("--no-login", is_flag=True, help="One person draws and decides, on this machine.")
@click.option(
    "--designer",
    metavar="NN",
    help=f"Number of who draws with --no-login.  [default: {ALONE}]",
)
@click.option(
    "--checkpoint",
    type=FOLDER,
    metavar="DIR",
    help="A trained network; shows what a sketch retrieves, and opens the search page.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7860,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@scheme_option
@debug_option
def annotate(
    dataset: Path,
    designers: Path | None,
    no_login: bool,
    designer: str | None,
    checkpoint: Path | None,
    host: str,
    port: int,
    scheme: str,
) -> None:
    """Open the studio in which designers draw sketches for DATASET, and reviewers decide.

    Designers and reviewers sign in with a browser; see `designers add`. What is accepted gets into
    the dataset, under its right name, with its strokes.

    \b
    Example:
      clothes-toolkit designers add ann ./Clothes-V1 --designer 03
      clothes-toolkit annotate ./Clothes-V1
    """
    if no_login and designers is not None:
        raise click.UsageError("--no-login asks nobody to sign in, so --designers says nothing")
    if designer is not None and not no_login:
        raise click.UsageError("--designer is for --no-login; designers have their own numbers")
    if importlib.util.find_spec("gradio") is None:
        raise MissingExtraError("the studio", "annotate")
    from annotation_ui.serve import serve

    open_dataset(dataset, scheme)
    serve(
        dataset,
        designers=designers or designers_file(dataset),
        alone=(designer or ALONE) if no_login else None,
        checkpoint=checkpoint,
        host=host,
        port=port,
        scheme=scheme,
        on_ready=lambda url: click.echo(f"the studio is open at {url}  (Ctrl-C closes it)"),
    )


@click.group("designers")
@debug_option
def designers_group() -> None:
    """Say who may sign in to the studio of a dataset.

    \b
    Example:
      clothes-toolkit designers add ann ./Clothes-V1 --designer 03
      clothes-toolkit designers list ./Clothes-V1
    """


@designers_group.command("add")
@click.argument("name")
@dataset_argument
@click.option("--designer", metavar="NN", help="Their number, as in 00001_03.png.")
@click.option("--reviewer", is_flag=True, help="They decide about the sketches of others.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")
@designers_option
@debug_option
def add(
    name: str,
    dataset: Path,
    designer: str | None,
    reviewer: bool,
    password_stdin: bool,
    designers: Path | None,
) -> None:
    """Let NAME sign in to the studio of DATASET: a designer, a reviewer, or both.

    \b
    Example:
      clothes-toolkit designers add ann ./Clothes-V1 --designer 03
    """
    people = _people(dataset, designers)
    roles = {Role.DESIGNER} if designer is not None else set()
    roles |= {Role.REVIEWER} if reviewer else set()
    person = Person(name, frozenset(roles), designer)
    people.check(person)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    people.add(person.with_password(password))
    click.echo(f"{_said(person)} may sign in")


@designers_group.command("list")
@dataset_argument
@designers_option
@debug_option
def list_(dataset: Path, designers: Path | None) -> None:
    """List who may sign in to the studio of DATASET.

    \b
    Example:
      clothes-toolkit designers list ./Clothes-V1
    """
    people = _people(dataset, designers).all()
    for person in people:
        click.echo(_said(person))
    if not people:
        click.echo("nobody may sign in yet; see clothes-toolkit designers add", err=True)


@designers_group.command("remove")
@click.argument("name")
@dataset_argument
@designers_option
@debug_option
def remove(name: str, dataset: Path, designers: Path | None) -> None:
    """Let NAME sign in no more; their sketches stay.

    \b
    Example:
      clothes-toolkit designers remove ann ./Clothes-V1
    """
    person = _people(dataset, designers).remove(name)
    click.echo(f"{_said(person)} may sign in no more")


def designers_file(root: Path) -> Path:
    """Return where a dataset's designers file is unless another is named."""
    return root / PRIVATE_FOLDER / DESIGNERS


def _people(dataset: Path, designers: Path | None) -> People:
    if designers is None:
        Dataset.open(dataset)
        if (dataset / PRIVATE_FOLDER).is_symlink():
            raise ToolkitError(f"{dataset / PRIVATE_FOLDER}: is a link; it must be a folder")
    return People(designers or designers_file(dataset))


def _said(person: Person) -> str:
    number = f" {person.designer}" if person.designer else ""
    return f"{person.name}  {', '.join(sorted(person.roles))}{number}"
