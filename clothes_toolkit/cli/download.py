"""`clothes-toolkit download`."""

from __future__ import annotations

from pathlib import Path

import click

from clothes_toolkit.cli.common import FOLDER, plural, progress_bar
from clothes_toolkit.cli.lazy import debug_option
from clothes_toolkit.cli.releasing import endpoint_option, version_option
from clothes_toolkit.naming import printable
from clothes_toolkit.release.download import download, place_named
from clothes_toolkit.release.version import Version


@click.command("download")
@click.argument("source", metavar="ORG/NAME")
@version_option("Which release.")
@click.option("--out", type=FOLDER, required=True, help="The new folder.")
@endpoint_option
@debug_option
def command(source: str, version: Version, out: Path, endpoint: str | None) -> int:
    """Give the content of a release back as a folder, byte for byte.

    ORG/NAME is a dataset of the Hub, or a folder of releases. Every file is compared with the
    release's manifest; one that does not fit is fetched again once. Interrupted, the same command
    goes on. What was fetched before comes from the cache, without a network, too. Exits with 1 if
    a file does not fit its checksum.

    \b
    Example:
      clothes-toolkit download ORG/Clothes-V1 --version 1.0.0 --out ./Clothes-V1
    """
    with progress_bar("downloading") as on_progress:
        manifest = download(place_named(source, endpoint), version, out, on_progress)
    click.echo(
        f"{printable(str(out))}: {plural(len(manifest.files), 'file')} of {printable(source)} "
        f"{version.tag}, checksum {manifest.checksum}"
    )
    return 0
