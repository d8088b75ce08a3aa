"""The Hub of the tests, asked by the real clients: what it keeps, what it refuses, how it fails."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    constants,
)
from huggingface_hub.community import DiscussionStatusChange
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils._http import close_session
from huggingface_hub.utils.sha import git_hash

from tests.hub import READER, STRANGER, WRITER, Hub, running_hub

# `huggingface_hub` uploads in a way that its HTTP client would rather not see.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

CARD = b"---\nlicense: mit\n---\nA dataset.\n"
ROOT = Path(__file__).parents[1]
NUMBERS = count(1)
ROWS = random.Random(7).randbytes(300_000)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as found:
        yield found
    close_session()


@pytest.fixture
def hub(served: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield served
    served.heal()


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.url, token=WRITER)


@pytest.fixture
def repo(api: HfApi) -> str:
    """A dataset with a card, rows and a table in a folder."""
    name = f"org/dataset-{next(NUMBERS):03}"
    api.create_repo(name, repo_type="dataset")
    commit(api, name, {"README.md": CARD, "data/rows.parquet": ROWS, "table.csv": b"a,b\n1,2\n"})
    return name


def commit(api: HfApi, repo: str, files: dict[str, bytes | None], **more: Any) -> str:
    operations = [
        CommitOperationDelete(path) if content is None else CommitOperationAdd(path, content)
        for path, content in files.items()
    ]
    told = api.create_commit(repo, operations, commit_message="Say", repo_type="dataset", **more)
    return str(told.oid)


def download(hub: Hub, repo: str, name: str, cache: Path, revision: str = "main") -> bytes:
    api = HfApi(endpoint=hub.url, token=WRITER)
    path = api.hf_hub_download(repo, name, revision=revision, cache_dir=cache, repo_type="dataset")
    return Path(path).read_bytes()


def asked(hub: Hub, *words: str) -> list[int]:
    """The statuses of all requests whose method and path contain some words."""
    found = [(f"{method} {path}", status) for method, path, status in hub.log()]
    return [status for line, status in found if all(word in line for word in words)]


def refused(status: int) -> Any:
    return pytest.raises(HfHubHTTPError, check=lambda error: error.response.status_code == status)


# Who


def test_tokens_say_who_somebody_is(hub: Hub, api: HfApi) -> None:
    told = api.whoami()
    assert (told["name"], told["orgs"][0]["name"]) == ("writer", "org")
    assert told["auth"]["accessToken"]["role"] == "write"
    assert HfApi(endpoint=hub.url, token=READER).whoami()["orgs"][0]["roleInOrg"] == "read"
    assert HfApi(endpoint=hub.url, token=STRANGER).whoami()["orgs"] == []
    with refused(401):
        HfApi(endpoint=hub.url, token="hf_unknown").whoami()  # noqa: S106
    with refused(401):
        HfApi(endpoint=hub.url, token="hf_unknown").dataset_info("org/public")  # noqa: S106


def test_only_writers_write(hub: Hub, api: HfApi, repo: str) -> None:
    for token in (READER, STRANGER):
        other = HfApi(endpoint=hub.url, token=token)
        assert other.dataset_info(repo).id == repo
        with refused(403):
            other.create_repo("org/new", repo_type="dataset")
        with refused(403):
            commit(other, repo, {"a.txt": b"a"})
        with refused(403):
            other.create_tag(repo, tag="v1", repo_type="dataset")
        with refused(403):
            other.delete_repo(repo, repo_type="dataset")
    with refused(401):
        commit(HfApi(endpoint=hub.url, token=False), repo, {"a.txt": b"a"})
    assert len(hub.commits(repo, "main")) == 2


def test_private_is_not_there_for_strangers(hub: Hub, api: HfApi, repo: str) -> None:
    api.update_repo_settings(repo, private=True, repo_type="dataset")
    assert api.dataset_info(repo).private
    assert HfApi(endpoint=hub.url, token=READER).dataset_info(repo).private
    for token in (STRANGER, False):
        other = HfApi(endpoint=hub.url, token=token)
        with pytest.raises(RepositoryNotFoundError):
            other.dataset_info(repo)
        assert not other.file_exists(repo, "README.md", repo_type="dataset")
    api.update_repo_settings(repo, visibility="public", repo_type="dataset")
    assert HfApi(endpoint=hub.url, token=False).dataset_info(repo).private is False


# Repositories and commits


def test_a_repository_comes_and_goes(hub: Hub, api: HfApi) -> None:
    url = api.create_repo("org/passing", repo_type="dataset", private=True)
    assert (url.repo_id, url.repo_type, url.endpoint) == ("org/passing", "dataset", hub.url)
    assert api.create_repo("org/passing", repo_type="dataset", exist_ok=True) == url
    with refused(409):
        api.create_repo("org/passing", repo_type="dataset")
    assert api.create_repo("mine", repo_type="model").repo_id == "writer/mine"
    assert set(hub.refs("org/passing")) == {"heads/main"}
    assert set(hub.files("org/passing", "main")) == {".gitattributes"}
    api.delete_repo("org/passing", repo_type="dataset")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("org/passing", repo_type="dataset")
    assert not api.repo_exists("org/passing", repo_type="dataset")


def test_commits_hold_regular_and_lfs_files(hub: Hub, api: HfApi, repo: str) -> None:
    entries = {e.path: e for e in api.list_repo_tree(repo, recursive=True, repo_type="dataset")}
    assert set(entries) == {".gitattributes", "README.md", "data", "data/rows.parquet", "table.csv"}
    rows, table = entries["data/rows.parquet"], entries["table.csv"]
    assert isinstance(entries["data"], RepoFolder)
    assert isinstance(rows, RepoFile)
    assert isinstance(table, RepoFile)
    assert rows.lfs is not None
    assert (rows.lfs.sha256, rows.size) == (hashlib.sha256(ROWS).hexdigest(), len(ROWS))
    assert (table.lfs, table.blob_id) == (None, git_hash(b"a,b\n1,2\n"))
    infos = api.get_paths_info(repo, ["data", "table.csv", "no"], repo_type="dataset")
    assert infos == [entries["data"], table]
    info = api.dataset_info(repo, files_metadata=True)
    assert info.sha == hub.refs(repo)["heads/main"]
    assert info.card_data is not None
    assert info.card_data["license"] == "mit"
    assert {s.rfilename: s.lfs for s in info.siblings or []}["data/rows.parquet"] == rows.lfs
    assert hub.files(repo, "main")["data/rows.parquet"] == ROWS
    assert api.dataset_info(repo, expand=["sha"]).siblings is None


def test_what_is_large_is_uploaded_in_parts(hub: Hub, api: HfApi, repo: str) -> None:
    text = b"0123456789abcde\n" * 700_000
    commit(api, repo, {"long.txt": text})
    assert hub.files(repo, "main")["long.txt"] == text
    oid = hashlib.sha256(text).hexdigest()
    assert asked(hub, "PUT", f"/lfs/{oid}") == [200] * 3
    assert asked(hub, "POST", f"/lfs-complete/{oid}") == [200]


def test_files_and_folders_are_deleted(hub: Hub, api: HfApi, repo: str) -> None:
    commit(api, repo, {"data/": None, "table.csv": None, "new.txt": b"new"})
    assert set(hub.files(repo, "main")) == {".gitattributes", "README.md", "new.txt"}
    with pytest.raises(EntryNotFoundError, match="doesn't exist"):
        commit(api, repo, {"table.csv": None})


def test_a_commit_without_changes(hub: Hub, api: HfApi, repo: str) -> None:
    before = hub.commits(repo, "main")
    assert commit(api, repo, {"data/rows.parquet": ROWS, "README.md": CARD}) == before[0]
    assert hub.commits(repo, "main") == before
    url = f"{hub.url}/api/datasets/{repo}/commit/main"
    line = json.dumps({"key": "header", "value": {"summary": "Nothing"}})
    told = httpx.post(url, content=line, headers={"Authorization": f"Bearer {WRITER}"})
    assert hub.commits(repo, "main") == [told.json()["commitOid"], *before]


def test_a_stale_parent_is_refused(hub: Hub, api: HfApi, repo: str) -> None:
    parent = hub.refs(repo)["heads/main"]
    changed = hub.commit(repo, {"other.txt": b"other", "table.csv": None})
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as stale:
        commit(api, repo, {"a.txt": b"a"}, parent_commit=parent)
    assert stale.value.response.status_code == 412
    made = commit(api, repo, {"a.txt": b"a"}, parent_commit=changed[:10])
    assert hub.commits(repo, "main")[:3] == [made, changed, parent]


def test_one_of_many_publishers_wins(hub: Hub, api: HfApi, repo: str) -> None:
    parent = hub.refs(repo)["heads/main"]

    def publish(number: int) -> str | None:
        files: dict[str, bytes | None] = {f"{n}.txt": b"%d" % number for n in range(3)}
        try:
            return commit(api, repo, {**files, "n.bin": bytes([number])}, parent_commit=parent)
        except HfHubHTTPError as error:
            assert error.response.status_code == 412  # noqa: PT017
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [oid for oid in pool.map(publish, range(8)) if oid]
    assert hub.commits(repo, "main")[:2] == [*made, parent]
    files = hub.files(repo, "main")
    assert files["0.txt"] == files["2.txt"] == b"%d" % files["n.bin"][0]


def test_objects_are_uploaded_once(hub: Hub, api: HfApi, repo: str) -> None:
    content = ROWS[::-1]
    oid = hashlib.sha256(content).hexdigest()
    addition = CommitOperationAdd("data/new.parquet", content)
    api.preupload_lfs_files(repo, [addition], repo_type="dataset")
    assert asked(hub, "PUT", oid) == [200]
    assert "data/new.parquet" not in hub.files(repo, "main")
    api.create_commit(repo, [addition], commit_message="Say", repo_type="dataset")
    commit(api, repo, {"data/again.parquet": content})
    assert hub.files(repo, "main")["data/again.parquet"] == content
    assert asked(hub, "PUT", oid) == [200]


def test_pointers_to_nothing_are_refused(hub: Hub, api: HfApi, repo: str) -> None:
    addition = CommitOperationAdd("data/new.parquet", b"never uploaded")
    addition._upload_mode, addition._is_uploaded = "lfs", True
    with pytest.raises(BadRequestError, match=r"does not exist\. Offending file: - data/new"):
        api.create_commit(repo, [addition], commit_message="Say", repo_type="dataset")


def test_cards_are_checked(hub: Hub, api: HfApi, repo: str) -> None:
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        commit(api, repo, {"README.md": b"---\nlicense: [mit\n---\n"})
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        commit(api, repo, {"README.md": b"No metadata.\n"})


# Branches, tags, history


def test_branches(hub: Hub, api: HfApi, repo: str) -> None:
    start = hub.commits(repo, "main")[-1]
    api.create_branch(repo, branch="release/1.0", repo_type="dataset")
    api.create_branch(repo, branch="empty", revision=start, repo_type="dataset")
    with refused(409):
        api.create_branch(repo, branch="empty", repo_type="dataset")
    api.create_branch(repo, branch="empty", repo_type="dataset", exist_ok=True)
    with pytest.raises(BadRequestError, match="Invalid reference"):
        api.create_branch(repo, branch="refs/pr/5", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.create_branch(repo, branch="b", revision="no", repo_type="dataset")
    made = commit(api, repo, {"a.txt": b"a"}, revision="release/1.0")
    assert hub.refs(repo)["heads/release/1.0"] == made
    assert hub.files(repo, "release/1.0")["a.txt"] == b"a"
    assert "a.txt" not in hub.files(repo, "main")
    assert api.file_exists(repo, "a.txt", revision="release/1.0", repo_type="dataset")
    api.delete_branch(repo, branch="release/1.0", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(repo, revision="release/1.0")
    with pytest.raises(HfHubHTTPError, match="Cannot delete"):
        api.delete_branch(repo, branch="main", repo_type="dataset")


def test_tags(hub: Hub, api: HfApi, repo: str) -> None:
    sha = hub.refs(repo)["heads/main"]
    api.create_tag(repo, tag="v1.0.0", tag_message="The first", repo_type="dataset")
    commit(api, repo, {"a.txt": b"a"})
    with refused(409):
        api.create_tag(repo, tag="v1.0.0", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(repo, tag="v2", revision="no", repo_type="dataset")
    assert hub.refs(repo)["tags/v1.0.0"] == sha
    assert api.dataset_info(repo, revision="v1.0.0").sha == sha
    found = api.list_repo_refs(repo, repo_type="dataset")
    assert [(tag.name, tag.ref, tag.target_commit) for tag in found.tags] == [
        ("v1.0.0", "refs/tags/v1.0.0", sha)
    ]
    with pytest.raises(RevisionNotFoundError):
        commit(api, repo, {"a.txt": b"b"}, revision="v1.0.0")
    api.delete_tag(repo, tag="v1.0.0", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag(repo, tag="v1.0.0", repo_type="dataset")


def test_long_lists_come_in_pages(hub: Hub, api: HfApi, repo: str) -> None:
    hub.commit(repo, {f"many/{number:04}.txt": b"1" for number in range(1010)})
    for number in range(60):
        hub.commit(repo, {"n.txt": b"%d" % number})
    assert len(list(api.list_repo_tree(repo, "many", repo_type="dataset"))) == 1010
    found = api.list_repo_commits(repo, repo_type="dataset")
    assert [one.commit_id for one in found] == hub.commits(repo, "main")
    assert (found[-1].title, found[-2].authors) == ("initial commit", ["writer"])
    assert asked(hub, f"GET /api/datasets/{repo}/tree/main/many") == [200, 200]


# Pull requests


def test_a_pull_request_is_merged(hub: Hub, api: HfApi, repo: str) -> None:
    stranger = HfApi(endpoint=hub.url, token=STRANGER)
    add, delete = CommitOperationAdd("b.parquet", b"b"), CommitOperationDelete("table.csv")
    told = stranger.create_commit(
        repo, [add, delete], commit_message="Change it", repo_type="dataset", create_pr=True
    )
    assert (told.pr_num, told.pr_revision) == (1, "refs/pr/1")
    again = commit(stranger, repo, {"c.txt": b"c"}, revision="refs/pr/1")
    assert hub.refs(repo)["pr/1"] == again
    other = hub.commit(repo, {"other.txt": b"other"})
    with refused(403):
        stranger.merge_pull_request(repo, 1, repo_type="dataset")
    api.merge_pull_request(repo, 1, repo_type="dataset")
    details = api.get_discussion_details(repo, 1, repo_type="dataset")
    assert (details.status, details.target_branch) == ("merged", "refs/heads/main")
    assert hub.commits(repo, "main")[:2] == [details.merge_commit_oid, other]
    files = hub.files(repo, "main")
    assert (files["b.parquet"], files["c.txt"], files["other.txt"]) == (b"b", b"c", b"other")
    assert "table.csv" not in files


def test_pull_requests_wait_close_and_conflict(hub: Hub, api: HfApi, repo: str) -> None:
    draft = api.create_pull_request(repo, "A draft", repo_type="dataset")
    assert (draft.status, draft.git_reference) == ("draft", "refs/pr/1")
    commit(api, repo, {"table.csv": b"theirs"}, revision="refs/pr/1")
    with refused(409):
        api.merge_pull_request(repo, 1, repo_type="dataset")
    opened = api.change_discussion_status(repo, 1, "open", repo_type="dataset")
    assert isinstance(opened, DiscussionStatusChange)
    hub.commit(repo, {"table.csv": b"ours"})
    found = api.get_discussion_details(repo, 1, repo_type="dataset")
    assert found.conflicting_files == ["table.csv"]
    with refused(409):
        api.merge_pull_request(repo, 1, repo_type="dataset")
    api.change_discussion_status(repo, 1, "closed", comment="No", repo_type="dataset")
    assert [one.status for one in api.get_repo_discussions(repo, repo_type="dataset")] == ["closed"]
    refs = api.list_repo_refs(repo, repo_type="dataset", include_pull_requests=True)
    assert [one.ref for one in refs.pull_requests or []] == ["refs/pr/1"]


# Downloads


def test_every_revision_is_downloaded(hub: Hub, api: HfApi, repo: str, tmp_path: Path) -> None:
    api.create_tag(repo, tag="v1.0.0", repo_type="dataset")
    old = hub.refs(repo)["tags/v1.0.0"]
    hub.commit(repo, {"data/rows.parquet": b"new rows"})
    commit(api, repo, {"table.csv": b"c\n"}, create_pr=True)
    for revision in ("v1.0.0", old):
        assert download(hub, repo, "data/rows.parquet", tmp_path, revision) == ROWS
    assert download(hub, repo, "data/rows.parquet", tmp_path) == b"new rows"
    assert download(hub, repo, "table.csv", tmp_path, "refs/pr/1") == b"c\n"
    with pytest.raises(EntryNotFoundError):
        download(hub, repo, "no.txt", tmp_path)
    with pytest.raises(RevisionNotFoundError):
        download(hub, repo, "table.csv", tmp_path, "v2.0.0")
    folder = Path(
        api.snapshot_download(repo, revision="v1.0.0", cache_dir=tmp_path, repo_type="dataset")
    )
    read = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert read == set(hub.files(repo, "v1.0.0"))


def test_parts_of_files_are_read(hub: Hub, repo: str) -> None:
    files = HfFileSystem(endpoint=hub.url, token=WRITER, skip_instance_cache=True)
    with files.open(f"datasets/{repo}/data/rows.parquet", block_size=1000) as stream:
        stream.seek(100_000)
        assert stream.read(10) == ROWS[100_000:100_010]
        stream.seek(-10, 2)
        assert stream.read() == ROWS[-10:]
    assert files.glob(f"datasets/{repo}/data/*") == [f"datasets/{repo}/data/rows.parquet"]
    pointer = httpx.get(f"{hub.url}/datasets/{repo}/raw/main/data/rows.parquet").text
    assert hashlib.sha256(ROWS).hexdigest() in pointer


def test_the_cdn_takes_signed_links_and_no_tokens(hub: Hub, repo: str) -> None:
    url = f"{hub.url}/datasets/{repo}/resolve/main/data/rows.parquet"
    link = httpx.get(url).headers["location"]
    assert httpx.get(link).content == ROWS
    assert httpx.get(link.partition("?")[0]).status_code == 403
    assert httpx.get(link, headers={"Authorization": f"Bearer {WRITER}"}).status_code == 400
    assert httpx.get(link, headers={"Range": "bytes=999999-"}).status_code == 416
    assert httpx.get(f"{hub.url}/nowhere").status_code == 404


# `datasets`, in processes of its own

PUSH = """
import sys
from datasets import Dataset
rows = Dataset.from_dict({"number": range(500), "name": [str(n) for n in range(500)]})
rows.push_to_hub(sys.argv[1], "plain", split="train", private=True)
rows.select(range(9)).push_to_hub(sys.argv[1], "plain", split="test")
"""
LOAD = """
import sys
from datasets import load_dataset
found = load_dataset(sys.argv[1], "plain", revision="v1.0.0")
streamed = load_dataset(sys.argv[1], "plain", revision="v1.0.0", split="train", streaming=True)
print(found["train"].num_rows, found["test"]["name"][-1], sum(row["number"] for row in streamed))
"""


def client(hub: Hub, home: Path, code: str, *words: str, token: str | None = WRITER) -> str:
    command = [sys.executable, "-c", code, *words]
    env = hub.env(home, token)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_datasets_are_pushed_and_loaded(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    client(hub, tmp_path / "a", PUSH, "org/pushed")
    files = hub.files("org/pushed", "main")
    assert {path.split("-")[0] for path in files} == {
        *(".gitattributes", "README.md", "plain/train", "plain/test")
    }
    api.create_tag("org/pushed", tag="v1.0.0", repo_type="dataset")
    hub.commit("org/pushed", {path: None for path in files if "train" in path})
    told = client(hub, tmp_path / "b", LOAD, "org/pushed")
    assert "500 8 124750" in told, told
    for token in (STRANGER, None):
        told = client(hub, tmp_path / "c", LOAD, "org/pushed", token=token)
        assert "DatasetNotFoundError" in told, told


# Faults


@pytest.mark.parametrize("status", [401, 403, 404, 409, 412, 413, 429, 500, 503])
def test_commits_and_tags_are_tried_once(hub: Hub, api: HfApi, repo: str, status: int) -> None:
    before = hub.refs(repo)
    hub.fail("POST", f"{repo}/(commit|tag)/", status=status, times=2)
    with refused(status):
        commit(api, repo, {"a.txt": b"a"})
    with refused(status):
        api.create_tag(repo, tag="v1", repo_type="dataset")
    assert hub.refs(repo) == before
    commit(api, repo, {"a.txt": b"a"})


def test_uploads_are_tried_again(hub: Hub, api: HfApi, repo: str) -> None:
    hub.fail("PUT", "^/lfs/", status=429, retry_after=0)
    hub.fail("PUT", "^/lfs/", cut=100_000)
    content = ROWS + b"1"
    commit(api, repo, {"new.parquet": content})
    oid = hashlib.sha256(content).hexdigest()
    assert asked(hub, "PUT", f"/lfs/{oid}") == [429, 0, 200]
    assert hub.files(repo, "main")["new.parquet"] == content
    hub.fail("PUT", "^/lfs/", status=413)
    with pytest.raises(RuntimeError, match=r"Error while uploading 'more\.parquet'"):
        commit(api, repo, {"more.parquet": ROWS + b"2"})


def test_a_fault_waits_for_its_turn(hub: Hub, api: HfApi, repo: str) -> None:
    hub.fail("GET", f"/api/datasets/{repo}$", status=500, skip=2, times=1)
    hub.fail("DELETE", f"/api/datasets/{repo}$", status=500)
    assert api.dataset_info(repo).sha == api.dataset_info(repo).sha
    with refused(500):
        api.dataset_info(repo)
    api.dataset_info(repo)
    hub.fail("GET", f"/api/datasets/{repo}$", status=500, times=100)
    hub.heal()
    api.dataset_info(repo)
    assert asked(hub, f"GET /api/datasets/{repo}") == [200, 200, 500, 200, 200]


def test_a_cut_commit_is_none_and_a_lost_answer_is_one(hub: Hub, api: HfApi, repo: str) -> None:
    before = hub.commits(repo, "main")
    hub.fail("POST", f"{repo}/commit/", cut=50)
    hub.fail("POST", f"{repo}/commit/", lost=True)
    with pytest.raises(Exception, match="Server disconnected"):
        commit(api, repo, {"a.txt": b"a"})
    assert hub.commits(repo, "main") == before
    with pytest.raises(Exception, match="Server disconnected"):
        commit(api, repo, {"a.txt": b"a"})
    assert hub.commits(repo, "main")[1:] == before
    assert hub.files(repo, "main")["a.txt"] == b"a"
    assert asked(hub, f"{repo}/commit/") == [200, 0, 0]


def test_cut_downloads_go_on(hub: Hub, repo: str, tmp_path: Path) -> None:
    content = random.Random(8).randbytes(11 * 2**20)
    hub.commit(repo, {"large.parquet": content})
    hub.fail("GET", r"^/cdn/.*large\.parquet", cut=10 * 2**20 + 10)
    assert download(hub, repo, "large.parquet", tmp_path) == content
    assert asked(hub, "GET /cdn/", "large.parquet") == [200, 206]


def test_nobody_notices_a_flipped_bit(hub: Hub, repo: str, tmp_path: Path) -> None:
    hub.fail("GET", "^/cdn/", corrupt=True)
    got = download(hub, repo, "data/rows.parquet", tmp_path)
    assert len(got) == len(ROWS)
    assert [i for i in range(len(ROWS)) if got[i] != ROWS[i]] == [len(ROWS) // 2]


def test_downloads_are_refused_and_slow(hub: Hub, repo: str, tmp_path: Path) -> None:
    hub.fail("HEAD", f"{repo}/resolve/", status=403)
    with pytest.raises(LocalEntryNotFoundError):
        download(hub, repo, "table.csv", tmp_path)
    hub.fail("HEAD", f"{repo}/resolve/", status=503)
    assert download(hub, repo, "table.csv", tmp_path) == b"a,b\n1,2\n"
    hub.fail("GET", "^/cdn/", slow=400_000)
    start = time.monotonic()
    assert download(hub, repo, "data/rows.parquet", tmp_path) == ROWS
    assert time.monotonic() - start > len(ROWS) / 400_000 * 0.9


UPLOAD = """
import random, sys
from huggingface_hub import HfApi
content = random.Random(9).randbytes(300_000)
HfApi().upload_file(path_or_fileobj=content, path_in_repo="new.parquet", repo_id=sys.argv[1],
                    repo_type="dataset")
