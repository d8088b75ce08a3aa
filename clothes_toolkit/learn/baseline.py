"""A dataset in, a run folder out: train a method, measure it on test, keep all it depends on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.edits.files import new_folder, partial_folder
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.bridge import network, one_line_errors, require_train_and_test
from clothes_toolkit.learn.result import BaselineResult
from clothes_toolkit.learn.seed_folder import RESULT, STATE, read_json, write_json
from clothes_toolkit.learn.session import Session, Watcher
from clothes_toolkit.learn.spec import BaselineSpec
from clothes_toolkit.release.manifest import release_checksum

SPEC = "spec.json"


def baseline(
    dataset: Dataset,
    spec: BaselineSpec,
    out: Path,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
) -> BaselineResult:
    """Train and evaluate a method on a dataset and write the run folder `out`.

    The folder is built as `out.partial` and renamed at the end; with `resume` a run that was
    stopped goes on after its last epoch, and one that is complete is only read.

    Raises `ToolkitError` where the dataset, the spec, the machine or the folder will not do, or the
    training fails; what was trained until then stays in `out.partial`.
    """
    network("training a baseline")
    from arnet.distributed import process_group, rank

    require_train_and_test(dataset)
    told = json.loads(json.dumps({**asdict(spec), "dataset": release_checksum(dataset)}))
    with one_line_errors(), process_group(spec.device):
        if resume and (out / RESULT).exists():
            _require_same(out, told)
            return _read_result(out)
        # Another process finds the folder that the first one has just made.
        if rank() == 0 and not resume and partial_folder(out).exists():
            raise ToolkitError(
                f"{partial_folder(out)}: a run that was not finished; go on with --resume, or "
                "remove it"
            )
        with _shared_folder(out) as folder:
            if (folder / SPEC).exists():
                _require_same(folder, told)
            if rank() == 0:
                write_json(folder / SPEC, told)
            try:
                return Session(dataset, told["dataset"], spec, folder, watcher or Watcher()).run()
            except BaseException:
                # A run that never trained leaves nothing worth resuming.
                if rank() == 0 and not any(
                    any(folder.glob(f"seed-*/{name}")) for name in (STATE, RESULT)
                ):
                    shutil.rmtree(folder, ignore_errors=True)
                raise


@contextmanager
def _shared_folder(out: Path) -> Iterator[Path]:
    """Give the run's folder, which the first of several processes makes, and renames at the end."""
    from arnet.distributed import rank, wait_for_all

    if rank() == 0:
        with new_folder(out, keep_partial=True) as folder:
            wait_for_all()
            yield folder
            wait_for_all()
    else:
        wait_for_all()
        yield partial_folder(out)
        wait_for_all()


def _require_same(folder: Path, told: Mapping[str, Any]) -> None:
    """Raise `ToolkitError` unless a run was started as it is asked for now."""
    before = read_json(folder / SPEC)
    for key, value in told.items():
        if before.get(key) != value:
            raise ToolkitError(
                f"{folder}: this run was started with {key} {before.get(key)}, not {value}; "
                "resume it as it was, or name another --out"
            )


def _read_result(out: Path) -> BaselineResult:
    try:
        return BaselineResult.from_json(read_json(out / RESULT))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolkitError(f"{out / RESULT}: not a baseline's result ({error})") from error
