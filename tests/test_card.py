"""The dataset card: facts in blocks, the owners' words around them, metadata the Hub reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from clothes_toolkit.release.blocks import BLOCKS
from clothes_toolkit.release.card import CARD_FILE
from tests.conftest import Run, draw_picture
from tests.releases import add_strokes, write_result

ROOT = Path(__file__).parent.parent


def metadata_of(card: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(card.split("---\n")[1])
    return found


def written(run: Run, root: Path, *options: object) -> str:
    status, out, err = run("card", root, *options)
    assert (status, err) == (0, ""), err
    assert out == f"wrote {root / CARD_FILE}\n"
    return (root / CARD_FILE).read_text(encoding="utf-8")


def test_a_new_card_tells_the_facts(run: Run, sound: Path) -> None:
    add_strokes(sound)
    (sound / "clothes.toml").write_text(
        '[[accepted]]\nrule = "odd-size"\npath = "trainB/00001.png"\nreason = "A | scarf <b>"\n'
    )
    draw_picture(sound / "trainB" / "00001.png", 1, photo=True, size=(80, 400))
    card = written(run, sound, "--repo-id", "org/Clothes-V2")
    assert "# Clothes-V2" in card
    assert "| train | 3 | 6 |\n| test | 2 | 4 |\n| all | 5 | 10 |" in card
    assert "2 (`01` drew 5, `02` drew 5)" in card
    assert "**sound**, 0 errors, 0 warnings, 1 accepted" in " ".join(card.split())
    assert "| `odd-size` | trainB/00001.png | 80×400" in card
    assert r"A \| scarf \<b\> |" in card
    assert "Not released yet" in card
    assert max(len(line) for line in card.splitlines() if not line.startswith("|")) <= 100


def test_the_metadata_is_what_the_hub_reads(run: Run, sound: Path) -> None:
    add_strokes(sound)
    told = metadata_of(written(run, sound))
    assert told["pretty_name"] == "Clothes"
    assert told["language"] == ["zxx"]
    assert told["size_categories"] == ["n<1K"]
    configs = told["configs"]
    assert configs == [
        {
            "config_name": "pairs",
            "default": True,
            "data_files": [
                {"split": "train", "path": "pairs/train-*.parquet"},
                {"split": "test", "path": "pairs/test-*.parquet"},
            ],
        },
        {
            "config_name": "gallery",
            "data_files": [
                {"split": "train", "path": "gallery/train-*.parquet"},
                {"split": "test", "path": "gallery/test-*.parquet"},
            ],
        },
    ]
    pairs, gallery = told["dataset_info"]  # type: ignore[misc]
    assert [f["name"] for f in pairs["features"]] == [  # type: ignore[has-type]
        "sketch",
        "photo",
        "photo_id",
        "designer",
        "strokes",
    ]
    assert [s["num_examples"] for s in gallery["splits"]] == [3, 2]  # type: ignore[has-type]


def test_what_the_owners_wrote_stays(run: Run, sound: Path) -> None:
    card = written(run, sound)
    mine = (
        card.replace("license: unknown", "license: cc-by-4.0\nmine: [1, 2]")
        .replace("To be completed by the owners.", "Cite us.")
        .replace("## Known limits", "## A section of mine\n\nWords.\n\n## Known limits")
        .replace("| train | 3 | 6 |", "| train | 4 | 6 |")
    )
    (sound / CARD_FILE).write_text(mine, encoding="utf-8")
    again = written(run, sound)
    told = metadata_of(again)
    assert (told["license"], told["mine"]) == ("cc-by-4.0", [1, 2])
    assert "Cite us." in again
    assert "## A section of mine\n\nWords." in again
    assert "| train | 3 | 6 |" in again
    assert written(run, sound) == again


def test_a_card_of_metadata_alone_gets_a_body(run: Run, sound: Path) -> None:
    (sound / CARD_FILE).write_text("---\nlicense: mit\n---\n\n")
    card = written(run, sound)
    assert metadata_of(card)["license"] == "mit"
    assert "# Clothes" in card


@pytest.mark.parametrize(
    ("spoiled", "words", "status"),
    [
        ("---\nlicense: [mit\n---\n# x\n", "line 3: its metadata is no YAML", 2),
        ("---\nlicense: mit\n# x\n", "its metadata has no end", 2),
        ("---\n- mit\n---\n# x\n", "must be keys with values", 2),
        ("# Only words\n", "needs the block 'release' once", 1),
    ],
)
def test_a_card_that_was_broken_by_hand_is_refused(
    run: Run, sound: Path, spoiled: str, words: str, status: int
) -> None:
    (sound / CARD_FILE).write_text(spoiled)
    found, out, err = run("card", sound)
    assert (found, out) == (status, "")
    assert words in err
    assert CARD_FILE in err
    assert len(err.splitlines()) == 1
    assert (sound / CARD_FILE).read_text() == spoiled


def test_metadata_stays_as_it_was_written(run: Run, sound: Path) -> None:
    card = written(run, sound)
    mine = "# whose it is\nlicense: mit\ncountry: [no, se]\nsize_categories:\n- n>1T\n# the end\n"
    spoiled = f"---\n{mine}---\n" + card.split("---\n", 2)[2]
    for other in (spoiled, "\ufeff" + spoiled, spoiled.replace("\n", "\r\n")):
        (sound / CARD_FILE).write_bytes(other.encode())
        front = written(run, sound).split("---\n")[1]
        kept = "# whose it is\nlicense: mit\ncountry: [no, se]\n# the end\n"
        assert front.startswith(kept + "size_categories:\n- n<1K\n"), front
        assert front.count("size_categories") == front.count("dataset_info:") == 1
    (sound / CARD_FILE).write_text("---\nlicense: mit\n---")
    assert metadata_of(written(run, sound))["license"] == "mit"


def test_a_card_says_what_is_so(run: Run, sound: Path, pool: Path) -> None:
    assert "Not split yet." in written(run, pool)
    assert "`A/` holds sketches" in written(run, pool)
    for sketch in (pool / "A").iterdir():
        sketch.unlink()
    assert "**Designers:** none yet." in written(run, pool)
    split = {"schema": "clothes-toolkit/split/1", "seed": 7, "test": ["00004", "00005"]}
    for train, words in ((["00001", "00002", "00003"], "repeats it"), (["00001"], "has a part")):
        (sound / "split.json").write_text(json.dumps(split | {"train": train}))
        card = " ".join(written(run, sound).split())
        assert "seed 7: photos that look the same stay on one side" in card
        assert f"`split.json` {words}" in card
    shutil.copy(sound / "trainB" / "00001.png", sound / "testB" / "00004.png")
    assert "**The split leaks in 1 places.**" in written(run, sound)


def test_a_file_that_is_no_card_is_not_replaced(run: Run, sound: Path, tmp_path: Path) -> None:
    mine = tmp_path / "my.md"
    mine.write_text("# Mine\n")
    for words in (
        ("card", sound, "--out", mine),
        ("card", "--expect", "clothes-v1", "--out", mine),
    ):
        status, _, err = run(*words)
        assert status == 1
        assert "my.md: needs the block 'release' once" in err
    assert mine.read_text() == "# Mine\n"


def test_a_block_that_is_there_twice_is_refused(run: Run, sound: Path) -> None:
    card = written(run, sound)
    (sound / CARD_FILE).write_text(card + card)
    assert run("card", sound)[0] == 1


def test_baselines_are_shown_with_n_interval_and_protocol(
    run: Run, sound: Path, tmp_path: Path
) -> None:
    write_result(tmp_path / "runs" / "one", sound)
    write_result(tmp_path / "runs" / "two", sound, 50.0, protocol="best-on-test")
    card = written(run, sound, "--baselines", tmp_path / "runs")
    rows = [line for line in card.splitlines() if "arnet-mstr" in line]
    assert rows[0].startswith("| [two](baselines/two.json) | arnet-mstr |")
    assert "50.00 (12.3–73.7)" in rows[0]
    assert "**best on test itself**" in rows[0]
    assert "| 4 | 40.00 (12.3–73.7) | 80.00 | 100.00 | 1 | last |" in rows[1]
    assert "2 photos, measured on exactly this content" in " ".join(card.split())
    assert "only for comparison" in card


def test_a_card_goes_to_stdout(run: Run, sound: Path) -> None:
    status, out, _ = run("card", sound, "--out", "-")
    assert status == 0
    assert out.startswith("---\n")
    assert not (sound / CARD_FILE).exists()


def test_a_card_needs_a_dataset_or_a_known_one(run: Run) -> None:
    assert run("card")[0] == 2


def test_the_repository_has_the_card_of_what_is_public(run: Run) -> None:
    out = run("card", "--expect", "clothes-v1", "--out", "-")[1]
    assert (ROOT / CARD_FILE).read_text(encoding="utf-8") == out, "run `make docs`"
    for block in BLOCKS:
        assert f"<!-- made by clothes-toolkit: {block} -->" in out
