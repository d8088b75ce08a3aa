"""Splits leak nothing, have the size that was asked for, and can be repeated and gone on from."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clothes_toolkit.dataset import Dataset, Entry, Kind, Layout
from clothes_toolkit.duplicates import NearDuplicate
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.naming import PhotoName, Scheme, Side, SketchName, filename
from clothes_toolkit.split import Split, draw_split, read_split, write_split
from clothes_toolkit.subsets import nearest_sum, sum_is_possible
from clothes_toolkit.validate import validate
from tests.conftest import Run
from tests.trees import tree

Drawn = dict[int, list[int]]
"""Designers by photo number."""


def pool_of(drawn: Drawn) -> Dataset:
    """A pool that is on no disk."""
    entries = []
    for number, designers in drawn.items():
        photo = PhotoName(f"{number:05}")
        entries.append(Entry(f"B/{filename(photo)}", "pool", Side.PHOTO, Kind.FILE, photo))
        for designer in designers:
            sketch = SketchName(photo.stem, f"0{designer}")
            entries.append(Entry(f"A/{filename(sketch)}", "pool", Side.SKETCH, Kind.FILE, sketch))
    return Dataset(Path("nowhere"), Layout.POOL, Scheme.CLOTHES, tuple(entries))


pools = st.dictionaries(
    st.integers(1, 99),
    st.lists(st.integers(1, 7), unique=True, max_size=7),
    min_size=3,
    max_size=30,
)


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Pairs of photo numbers that look alike from now on."""
    pairs: list[tuple[int, int]] = []

    def near(_dataset: Dataset, _images: object) -> tuple[NearDuplicate, ...]:
        return tuple(
            NearDuplicate(f"B/{one:05}.png", f"B/{other:05}.png", False, (0, 0))
            for one, other in pairs
        )

    monkeypatch.setattr("clothes_toolkit.split.near_duplicates", near)
    return pairs


fixed_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixed_fixtures
@given(drawn=pools, data=st.data(), seed=st.integers(0, 3))
def test_lookalikes_stay_together_and_the_size_is_exact_where_it_can_be(
    alike: list[tuple[int, int]], drawn: Drawn, data: st.DataObject, seed: int
) -> None:
    numbers = sorted(drawn)
    alike[:] = data.draw(st.lists(st.sampled_from(list(combinations(numbers, 2))), max_size=20))
    wanted = data.draw(st.integers(1, len(numbers) - 1))
    result = draw_split(pool_of(drawn), {}, seed=seed, test_photos=wanted)
    again = draw_split(pool_of(dict(reversed(drawn.items()))), {}, seed=seed, test_photos=wanted)
    assert result == again
    test, train = set(result.split.test), set(result.split.train)
    assert not test & train
    assert test | train == {f"{number:05}" for number in numbers}
    for pair in alike:
        assert len({f"{number:05}" in test for number in pair}) == 1
    assert len(test) == best_size(numbers, alike, wanted)
    assert result.exact == (len(test) == wanted)


def best_size(numbers: list[int], alike: list[tuple[int, int]], wanted: int) -> int:
    """The size nearest to what is wanted, found by trying every sum of group sizes."""
    group = {number: {number} for number in numbers}
    for one, other in alike:
        joined = group[one] | group[other]
        for number in joined:
            group[number] = joined
    sizes = [len(members) for members in {id(g): g for g in group.values()}.values()]
    sums = {0}
    for size in sizes:
        sums |= {size + other for other in sums}
    return min(sums - {len(numbers)}, key=lambda total: (abs(total - wanted), total))


