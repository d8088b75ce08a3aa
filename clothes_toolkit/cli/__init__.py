"""The command line: every command parses, calls one library function, and prints."""

from __future__ import annotations

import logging
import os
import sys
import traceback

import click

from clothes_toolkit import __version__
from clothes_toolkit.cli.lazy import LazyGroup, debug_option
from clothes_toolkit.errors import ToolkitError

EXIT_DONE, EXIT_FINDINGS, EXIT_COULD_NOT_RUN, EXIT_INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "validate": "clothes_toolkit.cli.validate:command",
    "stats": "clothes_toolkit.cli.stats:command",
    "import": "clothes_toolkit.cli.import_:command",
    "dedup": "clothes_toolkit.cli.dedup:command",
    "fix": "clothes_toolkit.cli.fix:command",
    "split": "clothes_toolkit.cli.split:command",
    "undo": "clothes_toolkit.cli.undo:command",
    "models": "clothes_toolkit.cli.models:command",
    "baseline": "clothes_toolkit.cli.baseline:command",
    "evaluate": "clothes_toolkit.cli.evaluate:command",
    "card": "clothes_toolkit.cli.card:command",
    "diff": "clothes_toolkit.cli.diff:command",
    "publish": "clothes_toolkit.cli.publish:command",
    "download": "clothes_toolkit.cli.download:command",
    "release": "clothes_toolkit.cli.release:command",
    "demo": "clothes_toolkit.cli.demo:command",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS, entry_points="clothes_toolkit.commands")
@click.version_option(__version__, prog_name="clothes-toolkit")
@debug_option
def cli() -> None:
    """Look after a sketch-photo dataset: validate it, measure it, release it.

    \b
    Example:
      clothes-toolkit validate ./Clothes-V1
    """


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(_run())


def _run() -> int:
    # What libraries log while they retry is not for users; what fails in the end is raised.
    logging.disable(logging.WARNING)
    try:
        status = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return EXIT_COULD_NOT_RUN
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", EXIT_INTERRUPTED)
    except ToolkitError as error:
        return _say(str(error), error.exit_status)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - the last line before a user
        return _say(f"{type(error).__name__}: {error} (a bug; --debug shows where)")
    return status if isinstance(status, int) else EXIT_DONE


def _say(message: str, status: int = EXIT_COULD_NOT_RUN) -> int:
    """Print one line of what is wrong and return the exit status."""
    if LazyGroup.debug:
        traceback.print_exc()
    line = " ".join(message.split())
    click.echo(click.style("error: ", fg="red") + line, err=True)
    return status
