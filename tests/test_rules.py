"""Every rule: a planted fault gives its finding, and only what follows from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from clothes_toolkit.checks import RULES
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.expectations import Expectation
from clothes_toolkit.report import Severity
from clothes_toolkit.validate import validate
from tests.conftest import draw_picture

Found = set[tuple[str, str]]


def found(root: Path, expect: Expectation | None = None) -> Found:
    report = validate(Dataset.open(root), expect=expect)
    findings = [(finding.rule, finding.path) for finding in report.findings]
    assert len(findings) == len(set(findings))
    severities = {rule.name: rule.severity for rule in RULES}
    assert all(finding.severity is severities[finding.rule] for finding in report.findings)
    assert report.ok == (not report.open_findings(Severity.ERROR))
    return set(findings)


def rename(root: Path, path: str, new: str) -> None:
    (root / path).rename(root / new)


def rewrite(root: Path, path: str, change: Callable[[bytes], bytes]) -> None:
    (root / path).write_bytes(change((root / path).read_bytes()))


def resave(root: Path, path: str, change: Callable[[Image.Image], Image.Image]) -> None:
    with Image.open(root / path) as image:
        changed = change(image.convert("RGB"))
    changed.save(root / path)


def animate(root: Path, path: str) -> None:
    with Image.open(root / path) as image:
        first = image.convert("RGB")
    first.save(root / path, save_all=True, append_images=[first.rotate(90)])


def save_as(root: Path, path: str, form: str) -> None:
    with Image.open(root / path) as image:
        image.save(root / path, form)


def escape(root: Path, path: str) -> None:
    shutil.move(root / path, root.parent / "elsewhere.png")
    (root / path).symlink_to(root.parent / "elsewhere.png")


def clear_alpha(image: Image.Image) -> Image.Image:
    image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda a: max(a, 128)))
    return image


def empty(root: Path, folder: str) -> None:
    for file in (root / folder).iterdir():
        file.unlink()


def unlink(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).unlink()


def dangle(root: Path, path: str) -> None:
    unlink(root, path)
    (root / path).symlink_to("gone.png")


def imitate(
    root: Path, path: str, original: str, change: Callable[[Image.Image], Image.Image]
) -> None:
    with Image.open(root / original) as image:
        change(image.convert("RGB")).save(root / path)


def doubled(image: Image.Image) -> Image.Image:
    return image.resize((2 * image.width, 2 * image.height))


def blank(root: Path, mode: str, color: object, *paths: str) -> None:
    for path in paths:
        Image.new(mode, (80, 80), color).save(root / path)  # type: ignore[arg-type]


Plant = Callable[[Path], object]
PLANTS: list[tuple[str, Plant, Found]] = [
    (
        "missing-folder",
        lambda root: shutil.rmtree(root / "testB"),
        {("missing-folder", "testB")},
    ),
    ("empty-split", lambda root: empty(root, "testA"), {("empty-split", "testA")}),
    ("empty-split", lambda root: empty(root, "trainB"), {("empty-split", "trainB")}),
    (
        "unexpected-file",
        lambda root: (root / "trainA" / "notes.txt").write_text("x"),
        {("unexpected-file", "trainA/notes.txt")},
    ),
    (
        "unexpected-file",
        lambda root: (root / "trainA" / "00001_01.png.d").mkdir(),
        {("unexpected-file", "trainA/00001_01.png.d")},
    ),
    (
        "unexpected-file",
        lambda root: (root / "testB" / "._00004.png").write_text("x"),
        {("unexpected-file", "testB/._00004.png")},
    ),
    (
        "unexpected-file",
        lambda root: draw_picture(root / "cover.png", 9, photo=True),
        {("unexpected-file", "cover.png")},
    ),
    (
        "unexpected-file",
        lambda root: (root / "A").mkdir(),
        {("unexpected-file", "A")},
    ),
    (
        "symlink-escape",
        lambda root: escape(root, "trainA/00001_01.png"),
        {("symlink-escape", "trainA/00001_01.png")},
    ),
    (
        "name-format",
        lambda root: rename(root, "trainA/00001_01.png", "trainA/00001_1.png"),
        {("name-format", "trainA/00001_1.png")},
    ),
    (
        "name-format",
        lambda root: rename(root, "trainB/00003.png", "trainB/００００３.png"),
        {
            ("name-format", "trainB/００００３.png"),
            ("orphan-sketch", "trainA/00003_01.png"),
            ("orphan-sketch", "trainA/00003_02.png"),
        },
    ),
    (
        "name-case",
        lambda root: rename(root, "trainA/00001_01.png", "trainA/00001_01.PNG"),
        {("name-case", "trainA/00001_01.PNG")},
    ),
    (
        "name-collision",
        lambda root: draw_picture(root / "trainA" / "00001_01.PNG", 77, photo=False),
        {("name-collision", "trainA/00001_01.PNG"), ("name-case", "trainA/00001_01.PNG")},
    ),
    (
        "wrong-side",
        lambda root: rename(root, "trainA/00001_01.png", "trainB/00001_01.png"),
        {("wrong-side", "trainB/00001_01.png")},
    ),
    (
        "wrong-side",
        lambda root: rename(root, "trainB/00002.png", "trainA/00002.png"),
        {
            ("wrong-side", "trainA/00002.png"),
            ("orphan-sketch", "trainA/00002_01.png"),
            ("orphan-sketch", "trainA/00002_02.png"),
        },
    ),
    (
        "orphan-sketch",
        lambda root: unlink(root, "testB/00004.png"),
        {("orphan-sketch", "testA/00004_01.png"), ("orphan-sketch", "testA/00004_02.png")},
    ),
    (
        "photo-without-sketch",
        lambda root: unlink(root, "testA/00004_01.png", "testA/00004_02.png"),
        {("photo-without-sketch", "testB/00004.png")},
    ),
    (
        "split-leak",
        lambda root: draw_picture(root / "testB" / "00001.png", 70, photo=True),
        {("split-leak", "testB/00001.png"), ("photo-without-sketch", "testB/00001.png")},
    ),
    (
        "split-leak",
        lambda root: shutil.copy(root / "trainB" / "00001.png", root / "testB" / "00009.png"),
        {("split-leak", "testB/00009.png"), ("photo-without-sketch", "testB/00009.png")},
    ),
    (
        "split-leak",
        lambda root: rename(root, "trainA/00001_01.png", "testA/00001_01.png"),
        {("split-leak", "testA/00001_01.png"), ("orphan-sketch", "testA/00001_01.png")},
    ),
    (
        "split-leak",
        lambda root: rename(root, "testA/00004_01.png", "trainA/00004_01.png"),
        {("split-leak", "trainA/00004_01.png"), ("orphan-sketch", "trainA/00004_01.png")},
    ),
    (
        "unreadable-image",
        lambda root: (root / "trainB" / "00001.png").write_bytes(b""),
        {("unreadable-image", "trainB/00001.png")},
    ),
    (
        "unreadable-image",
        lambda root: dangle(root, "trainB/00001.png"),
        {("unreadable-image", "trainB/00001.png")},
    ),
    (
        "truncated-image",
        lambda root: rewrite(root, "trainB/00001.png", lambda data: data[:-12]),
        {("truncated-image", "trainB/00001.png")},
    ),
    (
        "truncated-image",
        lambda root: rewrite(root, "trainB/00001.png", lambda data: data[: len(data) // 2]),
        {("truncated-image", "trainB/00001.png")},
    ),
    (
        "format-mismatch",
        lambda root: save_as(root, "trainB/00001.png", "JPEG"),
        {("format-mismatch", "trainB/00001.png")},
    ),
    (
        "format-mismatch",
        lambda root: save_as(root, "trainB/00001.png", "GIF"),
        {("format-mismatch", "trainB/00001.png")},
    ),
    (
        "oversized-image",
        lambda root: Image.new("1", (8000, 6300)).save(root / "trainB" / "00001.png"),
        {("oversized-image", "trainB/00001.png")},
    ),
    (
        "trailing-data",
        lambda root: rewrite(root, "trainB/00001.png", lambda data: data + b"x"),
        {("trailing-data", "trainB/00001.png")},
    ),
    (
        "animated-image",
        lambda root: animate(root, "trainB/00001.png"),
        {("animated-image", "trainB/00001.png")},
    ),
    (
        "blank-sketch",
        lambda root: blank(root, "RGB", "white", "trainA/00001_01.png", "trainA/00001_02.png"),
        {("blank-sketch", "trainA/00001_01.png"), ("blank-sketch", "trainA/00001_02.png")},
    ),
    (
        "blank-sketch",
        lambda root: blank(root, "RGBA", (0, 0, 0, 0), "trainA/00001_01.png"),
        {("blank-sketch", "trainA/00001_01.png"), ("transparent-image", "trainA/00001_01.png")},
    ),
    (
        "not-a-sketch",
        lambda root: draw_picture(root / "trainA" / "00001_01.png", 40, photo=True),
        {("not-a-sketch", "trainA/00001_01.png")},
    ),
    (
        "not-a-sketch",
        lambda root: Image.radial_gradient("L").save(root / "trainA" / "00001_01.png"),
        {("not-a-sketch", "trainA/00001_01.png")},
    ),
    (
        "transparent-image",
        lambda root: resave(root, "trainB/00001.png", clear_alpha),
        {("transparent-image", "trainB/00001.png")},
    ),
    (
        "odd-size",
        lambda root: draw_picture(root / "trainB" / "00001.png", 5, photo=True, size=(63, 80)),
        {("odd-size", "trainB/00001.png")},
    ),
    (
        "odd-size",
        lambda root: draw_picture(root / "trainB" / "00001.png", 5, photo=True, size=(80, 321)),
        {("odd-size", "trainB/00001.png")},
    ),
    (
        "exact-duplicate",
        lambda root: shutil.copy(root / "trainA" / "00001_01.png", root / "trainA/00001_03.png"),
        {("exact-duplicate", "trainA/00001_03.png")},
    ),
    (
        "near-duplicate",
        lambda root: imitate(root, "trainB/00002.png", "trainB/00001.png", doubled),
        {("near-duplicate", "trainB/00002.png")},
    ),
    (
        "near-duplicate",
        lambda root: imitate(root, "trainB/00002.png", "trainB/00003.png", ImageOps.mirror),
        {("near-duplicate", "trainB/00003.png")},
    ),
    (
        "near-duplicate",
        lambda root: imitate(root, "trainA/00002_01.png", "trainA/00001_01.png", doubled),
        {("near-duplicate", "trainA/00002_01.png")},
    ),
    (
        "near-duplicate",
        lambda root: imitate(root, "testA/00004_01.png", "trainA/00001_01.png", doubled),
        {("near-duplicate", "trainA/00001_01.png")},
    ),
    (
        "near-leak",
        lambda root: imitate(root, "testB/00004.png", "trainB/00001.png", doubled),
        {("near-leak", "testB/00004.png")},
    ),
    (
        "near-leak",
        lambda root: imitate(root, "trainB/00001.png", "testB/00005.png", ImageOps.mirror),
        {("near-leak", "testB/00005.png")},
    ),
]

NEED_EXPECTATION = {"unknown-designer", "count-mismatch"}


def test_a_sound_dataset_has_no_findings(sound: Path, pool: Path, garments: Path) -> None:
    for root in (sound, pool, garments):
        assert found(root) == set()


@pytest.mark.parametrize(
    ("rule", "plant", "expected"), PLANTS, ids=[f"{n}-{p[0]}" for n, p in enumerate(PLANTS)]
)
def test_a_planted_fault_is_found(rule: str, plant: Plant, expected: Found, sound: Path) -> None:
    plant(sound)
    assert rule in {name for name, _ in expected}
    assert found(sound) == expected


def test_every_rule_is_planted() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in PLANTS} | NEED_EXPECTATION


def test_unknown_designer(sound: Path) -> None:
    draw_picture(sound / "testA" / "00004_09.png", 60, photo=False)
    assert found(sound, Expectation(designers=("01", "02"))) == {
        ("unknown-designer", "testA/00004_09.png")
    }


@pytest.mark.parametrize(
    ("expect", "expected"),
    [
        (Expectation(5, 10, ("01", "02"), {"train": (3, 6), "test": (2, 4)}), set()),
        (Expectation(photos=6), {("count-mismatch", ".")}),
        (Expectation(photos=6, sketches=11), {("count-mismatch", ".")}),
        (Expectation(designers=("01", "02", "03")), {("count-mismatch", ".")}),
        # A difference in a split explains the same difference in the whole.
        (Expectation(6, 10, None, {"test": (3, 4)}), {("count-mismatch", "testB")}),
        (
            Expectation(None, None, None, {"train": (3, 5), "test": (1, None)}),
            {("count-mismatch", "trainA"), ("count-mismatch", "testB")},
        ),
    ],
)
def test_count_mismatch(expect: Expectation, expected: Found, sound: Path) -> None:
    assert found(sound, expect) == expected


def test_a_pool_has_no_split_to_leak(pool: Path) -> None:
    draw_picture(pool / "A" / "gone_01.png", 44, photo=False)
    assert found(pool) == {("orphan-sketch", "A/gone_01.png")}


def test_open_stems_with_two_extensions_collide(pool: Path) -> None:
    draw_picture(pool / "B" / "oak-chair.jpg", 45, photo=True)
    assert found(pool) == {("name-collision", "B/oak-chair.png")}


def test_open_photos_that_differ_in_case_collide(pool: Path) -> None:
    draw_picture(pool / "B" / "OAK-chair.png", 45, photo=True)
    draw_picture(pool / "A" / "OAK-chair_01.png", 46, photo=False)
    assert found(pool) == {
        ("name-collision", "B/oak-chair.png"),
        ("name-collision", "A/oak-chair_01.png"),
    }


def test_a_folder_that_is_a_link_out_is_not_read(sound: Path) -> None:
    shutil.move(sound / "testA", sound.parent / "elsewhere")
    (sound / "testA").symlink_to(sound.parent / "elsewhere")
    assert found(sound) == {("symlink-escape", "testA")}


def test_a_link_inside_the_dataset_is_a_file(sound: Path) -> None:
    (sound / "trainA" / "00001_03.png").symlink_to("00001_01.png")
    assert found(sound) == {("exact-duplicate", "trainA/00001_03.png")}


def test_a_sketch_of_another_split_by_pixels_leaks(sound: Path) -> None:
    shutil.copy(sound / "trainA" / "00001_01.png", sound / "testA" / "00004_01.png")
    assert found(sound) == {("split-leak", "testA/00004_01.png")}


def test_hints_name_what_was_meant(sound: Path) -> None:
    rename(sound, "trainA/00001_01.png", "trainA/00001_1.png")
    shutil.copy(sound / "trainA" / "00002_01.png", sound / "trainA" / "2_1.png")
    report = validate(Dataset.open(sound), only=["name-format"])
    assert [finding.hint for finding in report.findings] == [
        "probably 00001_01.png",
        "probably 00002_01.png, which is there already",
    ]


def test_sketches_of_two_designers_are_not_compared(sound: Path) -> None:
    imitate(sound, "trainA/00002_02.png", "trainA/00001_01.png", doubled)
    assert found(sound) == set()
