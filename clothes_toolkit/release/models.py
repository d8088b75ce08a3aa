"""The networks of a release's baselines as models on the Hub, with their results in its format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.release.baselines import Baseline
from clothes_toolkit.release.hub import HubPlace
from clothes_toolkit.release.hub_errors import (
    NotThereError,
    import_hub,
    patiently,
    told_plainly,
)
from clothes_toolkit.release.package import TASK, Package
from clothes_toolkit.release.places import Step

FILES = ("README.md", "config.json", "model.safetensors")
"""What a seed's folder has for whoever loads the network."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A network of a baseline: one seed's.

    Attributes:
        repo: ORG/NAME of its model repository.
        folder: the seed's folder.
        baseline: what it belongs to.
        seed: which one it is.
    """

    repo: str
    folder: Path
    baseline: Baseline
    seed: int


def models_of(package: Package, place: HubPlace) -> tuple[TrainedModel, ...]:
    """Return the networks that the run folders of a package's baselines hold.

    Raises `ToolkitError` where there is none, and `RefusedError` where its repository is another's.
    """
    found = tuple(_models(package, place.name))
    if not found:
        raise ToolkitError(
            "the run folders hold no networks (seed-0/model.safetensors); leave --models out"
        )
    for model in found:
        _refuse_foreign(model, place)
    return found


def push_models(package: Package, place: HubPlace, on_step: Step = lambda _what: None) -> None:
    """Push the networks of a package that is released, each in one commit.

    What is there already, and the same, is not sent again. Raises as `HubPlace` does.
    """
    revision = place.commit_of(package.version)
    private = place.repository.is_private()
    for model in models_of(package, place):
        on_step(f"pushing {model.repo}")
        with told_plainly(model.repo):
            _push(model, place, revision, private=private)


def _models(package: Package, repo: str) -> Iterator[TrainedModel]:
    for baseline in package.baselines:
        for run in baseline.result.runs:
            folder = baseline.folder / f"seed-{run.seed}"
            if (folder / "model.safetensors").is_file():
                name = f"{repo}-{baseline.name}-seed-{run.seed}"
                yield TrainedModel(name, folder, baseline, run.seed)


def _refuse_foreign(model: TrainedModel, place: HubPlace) -> None:
    """Refuse a model's repository that was not made for this network."""
    api = place.repository.api
    try:
        with told_plainly(model.repo):
            files = patiently(lambda: api.list_repo_files(model.repo))
    except NotThereError:
        return
    if _result_path(place) not in files and any(not path.startswith(".git") for path in files):
        raise RefusedError(f"{model.repo}: is another model; rename the run folder")


def _result_path(place: HubPlace) -> str:
    return f".eval_results/{place.name.rpartition('/')[2]}.yaml"


def _push(model: TrainedModel, place: HubPlace, revision: str, *, private: bool) -> None:
    hub, api = import_hub(), place.repository.api
    operations = [
        hub.CommitOperationAdd(name, model.folder / name)
        for name in FILES
        if (model.folder / name).is_file()
    ]
    result = _eval_results(model, place.name, revision)
    operations.append(hub.CommitOperationAdd(_result_path(place), result))
    patiently(lambda: api.create_repo(model.repo, private=private, exist_ok=True))
    # Twice the same commit is one: what is there already is not sent again.
    patiently(
        lambda: api.create_commit(
            model.repo, operations, commit_message="Add the network and its result"
        )
    )


def _eval_results(model: TrainedModel, dataset: str, revision: str) -> bytes:
    """Return the result as the Hub reads it into a model's page and the dataset's leaderboard."""
    facts = model.baseline.result.facts
    (run,) = (run for run in model.baseline.result.runs if run.seed == model.seed)
    entry: Any = import_hub().EvalResultEntry(
        dataset_id=dataset,
        task_id=TASK,
        value=round(run.accuracy[1], 2),
        dataset_revision=revision,
        notes=f"protocol {facts['protocol']}, epoch {run.epoch_chosen} of {run.epochs}, "
        f"n {facts['n_queries']}, gallery {facts['n_gallery']}",
    )
    # JSON is YAML, too.
    return (json.dumps(import_hub().eval_result_entries_to_yaml([entry]), indent=1) + "\n").encode()
