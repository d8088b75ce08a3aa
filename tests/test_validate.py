from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from clothes_toolkit import inspection
from clothes_toolkit.cache import FactsCache, Stamp
from clothes_toolkit.dataset import Dataset, Layout
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.expectations import CLOTHES_V1, expectation_named, read_maintainers_word
from clothes_toolkit.images import ImageFacts
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.report import Severity
from clothes_toolkit.stats import stats
from clothes_toolkit.validate import validate
from tests.conftest import draw_picture
from tests.nobody import needs_root, run_as_nobody


def age(root: Path) -> None:
    """Let time pass, as far as the cache can tell: only settled files are remembered."""
    time.sleep(2.1)


def test_layouts(sound: Path, pool: Path, tmp_path: Path) -> None:
    assert Dataset.open(sound).layout is Layout.SPLIT
    assert Dataset.open(pool).layout is Layout.POOL
    for wrong, message in [
        (tmp_path / "gone", "no such folder"),
        (sound / "trainA" / "00001_01.png", "not a folder"),
        (sound / "trainA", "not a dataset"),
    ]:
        with pytest.raises(ToolkitError, match=message):
            Dataset.open(wrong)


def test_counts(sound: Path, pool: Path) -> None:
    counts = Dataset.open(sound).counts()
    assert (counts.photos, counts.sketches, counts.pairs) == (5, 10, 10)
    assert counts.designers == {"01": 5, "02": 5}
    assert counts.splits == {"train": (3, 6), "test": (2, 4)}
    assert Dataset.open(pool).counts().splits == {}


def test_the_order_of_the_disk_does_not_matter(sound: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy"
    for path in sorted(sound.rglob("*.png"), reverse=True):
        (other / path.relative_to(sound)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other / path.relative_to(sound))
    assert Dataset.open(sound).entries == Dataset.open(other).entries


def test_processes_find_what_one_finds(garments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "WORTH_A_PROCESS", 1)
    dataset = Dataset.open(garments)
    assert inspect_images(dataset, jobs=2) == inspect_images(dataset, jobs=1)


def test_only_and_skip(sound: Path) -> None:
    (sound / "trainA" / "notes.txt").write_text("x")
    (sound / "testB" / "00004.png").unlink()
    dataset = Dataset.open(sound)
    rules = {f.rule for f in validate(dataset, only=["unexpected-file"]).findings}
    assert rules == {"unexpected-file"}
    rules = {f.rule for f in validate(dataset, skip=["unexpected-file"]).findings}
    assert rules == {"orphan-sketch"}
    with pytest.raises(ToolkitError, match="did you mean 'orphan-sketch'"):
        validate(dataset, only=["orfan-sketch"])


def test_rules_about_names_open_no_image(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clothes_toolkit.validate.inspect_images", None)
    validate(Dataset.open(sound), only=["name-format", "orphan-sketch", "count-mismatch"])


def test_warnings_fail_only_when_asked(sound: Path) -> None:
    (sound / "trainA" / "notes.txt").write_text("x")
    dataset = Dataset.open(sound)
    assert validate(dataset).ok
    assert not validate(dataset, fail_on=Severity.WARNING).ok


def test_accepted_findings_stay_and_do_not_count(sound: Path) -> None:
    shutil.copy(sound / "trainA/00001_01.png", sound / "trainA/00001_03.png")
    (sound / "clothes.toml").write_text(
        '[expect]\nphotos = 5\nsketches = 11\ndesigners = ["01", "02", "03"]\n'
        '[[accepted]]\nrule = "exact-duplicate"\npath = "trainA/00001_03.png"\nreason = "Known."\n'
    )
    report = validate(Dataset.open(sound))
    assert report.ok
    assert [finding.accepted for finding in report.findings] == ["Known."]
    assert not report.open_findings()
    # Named expectations stand in for those of the file.
    assert not validate(Dataset.open(sound), expect=CLOTHES_V1).ok


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[expect]\nphoto = 5", "unknown key 'photo'; did you mean 'photos'"),
        ("[expect]\nphotos = -1", "whole number"),
        ("[expect]\nphotos = true", "whole number"),
        ("[expect]\ndesigners = 7", "must be a list"),
        ("[expect.train]\nphoto = 5", "did you mean 'photos'"),
        ("expect = 5", "must be a table"),
        ('[[accepted]]\nrule = "odd-size"\npath = "x"', "needs a rule, a path and a reason"),
        ("[expect", "Expected"),
    ],
)
def test_a_wrong_clothes_toml_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "clothes.toml"
    path.write_text(text)
    with pytest.raises(ToolkitError, match=message) as caught:
        read_maintainers_word(path)
    assert "\n" not in str(caught.value)


def test_expectations_have_names(tmp_path: Path) -> None:
    assert expectation_named("clothes-v1") is CLOTHES_V1
    with pytest.raises(ToolkitError, match="neither a known expectation"):
        expectation_named(str(tmp_path / "gone.toml"))


