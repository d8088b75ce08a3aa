"""Manifests, versions, what changed between two of them, and where files are stored."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.release.changes import compare
from clothes_toolkit.release.manifest import (
    FileRecord,
    Manifest,
    make_manifest,
    read_manifest,
    read_manifest_of,
    release_checksum,
)
from clothes_toolkit.release.shards import SHARD_BYTES, lay_out
from clothes_toolkit.release.version import Step, Version
from tests.conftest import Run, draw_picture
from tests.contract import DIFF
from tests.releases import add_strokes

versions = st.builds(Version, *[st.integers(0, 30)] * 3)
digests = st.integers(0, 15).map(lambda n: f"{n:064x}")


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Draw a release: photos in one split each, sketches of some, strokes of some of these."""
    files = []
    for number in sorted(draw(st.sets(st.integers(1, 8)))):
        stem, split = f"{number:05}", draw(st.sampled_from(["train", "test"]))
        photo = FileRecord(f"{split}B/{stem}.png", draw(digests), 3, 1, 1, split, None, stem)
        files.append(photo)
        for designer in sorted(draw(st.sets(st.sampled_from(["01", "02"])))):
            name = f"{stem}_{designer}"
            path = f"{split}A/{name}.png"
            files.append(FileRecord(path, draw(digests), 5, 1, 1, split, designer, stem))
            if draw(st.booleans()):
                files.append(FileRecord(f"strokes/{name}.json", draw(digests), 2))
    if draw(st.booleans()):
        files.append(FileRecord("clothes.toml", draw(digests), 1))
    return Manifest("split", "clothes", {}, tuple(sorted(files, key=lambda r: r.path)), "1.0.0")


@given(versions)
def test_a_version_is_what_it_is_written_as(version: Version) -> None:
    assert Version.parse(str(version)) == Version.parse(version.tag) == version
    assert Version.of_tag(version.tag) == version


@given(versions, st.sampled_from([Step.PATCH, Step.MINOR, Step.MAJOR]))
def test_the_version_after_a_step_is_that_step_away(version: Version, step: Step) -> None:
    assert version.step_to(version.after(step)) is step
    assert version.after(step).step_to(version) is Step.NONE


@given(versions, versions)
def test_versions_are_ordered_as_numbers(one: Version, other: Version) -> None:
    numbers = [tuple(map(int, str(v).split("."))) for v in (one, other)]
    assert (one < other) is (numbers[0] < numbers[1])
    assert (one.step_to(other) is Step.NONE) is (other <= one)


@pytest.mark.parametrize(
    "text",
    ["1", "1.0", "1.0.0.0", "01.0.0", "1.0.x", "", "1.0.0-rc1", "١.0.0", "9" * 5000 + ".0.0"],
)
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ToolkitError, match=r"X\.Y\.Z"):
        Version.parse(text)


@given(manifests())
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    again = read_manifest(manifest.to_bytes(), "manifest.json")
    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes()


@given(manifests())
def test_every_file_is_stored_once(manifest: Manifest) -> None:
    stored = lay_out(manifest)
    rows = [row for shard in stored.shards for row in shard.rows]
    kept = [part.path for row in rows for part in (row.of, row.strokes) if part]
    kept += [record.path for record in stored.loose.values()]
    assert sorted(kept) == [record.path for record in manifest.files]
    for shard in stored.shards:
        assert {row.photo.split for row in shard.rows} <= {shard.split}
        for row in shard.rows:
            assert row.sketch is None or row.sketch.photo == row.photo.photo


@given(manifests())
def test_nothing_changed_from_a_release_to_itself(manifest: Manifest) -> None:
    changes = compare(manifest, manifest)
    assert changes.is_empty
    assert changes.step is Step.NONE


@given(manifests(), manifests())
def test_changes_lead_from_the_old_paths_to_the_new(old: Manifest, new: Manifest) -> None:
    changes = compare(old, new)
    paths = set(old.by_path)
    paths -= {*changes.removed, *(path for path, _ in changes.moved)}
    paths |= {*changes.added, *(to for _, to in changes.moved)}
    assert paths == set(new.by_path)
    back = {to: path for path, to in changes.moved}
    for path, record in new.by_path.items():
        was = old.by_path.get(back.get(path, path))
        if was is not None and path not in changes.added:
            assert (path in changes.changed) is (was.sha256 != record.sha256)


@given(manifests(), manifests())
def test_the_step_is_what_touched_files_ask_for(old: Manifest, new: Manifest) -> None:
    def of(manifest: Manifest, *, folders: tuple[str, ...]) -> set[tuple[str, str]]:
        return {(r.path, r.sha256) for r in manifest.files if r.path.startswith(folders)}

    step = compare(old, new).step
    if of(old, folders=("test",)) != of(new, folders=("test",)):
        assert step is Step.MAJOR
    elif of(old, folders=("train",)) != of(new, folders=("train",)):
        assert step is Step.MINOR
    else:
        assert step is (Step.NONE if old.checksum == new.checksum else Step.PATCH)


def test_shards_have_a_bounded_size() -> None:
    third = SHARD_BYTES // 3
    photos = tuple(
        FileRecord(f"trainB/{n:05}.png", "0" * 64, third, 1, 1, "train", None, f"{n:05}")
        for n in range(8)
    )
    shards = lay_out(Manifest("split", "clothes", {}, photos)).shards
    gallery = [shard for shard in shards if shard.path.startswith("gallery/train")]
    assert [len(shard.rows) for shard in gallery] == [3, 3, 2]
    assert gallery[0].path == "gallery/train-00000-of-00003.parquet"
    assert shards == tuple(gallery)


