"""The house: which room may know which, what is packed, what the repository holds."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("clothes_toolkit", "arnet", "annotation_ui")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or ""


def test_every_import_points_down() -> None:
    for path in (ROOT / "arnet").rglob("*.py"):
        assert not any(
            name.startswith(("clothes_toolkit", "annotation_ui")) for name in imports(path)
        )
    for path in (ROOT / "clothes_toolkit").rglob("*.py"):
        names = list(imports(path))
        assert not any(name.startswith("annotation_ui") for name in names), path
        if "learn" not in path.parts and "cli" not in path.parts:
            assert not any(name.partition(".")[0] == "arnet" for name in names), path


def test_the_library_neither_prints_nor_exits() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "cli" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    assert ast.unparse(node.func) not in ("print", "sys.exit", "exit"), path


def test_importing_the_toolkit_is_light() -> None:
    script = (
        "import sys; import clothes_toolkit, clothes_toolkit.cli.validate; "
        "heavy = {'torch', 'timm', 'numpy', 'gradio', 'rich', 'datasets', 'huggingface_hub'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_nothing_large_or_foreign_is_tracked() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        assert path.stat().st_size < 1_000_000, name
        assert path.suffix not in {".safetensors", ".pth", ".pt", ".pkl", ".parquet"}, name


def test_the_wheel_holds_the_three_packages_and_their_types(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
        assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
            *PACKAGES
        }
        sources = {
            path.relative_to(ROOT).as_posix()
            for package in PACKAGES
            for path in (ROOT / package).rglob("*.py")
        }
        assert sources <= set(names)
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert b"clothes-toolkit = clothes_toolkit.cli:main" in archive.read(entry_points)
