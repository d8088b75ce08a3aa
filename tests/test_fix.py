"""What `fix` repairs, what it leaves, and that `undo` brings everything back."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.edits.change import apply, undo
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.fix import FIXABLE, Repair, find_repairs, fixable_findings, plan_of
from clothes_toolkit.images import open_image, pixels_hash
from clothes_toolkit.inspection import inspect_images
from clothes_toolkit.validate import validate
from tests.conftest import Run, draw_picture
from tests.contract import FIX
from tests.trees import contents, tree


def repairs_of(root: Path, scheme: str = "auto", *rules: str) -> list[Repair]:
    dataset = Dataset.open(root, scheme)
    images = inspect_images(dataset)
    return find_repairs(dataset, images, fixable_findings(dataset, images, rules or FIXABLE))


def moves(repairs: list[Repair]) -> list[tuple[str, str | None]]:
    return [(repair.path, repair.step.target if repair.step else None) for repair in repairs]


def encoded(path: Path, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(file, form, **options)
    return file.getvalue()


def test_a_sound_dataset_needs_no_repair(sound: Path, run: Run) -> None:
    assert repairs_of(sound) == []
    status, out, err = run("fix", sound)
    assert (status, out, err) == (0, "nothing to repair\n", "")


def upper(root: Path) -> str:
    (root / "trainA/00001_01.png").rename(root / "trainA/00001_01.PNG")
    return "trainA/00001_01.PNG"


def unpadded(root: Path) -> str:
    (root / "trainB/00002.png").rename(root / "trainB/2.png")
    return "trainB/2.png"


def on_the_wrong_side(root: Path) -> str:
    (root / "testA/00004_02.png").rename(root / "testB/00004_02.png")
    return "testB/00004_02.png"


def with_a_tail(root: Path) -> str:
    with (root / "testB/00005.png").open("ab") as file:
        file.write(b"a thumbnail, or worse")
    return "testB/00005.png"


def see_through(root: Path) -> str:
    layer = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    layer.paste((10, 20, 30, 255), (10, 10, 60, 20))
    layer.paste((10, 20, 30, 100), (10, 30, 60, 40))
    layer.save(root / "trainA/00003_01.png")
    return "trainA/00003_01.png"


def jpeg_named_png(root: Path) -> str:
    data = encoded(root / "trainB/00003.png", "JPEG", quality=95)
    (root / "trainB/00003.png").write_bytes(data)
    return "trainB/00003.png"


BREAKS: dict[str, tuple[Callable[[Path], str], str]] = {
    "name-case": (upper, "trainA/00001_01.png"),
    "name-format": (unpadded, "trainB/00002.png"),
    "wrong-side": (on_the_wrong_side, "testA/00004_02.png"),
    "trailing-data": (with_a_tail, "testB/00005.png"),
    "transparent-image": (see_through, "trainA/00003_01.png"),
    "format-mismatch": (jpeg_named_png, "trainB/00003.png"),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_fault_is_repaired_and_brought_back(sound: Path, rule: str, run: Run) -> None:
    make, target = BREAKS[rule]
    path = make(sound)
    before = tree(sound)
    seen = pixels_hash(open_image(sound / path))
    report = validate(Dataset.open(sound))
    assert (rule, path) in {(finding.rule, finding.path) for finding in report.findings}
    (repair,) = repairs_of(sound)
    assert (repair.path, repair.rules) == (path, (rule,))
    assert moves([repair]) == [(path, target)]
    status, out, _ = run("fix", sound, "--rule", rule, "--yes")
    assert status == 0
    assert path in out
    assert validate(Dataset.open(sound)).findings == ()
    assert pixels_hash(open_image(sound / target)) == seen
    assert set(before.values()) <= contents(sound)
    assert undo(sound) is not None
    assert tree(sound) == before


def test_every_fixable_rule_is_tried() -> None:
    assert set(BREAKS) == set(FIXABLE)


def test_all_at_once(sound: Path, run: Run) -> None:
    for make, _ in BREAKS.values():
        make(sound)
    before = tree(sound)
    status, _, err = run("fix", sound, "--yes")
    assert status == 0
    assert "changed 6 files" in err
    assert validate(Dataset.open(sound)).findings == ()
    undo(sound)
    assert tree(sound) == before


def test_several_faults_of_one_file(sound: Path) -> None:
    """A JPEG in capitals with a tail on the wrong side: one step, one PNG."""
    data = encoded(sound / "trainA/00001_01.png", "JPEG") + b"tail"
    (sound / "trainA/00001_01.png").unlink()
    (sound / "trainB/00001_01.PNG").write_bytes(data)
    (repair,) = repairs_of(sound)
    assert set(repair.rules) == {"name-case", "wrong-side", "format-mismatch", "trailing-data"}
    assert moves([repair]) == [("trainB/00001_01.PNG", "trainA/00001_01.png")]
    apply(sound, plan_of([repair]))
    with Image.open(sound / "trainA/00001_01.png") as image:
        assert image.format == "PNG"
    assert validate(Dataset.open(sound)).findings == ()


def test_a_taken_name_is_left(sound: Path, run: Run) -> None:
    shutil.copy(sound / "trainB/00001.png", sound / "trainB/1.png")
    draw_picture(sound / "trainB/1.png", 55, photo=True)
    before = tree(sound)
    status, out, _ = run("fix", sound, "--yes")
    assert status == 1
    assert "trainB/00001.png is there already" in out
    assert tree(sound) == before


def test_two_files_that_want_one_name(sound: Path) -> None:
    (sound / "trainB/00001.png").unlink()
    draw_picture(sound / "trainB/1.png", 55, photo=True)
    draw_picture(sound / "trainB/0001.png", 56, photo=True)
    first, second = repairs_of(sound)
    assert moves([first]) == [("trainB/0001.png", "trainB/00001.png")]
    assert (second.path, second.step) == ("trainB/1.png", None)
    assert second.obstacle == "trainB/00001.png is taken by trainB/0001.png"


def test_what_nobody_can_know_is_left(sound: Path, run: Run) -> None:
    draw_picture(sound / "trainB/jacket.png", 55, photo=True)
    (repair,) = repairs_of(sound)
    assert (repair.step, repair.obstacle) == (None, "nobody can tell which name was meant")
    assert run("fix", sound, "--yes")[0] == 1


def test_a_format_without_a_decoder_is_left(sound: Path) -> None:
    with Image.open(sound / "trainB/00001.png") as image:
        image.save(sound / "trainB/00001.png", "GIF")
    (repair,) = repairs_of(sound)
    assert repair.step is None
    assert repair.obstacle


def test_the_open_scheme_keeps_jpeg_bytes(pool: Path) -> None:
    data = encoded(pool / "B/oak-chair.png", "JPEG")
    (pool / "B/oak-chair.png").unlink()
    (pool / "B/oak-chair.webp").write_bytes(data)
    (repair,) = repairs_of(pool)
    assert moves([repair]) == [("B/oak-chair.webp", "B/oak-chair.jpg")]
    apply(pool, plan_of([repair]))
    assert (pool / "B/oak-chair.jpg").read_bytes() == data


def test_a_transparent_webp_stays_a_webp(pool: Path) -> None:
    layer = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    layer.paste((10, 20, 30, 255), (10, 10, 60, 20))
    (pool / "A/oak-chair_01.png").unlink()
    layer.save(pool / "A/oak-chair_01.webp", lossless=True)
    seen = pixels_hash(open_image(pool / "A/oak-chair_01.webp"))
    (repair,) = repairs_of(pool)
    apply(pool, plan_of([repair]))
    with Image.open(pool / "A/oak-chair_01.webp") as image:
        assert (image.format, image.mode) == ("WEBP", "RGB")
    assert pixels_hash(open_image(pool / "A/oak-chair_01.webp")) == seen


def test_links_and_accepted_findings_stay(sound: Path) -> None:
    (sound / "trainB/9.png").symlink_to("00001.png")
    upper(sound)
    (sound / "clothes.toml").write_text(
        '[[accepted]]\nrule = "name-case"\npath = "trainA/00001_01.PNG"\nreason = "Mine."\n'
    )
    assert [(repair.path, repair.step) for repair in repairs_of(sound)] == [("trainB/9.png", None)]


def test_dry_run_and_a_pipe_change_nothing(sound: Path, run: Run) -> None:
    upper(sound)
    before = tree(sound)
    status, out, err = run("fix", sound, "--dry-run")
    assert (status, err) == (0, "")
    assert "trainA/00001_01.PNG → trainA/00001_01.png" in out
    status, out, err = run("fix", sound)
    assert status == 2
    assert "--yes" in err
    assert tree(sound) == before
    assert undo(sound) is None


def test_each_rule_is_asked_for(sound: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    upper(sound)
    with_a_tail(sound)
    asked: list[str] = []

    def confirm(question: str, **_settings: object) -> bool:
        asked.append(question)
        return question.startswith("name-case")

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    status, _, err = run("fix", sound)
    assert asked == [
        "name-case: rename to lower case (1 file)?",
        "trailing-data: cut off what follows the image's end (1 file)?",
    ]
    assert "changed 1 file;" in err
    assert status == 1
    assert [finding.rule for finding in validate(Dataset.open(sound)).findings] == ["trailing-data"]


def test_json_follows_the_contract(sound: Path, run: Run) -> None:
    upper(sound)
    draw_picture(sound / "trainB/jacket.png", 55, photo=True)
    status, out, _ = run("fix", sound, "--yes", "--format", "json")
    document = json.loads(out)
    jsonschema.validate(document, FIX)
    assert (status, document["applied"]) == (1, True)
    assert document["repairs"] == [
        {
            "path": "trainA/00001_01.PNG",
            "rules": ["name-case"],
            "to": "trainA/00001_01.png",
            "obstacle": None,
        },
        {
            "path": "trainB/jacket.png",
            "rules": ["name-format"],
            "to": None,
            "obstacle": "nobody can tell which name was meant",
        },
    ]


def test_a_file_that_changed_meanwhile_is_not_repaired(sound: Path) -> None:
    with_a_tail(sound)
    plan = plan_of(repairs_of(sound))
    draw_picture(sound / "testB/00005.png", 777, photo=True)
    before = tree(sound)
    with pytest.raises(ToolkitError, match="was changed"):
        apply(sound, plan)
    assert tree(sound) == before


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.sets(st.sampled_from(sorted(BREAKS))))
def test_any_faults_together_are_repaired_and_undone(
    chosen: set[str], tmp_path_factory: pytest.TempPathFactory, sound: Path
) -> None:
    root = tmp_path_factory.mktemp("faults") / "Clothes"
    shutil.copytree(sound, root)
    for rule in sorted(chosen):
        BREAKS[rule][0](root)
    before = tree(root)
    plan = plan_of(repairs_of(root))
    assert len(plan.steps) == len(chosen)
    if chosen:
        apply(root, plan)
        assert validate(Dataset.open(root)).findings == ()
        undo(root)
    assert tree(root) == before


def test_an_animation_is_not_cut_to_its_first_frame(sound: Path) -> None:
    layers = [Image.new("RGBA", (80, 80), (0, 0, 0, alpha)) for alpha in (0, 90)]
    for layer in layers:
        layer.paste((0, 0, 0, 255), (10, 10, 60, 14))
    path = sound / "trainA/00003_01.png"
    layers[0].save(path, save_all=True, append_images=layers[1:])
    (repair,) = repairs_of(sound, "auto", "transparent-image")
    assert repair.step is None
    assert "more than one frame" in repair.obstacle


def test_only_the_rule_that_was_asked_for(sound: Path) -> None:
    path = sound / "testB/00005.PNG"
    (sound / "testB/00005.png").rename(path)
    with path.open("ab") as file:
        file.write(b"tail")
    repairs = repairs_of(sound, "auto", "trailing-data")
    assert moves(repairs) == [("testB/00005.PNG", "testB/00005.PNG")]