def test_an_image_is_decoded_once(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(sound)
    first = inspect_images(Dataset.open(sound))
    looked_at: list[Path] = []
    monkeypatch.setattr(inspection, "inspect", looked_at.append)
    assert inspect_images(Dataset.open(sound)) == first
    assert looked_at == []


def test_pixels_are_compared_whatever_the_file(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal pixels in four files, and one that differs in a corner that no miniature shows."""
    with Image.open(pool / "B" / "oak-chair.png") as image:
        picture = image.convert("RGB").resize((400, 400))
    picture.save(pool / "B" / "one.png")
    picture.save(pool / "B" / "two.webp", lossless=True)
    picture.convert("RGBA").save(pool / "B" / "three.png")
    shutil.copy(pool / "B" / "one.png", pool / "B" / "four.png")
    picture.putpixel((0, 0), (254, 255, 255))
    picture.save(pool / "B" / "other.png")
    age(pool)
    facts = inspect_images(Dataset.open(pool))
    same = {facts[f"B/{name}"].pixels for name in ("one.png", "two.webp", "three.png", "four.png")}
    other = facts["B/other.png"]
    assert len(same) == 1
    assert other.miniature == facts["B/one.png"].miniature
    assert other.pixels not in same
    monkeypatch.setattr(inspection, "open_image", lambda _path: pytest.fail("decoded again"))
    assert inspect_images(Dataset.open(pool)) == facts


def test_a_changed_image_is_looked_at_again(sound: Path) -> None:
    age(sound)
    path = sound / "trainB" / "00001.png"
    before = inspect_images(Dataset.open(sound))
    times = path.stat()
    path.write_bytes(b"x" * times.st_size)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = inspect_images(Dataset.open(sound))
    assert {p for p in after if after[p] != before[p]} == {"trainB/00001.png"}


def test_what_may_still_change_is_not_remembered(sound: Path) -> None:
    path = sound / "trainB" / "00001.png"
    path.touch()
    cache = FactsCache(sound)
    cache.remember([("trainB/00001.png", Stamp.of(path), ImageFacts(1, "x"))])
    assert cache.recall({"trainB/00001.png": Stamp.of(path)}) == {}


def test_a_damaged_cache_is_made_anew(sound: Path) -> None:
    age(sound)
    first = inspect_images(Dataset.open(sound))
    (sound / ".clothes" / "facts.sqlite").write_bytes(b"not a database" * 100)
    assert inspect_images(Dataset.open(sound)) == first
    assert inspect_images(Dataset.open(sound)) == first


def test_a_read_only_dataset_gets_no_cache(sound: Path) -> None:
    age(sound)
    sound.chmod(0o555)
    try:
        assert validate(Dataset.open(sound)).ok
        assert not (sound / ".clothes").exists()
    finally:
        sound.chmod(0o755)


def test_progress_ends_at_the_number_of_images(sound: Path) -> None:
    heard: list[tuple[int, int]] = []
    validate(Dataset.open(sound), on_progress=lambda done, total: heard.append((done, total)))
    assert heard[0] == (0, 15)
    assert heard[-1] == (15, 15)
    assert heard == sorted(heard)


def test_names_that_are_not_text(sound: Path) -> None:
    os.rename(  # noqa: PTH104 - a name that no str holds
        os.fsencode(sound / "trainA" / "00001_01.png"), os.fsencode(sound) + b"/trainA/\xff_01.png"
    )
    age(sound)
    for _ in range(2):
        report = validate(Dataset.open(sound))
        assert [finding.rule for finding in report.findings] == ["name-format"]


def test_stats(sound: Path) -> None:
    (sound / "testA" / "00004_01.png").unlink()
    found = stats(Dataset.open(sound))
    assert found.coverage == {"01": 0.8, "02": 1.0}
    assert found.sketches_per_photo == {1: 1, 2: 4}
    assert found.sizes == {(80, 80): 14}


@needs_root
def test_a_cache_of_somebody_else_costs_time_not_truth(sound: Path) -> None:
    """Made by root, as after sudo; the folder itself may be written."""
    age(sound)
    inspect_images(Dataset.open(sound))
    sound.chmod(0o777)
    (sound / ".clothes").chmod(0o755)
    draw_picture(sound / "trainB" / "00009.png", 9, photo=True)
    found = run_as_nobody(
        sound,
        "from pathlib import Path\n"
        "import imagehash, clothes_toolkit.likeness.lookalikes\n"
        "from clothes_toolkit.dataset import Dataset\n"
        "from clothes_toolkit.validate import validate",
        "print(validate(Dataset.open(Path())).findings)",
    )
    assert found.returncode == 0, found.stderr
    assert "trainB/00009.png" in found.stdout


def test_settled_is_said_when_the_stamp_is_taken(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long looking at the images takes."""
    path = sound / "trainB" / "00001.png"
    path.touch()
    stamp = Stamp.of(path)
    later = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    cache = FactsCache(sound)
    cache.remember([("trainB/00001.png", stamp, ImageFacts(1, "x"))])
    assert cache.recall({"trainB/00001.png": stamp}) == {}
