"""The command line with run-time dependencies only; run by `make smoke`."""

from __future__ import annotations

import importlib.resources
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from clothes_toolkit.sources.garments import make_garments

COMMAND = [sys.executable, "-m", "clothes_toolkit"]


def main() -> None:
    """Make a dataset, validate it, and see what needs an extra refused."""
    if importlib.util.find_spec("torch") is not None:
        raise SystemExit("torch is installed here: this shows nothing")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "Clothes-Demo"
        make_garments(root, train_photos=30, test_photos=6, size=96)
        for command, status in (("validate", 0), ("stats", 0), ("dedup", 0), ("fix", 0)):
            found = subprocess.run(
                [*COMMAND, command, str(root), "--format", "json", "--jobs", "2"],
                capture_output=True,
                check=False,
            )
            if found.returncode != status or found.stderr:
                raise SystemExit(f"{command}: {found.returncode} {found.stderr.decode()}")
            json.loads(found.stdout)
        same = [*COMMAND, "diff", str(root), str(root), "--format", "json"]
        found = subprocess.run(same, capture_output=True, check=False)
        if found.returncode or json.loads(found.stdout)["version_step"] != "none":
            raise SystemExit(f"diff: {found.returncode} {found.stderr.decode()}")
        split = [*COMMAND, "split", str(root), "--out", str(root) + "-2", "--test-photos", "9"]
        found = subprocess.run(split, capture_output=True, check=False)
        if found.returncode or found.stderr:
            raise SystemExit(f"split: {found.returncode} {found.stderr.decode()}")
        release = ["publish", str(root), "--to", folder + "/r", "--version", "1.0.0", "--yes"]
        for words, extra in ((["models"], b"[learn]"),
                             (["card", str(root)], b"[hub]"),
                             (release, b"[hub]"),
                             (["annotate", str(root), "--no-login"], b"[annotate]")):  # fmt: skip
            found = subprocess.run([*COMMAND, *words], capture_output=True, check=False)
            if found.returncode != 2 or extra not in found.stderr:
                raise SystemExit(f"{words[0]}: {found.returncode} {found.stderr.decode()}")
        if not (importlib.resources.files("annotation_ui") / "assets" / "pad.js").is_file():
            raise SystemExit("the studio's pages are not installed")
    sys.stdout.write("smoke: the command line works with run-time dependencies only\n")


if __name__ == "__main__":
    main()