"""


def test_a_killed_client_leaves_nothing(hub: Hub, repo: str, tmp_path: Path) -> None:
    before = hub.refs(repo)
    hub.fail("PUT", "^/lfs/", slow=20_000)
    oid = hashlib.sha256(random.Random(9).randbytes(300_000)).hexdigest()
    process = subprocess.Popen([sys.executable, "-c", UPLOAD, repo], env=hub.env(tmp_path))
    while not asked(hub, "PUT", oid):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert hub.refs(repo) == before
    assert client(hub, tmp_path, UPLOAD, repo).count("Error") == 0
    assert asked(hub, "PUT", oid) == [0, 200]
    assert "new.parquet" in hub.files(repo, "main")


# The server itself


def test_a_hub_ends_and_keeps_no_token(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        HfApi(endpoint=hub.url, token=WRITER).create_repo("org/one", repo_type="dataset")
        assert asked(hub, "repos/create") == [200]
        assert WRITER not in str(hub.log())
        kept = [path.read_bytes() for path in (tmp_path / "hub").rglob("*") if path.is_file()]
        assert kept
        assert not any(WRITER.encode() in content for content in kept)
    with pytest.raises(OSError, match="refused"):
        hub.log()


def test_a_hub_ends_with_whoever_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.hub", str(tmp_path)]
    done = subprocess.run(
        command, input="", capture_output=True, timeout=20, check=True, cwd=ROOT, text=True
    )
    assert done.stdout.startswith("http://127.0.0.1:")


def test_clients_see_only_the_hub(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_developer")
    env = hub.env(tmp_path, None)
    assert (env["HF_ENDPOINT"], env["HF_HOME"]) == (hub.url, str(tmp_path))
    assert not {"HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"} & set(env)
    assert hub.env(tmp_path)["HF_TOKEN"] == WRITER
