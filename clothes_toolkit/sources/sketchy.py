"""The Sketchy database (Sangkloy et al., SIGGRAPH 2016).

`photo/` and `sketch/` hold renderings (`tx_…`) or categories; a sketch of `n02691156_10151.jpg` is
`n02691156_10151-1.png` in the folder of the same category.
"""

from __future__ import annotations

from pathlib import Path

from clothes_toolkit.sources.found import (
    Found,
    FoundPhoto,
    FoundSketch,
    LeftOut,
    sort_images,
    stem_of,
    take_number,
    visible_files,
)


def recognizes(root: Path) -> bool:
    """Whether a folder has photo and sketch folders by category."""
    return all(
        (root / side).is_dir() and any(path.is_dir() for path in visible_files(root / side))
        for side in ("photo", "sketch")
    )


def read(root: Path) -> Found:
    """Return what a Sketchy folder holds: every category, the first rendering."""
    found = Found()
    for path in visible_files(root):
        if path.name not in ("photo", "sketch"):
            found.left_out.append(LeftOut(path.name, "no photo and no sketch"))
    photos = _categories(root / "photo", root, found.left_out)
    sketches = _categories(root / "sketch", root, found.left_out)
    homes: dict[str, set[str]] = {}
    for category, folder in photos.items():
        for file in sort_images(folder, root, found.left_out):
            homes.setdefault(stem_of(file), set()).add(category)
            found.photos.append(FoundPhoto(file, f"{category}/{stem_of(file)}"))
    for category, folder in sketches.items():
        for file in sort_images(folder, root, found.left_out):
            origin = file.relative_to(root).as_posix()
            numbered = take_number(stem_of(file))
            if numbered is None:
                found.left_out.append(LeftOut(origin, "not named like STEM-1.png"))
            else:
                photo = f"{category}/{numbered[0]}"
                found.sketches.append(FoundSketch(origin, photo, numbered[1], file=file))
    return _without_categories(found, homes)


def _without_categories(found: Found, homes: dict[str, set[str]]) -> Found:
    """Name photos without their category where that is one of a kind."""

    def short(stem: str) -> str:
        category, _, name = stem.partition("/")
        return name if len(homes.get(name, ())) < 2 else f"{category}-{name}"

    photos = [FoundPhoto(p.file, p.stem, name=short(p.stem)) for p in found.photos]
    return Found(photos, found.sketches, found.left_out)


def _categories(folder: Path, root: Path, left_out: list[LeftOut]) -> dict[str, Path]:
    """Return the folders of the categories, of the first rendering where there are several."""
    inner = [path for path in visible_files(folder) if path.is_dir() and not path.is_symlink()]
    renderings = [path for path in inner if path.name.startswith("tx_")]
    if renderings:
        left_out += (
            LeftOut(other.relative_to(root).as_posix(), "another rendering")
            for other in renderings[1:]
        )
        inner = [path for path in visible_files(renderings[0]) if path.is_dir()]
    return {path.name: path for path in inner}
