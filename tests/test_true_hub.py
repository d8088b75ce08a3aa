"""The true Hub, where a token and a repository for it are given (docs/releases.md)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from clothes_toolkit.release.version import Version
from tests.conftest import draw_picture
from tests.releases import add_strokes, call, loaded
from tests.trees import tree

TOKEN, REPO = (os.environ.get(f"CLOTHES_HUB_{name}") for name in ("TOKEN", "REPO"))


@pytest.mark.skipif(not (TOKEN and REPO), reason="CLOTHES_HUB_TOKEN and _REPO are not set")
def test_a_release_on_the_true_hub(sound: Path, tmp_path: Path) -> None:
    """Release the next version of a small dataset, load it, and have the folder back."""
    add_strokes(sound)
    api = HfApi(token=TOKEN)
    try:
        refs = api.list_repo_refs(str(REPO), repo_type="dataset")
        found = [Version.of_tag(tag.name) for tag in refs.tags]
    except RepositoryNotFoundError:
        found = []
    newest = max((version for version in found if version), default=Version(0, 0, 0))
    version = Version(newest.major + 1, 0, 0)
    # Another drawing each time, so that there is something to send.
    draw_picture(sound / "testA" / "00004_03.png", version.major, photo=False)
    env = dict(os.environ) | {"HF_TOKEN": str(TOKEN), "HF_HOME": str(tmp_path / "home")}
    words = ("publish", sound, "--repo-id", REPO, "--version", version, "--private", "--yes")
    done = call(*words, env=env)
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in call(*words, env=env).stdout
    pairs = loaded(str(REPO), "pairs", version.tag, env)
    assert {split: len(rows) for split, rows in pairs.items()} == {"train": 6, "test": 5}
    out = tmp_path / "Back"
    done = call("download", REPO, "--version", version, "--out", out, env=env)
    assert done.returncode == 0, done.stderr
    assert tree(out) == tree(sound)