@fixed_fixtures
@given(drawn=pools, grown=pools, seed=st.integers(0, 3), data=st.data())
def test_old_photos_keep_their_side(
    alike: list[tuple[int, int]], drawn: Drawn, grown: Drawn, seed: int, data: st.DataObject
) -> None:
    alike.clear()
    old = draw_split(pool_of(drawn), {}, seed=seed).split
    everything = drawn | grown
    pairs = list(combinations(sorted(everything), 2))
    alike[:] = data.draw(st.lists(st.sampled_from(pairs), max_size=5))
    wanted = data.draw(st.none() | st.integers(1, len(everything) - 1))
    new = draw_split(
        pool_of(everything), {}, seed=seed + 1, test_photos=wanted, go_on_from=old
    ).split
    assert set(old.test) <= set(new.test)
    assert set(old.train) <= set(new.train)
    if not alike:
        size = len(old.test) if wanted is None else max(wanted, len(old.test))
        assert len(new.test) == min(size, len(everything) - len(old.train))


def test_a_split_is_balanced(alike: list[tuple[int, int]]) -> None:
    """As Clothes-V1: 500 photos, 120 of them test photos, designers with very unequal shares."""
    del alike
    drawn = {
        number: [d for d in range(1, 8) if (number * 7919 + d * 104729) % 97 < 60 // d]
        for number in range(1, 501)
    }
    result = draw_split(pool_of(drawn), {}, seed=5, test_photos=120)
    total, test = Counter[str](), Counter[str]()
    for number, designers in drawn.items():
        counts = Counter([*(f"by {d}" for d in designers), f"{len(designers)} sketches"])
        total += counts
        if f"{number:05}" in result.split.test:
            test += counts
    for what, count in total.items():
        assert abs(test[what] - 0.24 * count) <= 1.5, what


def test_another_seed_is_another_split(alike: list[tuple[int, int]]) -> None:
    del alike
    pool = pool_of({number: [1] for number in range(1, 41)})
    splits = {draw_split(pool, {}, seed=seed).split.test for seed in range(5)}
    assert len(splits) == 5
    assert draw_split(pool, {}, seed=0).split.test[:3] == ("00001", "00003", "00005")


@given(
    sizes=st.lists(st.integers(1, 6), max_size=8),
    wanted=st.integers(-2, 40),
    largest=st.integers(0, 40),
)
def test_sums_are_those_of_all_subsets(sizes: list[int], wanted: int, largest: int) -> None:
    bag = Counter(sizes)
    sums = {sum(part) for n in range(len(sizes) + 1) for part in combinations(sizes, n)}
    assert sum_is_possible(bag, wanted) == (wanted in sums)
    allowed = {total for total in sums if total <= largest}
    nearest = min(allowed, key=lambda total: (abs(total - wanted), total))
    assert nearest_sum(bag, wanted, largest) == (nearest if wanted > 0 else 0)


def test_a_pool_is_split_into_a_new_folder(garments: Path, tmp_path: Path, run: Run) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    status, told, _ = run("split", garments, "--out", out, "--test-photos", "5", "--seed", "7")
    assert status == 0
    assert "test   5 photos" in told
    report = validate(Dataset.open(out))
    assert report.open_findings() == ()
    assert report.counts.photos == Dataset.open(garments).counts().photos
    assert report.counts.sketches == Dataset.open(garments).counts().sketches
    assert run("split", out, "--out", again, "--from", out / "split.json", "--seed", "7")[0] == 0
    assert tree(out) == tree(again)
    (out / "trainB").joinpath(min(p.name for p in (out / "trainB").iterdir())).write_bytes(b"edit")
    assert validate(Dataset.open(again)).ok


def test_duplicates_do_not_leak(sound: Path, tmp_path: Path) -> None:
    """A copy under another name, one that looks the same, and a sketch that is there twice."""
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/00011.png")
    with Image.open(sound / "testB/00004.png") as image:
        image.resize((160, 160)).save(sound / "trainB/00014.png")
    shutil.copy(sound / "trainA/00002_01.png", sound / "trainA/00003_01.png")
    dataset = Dataset.open(sound)
    images = inspect_images(dataset)
    for seed in range(8):
        split = draw_split(dataset, images, seed=seed, test_photos=3).split
        for pair in ({"00001", "00011"}, {"00004", "00014"}, {"00002", "00003"}):
            assert len(pair & set(split.test)) != 1
        write_split(dataset, split, tmp_path / str(seed))
        rules = {f.rule for f in validate(Dataset.open(tmp_path / str(seed))).findings}
        assert not rules & {"split-leak", "near-leak"}


def test_links_only_on_request(pool: Path, tmp_path: Path, run: Run) -> None:
    for name, options, shared in (("copy", (), False), ("link", ("--link",), True)):
        out = tmp_path / name
        assert run("split", pool, "--out", out, "--test-photos", "1", *options)[0] == 0
        (photo,) = (out / "testB").iterdir()
        assert photo.samefile(pool / "B" / photo.name) == shared


def test_the_maintainers_word_goes_along(sound: Path, tmp_path: Path) -> None:
    (sound / "clothes.toml").write_text(
        "[expect]\nphotos = 5\n[expect.train]\nphotos = 3 # so far\nsketches = 6\n"
        '[[accepted]]\nrule = "odd-size"\npath = "trainB/00001.png"\nreason = "path = \'x\'"\n'
    )
    dataset = Dataset.open(sound)
    split = Split(0, ("00002", "00003", "00004", "00005"), ("00001",))
    write_split(dataset, split, tmp_path / "out")
    assert (tmp_path / "out" / "clothes.toml").read_text() == (
        "[expect]\nphotos = 5\n[expect.train]\nphotos = 4 # so far\nsketches = 8\n"
        '[[accepted]]\nrule = "odd-size"\npath = "testB/00001.png"\nreason = "path = \'x\'"\n'
    )
    assert validate(Dataset.open(tmp_path / "out")).open_findings() == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--test-photos", "2"], "leave one side of the split empty"),
        (["--test-photos", "1", "--test-fraction", "0.5"], "give one"),
        (["--test-photos", "0"], "0 is not in the range"),
        (["--from", "missing.json"], "does not exist"),
    ],
)
def test_what_cannot_be_split_is_refused(
    pool: Path, tmp_path: Path, run: Run, options: list[str], told: str
) -> None:
    status, out, err = run("split", pool, "--out", tmp_path / "out", *options)
    assert (status, out) == (2, "")
    assert told in err
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_behind_unnoticed(pool: Path, tmp_path: Path) -> None:
    (pool / "A" / "nobody_01.png").write_bytes((pool / "A" / "oak-chair_01.png").read_bytes())
    with pytest.raises(ToolkitError, match=r"A/nobody_01.png: belongs to no photo"):
        draw_split(Dataset.open(pool), {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is no split.json"),
        ('{"schema": "x", "seed": 0, "train": [], "test": []}', "its schema is"),
        (
            '{"schema": "clothes-toolkit/split/1", "seed": 0, "train": ["a"], "test": ["a"]}',
            "names photo a twice",
        ),
        (
            '{"schema": "clothes-toolkit/split/1", "seed": 0, "train": "ab", "test": []}',
            "lists of stems",
        ),
        (
            '{"schema": "clothes-toolkit/split/1", "seed": Infinity, "train": [], "test": []}',
            "is no split.json",
        ),
        (
            '{"schema": "clothes-toolkit/split/1", "seed": 0, "train": [1], "test": ["a"]}',
            "lists of stems",
        ),
    ],
)
def test_a_wrong_split_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(ToolkitError, match=told):
        read_split(tmp_path / "split.json")


def test_a_split_file_is_what_the_contract_says(tmp_path: Path) -> None:
    split = Split(3, ("a", "b"), ("c",))
    (tmp_path / "split.json").write_bytes(split.to_bytes())
    assert json.loads(split.to_bytes()) == {
        "schema": "clothes-toolkit/split/1",
        "seed": 3,
        "train": ["a", "b"],
        "test": ["c"],
    }
    assert read_split(tmp_path / "split.json") == split
