"""The errors that this package raises for something its caller can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArnetError(Exception):
    """Something the caller asked for cannot be done; the message says what to do instead."""


class TrainingDivergedError(ArnetError):
    """The loss stopped being a finite number."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known word closest to `word`, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
