"""The documentation says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clothes_toolkit.cli import cli
from clothes_toolkit.expectations import CLOTHES_V1
from tests import reference

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_the_reference_is_up_to_date() -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith(("https://", "http://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_docs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"^\s*(?:\$ )?clothes-toolkit ([a-z]+)", text, re.MULTILINE):
        assert name in cli.commands_at, name


def test_python_in_the_docs_compiles() -> None:
    for page in PAGES:
        for block in re.findall(
            r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        ):
            compile(block, str(page), "exec")


def test_the_example_for_researchers_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    from arnet.methods.base import Method

    page = (ROOT / "docs" / "researchers.md").read_text(encoding="utf-8")
    *_, code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for name in ("s0", "s1", "s2", "p0", "p1"):
        Image.effect_noise((64, 64), 50).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    small = code.replace("vit_tiny_patch16_224", "test_vit").replace('"hub"', '"none"')
    assert small.count("none") == 1
    space: dict[str, object] = {}
    exec(compile(small, "researchers.md", "exec"), space)  # noqa: S102 - our own page
    assert 0 <= float(capsys.readouterr().out) <= 100
    assert isinstance(space["again"], Method)


def test_the_readme_names_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in text
        assert f"\n{target}:" in makefile


def test_rooms_in_the_architecture_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `([a-z_/.]+)`", text, re.MULTILINE)
    assert len(rooms) > 20
    assert [room for room in rooms if not (ROOT / room).exists()] == []


def test_the_card_has_the_expected_counts() -> None:
    card = (ROOT / "DATASET_CARD.md").read_text(encoding="utf-8")
    (train, test) = CLOTHES_V1.splits["train"], CLOTHES_V1.splits["test"]
    for number in (CLOTHES_V1.photos, CLOTHES_V1.sketches, *train, *test):
        assert str(number) in card
