"""The bridge: a dataset in, a run folder out; stopped, resumed, refused."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from arnet.checkpoint import load_method, save_tensors
from arnet.data import PairImages
from arnet.errors import ArnetError
from arnet.evaluate import evaluate
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn import demo as demo_room
from clothes_toolkit.learn.baseline import baseline
from clothes_toolkit.learn.bridge import hold_out, load_images_for, pairs_of
from clothes_toolkit.learn.result import BaselineResult
from clothes_toolkit.learn.session import Watcher
from clothes_toolkit.learn.spec import BaselineSpec
from clothes_toolkit.release.manifest import release_checksum, release_content
from tests.conftest import Run
from tests.contract import BASELINE

SPEC = BaselineSpec(
    "arnet-mstr",
    backbone="test_resnet",
    weights="none",
    epochs=2,
    batch_size=8,
    lr=1e-3,
    device="cpu",
    precision="fp32",
    settings={"image_size": "64", "scales": "1,2"},
)
COMMAND = [
    "--model=arnet-mstr", "--backbone=test_resnet", "--weights=none", "--batch-size=8",
    "--lr=1e-3", "--device=cpu", "--precision=fp32", "--set=image_size=64", "--set=scales=1,2",
]  # fmt: skip


def numbers(result: BaselineResult) -> list[tuple[int, dict[int, float]]]:
    return [(run.epoch_chosen, dict(run.accuracy)) for run in result.runs]


def bits(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_a_run_folder(garments: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "one"
    result = baseline(Dataset.open(garments), dataclasses.replace(SPEC, seeds=(0, 3)), out)
    written = json.loads((out / "result.json").read_text())
    jsonschema.validate(written, BASELINE)
    assert written == json.loads(json.dumps(result.to_json()))
    assert written["acc@1"] == pytest.approx(sum(r["acc@1"] for r in written["runs"]) / 2)
    assert written["acc@1_sd"] is not None
    assert written["dataset"]["sha256"] == release_checksum(Dataset.open(garments))
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == sorted(
        ["result.json", "spec.json"]
        + [
            f"seed-{seed}/{name}"
            for seed in (0, 3)
            for name in (
                "README.md",
                "history.csv",
                "model.safetensors",
                "config.json",
                "result.json",
            )
        ]
    )
    with (out / "seed-3" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "multi", "match", "lr", "acc@1", "test_acc@1"} <= set(rows[0])


def test_the_saved_network_gives_the_written_numbers(garments: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(garments)
    result = baseline(dataset, SPEC, tmp_path / "run")
    method = load_method(tmp_path / "run" / "seed-0")
    found = evaluate(method, load_images_for(method, pairs_of(dataset, "test")))
    assert {q: found.accuracy(q) for q in (1, 5, 10)} == result.runs[0].accuracy


def test_the_same_seed_gives_the_same_weights(garments: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        baseline(Dataset.open(garments), SPEC, tmp_path / name)
    assert bits(tmp_path / "a" / "seed-0") == bits(tmp_path / "b" / "seed-0")


class _Stop(Watcher):
    """Stops a run after some epochs, as a full disk or a power cut would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def epoch(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize("protocol", ["fixed", "validation", "best-on-test"])
def test_a_stopped_run_goes_on_to_the_same_end(
    protocol: str, garments: Path, tmp_path: Path
) -> None:
    dataset = Dataset.open(garments)
    spec = dataclasses.replace(SPEC, epochs=3, protocol=protocol, seeds=(0, 1))
    whole = baseline(dataset, spec, tmp_path / "whole")
    for after in (1, 3, 1):
        with pytest.raises(KeyboardInterrupt):
            baseline(dataset, spec, tmp_path / "b", resume=True, watcher=_Stop(after))
        assert not (tmp_path / "b").exists()
    resumed = baseline(dataset, spec, tmp_path / "b", resume=True)
    assert numbers(resumed) == numbers(whole)
    for seed in (0, 1):
        assert bits(tmp_path / "b" / f"seed-{seed}") == bits(tmp_path / "whole" / f"seed-{seed}")
    assert numbers(baseline(dataset, spec, tmp_path / "b", resume=True)) == numbers(whole)


def test_a_killed_process_goes_on_to_the_same_end(garments: Path, tmp_path: Path) -> None:
    def command(out: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "clothes_toolkit", "baseline", str(garments), *COMMAND,
                "--epochs=6", f"--out={tmp_path / out}", *more]  # fmt: skip

    subprocess.run(command("whole"), check=True, capture_output=True)
    process = subprocess.Popen(command("killed"), stderr=subprocess.PIPE)
    state = tmp_path / "killed.partial" / "seed-0" / "state.safetensors"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed").exists()
    refused = subprocess.run(command("killed"), capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    subprocess.run(command("killed", "--resume"), check=True, capture_output=True)
    assert bits(tmp_path / "killed" / "seed-0") == bits(tmp_path / "whole" / "seed-0")


def test_another_run_is_not_resumed(garments: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(garments)
    with pytest.raises(KeyboardInterrupt):
        baseline(dataset, SPEC, tmp_path / "run", watcher=_Stop(1))
    with pytest.raises(ToolkitError, match=r"started with lr 0.001, not 0.002"):
        baseline(dataset, dataclasses.replace(SPEC, lr=2e-3), tmp_path / "run", resume=True)


def test_protocols_choose_the_epoch(garments: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(garments)
    for protocol in ("validation", "best-on-test"):
        spec = dataclasses.replace(SPEC, epochs=4, protocol=protocol)
        run = baseline(dataset, spec, tmp_path / protocol).runs[0]
        with (tmp_path / protocol / "seed-0" / "history.csv").open() as file:
            seen = [float(row["acc@1"]) for row in csv.DictReader(file)]
        assert run.epoch_chosen == seen.index(max(seen)) + 1
        if protocol == "best-on-test":
            assert run.best_on_test == (run.epoch_chosen, max(seen))
            assert run.accuracy[1] == max(seen)
    fixed = baseline(dataset, SPEC, tmp_path / "fixed").runs[0]
    assert (fixed.epoch_chosen, fixed.best_on_test) == (2, None)


def test_validation_never_sees_a_train_photo() -> None:
    photo_of = torch.arange(20).repeat_interleave(3)
    photos = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1).expand(20, 3, 2, 2)
    images = PairImages(photos[photo_of], photos, photo_of)
    for seed in range(5):
        train, held_out = hold_out(images, seed)
        assert len(held_out.photos) == 3
        assert set(train.photos[:, 0, 0, 0].tolist()).isdisjoint(
            held_out.photos[:, 0, 0, 0].tolist()
        )
        for part in (train, held_out):
            assert torch.equal(part.photos[part.photo_of], part.sketches)
        assert len(train) + len(held_out) == len(images)
    with pytest.raises(ToolkitError, match="too few"):
        hold_out(PairImages(photos[:2], photos[:2], torch.arange(2)), 0)


def test_a_checkpoint_can_be_started_from(garments: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(garments)
    # A backbone without batch norm, whose statistics would move whatever the learning rate.
    vit = dataclasses.replace(SPEC, backbone="test_vit")
    first = baseline(dataset, vit, tmp_path / "first")
    still = dataclasses.replace(vit, init=str(tmp_path / "first" / "seed-0"), epochs=1, lr=1e-30)
    again = baseline(dataset, still, tmp_path / "again")
    assert again.runs[0].accuracy == first.runs[0].accuracy
    with pytest.raises(
        ToolkitError, match="a checkpoint of arnet-mstr on test_vit, not of arnet-b"
    ):
        baseline(dataset, dataclasses.replace(still, method="arnet-basic"), tmp_path / "other")


def change(**changes: Any) -> BaselineSpec:
    return dataclasses.replace(SPEC, **changes)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (change(method="arnet-mtsr"), "Did you mean 'arnet-mstr'"),
        (change(backbone="test_resnett"), "Did you mean 'test_resnet'"),
        (change(weights="gone.safetensors"), "no such weights file"),
        (change(batch_size=1000), "larger than the"),
        (change(settings={"temprature": "1"}), "Did you mean 'temperature'"),
        (change(settings={"image_size": "big"}), "image_size cannot be"),
        (change(protocol="lucky"), "protocol must be"),
        (change(lr=1e38, epochs=3), "lower --lr"),
        (change(init="gone"), "no checkpoint here"),
    ],
)
def test_what_cannot_run_leaves_nothing(
    spec: BaselineSpec, message: str, garments: Path, tmp_path: Path
) -> None:
    with pytest.raises(ToolkitError, match=message) as caught:
        baseline(Dataset.open(garments), spec, tmp_path / "run")
    assert "\n" not in str(caught.value)
    if "lower --lr" not in message:
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_device_is_one_line(garments: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="no CUDA device"):
        baseline(Dataset.open(garments), change(device="cuda"), tmp_path / "run")


def test_a_dataset_without_test_pairs_is_refused(sound: Path, pool: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="a pool without a split"):
        baseline(Dataset.open(pool), SPEC, tmp_path / "run")
    shutil.rmtree(sound / "testA")
    with pytest.raises(ToolkitError, match="no pairs in test"):
        baseline(Dataset.open(sound), SPEC, tmp_path / "run")


def test_a_leaking_split_is_refused(sound: Path, tmp_path: Path) -> None:
    shutil.copy(sound / "trainB" / "00001.png", sound / "testB" / "00001.png")
    with pytest.raises(ToolkitError, match=r"testB/00001\.png: photo 00001 is in train, too"):
        baseline(Dataset.open(sound), SPEC, tmp_path / "run")


def test_an_existing_folder_is_not_written_into(garments: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(ToolkitError, match="exists already"):
        baseline(Dataset.open(garments), SPEC, tmp_path / "run")
    assert (tmp_path / "run" / "mine.txt").read_text() == "mine"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file grow past `size` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_tensors(path, {"x": torch.zeros(1000)}, {"epoch": 1})
    before = path.read_bytes()
    with file_size_limit(2000), pytest.raises(ArnetError, match=r"cannot be written.*untouched"):
        save_tensors(path, {"x": torch.ones(1000)}, {"epoch": 2})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_stops_a_run_that_then_resumes(garments: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(garments)
    whole = baseline(dataset, SPEC, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        baseline(dataset, SPEC, tmp_path / "run", watcher=_Stop(1))
    with file_size_limit(100_000), pytest.raises(ToolkitError, match="cannot be written"):
        baseline(dataset, SPEC, tmp_path / "run", resume=True)
    assert numbers(baseline(dataset, SPEC, tmp_path / "run", resume=True)) == numbers(whole)


def test_release_content_and_checksum(sound: Path) -> None:
    (sound / "strokes").mkdir()
    (sound / "strokes" / "00001_01.json").write_text("{}")
    (sound / "split.json").write_text("{}")
    (sound / "notes.txt").write_text("not part of it")
    (sound / ".clothes").mkdir()
    content = release_content(Dataset.open(sound))
    assert content == sorted(content)
    assert {"split.json", "strokes/00001_01.json", "testB/00004.png"} <= set(content)
    assert len(content) == 17
    lines = "".join(
        f"{hashlib.sha256((sound / path).read_bytes()).hexdigest()}  {path}\n" for path in content
    )
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert release_checksum(Dataset.open(sound)) == expected


def test_the_demo_runs_the_whole_chain(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_room, "TRAIN_PHOTOS", 8)
    monkeypatch.setattr(demo_room, "TEST_PHOTOS", 4)
    monkeypatch.setattr(demo_room, "SPEC", SPEC)
    status, out, err = run("demo", "--out", tmp_path / "demo")
    assert status == 0, err
    assert "sound" in out
    for row in ("seed 0, epoch 2", "untrained", "chance"):
        assert row in out
    from PIL import Image

    with Image.open(tmp_path / "demo" / "top5.png") as picture:
        assert picture.width > 400
    status, _, err = run("demo", "--out", tmp_path / "demo")
    assert status == 2
    assert "exists already" in err


def test_a_curve_on_test_chooses_nothing(garments: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(garments)
    plain = baseline(dataset, dataclasses.replace(SPEC, epochs=3), tmp_path / "plain")
    watched = dataclasses.replace(SPEC, epochs=3, test_every=2)
    curved = baseline(dataset, watched, tmp_path / "curved")
    assert numbers(curved) == numbers(plain)
    assert bits(tmp_path / "curved" / "seed-0") == bits(tmp_path / "plain" / "seed-0")
    with (tmp_path / "curved" / "seed-0" / "history.csv").open() as file:
        seen = [row["test_acc@1"] for row in csv.DictReader(file)]
    assert [bool(value) for value in seen] == [False, True, False]


def test_an_average_is_what_is_tested_and_kept(garments: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(garments)
    spec = dataclasses.replace(SPEC, backbone="test_vit", settings={**SPEC.settings, "ema": "0.9"})
    result = baseline(dataset, spec, tmp_path / "run")
    method = load_method(tmp_path / "run" / "seed-0")
    found = evaluate(method, load_images_for(method, pairs_of(dataset, "test")))
    assert found.accuracy(1) == result.runs[0].accuracy[1]
    plain = dataclasses.replace(spec, settings=SPEC.settings)
    baseline(dataset, plain, tmp_path / "plain")
    assert bits(tmp_path / "plain" / "seed-0") != bits(tmp_path / "run" / "seed-0")


def test_the_model_card_says_how_it_was_measured(garments: Path, tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, protocol="best-on-test", seeds=(0, 1))
    result = baseline(Dataset.open(garments), spec, tmp_path / "run")
    card = (tmp_path / "run" / "seed-1" / "README.md").read_text()
    run = result.runs[1]
    for line in (
        f"| Acc@1 | {run.accuracy[1]:.2f} |",
        f"{result.facts['n_queries']} queries in a gallery of {result.facts['n_gallery']} photos",
        "the best epoch on test itself",
        result.facts["dataset"]["sha256"],
        "Mean Acc@1 of 2 seeds",
    ):
        assert line in card
    assert load_method(tmp_path / "run" / "seed-1").card == card
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    compile(code, "card", "exec")


def test_a_recipes_settings_of_the_method_hold_unless_others_are_asked_for(
    garments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arnet import recipes

    told = dataclasses.replace(
        recipes.STRONG, method={"temperature": 0.1, "embedding_dim": 32, "no_such_option": 1}
    )
    monkeypatch.setitem(recipes.RECIPES, "strong", told)
    spec = dataclasses.replace(SPEC, settings={**SPEC.settings, "embedding_dim": "16"})
    baseline(Dataset.open(garments), spec, tmp_path / "run")
    options = load_method(tmp_path / "run" / "seed-0").config["options"]
    assert (options["temperature"], options["embedding_dim"]) == (0.1, 16)


def test_settings_change_a_checkpoint_that_is_started_from(garments: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(garments)
    vit = dataclasses.replace(SPEC, backbone="test_vit", epochs=1)
    baseline(dataset, vit, tmp_path / "first")
    init = str(tmp_path / "first")
    warm = dataclasses.replace(vit, init=init, settings={**SPEC.settings, "temperature": "0.5"})
    baseline(dataset, warm, tmp_path / "warm")
    assert load_method(tmp_path / "warm" / "seed-0").config["options"]["temperature"] == 0.5
    other = dataclasses.replace(vit, init=init, settings={"embedding_dim": "7"})
    with pytest.raises(ToolkitError, match="do not fit other settings"):
        baseline(dataset, other, tmp_path / "other")


def test_pictures_are_framed_where_that_suits_the_set(garments: Path, tmp_path: Path) -> None:
    """The made garments are drawn as they lie in their photos; an answer of the user's holds."""
    dataset, made = Dataset.open(garments), {}
    init = None
    for name, settings in (("auto", {}), ("true", {"fit_ink": "true"}), ("warm", {})):
        spec = dataclasses.replace(
            SPEC, epochs=1, init=init, settings={**SPEC.settings, **settings}
        )
        baseline(dataset, spec, tmp_path / name)
        made[name] = load_method(tmp_path / name / "seed-0")
        init = str(tmp_path / name) if name == "true" else None
    assert {name: method.fits_ink for name, method in made.items()} == {
        "auto": False, "true": True, "warm": True
    }  # fmt: skip
    with pytest.raises(ToolkitError, match="fit_ink must be true or false or auto"):
        baseline(dataset, change(settings={"fit_ink": "perhaps"}), tmp_path / "perhaps")


@pytest.mark.parametrize("batch", [2, 3])
def test_one_test_photo_can_be_tested(sound: Path, tmp_path: Path, batch: int) -> None:
    for path in [*(sound / "testB").iterdir(), *(sound / "testA").iterdir()]:
        if not path.name.startswith("00004"):
            path.unlink()
    spec = change(epochs=1, batch_size=batch, backbone="test_vit")
    result = baseline(Dataset.open(sound), spec, tmp_path / "run")
    assert result.accuracy(1) == 100.0
    assert result.facts["n_gallery"] == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_hears_every_epoch(garments: Path, tmp_path: Path, run: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    status, _, err = run(
        "baseline", garments, *COMMAND, "--epochs=2", "--test-every=1", "--tracker=tensorboard",
        "--out", tmp_path / "runs" / "one",
    )  # fmt: skip
    assert status == 0, err
    events = EventAccumulator(str(tmp_path / "runs" / "tensorboard" / "one-seed-0"))
    events.Reload()
    names = set(events.Tags()["scalars"])
    assert {"loss", "multi", "lr", "test_acc@1", "final acc@1"} <= names
    assert [event.step for event in events.Scalars("loss")] == [1, 2]


def test_a_tracker_that_is_not_installed_is_one_line(
    garments: Path, tmp_path: Path, run: Run
) -> None:
    status, _, err = run(
        "baseline", garments, *COMMAND, "--tracker=wandb", "--out", tmp_path / "run"
    )
    assert status == 2
    assert "pip install wandb" in err
    assert list(tmp_path.iterdir()) == []
