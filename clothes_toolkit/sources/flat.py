"""A flat folder: photos and sketches side by side, a sketch named after its photo."""

from __future__ import annotations

from pathlib import Path

from clothes_toolkit import naming
from clothes_toolkit.sources.found import (
    Found,
    FoundPhoto,
    FoundSketch,
    sort_images,
    stem_of,
    take_number,
    visible_files,
)


def recognizes(root: Path) -> bool:
    """Whether a folder holds images itself."""
    return any(naming.is_image_name(path.name) for path in visible_files(root))


def read(root: Path) -> Found:
    """Return what a flat folder holds: `STEM_1.png` is a sketch where there is a `STEM.png`."""
    found = Found()
    files = sort_images(root, root, found.left_out)
    stems = {stem_of(file) for file in files}
    for file in files:
        numbered = take_number(stem_of(file))
        if numbered is not None and numbered[0] in stems:
            found.sketches.append(FoundSketch(file.name, *numbered, file=file))
        else:
            found.photos.append(FoundPhoto(file, stem_of(file)))
    return found
