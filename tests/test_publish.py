"""Publishing to a folder of releases, and the folder back."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.release import places
from clothes_toolkit.release.assemble import assemble, examine
from clothes_toolkit.release.download import UNFINISHED
from clothes_toolkit.release.places import FolderPlace
from clothes_toolkit.release.publish import ReleasePlan, plan_release, publish
from clothes_toolkit.release.version import Version
from tests.conftest import Run, draw_picture
from tests.releases import COMMAND, add_strokes, loaded, write_result
from tests.trees import tree


@pytest.fixture
def full(sound: Path) -> Path:
    """A sound dataset with everything that a release can hold."""
    add_strokes(sound)
    (sound / "strokes" / "of-nothing.json").write_text("{}")
    (sound / "clothes.toml").write_text("[expect]\nphotos = 5\n")
    split = {"schema": "clothes-toolkit/split/1", "seed": 3}
    sides = {"train": ["00001", "00002", "00003"], "test": ["00004", "00005"]}
    (sound / "split.json").write_text(json.dumps(split | sides))
    (sound / "notes.txt").write_text("no part of a release")
    return sound


def pixels(path: Path) -> list[object]:
    with Image.open(path) as image:
        upright = image.convert("RGB")
        return [list(upright.size), hashlib.sha256(upright.tobytes()).hexdigest()]


def planned(root: Path, place: FolderPlace) -> ReleasePlan:
    """Return the plan of the first release of a dataset."""
    state, version = place.state(), Version(1, 0, 0)
    found = examine(Dataset.open(root), version)
    return plan_release(assemble(found, place, state, version), place, state)


def released(root: Path) -> dict[str, bytes]:
    files = tree(root)
    return {path: data for path, data in files.items() if path != "notes.txt"}


def test_a_release_loads_as_right_pairs_in_right_splits(
    run: Run, full: Path, tmp_path: Path
) -> None:
    to = tmp_path / "releases"
    status, out, _ = run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    assert status == 0
    assert out.splitlines()[-1] == f"released {to} v1.0.0"
    for source in (to / "v1.0.0", to):
        pairs = loaded(str(source), "pairs", None)
        gallery = loaded(str(source), "gallery", None)
        assert {split: len(rows) for split, rows in pairs.items()} == {"train": 6, "test": 4}
        ids = {split: {row["photo_id"] for row in rows} for split, rows in gallery.items()}
        assert ids == {"train": {"00001", "00002", "00003"}, "test": {"00004", "00005"}}
        for split, rows in pairs.items():
            for row in rows:
                stem = f"{row['photo_id']}_{row['designer']}"
                assert row["sketch"] == pixels(full / f"{split}A" / f"{stem}.png")
                assert row["photo"] == pixels(full / f"{split}B" / f"{row['photo_id']}.png")
                assert row["strokes"] == (full / "strokes" / f"{stem}.json").read_text("utf-8")
    leftovers = {path.name for path in to.iterdir()} - {"README.md", "v1.0.0"}
    assert leftovers == set()


def test_the_folder_comes_back_byte_for_byte(run: Run, full: Path, tmp_path: Path) -> None:
    to, out = tmp_path / "releases", tmp_path / "Back"
    run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    status, told, err = run("download", to, "--version", "v1.0.0", "--out", out)
    assert (status, err) == (0, "")
    assert "28 files" in told
    assert tree(out) == released(full)
    assert (out / ".clothes" / "manifest.json").is_file()
    assert (out / ".clothes" / "DATASET_CARD.md").is_file()
    again = run("download", to / "v1.0.0", "--version", "1.0.0", "--out", tmp_path / "Again")
    assert again[0] == 0
    assert tree(tmp_path / "Again") == released(full)
    # What came back is the release: publishing it once more changes nothing.
    status, told, _ = run("publish", out, "--to", to, "--version", "1.0.0", "--yes")
    assert status == 0
    assert "nothing to do" in told


def test_a_dry_run_is_the_whole_plan_and_nothing_else(run: Run, full: Path, tmp_path: Path) -> None:
    to = tmp_path / "releases"
    before = tree(full)
    status, out, err = run("publish", full, "--to", to, "--version", "1.0.0", "--dry-run")
    assert (status, err) == (0, "")
    for path in ("README.md", "manifest.json", "pairs/train-00000-of-00001.parquet",
                 "loose/strokes/of-nothing.json", "split.json"):  # fmt: skip
        assert f"new            {path}" in out
    assert "tag v1.0.0" in out
    assert not to.exists()
    assert tree(full) == before


def test_without_a_terminal_it_asks_nobody_and_publishes_nothing(
    run: Run, full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    status, _, err = run("publish", full, "--to", tmp_path / "releases", "--version", "1.0.0")
    assert status == 2
    assert "--yes" in err
    assert not (tmp_path / "releases").exists()


def test_a_release_never_changes(run: Run, full: Path, tmp_path: Path) -> None:
    to = tmp_path / "releases"
    run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    before = tree(to)
    status, out, err = run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    assert (status, err) == (0, "")
    assert "has 1.0.0 with this content; nothing to do" in out
    draw_picture(full / "trainA" / "00001_01.png", 77, photo=False)
    status, _, err = run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    assert status == 1
    assert "1.0.0: is released already, with other content (changed trainA/00001_01.png)" in err
    assert "name 1.1.0 or later" in err
    assert tree(to) == before


def test_the_version_must_go_as_far_as_the_change(run: Run, full: Path, tmp_path: Path) -> None:
    to = tmp_path / "releases"

    def attempt(version: str) -> tuple[int, str, str]:
        return run("publish", full, "--to", to, "--version", version, "--yes")

    assert attempt("1.0.0")[0] == 0
    draw_picture(full / "trainA" / "00001_03.png", 78, photo=False)
    status, _, err = attempt("1.0.1")
    assert status == 1
    assert "a minor one (added trainA/00001_03.png); name 1.1.0 or later" in err
    status, out, _ = attempt("1.1.0")
    assert status == 0
    assert "since 1.0.0: 1 added (a minor step)" in out
    assert "new            gallery/train-00000-of-00001.parquet" in out
    draw_picture(full / "testA" / "00004_03.png", 79, photo=False)
    assert "a major one (added testA/00004_03.png); name 2.0.0" in attempt("1.9.0")[2]
    status, _, err = attempt("1.0.5")
    assert status == 1
    assert "goes back behind 1.1.0" in err
    assert attempt("2.0.0")[0] == 0
    assert {row["designer"] for row in loaded(str(to), "pairs", None)["test"]} == {"01", "02", "03"}
    assert run("diff", f"{to}@1.0.0", f"{to}@2.0.0")[1].splitlines()[-1] == "version step: major"
    page = run("diff", f"{to}@1.0.0", to / "v2.0.0", "--format", "html")[1]
    assert page.count("<img") == 2


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "trainA/notes.png").write_text("x"), "is not sound, name-format"),
        (
            lambda root: shutil.copy(root / "trainB/00001.png", root / "testB/00004.png"),
            "the split leaks",
        ),
        (
            lambda root: (root / "clothes.toml").write_text("[expect]\nphotos = 9\n"),
            "is not sound, count-mismatch",
        ),
        (
            lambda root: (root / "strokes" / "a\\b.json").write_text("{}"),
            "a name that not every system can hold",
        ),
        (
            lambda root: (root / "split.json").write_text(
                (root / "split.json").read_text().replace('"00001", ', "").replace("00005", "00001")
            ),
            "trainB/00001.png: is a test photo in split.json",
        ),
    ],
)
def test_what_is_not_fit_for_release_is_refused(  # type: ignore[no-untyped-def]
    run: Run, full: Path, tmp_path: Path, spoil, words: str
) -> None:
    spoil(full)
    to = tmp_path / "releases"
    status, out, err = run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    assert (status, out) == (1, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert not to.exists()


def test_an_accepted_error_is_released_and_an_accepted_leak_is_not(
    run: Run, full: Path, tmp_path: Path
) -> None:
    word = '[[accepted]]\nrule = "{}"\npath = "{}"\nreason = "Looked at."\n'
    (full / "trainA" / "notes.png").write_bytes((full / "trainA" / "00001_01.png").read_bytes())
    accepted = [("name-format", "trainA/notes.png"), ("exact-duplicate", "trainA/notes.png")]
    accepted += [("exact-duplicate", "trainA/00001_01.png")]
    (full / "clothes.toml").write_text("".join(word.format(*pair) for pair in accepted))
    to = tmp_path / "releases"
    status, _, err = run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    assert status == 0, err
    # A file that is in no pair and no gallery comes back, too.
    run("download", to, "--version", "1.0.0", "--out", tmp_path / "Back")
    assert tree(tmp_path / "Back") == released(full)
    shutil.copy(full / "trainB/00001.png", full / "testB/00004.png")
    leak = word.format("split-leak", "testB/00004.png")
    (full / "clothes.toml").write_text("".join(word.format(*p) for p in accepted) + leak)
    status, _, err = run("publish", full, "--to", to, "--version", "2.0.0", "--yes")
    assert status == 1
    assert "a leak cannot be accepted" in err


def test_both_splits_need_a_pair(run: Run, full: Path, tmp_path: Path) -> None:
    shutil.rmtree(full / "testA")
    (full / "testA").mkdir()
    (full / "clothes.toml").write_text(
        "".join(
            f'[[accepted]]\nrule = "{rule}"\npath = "{path}"\nreason = "So far."\n'
            for rule, path in (("empty-split", "testA"), ("missing-folder", "testA"))
        )
    )
    status, _, err = run("publish", full, "--to", tmp_path / "r", "--version", "1.0.0", "--yes")
    assert status == 1
    assert "test has no pair" in err


def test_releases_lie_beside_the_dataset(run: Run, full: Path) -> None:
    for place in (full, full / "trainA", full / "releases"):
        status, _, err = run("publish", full, "--to", place, "--version", "1.0.0", "--yes")
        assert status == 2
        assert "lies in the dataset" in err
    assert not (full / "releases").exists()


def test_a_pool_is_not_released(run: Run, pool: Path, tmp_path: Path) -> None:
    status, _, err = run("publish", pool, "--to", tmp_path / "r", "--version", "1.0.0", "--yes")
    assert status == 1
    assert "is not split yet" in err


def test_strokes_that_are_no_text_are_refused(run: Run, full: Path, tmp_path: Path) -> None:
    (full / "strokes" / "00001_01.json").write_bytes(b"\xff\xfe{}")
    to = tmp_path / "releases"
    status, _, err = run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    assert status == 1
    assert "strokes/00001_01.json: is no UTF-8 text" in err
    assert not (to / "v1.0.0").exists()


def test_baselines_join_only_the_release_that_they_were_measured_on(
    run: Run, full: Path, tmp_path: Path
) -> None:
    to, runs = tmp_path / "releases", tmp_path / "runs"
    write_result(runs / "arnet", full)
    publish_to = ("publish", full, "--to", to, "--yes", "--baselines", runs)
    assert run(*publish_to, "--version", "1.0.0")[0] == 0
    result = (to / "v1.0.0" / "baselines" / "arnet.json").read_bytes()
    assert result == (runs / "arnet" / "result.json").read_bytes()
    assert "| arnet-mstr |" in (to / "v1.0.0" / "README.md").read_text(encoding="utf-8")
    # Runs of one name are told apart; what joins too late is told.
    for name in ("x/a", "y/a", "z/a-2"):
        write_result(runs / name, full)
    status, out, _ = run(*publish_to, "--version", "1.0.0")
    assert status == 0
    for name in ("a", "a-2", "a-2-2"):
        assert f"not in it: baselines/{name}.json; name 1.0.1 to release it, too" in out
    draw_picture(full / "trainA" / "00001_03.png", 78, photo=False)
    status, _, err = run(*publish_to, "--version", "1.1.0")
    assert status == 1
    assert "was measured on other data" in err
    assert "sketches in train: 6 there, 7 here" in err
    (runs / "arnet" / "result.json").write_text("{}")
    status, _, err = run(*publish_to, "--version", "1.1.0")
    assert status == 2
    assert "is no result of a baseline" in err
    status, _, err = run("publish", full, "--to", to, "--yes", "--version", "1.1.0",
                         "--baselines", tmp_path / "none")  # fmt: skip
    assert status == 2
    assert "holds no result.json" in err


def test_one_place_must_be_named(run: Run, full: Path, tmp_path: Path) -> None:
    for words in ((), ("--to", tmp_path, "--repo-id", "org/x")):
        status, _, err = run("publish", full, "--version", "1.0.0", *words)
        assert status == 2
        assert "name one place" in err
    status, _, err = run("publish", full, "--version", "1.0", "--to", tmp_path / "r")
    assert status == 2
    assert "versions are X.Y.Z" in err


def test_a_file_that_changes_while_it_is_published_stops_the_release(
    full: Path, tmp_path: Path
) -> None:
    place = FolderPlace(tmp_path / "releases")
    plan = planned(full, place)
    draw_picture(full / "trainA" / "00001_01.png", 80, photo=False)
    with pytest.raises(RefusedError, match=r"trainA/00001_01\.png: has changed since"):
        publish(plan, place)
    assert [p.name for p in place.folder.iterdir()] == []


def test_a_file_that_changes_after_it_was_written_stops_the_release(
    full: Path, tmp_path: Path
) -> None:
    place = FolderPlace(tmp_path / "releases")
    plan = planned(full, place)

    def spoil(step: str) -> None:
        if step == "loading it back":
            (full / "strokes" / "of-nothing.json").write_text("[]")

    with pytest.raises(RefusedError, match=r"of-nothing\.json: has changed while"):
        publish(plan, place, spoil)
    assert [p.name for p in place.folder.iterdir()] == []


def test_what_was_stored_wrongly_is_never_released(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to store something else than the folder is found by loading it back."""
    place = FolderPlace(tmp_path / "releases")
    plan = planned(full, place)
    write = places._write

    def swapped(folder: Path) -> None:
        one, other = (folder / f"pairs/{s}-00000-of-00001.parquet" for s in ("train", "test"))
        data = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(data)

    def cut(folder: Path) -> None:
        path = folder / "gallery/train-00000-of-00001.parquet"
        path.write_bytes(path.read_bytes()[:-100])

    def flipped(folder: Path) -> None:
        path = folder / "pairs/test-00000-of-00001.parquet"
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(bytes(data))

    def merged(folder: Path) -> None:
        card = (folder / "README.md").read_text(encoding="utf-8")
        (folder / "README.md").write_text(card.replace("pairs/test-*", "pairs/*"))

    for spoil in (swapped, cut, flipped, merged):

        def spoiled(package, folder, on_progress, spoil=spoil):  # type: ignore[no-untyped-def]
            write(package, folder, on_progress)
            spoil(folder)

        monkeypatch.setattr(places, "_write", spoiled)
        with pytest.raises(ToolkitError, match="nothing was released"):
            publish(plan, place)
        assert [p.name for p in place.folder.iterdir()] == [], spoil.__name__
    monkeypatch.setattr(places, "_write", write)
    publish(plan, place)


