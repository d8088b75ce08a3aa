"""The errors that this package raises for something its caller can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArnetError(Exception):
    """Something the caller asked for cannot be done; the message says what to do instead."""


class TrainingDivergedError(ArnetError):
    """The loss stopped being a finite number."""


class BatchTooLargeError(ArnetError):
    """A batch of `size` pairs does not fit into memory; one of `fits` does, 0 if none."""

    def __init__(self, size: int, fits: int) -> None:
        self.size, self.fits = size, fits
        advice = (
            f"use --batch-size {fits}, which does, or --set grad_checkpointing=true"
            if fits
            else "take a smaller backbone, or --set grad_checkpointing=true"
        )
        super().__init__(f"a batch of {size} pairs does not fit into memory; {advice}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known word closest to `word`, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
