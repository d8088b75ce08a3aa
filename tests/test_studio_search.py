"""What a sketch retrieves, in the studio."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from annotation_ui.api import told_of
from annotation_ui.search import Search
from annotation_ui.store import Store
from annotation_ui.studio import Studio
from arnet import create_method, save_method
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.learn.bridge import load_images_for, pairs_of
from tests.test_studio import ANN, document


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    save_method(folder, create_method("arnet-mstr", "test_vit", form="match", scales=(1,)))
    return folder


def test_photos_rank_as_the_checkpoint_ranks_them(sound: Path, checkpoint: Path) -> None:
    search = Search(sound, checkpoint)
    method = search._method
    picture = Image.open(sound / "trainA/00001_01.png").convert("RGB")
    ranked = search.find(picture)
    dataset = Dataset.open(sound)
    assert sorted(stem for stem, _ in ranked) == sorted(photo.stem for photo in dataset.photos)
    assert [likeness for _, likeness in ranked] == sorted((s for _, s in ranked), reverse=True)
    train = load_images_for(method, pairs_of(dataset, "train"))
    with torch.inference_mode():
        sketch = method.embed_sketch(train.sketches[:1].float() / 255)
        photos = method.embed_photo(train.photos.float() / 255)
        expected = method.similarity(sketch, photos)[0]
    found = dict(ranked)
    stems = [photo.stem for photo in dataset.photos if photo.split == "train"]
    assert [found[stem] for stem in stems] == pytest.approx(expected.tolist(), abs=1e-5)
    rank, first = search.rank_of(picture, "00001")
    assert first[rank - 1][0] == "00001"
    # A photo that comes, and one that goes, are noticed.
    (sound / "testB/00005.png").rename(sound / "trainB/00009.png")
    assert "00009" in dict(search.find(picture))
    assert "00005" not in dict(search.find(picture))


def test_an_empty_sheet_finds_nothing_and_a_drawing_does(sound: Path, checkpoint: Path) -> None:
    search = Search(sound, checkpoint)
    assert search.find_drawing(document(0, 0)) == []
    assert len(search.find_drawing(document(1))) == 5
    with pytest.raises(ToolkitError, match="no drawing"):
        search.find_drawing(b"{}")
    with pytest.raises(ToolkitError, match="nothing"):
        Search(sound, sound / "nothing")


def test_who_hands_in_is_told_what_the_sketch_finds(
    sound: Path, tmp_path: Path, checkpoint: Path
) -> None:
    studio = Studio(sound, Store(tmp_path / "studio.sqlite"))
    search = Search(sound, checkpoint)
    studio.save_draft(ANN, "00001", 0, document(1))
    told = told_of(studio, search, ANN, "00001", studio.submit_drawing(ANN, "00001"))
    assert told["found"]["among"] == 5
    place = [one["photo"] for one in told["found"]["photos"]].index("00001")
    assert told["found"]["rank"] == place + 1
    json.dumps(told)
    studio.save_draft(ANN, "00002", 0, document(0, 0))
    told = told_of(studio, search, ANN, "00002", studio.submit_drawing(ANN, "00002"))
    assert "found" not in told
    picture = studio.store.submissions()[0].picture
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (512, 512)
