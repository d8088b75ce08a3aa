"""Duplicates are grouped, the best is kept, photos are merged, and everything can be undone."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import jsonschema
import pytest
from PIL import Image, ImageOps

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.dedup import Group, find_groups
from clothes_toolkit.edits.change import apply, undo
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.merge import Merge, merge
from clothes_toolkit.split import SCHEMA
from clothes_toolkit.strokes import Drawing, Stroke, read_drawing
from clothes_toolkit.validate import validate
from tests import contract
from tests.conftest import Run, draw_picture
from tests.trees import contents, tree


def smaller(source: Path, target: Path) -> None:
    with Image.open(source) as image:
        image.convert("RGB").resize((image.width // 2 + 20, image.height // 2 + 20)).save(target)


def look(root: Path) -> tuple[list[Group], Merge]:
    dataset = Dataset.open(root)
    images = inspect_images(dataset)
    groups = find_groups(dataset, images)
    return groups, merge(dataset, images, groups)


def steps(merged: Merge) -> set[tuple[str | None, str | None]]:
    return {(step.source, step.target) for step in merged.plan.steps}


def test_a_sound_dataset_has_no_groups(sound: Path, run: Run) -> None:
    assert look(sound) == ([], look(sound)[1])
    status, out, _ = run("dedup", sound, "--format", "json")
    assert status == 0
    document = json.loads(out)
    jsonschema.validate(document, contract.DEDUP)
    assert document["groups"] == []


def test_the_kept_photo_takes_over_the_sketches(sound: Path) -> None:
    smaller(sound / "trainB/00001.png", sound / "trainB/00009.png")
    draw_picture(sound / "trainA/00009_03.png", 909, photo=False)
    (group,), merged = look(sound)
    assert (group.keep, [d.path for d in group.duplicates]) == (
        "trainB/00001.png",
        ["trainB/00009.png"],
    )
    assert group.why == "the largest, 80×80 pixels"
    assert not group.exact
    assert steps(merged) == {
        ("trainA/00009_03.png", "trainA/00001_03.png"),
        ("trainB/00009.png", None),
    }
    before = tree(sound)
    apply(sound, merged.plan)
    assert validate(Dataset.open(sound)).open_findings() == ()
    assert set(before.values()) <= contents(sound)
    undo(sound)
    assert tree(sound) == before


def test_a_place_that_is_taken_is_a_conflict(sound: Path) -> None:
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/00009.png")
    draw_picture(sound / "trainA/00009_01.png", 901, photo=False)
    draw_picture(sound / "trainA/00009_05.png", 905, photo=False)
    (group,), merged = look(sound)
    assert group.exact
    assert steps(merged) == {("trainA/00009_05.png", "trainA/00001_05.png")}
    assert {conflict.path for conflict in merged.conflicts} == {
        "trainA/00009_01.png",
        "trainB/00009.png",
    }
    apply(sound, merged.plan)
    assert {finding.rule for finding in validate(Dataset.open(sound)).findings} == {
        "exact-duplicate"
    }


def test_the_same_drawing_twice_is_no_conflict(sound: Path) -> None:
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/00009.png")
    shutil.copy(sound / "trainA/00001_01.png", sound / "trainA/00009_01.png")
    groups, merged = look(sound)
    assert len(groups) == 2
    assert merged.conflicts == ()
    assert steps(merged) == {("trainA/00009_01.png", None), ("trainB/00009.png", None)}


def test_three_of_one_kind_become_one(sound: Path) -> None:
    """Two equal files, and a third that is larger than both."""
    with Image.open(sound / "trainB/00001.png") as image:
        image.resize((160, 160)).save(sound / "trainB/00008.png")
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/00009.png")
    for stem, designer in (("00008", 8), ("00009", 9)):
        draw_picture(sound / f"trainA/{stem}_0{designer}.png", 800 + designer, photo=False)
    groups, merged = look(sound)
    assert [(g.exact, g.keep) for g in groups] == [
        (True, "trainB/00001.png"),
        (False, "trainB/00008.png"),
    ]
    assert merged.conflicts == ()
    apply(sound, merged.plan)
    assert sorted(p.name for p in (sound / "trainB").iterdir()) == [
        "00002.png",
        "00003.png",
        "00008.png",
    ]
    assert sorted(p.name for p in (sound / "trainA").glob("00008*")) == [
        f"00008_0{designer}.png" for designer in (1, 2, 8, 9)
    ]


def test_sketches_under_two_photos_are_listed_and_left(sound: Path) -> None:
    shutil.copy(sound / "trainA/00001_01.png", sound / "trainA/00002_01.png")
    (group,), merged = look(sound)
    assert group.side.value == "A"
    assert merged.plan.steps == ()
    assert [conflict.path for conflict in merged.conflicts] == ["trainA/00002_01.png"]


def test_mirror_images_and_leaks_are_left(sound: Path) -> None:
    with Image.open(sound / "trainB/00001.png") as image:
        ImageOps.mirror(image).save(sound / "trainB/00002.png")
    smaller(sound / "trainB/00003.png", sound / "testB/00005.png")
    groups, merged = look(sound)
    assert [(group.mirrored, group.keep) for group in groups] == [
        (False, "trainB/00003.png"),
        (True, "trainB/00002.png"),
    ]
    assert merged.plan.steps == ()
    assert {conflict.path for conflict in merged.conflicts} == {
        "trainB/00001.png",
        "testB/00005.png",
    }


def test_strokes_and_split_json_follow(pool: Path) -> None:
    smaller(pool / "B/oak-chair.png", pool / "B/zzz.png")
    draw_picture(pool / "A/zzz_02.png", 77, photo=False)
    (pool / "strokes").mkdir()
    stroke = Stroke(((1.0, 2.0, None, None), (3.0, 4.0, 0.5, 7.0)))
    drawing = Drawing("zzz_02", (80, 80), (stroke,))
    (pool / "strokes/zzz_02.json").write_bytes(drawing.to_bytes())
    split = {"schema": SCHEMA, "seed": 1, "train": ["oak-chair", "zzz"], "test": ["Tall.Stool"]}
    (pool / "split.json").write_text(json.dumps(split))
    before = tree(pool)
    _, merged = look(pool)
    apply(pool, merged.plan)
    assert read_drawing(pool / "strokes/oak-chair_02.json") == Drawing(
        "oak-chair_02", (80, 80), (stroke,)
    )
    assert not (pool / "strokes/zzz_02.json").exists()
    assert json.loads((pool / "split.json").read_text())["train"] == ["oak-chair"]
    undo(pool)
    assert tree(pool) == before


def test_accepted_duplicates_stay(sound: Path, run: Run) -> None:
    smaller(sound / "trainB/00001.png", sound / "trainB/00002.png")
    (sound / "clothes.toml").write_text(
        '[[accepted]]\nrule = "near-duplicate"\npath = "trainB/00002.png"\nreason = "Two coats."\n'
    )
    status, out, _ = run("dedup", sound, "--apply", "--yes", "--format", "json")
    assert status == 0
    (group,) = json.loads(out)["groups"]
    assert group["duplicates"][0]["accepted"] == "Two coats."
    assert (sound / "trainB/00002.png").exists()


def test_designers_are_compared_on_request(sound: Path, run: Run) -> None:
    smaller(sound / "trainA/00001_01.png", sound / "trainA/00002_02.png")
    assert run("dedup", sound)[0] == 0
    status, out, _ = run("dedup", sound, "--across-designers")
    assert status == 1
    assert "trainA/00002_02.png" in out


def test_the_command_shows_asks_applies_and_undoes(
    sound: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/00009.png")
    draw_picture(sound / "trainA/00009_03.png", 909, photo=False)
    before = tree(sound)
    assert run("dedup", sound)[0] == 1
    status, out, _ = run("dedup", sound, "--apply", "--dry-run")
    assert (status, tree(sound)) == (0, before)
    assert "trainA/00009_03.png → trainA/00001_03.png" in out
    status, _, err = run("dedup", sound, "--apply")
    assert (status, tree(sound)) == (2, before)
    assert err.splitlines() == ["error: nothing was changed; --yes changes without asking"]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: "n")
    assert run("dedup", sound, "--apply")[0] == 1
    assert tree(sound) == before
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: "y")
    status, _, err = run("dedup", sound, "--apply")
    assert status == 0
    assert "clothes-toolkit undo" in err
    assert not (sound / "trainB/00009.png").exists()
    assert run("dedup", sound)[0] == 0
    assert run("undo", sound, "--dry-run")[0] == 0
    assert run("undo", sound, "--yes")[0] == 0
    assert tree(sound) == before
    assert run("undo", sound, "--yes")[0] == 1


def test_the_page_shows_every_picture_and_fetches_nothing(sound: Path, run: Run) -> None:
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/00002.png")
    _, out, _ = run("dedup", sound, "--format", "html")
    assert out.count("data:image/webp;base64,") == 2
    assert "http" not in out
    assert "trainB/00002.png" in out


def test_thirteen_real_garments_two_of_them_one(shared_data: Path, tmp_path: Path) -> None:
    figures, root = shared_data / "clothes-v1-figures", tmp_path / "Garments"
    (root / "A").mkdir(parents=True)
    (root / "B").mkdir()
    photos = sorted((figures / "trainB").glob("*.png"))[:12]
    for photo in photos:
        shutil.copy(photo, root / "B")
        for sketch in (figures / "trainA").glob(f"{photo.stem}_*.png"):
            shutil.copy(sketch, root / "A")
    with Image.open(photos[0]) as image:
        picture = image.convert("RGB").resize((200, 200 * image.height // image.width))
    picture.save(tmp_path / "again.jpg", quality=60)
    with Image.open(tmp_path / "again.jpg") as image:
        image.save(root / "B" / "00099.png")
    spare = max((figures / "trainA").glob("*.png"))
    shutil.copy(spare, root / "A" / "00099_07.png")
    before = tree(root)
    (group,), merged = look(root)
    assert group.keep == f"B/{photos[0].name}"
    assert merged.conflicts == ()
    apply(root, merged.plan)
    assert len(list((root / "B").iterdir())) == 12
    assert (root / "A" / f"{photos[0].stem}_07.png").read_bytes() == spare.read_bytes()
    assert validate(Dataset.open(root)).open_findings() == ()
    undo(root)
    assert tree(root) == before


def test_real_repeats_in_the_gallery_are_found(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    (tmp_path / "B").mkdir()
    for folder in ("trainB", "gallery"):
        for photo in (shared_data / "clothes-v1-figures" / folder).glob("*.png"):
            shutil.copy(photo, tmp_path / "B")
    groups, _ = look(tmp_path)
    found = {frozenset([group.keep, group.duplicates[0].path]) for group in groups}
    assert len(groups) == 11
    assert frozenset(["B/00006.png", "B/r1c2.png"]) in found
    assert frozenset(["B/r3c2.png", "B/r4c3.png"]) in found


def test_broken_sketches_are_not_the_same_drawing(sound: Path) -> None:
    smaller(sound / "trainB/00001.png", sound / "trainB/00009.png")
    (sound / "trainA/00001_01.png").write_bytes(b"junk")
    whole = (sound / "trainA/00002_01.png").read_bytes()
    (sound / "trainA/00009_01.png").write_bytes(whole[:-30])
    _, merged = look(sound)
    assert "trainA/00009_01.png" in {conflict.path for conflict in merged.conflicts}
    assert merged.plan.steps == ()


def test_what_is_accepted_at_the_better_photo_stays_too(sound: Path) -> None:
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/00009.png")
    for designer in (1, 2, 3):
        path = sound / f"trainA/00009_0{designer}.png"
        draw_picture(path, 900 + designer, photo=False)
    accepted = {"trainB/00009.png": "They are two."}
    dataset = Dataset.open(sound)
    images = inspect_images(dataset)
    (group,) = find_groups(dataset, images, accepted)
    assert group.keep == "trainB/00009.png"
    assert [duplicate.accepted for duplicate in group.duplicates] == ["They are two."]
    assert merge(dataset, images, [group]).plan.steps == ()


@pytest.mark.parametrize("name", ["00009_4.png", "00009_04.PNG", "00001_4.png"])
def test_no_sketch_is_left_behind(sound: Path, name: str) -> None:
    smaller(sound / "trainB/00001.png", sound / "trainB/00009.png")
    draw_picture(sound / "trainA/new.png", 909, photo=False)
    (sound / "trainA/new.png").rename(sound / f"trainA/{name}")
    _, merged = look(sound)
    assert merged.plan.steps == ()
    (conflict,) = merged.conflicts
    assert name in conflict.message


def test_two_sketches_of_one_stem_are_not_parted(pool: Path) -> None:
    smaller(pool / "B/oak-chair.png", pool / "B/zzz.png")
    draw_picture(pool / "A/zzz_02.png", 77, photo=False)
    draw_picture(pool / "A/zzz_02.webp", 78, photo=False)
    _, merged = look(pool)
    assert merged.plan.steps == ()
    assert [conflict.path for conflict in merged.conflicts] == ["B/zzz.png"]


def split_file(root: Path, train: list[str], test: list[str]) -> None:
    document = {"schema": SCHEMA, "seed": 1, "train": train, "test": test}
    (root / "split.json").write_text(json.dumps(document))


def test_a_test_photo_stays_one_under_another_number(pool: Path) -> None:
    """The kept photo is new: it takes the place of the one that goes."""
    with Image.open(pool / "B/oak-chair.png") as image:
        image.resize((160, 160)).save(pool / "B/elm.png")
    draw_picture(pool / "A/elm_02.png", 77, photo=False)
    split_file(pool, ["Tall.Stool"], ["oak-chair"])
    _, merged = look(pool)
    apply(pool, merged.plan)
    assert json.loads((pool / "split.json").read_text())["test"] == ["elm"]


def test_sides_in_the_split_file_are_sides(pool: Path) -> None:
    smaller(pool / "B/oak-chair.png", pool / "B/zzz.png")
    split_file(pool, ["Tall.Stool", "zzz"], ["oak-chair"])
    _, merged = look(pool)
    assert merged.plan.steps == ()
    assert "other side" in merged.conflicts[0].message


def test_two_equal_ones_and_a_better_one_become_one(sound: Path) -> None:
    """The better of two equal photos is not the first, and a third is better than both."""
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/00009.png")
    for designer in (3, 4, 5):
        path = sound / f"trainA/00009_0{designer}.png"
        draw_picture(path, 900 + designer, photo=False)
    with Image.open(sound / "trainB/00001.png") as image:
        image.resize((160, 160)).save(sound / "trainB/00010.png")
    _, merged = look(sound)
    assert merged.conflicts == ()
    apply(sound, merged.plan)
    groups, _ = look(sound)
    assert groups == []
    assert not (sound / "trainB/00001.png").exists()
    assert len(list((sound / "trainA").glob("00010_*"))) == 5


@pytest.mark.parametrize("kind", ["leftover", "link", "deep"])
def test_odd_strokes_stop_one_sketch_and_not_all(sound: Path, kind: str, run: Run) -> None:
    smaller(sound / "trainB/00001.png", sound / "trainB/00008.png")
    smaller(sound / "trainB/00002.png", sound / "trainB/00009.png")
    for stem in ("00008", "00009"):
        draw_picture(sound / f"trainA/{stem}_03.png", int(stem), photo=False)
    strokes = sound / "strokes"
    strokes.mkdir()
    if kind == "leftover":
        (strokes / "00001_03.json").write_text("{}")
    elif kind == "link":
        (strokes / "00008_03.json").symlink_to("../trainA/00008_03.png")
    else:
        (strokes / "00008_03.json").write_text("[" * 10_000)
    status, _, err = run("dedup", sound, "--apply", "--yes")
    assert status == (0 if kind == "deep" else 1), err
    assert not (sound / "trainB/00009.png").exists()
    assert (sound / "trainB/00008.png").exists() == (kind != "deep")


def test_strokes_go_to_the_drawing_that_stays(sound: Path) -> None:
    smaller(sound / "trainB/00001.png", sound / "trainB/00009.png")
    shutil.copy(sound / "trainA/00001_01.png", sound / "trainA/00009_01.png")
    (sound / "strokes").mkdir()
    drawing = Drawing("00009_01", (80, 80), (Stroke(((1.0, 2.0, None, None),)),))
    (sound / "strokes/00009_01.json").write_bytes(drawing.to_bytes())
    _, merged = look(sound)
    apply(sound, merged.plan)
    assert read_drawing(sound / "strokes/00001_01.json").sketch == "00001_01"


def test_strokes_go_to_the_drawing_that_stays_wherever_that_goes(sound: Path) -> None:
    """Two photos give one drawing to a third, which had none by that designer."""
    for stem in ("00008", "00009"):
        smaller(sound / "trainB/00001.png", sound / f"trainB/{stem}.png")
        shutil.copy(sound / "trainA/00002_01.png", sound / f"trainA/{stem}_05.png")
    (sound / "strokes").mkdir()
    drawing = Drawing("00009_05", (80, 80), (Stroke(((1.0, 2.0, None, None),)),))
    (sound / "strokes/00009_05.json").write_bytes(drawing.to_bytes())
    before = tree(sound)
    _, merged = look(sound)
    apply(sound, merged.plan)
    assert (sound / "trainA/00001_05.png").exists()
    assert [path.name for path in (sound / "strokes").iterdir()] == ["00001_05.json"]
    assert read_drawing(sound / "strokes/00001_05.json").sketch == "00001_05"
    undo(sound)
    assert tree(sound) == before
