"""A baseline's outcome: numbers over seeds, with everything that they depend on."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA = "clothes-toolkit/baseline/1"
Q_VALUES = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Run:
    """What one seed gave.

    Attributes:
        epochs: that were trained; `epoch_chosen` is the one whose weights were tested.
        accuracy: Acc@q on test, percent, by q.
        best_on_test: the best epoch on test and its Acc@1, where test was looked at every epoch.
        batch_size: pairs a step.
    """

    seed: int
    epochs: int
    epoch_chosen: int
    accuracy: Mapping[int, float]
    best_on_test: tuple[int, float] | None
    train_seconds: float
    views_per_second: float
    batch_size: int

    def to_json(self) -> dict[str, Any]:
        """Return the run as JSON values."""
        best = self.best_on_test
        return {
            "seed": self.seed,
            "epochs": self.epochs,
            "epoch_chosen": self.epoch_chosen,
            **{f"acc@{q}": self.accuracy[q] for q in Q_VALUES},
            "best_on_test": None if best is None else {"epoch": best[0], "acc@1": best[1]},
            "train_seconds": round(self.train_seconds, 3),
            "views_per_second": round(self.views_per_second, 2),
            "batch_size": self.batch_size,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Run:
        """Return the run that `to_json` wrote."""
        best = told["best_on_test"]
        return cls(
            told["seed"],
            told["epochs"],
            told["epoch_chosen"],
            {q: told[f"acc@{q}"] for q in Q_VALUES},
            None if best is None else (best["epoch"], best["acc@1"]),
            told["train_seconds"],
            told["views_per_second"],
            told["batch_size"],
        )


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """What `result.json` of a run folder holds, schema `clothes-toolkit/baseline/1`.

    Attributes:
        facts: method, backbone, weights, recipe, protocol, dataset, n_queries, n_gallery.
        interval: Wilson interval of the mean Acc@1 at n_queries, percent.
        environment: what the numbers were measured with.
    """

    facts: Mapping[str, Any]
    runs: Sequence[Run]
    interval: tuple[float, float]
    environment: Mapping[str, Any] = field(default_factory=dict)

    def accuracy(self, q: int) -> float:
        """Return Acc@q, percent, mean over seeds."""
        return statistics.fmean(run.accuracy[q] for run in self.runs)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of Acc@1 over seeds; `None` for one seed."""
        values = [run.accuracy[1] for run in self.runs]
        return statistics.stdev(values) if len(values) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "schema": SCHEMA,
            **self.facts,
            **{f"acc@{q}": self.accuracy(q) for q in Q_VALUES},
            "acc@1_ci95": list(self.interval),
            "acc@1_sd": self.deviation,
            "runs": [run.to_json() for run in self.runs],
            "environment": dict(self.environment),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> BaselineResult:
        """Return the result that `to_json` wrote."""
        derived = {"schema", "acc@1", "acc@5", "acc@10", "acc@1_ci95", "acc@1_sd", "runs"}
        low, high = told["acc@1_ci95"]
        return cls(
            {k: v for k, v in told.items() if k not in derived | {"environment"}},
            [Run.from_json(run) for run in told["runs"]],
            (low, high),
            told["environment"],
        )
