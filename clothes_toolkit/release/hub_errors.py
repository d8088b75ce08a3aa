"""What the Hub and the network can answer, each as one line that says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from clothes_toolkit.errors import MissingExtraError, RefusedError, ToolkitError

T = TypeVar("T")

TRIES = 5
LONGEST_WAIT = 60.0
_PASSING = (429, 500, 502, 503, 504)
GOES_ON = "the same command goes on from here"


class ChangedError(RefusedError):
    """Somebody else changed the repository meanwhile."""


class NotThereError(ToolkitError):
    """What was asked for is not on the Hub, or this token may not see it.

    Attributes:
        what: "repository", "revision" or "file".
    """

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


def import_hub() -> Any:
    """Return `huggingface_hub`; raises `MissingExtraError` where it is not installed."""
    try:
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingExtraError("the Hub", "hub") from error
    return huggingface_hub


def patiently(call: Callable[[], T]) -> T:
    """Call something that may be called twice, again after failures that pass.

    Waits as long as the Hub asks, up to a minute, or twice as long each time.
    """
    import httpx2

    for tried in range(1, TRIES + 1):
        try:
            return call()
        except (import_hub().errors.HfHubHTTPError, httpx2.TransportError) as error:
            if tried == TRIES or not _passes(error):
                raise
            time.sleep(_wait(error, tried))
    raise AssertionError("unreachable")


@contextmanager
def told_plainly(repo: str) -> Iterator[None]:
    """Turn what the Hub's client raises into a `ToolkitError`, `RefusedError` or `ChangedError`.

    The client's own messages are not passed on: they may hold addresses with signatures.
    """
    import httpx2

    errors = import_hub().errors
    try:
        yield
    except errors.HFValidationError as error:
        raise ToolkitError(f"'{repo}' is no name of a repository; it must be ORG/NAME") from error
    except errors.LocalTokenNotFoundError as error:
        raise ToolkitError(_unknown(repo)) from error
    except errors.LocalEntryNotFoundError as error:
        raise ToolkitError(
            f"{repo}: cannot be reached, and what is asked for is not in the cache; {GOES_ON}"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ToolkitError(f"{repo}: HF_HUB_OFFLINE is set; unset it to reach the Hub") from error
    except errors.HfHubHTTPError as error:
        raise _of_status(repo, error) from error
    except ValueError as error:
        # So the client says that the Hub refuses a card's metadata.
        if not str(error).startswith("Invalid metadata"):
            raise
        raise ToolkitError(f"{repo}: the Hub refuses the card: {error}") from error
    except RuntimeError as error:
        # So the client says that an upload failed, and the answer is its cause.
        if not isinstance(error.__cause__, errors.HfHubHTTPError):
            raise
        raise _of_status(repo, error.__cause__) from error
    except httpx2.HTTPError as error:
        kind = type(error).__name__
        raise ToolkitError(f"{repo}: the Hub cannot be reached ({kind}); {GOES_ON}") from error


def _unknown(repo: str) -> str:
    return (
        f"{repo}: the Hub does not know this token, or there is none; `hf auth login` stores one, "
        "or set HF_TOKEN"
    )


def _of_status(repo: str, error: Any) -> ToolkitError:
    errors = import_hub().errors
    status = error.response.status_code if error.response is not None else 0
    if isinstance(error, errors.RevisionNotFoundError):
        return NotThereError(f"{repo}: has no such version or branch", "revision")
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return NotThereError(
            f"{repo}: lacks a file of the release; it was not made by this tool", "file"
        )
    if isinstance(error, errors.GatedRepoError):
        return ToolkitError(f"{repo}: asks for access on its page first")
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return NotThereError(
            f"{repo}: is no dataset on the Hub, or this token may not see it", "repository"
        )
    if status in (409, 412):
        return ChangedError(f"{repo}: somebody else changed it meanwhile; run the command again")
    said = {
        401: _unknown(repo),
        403: f"{repo}: this token may not write there; make one that may, and `hf auth login`",
        413: f"{repo}: the Hub takes no file of this size",
        429: f"{repo}: the Hub asks to wait; {GOES_ON}, some minutes later",
    }
    return ToolkitError(said.get(status, f"{repo}: the Hub answers {status}; {GOES_ON}"))


def _passes(error: Any) -> bool:
    response = getattr(error, "response", None)
    return response is None or response.status_code in _PASSING


def _wait(error: Any, tried: int) -> float:
    response = getattr(error, "response", None)
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    seconds = float(asked) if asked.isdigit() else 0.5 * 2**tried
    return min(seconds, LONGEST_WAIT)