@pytest.mark.parametrize("room", [2000, 6000, 9000])
def test_a_full_disk_leaves_nothing_behind(full: Path, tmp_path: Path, room: int) -> None:
    to = tmp_path / "releases"
    done = subprocess.run(
        [*COMMAND, "publish", full, "--to", to, "--version", "1.0.0", "--yes"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        check=False,
    )
    assert done.returncode == 2
    assert "File too large" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [path.name for path in to.iterdir()] == []


def test_a_second_publisher_is_told(run: Run, full: Path, tmp_path: Path) -> None:
    to = tmp_path / "releases"
    to.mkdir()
    script = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from clothes_toolkit.edits.lock import locked
with locked(Path({str(to / places.LOCK_FILE)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        status, _, err = run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
        other.kill()
    assert status == 2
    assert "is writing" in err
    assert run("publish", full, "--to", to, "--version", "1.0.0", "--yes")[0] == 0


def test_download_refuses_what_does_not_fit(run: Run, full: Path, tmp_path: Path) -> None:
    to, out = tmp_path / "releases", tmp_path / "Back"
    run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    shard = to / "v1.0.0" / "pairs" / "train-00000-of-00001.parquet"
    whole = shard.read_bytes()
    for spoiled in (whole[:-10], whole[:50] + b"?" + whole[51:], b"", whole[::-1]):
        shard.write_bytes(spoiled)
        status, _, err = run("download", to, "--version", "1.0.0", "--out", out)
        assert status == 1, err
        assert "does not fit" in err or "is not what was published" in err
        assert len(err.splitlines()) == 1
        assert not out.exists()
    # What is right stays beside, and the same command goes on from there.
    assert (tmp_path / "Back.partial" / "testB" / "00004.png").is_file()
    shard.write_bytes(whole)
    assert run("download", to, "--version", "1.0.0", "--out", out)[0] == 0
    assert tree(out) == released(full)
    assert not (tmp_path / "Back.partial").exists()
    loose = to / "v1.0.0" / "loose" / "strokes" / "of-nothing.json"
    loose.write_text("[]")
    status, _, err = run("download", to, "--version", "1.0.0", "--out", tmp_path / "More")
    assert status == 1
    assert "strokes/of-nothing.json: does not fit its checksum" in err
    loose.unlink()
    status, _, err = run("download", to, "--version", "1.0.0", "--out", tmp_path / "More")
    assert (status, len(err.splitlines())) == (2, 1)


def test_download_goes_on_from_what_is_there(run: Run, full: Path, tmp_path: Path) -> None:
    to, out = tmp_path / "releases", tmp_path / "Back"
    run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    partial = tmp_path / "Back.partial"
    (partial / "trainA").mkdir(parents=True)
    (partial / "trainA" / "00001_01.png").write_bytes(b"cut off")
    (partial / "trainA" / "another.png").write_bytes(b"of another release")
    status, _, err = run("download", to, "--version", "1.0.0", "--out", out)
    assert status == 2
    assert "Back.partial: is in the way" in err
    (partial / ".clothes").mkdir()
    (partial / ".clothes" / UNFINISHED).touch()
    shutil.copy(full / "trainA" / "00001_02.png", partial / "trainA")
    kept = (partial / "trainA" / "00001_02.png").stat().st_mtime_ns
    assert run("download", to, "--version", "1.0.0", "--out", out)[0] == 0
    assert tree(out) == released(full)
    assert (out / "trainA" / "00001_02.png").stat().st_mtime_ns == kept
    # A folder that is finished is somebody's, whatever it is called.
    out.rename(partial)
    (partial / "notes.md").write_text("mine")
    assert run("download", to, "--version", "1.0.0", "--out", out)[0] == 2
    assert (partial / "notes.md").read_text() == "mine"


def test_download_says_what_is_not_there(run: Run, full: Path, tmp_path: Path) -> None:
    to = tmp_path / "releases"
    run("publish", full, "--to", to, "--version", "1.0.0", "--yes")
    status, _, err = run("download", to, "--version", "3.0.0", "--out", tmp_path / "Back")
    assert status == 2
    assert "has no release 3.0.0 (there: 1.0.0)" in err
    status, _, err = run("download", to / "v1.0.0", "--version", "3.0.0", "--out", tmp_path / "B")
    assert "is release 1.0.0, not 3.0.0" in err
    assert status == 2
    for place in (".", "/"):
        status, _, err = run("download", to, "--version", "1.0.0", "--out", place)
        assert status == 2
        assert "exists already" in err
    (to / "v1.0.0" / "README.md").rename(to / "README.away")
    status, _, err = run("download", to, "--version", "1.0.0", "--out", tmp_path / "Back")
    assert status == 2
    assert "README.md: cannot be read" in err
    (to / "README.away").rename(to / "v1.0.0" / "README.md")
    (tmp_path / "Back").mkdir()
    status, _, err = run("download", to, "--version", "1.0.0", "--out", tmp_path / "Back")
    assert status == 2
    assert "exists already" in err


def test_a_readme_of_somebody_else_is_not_replaced(run: Run, full: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    status, _, err = run("publish", full, "--to", tmp_path, "--version", "1.0.0", "--yes")
    assert status == 1
    assert "is not of a release, and would be replaced" in err
    assert (tmp_path / "README.md").read_text() == "# Mine\n"
    assert not (tmp_path / "v1.0.0").exists()


def test_the_ritual_is_a_checklist(run: Run, full: Path, tmp_path: Path) -> None:
    to, runs = tmp_path / "releases", tmp_path / "runs"
    words = ("release", full, "--to", to, "--version", "1.0.0", "--yes")
    status, out, _ = run(*words)
    assert status == 1
    assert "✓ validate" in out
    assert "✗ baselines      none; measure one on this content" in out
    assert "✓ card and plan  the first release" in out
    assert "not released" in out
    assert not to.exists()
    write_result(runs / "arnet", full)
    status, out, _ = run(*words, "--baselines", runs)
    assert status == 0
    assert "✗" not in out
    assert "✓ baselines      1 measured on this content, best Acc@1 40.00" in out
    assert out.splitlines()[-1] == f"released {to} v1.0.0"
    (full / "trainA" / "00001_01.png").write_bytes(b"no image")
    status, out, _ = run("release", full, "--to", to, "--version", "1.1.0", "--baselines", runs)
    assert status == 1
    assert "✗ validate       1 errors, first unreadable-image: trainA/00001_01.png" in out
    assert "✗ baselines" in out
    assert "✗ card and plan" in out