def test_a_manifest_tells_what_the_folder_holds(sound: Path) -> None:
    add_strokes(sound)
    (sound / "clothes.toml").write_text("")
    dataset = Dataset.open(sound)
    manifest = make_manifest(dataset, inspect_images(dataset), "1.2.3")
    assert manifest.checksum == release_checksum(dataset)
    sketch = manifest.by_path["testA/00004_02.png"]
    assert (sketch.split, sketch.designer, sketch.photo) == ("test", "02", "00004")
    assert (sketch.width, sketch.height) == (80, 80)
    assert sketch.size == (sound / sketch.path).stat().st_size
    told = json.loads(manifest.to_bytes())
    assert told["counts"]["splits"] == {
        "train": {"photos": 3, "sketches": 6},
        "test": {"photos": 2, "sketches": 4},
    }
    assert told["checksum"] == manifest.checksum
    # Without the facts of images it is the same but for their pixels.
    bare = make_manifest(dataset, {}, "1.2.3")
    assert bare.checksum == manifest.checksum
    assert bare.by_path["clothes.toml"] == manifest.by_path["clothes.toml"]


def test_strokes_that_lead_out_of_the_dataset_are_no_content(sound: Path, tmp_path: Path) -> None:
    add_strokes(sound)
    (tmp_path / "secret.json").write_text("{}")
    (sound / "strokes" / "00009_01.json").symlink_to(tmp_path / "secret.json")
    paths = {record.path for record in make_manifest(Dataset.open(sound), {}).files}
    assert "strokes/00001_01.json" in paths
    assert "strokes/00009_01.json" not in paths


@pytest.mark.parametrize(
    "path", ["../evil", "/etc/passwd", "trainA/../../evil", "trainA/x/y.png", "home/x", "trainA/.."]
)
def test_a_manifest_with_a_path_outside_is_refused(path: str) -> None:
    manifest = Manifest("split", "clothes", {}, (FileRecord(path, "0" * 64, 1),))
    with pytest.raises(ToolkitError, match="no path of a release"):
        read_manifest(manifest.to_bytes(), "manifest.json")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told | {"schema": "another"},
        lambda told: told | {"checksum": "0" * 64},
        lambda told: told | {"layout": "heap"},
        lambda told: told | {"files": [{"path": "trainA/x.png"}]},
        lambda told: [*told],
    ],
)
def test_a_manifest_that_is_none_is_refused(spoil, sound: Path) -> None:  # type: ignore[no-untyped-def]
    told = json.loads(make_manifest(Dataset.open(sound), {}).to_bytes())
    with pytest.raises(ToolkitError, match=r"is no manifest\.json"):
        read_manifest(json.dumps(spoil(told)).encode(), "x")


def test_what_a_later_toolkit_adds_to_a_manifest_is_passed_over(sound: Path) -> None:
    manifest = make_manifest(Dataset.open(sound), {}, "1.0.0")
    told = json.loads(manifest.to_bytes())
    told["more"] = 1
    told["files"][0]["more"] = 1
    data = json.dumps(told).encode()
    assert read_manifest(data, "x") == manifest
    with pytest.raises(ToolkitError, match=r"v1\.1\.0 has the manifest of 1\.0\.0"):
        read_manifest_of(Version(1, 1, 0), data, "org/x")


def test_diff_shows_what_changed(run: Run, sound: Path, tmp_path: Path) -> None:
    new = tmp_path / "New"
    shutil.copytree(sound, new)
    assert run("diff", sound, new)[:2] == (0, "nothing changed\n")
    draw_picture(new / "trainA" / "00001_01.png", 999, photo=False)
    draw_picture(new / "trainA" / "00001_03.png", 998, photo=False)
    (new / "trainA" / "00002_02.png").unlink()
    for path in ("B/00003.png", "A/00003_01.png", "A/00003_02.png"):
        (new / f"train{path}").rename(new / f"test{path}")
    status, out, err = run("diff", sound, new, "--format", "json")
    assert (status, err) == (1, "")
    jsonschema.validate(json.loads(out), DIFF)
    assert json.loads(out) == {
        "schema": "clothes-toolkit/diff/1",
        "added": ["trainA/00001_03.png"],
        "removed": ["trainA/00002_02.png"],
        "changed": ["trainA/00001_01.png"],
        "moved": [
            {"path": "trainA/00003_01.png", "to": "testA/00003_01.png"},
            {"path": "trainA/00003_02.png", "to": "testA/00003_02.png"},
            {"path": "trainB/00003.png", "to": "testB/00003.png"},
        ],
        "version_step": "major",
    }
    text = run("diff", sound, new)[1]
    assert "moved (3 files)" in text
    assert text.splitlines()[-1] == "version step: major"
    page = run("diff", sound, new, "--format", "html")[1]
    assert page.count("<img") == 1 + 1 + 2 * 1 + 3


def test_diff_says_what_it_cannot_open(run: Run, sound: Path, tmp_path: Path) -> None:
    for spec, words in (
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path, "not a dataset"),
        (f"{tmp_path}@1.0.0", "has no release 1.0.0"),
        (f"{tmp_path}@newest", "not a version"),
    ):
        status, out, err = run("diff", sound, spec)
        assert (status, out) == (2, "")
        assert words in err
        assert len(err.splitlines()) == 1


def test_a_photo_that_is_photographed_again_on_its_way_is_moved_and_changed() -> None:
    photo = FileRecord("trainB/00001.png", "a" * 64, 1, 1, 1, "train", None, "00001")
    moved = dataclasses.replace(photo, path="testB/00001.png", split="test", sha256="b" * 64)
    changes = compare(*(Manifest("split", "clothes", {}, (r,)) for r in (photo, moved)))
    assert changes.moved == (("trainB/00001.png", "testB/00001.png"),)
    assert changes.changed == ("testB/00001.png",)
