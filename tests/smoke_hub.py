"""Releases with the [hub] extra alone; run by `make smoke`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from clothes_toolkit.sources.garments import make_garments

COMMAND = [sys.executable, "-m", "clothes_toolkit"]


def main() -> None:
    """Release a dataset to a folder and have it back."""
    if any(importlib.util.find_spec(name) for name in ("torch", "gradio")):
        raise SystemExit("another extra is installed here: this shows nothing")
    with tempfile.TemporaryDirectory() as folder:
        root, back, to = (Path(folder) / name for name in ("Clothes-Demo", "Back", "releases"))
        make_garments(root, train_photos=6, test_photos=3, size=96)
        version = ["--version", "1.0.0"]
        for words in (
            ["card", root],
            ["publish", root, "--to", to, *version, "--yes"],
            ["download", to, *version, "--out", back],
            ["diff", root, back],
        ):
            found = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, check=False)
            if found.returncode:
                raise SystemExit(f"{words[0]}: {found.returncode} {found.stderr.decode()}")
    sys.stdout.write("smoke: releases work with the [hub] extra alone\n")


if __name__ == "__main__":
    main()
