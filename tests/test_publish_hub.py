"""Publishing to the Hub, every process a real client: what goes right, and all that goes wrong."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import yaml
from huggingface_hub import HfApi, constants
from huggingface_hub.utils._http import close_session

from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import RefusedError, ToolkitError
from clothes_toolkit.release.assemble import assemble, examine
from clothes_toolkit.release.hub import HubPlace
from clothes_toolkit.release.hub_run import BRANCH
from clothes_toolkit.release.publish import plan_release, publish
from clothes_toolkit.release.repository import Repository
from clothes_toolkit.release.version import Version
from tests.conftest import draw_picture
from tests.hub import READER, STRANGER, WRITER, Hub, running_hub
from tests.releases import COMMAND, add_strokes, call, loaded, write_result
from tests.trees import tree

# `huggingface_hub` uploads in a way that its HTTP client would rather not see.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NUMBERS = count(1)
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as found:
        yield found
    close_session()


@pytest.fixture
def hub(served: Hub) -> Iterator[Hub]:
    yield served
    served.heal()


@pytest.fixture
def repo() -> str:
    return f"org/Clothes-{next(NUMBERS):03}"


@pytest.fixture
def full(sound: Path) -> Path:
    add_strokes(sound)
    (sound / "clothes.toml").write_text("[expect]\nphotos = 5\n")
    return sound


@pytest.fixture
def env(hub: Hub, tmp_path: Path) -> dict[str, str]:
    return hub.env(tmp_path / "home") | {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def send(full: Path, repo: str, env: dict[str, str]) -> Callable[..., Done]:
    """Publish the dataset to the repository: version, more options, more environment."""

    def publish_it(version: str, *options: object, **more: str) -> Done:
        words = ("publish", full, "--repo-id", repo, "--version", version, "--yes", *options)
        return call(*words, env=env | more)

    return publish_it


def told(done: Done, status: int) -> str:
    """Return the one line that a command ended with."""
    assert done.returncode == status, done.stderr
    *steps, line = done.stderr.splitlines()
    assert all(step.endswith(" …") for step in steps), done.stderr
    assert line.startswith("error: ")
    assert WRITER not in done.stdout + done.stderr
    return line


def assert_released(hub: Hub, repo: str, *versions: str) -> None:
    """Make sure that the tags are these, main is the last, and nothing else is left."""
    refs = hub.refs(repo)
    assert set(refs) == {"heads/main", *(f"tags/v{version}" for version in versions)}
    assert refs["heads/main"] == refs[f"tags/v{versions[-1]}"]


def test_from_the_folder_to_the_hub_and_back(
    hub: Hub, repo: str, full: Path, env: dict[str, str], send: Callable[..., Done], tmp_path: Path
) -> None:
    write_result(tmp_path / "runs" / "arnet", full)
    done = send("1.0.0", "--baselines", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"released {repo} v1.0.0"
    assert_released(hub, repo, "1.0.0")
    files = hub.files(repo, "v1.0.0")
    assert set(files) == {
        ".gitattributes", "README.md", "manifest.json", "eval.yaml", "clothes.toml",
        "baselines/arnet.json",
        "pairs/train-00000-of-00001.parquet", "pairs/test-00000-of-00001.parquet",
        "gallery/train-00000-of-00001.parquet", "gallery/test-00000-of-00001.parquet",
    }  # fmt: skip
    # The lines of the card, in a process that knows nothing of the toolkit.
    card = files["README.md"].decode()
    assert f'load_dataset("{repo}", revision="v1.0.0")' in card
    pairs = loaded(repo, "pairs", "v1.0.0", env)
    assert {split: len(rows) for split, rows in pairs.items()} == {"train": 6, "test": 4}
    train, test = ({row["photo_id"] for row in pairs[split]} for split in ("train", "test"))
    assert (train, test) == ({"00001", "00002", "00003"}, {"00004", "00005"})
    out = tmp_path / "Back"
    assert call("download", repo, "--version", "1.0.0", "--out", out, env=env).returncode == 0
    assert tree(out) == tree(full)
    # What was fetched once is there without a network, too.
    offline = env | {"HF_HUB_OFFLINE": "1"}
    again = call("download", repo, "--version", "1.0.0", "--out", tmp_path / "A", env=offline)
    assert again.returncode == 0, again.stderr
    assert tree(tmp_path / "A") == tree(full)


def test_versions_follow_each_other(
    hub: Hub, repo: str, full: Path, env: dict[str, str], send: Callable[..., Done]
) -> None:
    (full / "strokes" / "of-nothing.json").write_text("{}")
    assert send("1.0.0").returncode == 0
    before = hub.commits(repo, "main")
    done = send("1.0.0")
    assert done.returncode == 0
    assert "nothing to do" in done.stdout
    assert hub.commits(repo, "main") == before
    hub.commit(repo, {"figure.png": b"of the owners", "baselines/old.json": b"{}"})
    (full / "strokes" / "of-nothing.json").unlink()
    draw_picture(full / "trainA" / "00001_03.png", 78, photo=False)
    assert "goes back behind 1.0.0" in told(send("0.9.0"), 1)
    assert "asks for a minor one" in told(send("1.0.1"), 1)
    done = send("1.1.0", "--dry-run")
    assert "deleted        loose/strokes/of-nothing.json" in done.stdout
    assert "deleted        baselines/old.json" in done.stdout
    assert "left alone     figure.png" in done.stdout
    assert "stays          pairs/test-00000-of-00001.parquet" in done.stdout
    uploads = len([path for _, path, _ in hub.log() if path.startswith("/lfs/")])
    assert send("1.1.0").returncode == 0
    # Three of four shards are as they were, and are not sent again.
    assert len([path for _, path, _ in hub.log() if path.startswith("/lfs/")]) == uploads + 1
    assert_released(hub, repo, "1.0.0", "1.1.0")
    files = hub.files(repo, "v1.1.0")
    assert files["figure.png"] == b"of the owners"
    assert not {"baselines/old.json", "loose/strokes/of-nothing.json"} & set(files)
    assert len(loaded(repo, "pairs", "v1.0.0", env)["train"]) == 6
    assert len(loaded(repo, "pairs", "v1.1.0", env)["train"]) == 7
    assert call("diff", f"{repo}@1.1.0", full, env=env).returncode == 0
    page = call("diff", f"{repo}@1.0.0", f"{repo}@1.1.0", "--format", "html", env=env).stdout
    assert page.count("<img") == 1


def test_a_dry_run_only_asks(hub: Hub, repo: str, send: Callable[..., Done]) -> None:
    before = len(hub.log())
    done = send("1.0.0", "--dry-run")
    assert done.returncode == 0
    assert "tag v1.0.0" in done.stdout
    assert {method for method, _, _ in hub.log()[before:]} <= {"GET", "HEAD"}


SLOW = pytest.mark.slow
PASSING = [
    ("POST", r"/commit/clothes-toolkit-publishing$", {"status": 500}),
    pytest.param("POST", r"/commit/main$", {"status": 429, "retry_after": 1}, marks=SLOW),
    pytest.param("POST", r"/tag/", {"status": 503}, marks=SLOW),
    pytest.param("POST", r"/api/repos/create$", {"status": 502}, marks=SLOW),
    pytest.param("POST", r"/commit/clothes-toolkit-publishing$", {"lost": True}, marks=SLOW),
    pytest.param(
        "POST", r"/commit/clothes-toolkit-publishing$", {"lost": True, "skip": 1}, marks=SLOW
    ),
    ("POST", r"/commit/main$", {"lost": True}),
    ("POST", r"/tag/", {"lost": True}),
    pytest.param("POST", r"/branch/", {"lost": True}, marks=SLOW),
    ("PUT", r"/lfs/", {"cut": 1000}),
    pytest.param("GET", r"/revision/", {"status": 500}, marks=SLOW),
    pytest.param("GET", r"/cdn/", {"cut": 1000}, marks=SLOW),
]


@pytest.mark.parametrize(("method", "path", "fault"), PASSING)
def test_what_passes_is_waited_for(
    hub: Hub,
    repo: str,
    send: Callable[..., Done],
    method: str,
    path: str,
    fault: dict[str, int],
) -> None:
    hub.fail(method, path, **fault)  # type: ignore[arg-type]
    done = send("1.0.0")
    assert done.returncode == 0, done.stderr
    assert_released(hub, repo, "1.0.0")


LASTING = [
    pytest.param(
        "POST",
        r"/commit/clothes-toolkit-publishing$",
        {"status": 401},
        2,
        "does not know this token",
        marks=SLOW,
    ),
    pytest.param(
        "POST", r"/api/repos/create$", {"status": 403}, 2, "may not write there", marks=SLOW
    ),
    ("PUT", r"/lfs/", {"status": 413}, 2, "no file of this size"),
    ("POST", r"/commit/main$", {"status": 412, "times": 9}, 1, "somebody else changed main"),
    (
        "POST",
        r"/commit/clothes-toolkit-publishing$",
        {"status": 409, "times": 9},
        1,
        "somebody else is publishing",
    ),
    pytest.param("POST", r"/tag/", {"status": 403}, 2, "may not write there", marks=SLOW),
    ("GET", r"/cdn/.*pairs/test", {"corrupt": True, "times": 9}, None, "nothing was released"),
    pytest.param("GET", r"/datasets/.*README", {"status": 404, "times": 99}, 2, "", marks=SLOW),
    ("POST", r"/api/validate-yaml$", {"status": 400}, 2, "the Hub refuses the card"),
    pytest.param(
        "HEAD",
        r"/datasets/.*/pairs/",
        {"status": 403, "times": 99},
        2,
        "cannot be loaded back",
        marks=SLOW,
    ),
]


@pytest.mark.parametrize(("method", "path", "fault", "status", "words"), LASTING)
def test_what_lasts_is_told_and_the_same_command_goes_on(
    hub: Hub,
    repo: str,
    full: Path,
    send: Callable[..., Done],
    method: str,
    path: str,
    fault: dict[str, int],
    status: int | None,
    words: str,
) -> None:
    before = tree(full)
    hub.fail(method, path, **fault)  # type: ignore[arg-type]
    done = send("1.0.0")
    assert words in told(done, done.returncode if status is None else status)
    assert done.returncode in (1, 2)
    assert tree(full) == before
    if done.returncode and "create" not in path:
        refs = hub.refs(repo)
        assert not any(name.startswith("tags/") for name in refs)
        if "/tag/" not in path:
            assert set(hub.files(repo, "main")) == {".gitattributes"}
    hub.heal()
    done = send("1.0.0")
    assert done.returncode == 0, done.stderr
    assert_released(hub, repo, "1.0.0")


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (READER, "may not write there"),
        (STRANGER, "may not write there"),
        ("hf_nobody", "does not know this token"),
    ],
)
def test_a_token_that_may_not(send: Callable[..., Done], token: str, words: str) -> None:
    done = send("1.0.0", HF_TOKEN=token)
    assert words in told(done, 2)
    assert token not in done.stderr


def test_without_a_token_and_with_a_wrong_name(
    hub: Hub, full: Path, tmp_path: Path, repo: str, send: Callable[..., Done]
) -> None:
    nobody = hub.env(tmp_path / "home", None)
    words = ("publish", full, "--version", "1.0.0", "--yes", "--repo-id")
    assert "does not know this token" in told(call(*words, repo, env=nobody), 2)
    for name in ("a/b/c", "org/", "--org--/x..y"):
        assert "no name of a repository" in told(call(*words, name, env=nobody), 2)
    assert "is no dataset on the Hub" in told(
        call("download", repo, "--version", "1.0.0", "--out", tmp_path / "x",
             env=hub.env(tmp_path / "home")), 2
    )  # fmt: skip
    assert send("1.0.0").returncode == 0
    assert "has no release 2.0.0" in told(
        call("download", repo, "--version", "2.0.0", "--out", tmp_path / "x",
             env=hub.env(tmp_path / "home")), 2
    )  # fmt: skip


def test_a_repository_of_another_kind_or_with_other_data(
    hub: Hub, repo: str, send: Callable[..., Done]
) -> None:
    api = HfApi(endpoint=hub.url, token=WRITER)
    api.create_repo(repo, repo_type="model")
    assert "is a model; name a dataset" in told(send("1.0.0"), 1)
    api.create_repo(repo, repo_type="dataset")
    hub.commit(repo, {"data.csv": b"a,b\n"})
    assert "holds data.csv, which was not published by" in told(send("1.0.0"), 1)
    hub.commit(repo, {"data.csv": None})
    for name in ("data.tar.gz", "loose/keep.txt", "baselines/theirs.pt"):
        hub.commit(repo, {name: b"theirs", "manifest.json": b"{}"})
        assert "which was not published by" in told(send("1.0.0"), 1)
        hub.commit(repo, {name: None, "manifest.json": None})
    api.create_tag(repo, tag="v0.1.0", repo_type="dataset")
    assert "if it is no release, remove the tag" in told(send("1.0.0"), 1)
    api.delete_tag(repo, tag="v0.1.0", repo_type="dataset")
    hub.commit(repo, {"README.md": b"---\nlicense: mit\n---\n", "LICENSE": b"MIT"})
    assert "is public already" in told(send("1.0.0", "--private"), 1)
    done = send("1.0.0")
    assert done.returncode == 0, done.stderr
    # What the owners had said on the Hub stays.
    assert b"license: mit" in hub.files(repo, "main")["README.md"]


def test_a_new_repository_is_private_if_asked(
    hub: Hub, repo: str, send: Callable[..., Done]
) -> None:
    assert send("1.0.0", "--private").returncode == 0
    api = HfApi(endpoint=hub.url, token=WRITER)
    assert api.repo_info(repo, repo_type="dataset").private


def test_a_card_that_was_broken_on_the_hub(
    hub: Hub, repo: str, full: Path, send: Callable[..., Done]
) -> None:
    assert send("1.0.0").returncode == 0
    card = hub.files(repo, "main")["README.md"]
    hub.commit(repo, {"README.md": card.replace(b"license: unknown", b"license: [mit")})
    line = told(send("1.0.1"), 2)
    assert f"{repo}: README.md: line " in line
    assert "is no YAML" in line
    hub.commit(repo, {"README.md": card.replace(b"license: unknown", b"license: mit")})
    assert send("1.0.1").returncode == 0
    assert b"license: mit" in hub.files(repo, "v1.0.1")["README.md"]
    # A card beside the dataset goes first, and the plan says what it replaces.
    (full / "DATASET_CARD.md").write_bytes(card)
    done = send("1.0.2", "--dry-run")
    assert "was edited" not in done.stdout
    hub.commit(repo, {"README.md": card.replace(b"license: unknown", b"license: cc0-1.0")})
    assert f"README.md was edited at {repo} since 1.0.1" in send("1.0.2", "--dry-run").stdout
    # A Hub that has trouble is no tag that is none of ours.
    hub.fail("HEAD", r"/resolve/.*manifest", status=401, times=99)
    elsewhere = str(full.parent / "elsewhere")
    assert "does not know this token" in told(send("1.0.2", HF_HOME=elsewhere), 2)
    hub.heal()
    hub.commit(repo, {"README.md": b"\xff"})
    assert "README.md is no UTF-8 text" in told(send("1.0.2"), 2)
    hub.commit(repo, {"README.md": card.replace(b"<!-- end of load -->", b"")})
    (full / "DATASET_CARD.md").unlink()
    assert "README.md: needs the block 'load' once" in told(send("1.0.2"), 1)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (r"/cdn/.*gallery/test", "does not fit its checksum|is not what was published"),
        (r"/manifest\.json", r"manifest\.json does not fit its checksum"),
    ],
)
def test_a_download_that_was_corrupted_on_the_way(
    hub: Hub,
    repo: str,
    full: Path,
    env: dict[str, str],
    send: Callable[..., Done],
    tmp_path: Path,
    path: str,
    words: str,
) -> None:
    assert send("1.0.0").returncode == 0
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    download = ("download", repo, "--version", "1.0.0", "--out")
    hub.fail("GET", path, corrupt=True)
    assert call(*download, tmp_path / "Once", env=env).returncode == 0
    assert tree(tmp_path / "Once") == tree(full)
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    hub.fail("GET", path, corrupt=True, times=9)
    assert re.search(words, told(call(*download, tmp_path / "Twice", env=env), 1))
    assert not (tmp_path / "Twice").exists()
    hub.heal()
    # What is damaged in the cache is fetched again.
    assert call(*download, tmp_path / "Twice", env=env).returncode == 0
    assert tree(tmp_path / "Twice") == tree(full)


def test_no_folder_of_the_same_name_is_loaded_in_its_place(
    hub: Hub, repo: str, full: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """`load_dataset` takes a folder ORG/NAME where it is called, before it asks the Hub."""
    call("publish", full, "--to", tmp_path / "r", "--version", "1.0.0", "--yes", env=env)
    shutil.copytree(tmp_path / "r" / "v1.0.0", tmp_path / repo)
    hub.fail("GET", r"/cdn/", status=403, times=99)
    words = ("publish", full, "--repo-id", repo, "--version", "1.0.0", "--yes")
    assert "cannot be loaded back" in told(call(*words, env=env, cwd=tmp_path), 2)
    assert set(hub.files(repo, "main")) == {".gitattributes"}
    hub.heal()
    shutil.rmtree(tmp_path / repo)
    full.rename(tmp_path / repo)
    again = ("publish", repo, "--repo-id", repo, "--version", "1.0.0", "--yes")
    done = call(*again, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("room", [2000, 9000])
def test_no_room_for_a_shard_or_the_loader(
    hub: Hub, repo: str, full: Path, env: dict[str, str], send: Callable[..., Done], room: int
) -> None:
    assert send("1.0.0").returncode == 0
    draw_picture(full / "testA" / "00004_03.png", 78, photo=False)
    done = subprocess.run(
        [*COMMAND, "publish", full, "--repo-id", repo, "--version", "2.0.0", "--yes"],
        capture_output=True,
        text=True,
        env=env,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        check=False,
    )
    assert "File too large" in told(done, 2)
    assert set(hub.refs(repo)) - {f"heads/{BRANCH}"} == {"heads/main", "tags/v1.0.0"}
    assert send("2.0.0").returncode == 0
    assert_released(hub, repo, "1.0.0", "2.0.0")


class Publisher:
    """Publishes in this process, and does something else when it comes to a step."""

    def __init__(self, hub: Hub, repo: str, root: Path, version: str) -> None:
        self.place = HubPlace(repo, hub.url)
        state = self.place.state()
        wanted = Version.parse(version)
        found = examine(Dataset.open(root), wanted)
        self.plan = plan_release(assemble(found, self.place, state, wanted), self.place, state)

    def at(self, step: str, does: Callable[[], object]) -> None:
        """Publish, and call `does` before a step."""

        def on_step(now: str) -> None:
            if now == step:
                does()

        publish(self.plan, self.place, on_step)


@pytest.fixture
def here(hub: Hub, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the client of this process be one of the Hub's."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    for name in ("HF_TOKEN", "XDG_CACHE_HOME", "HF_HUB_DISABLE_XET"):
        monkeypatch.setenv(name, env[name])


@pytest.mark.usefixtures("here")
def test_a_remote_that_somebody_changed_meanwhile(
    hub: Hub, repo: str, full: Path, send: Callable[..., Done]
) -> None:
    assert send("1.0.0").returncode == 0
    draw_picture(full / "trainA" / "00001_03.png", 78, photo=False)
    publisher = Publisher(hub, repo, full, "1.1.0")
    with pytest.raises(RefusedError, match="somebody else changed main meanwhile"):
        publisher.at("loading it back", lambda: hub.commit(repo, {"notes.md": b"x"}))
    refs = hub.refs(repo)
    assert "tags/v1.1.0" not in refs
    assert hub.commits(repo, "main")[1] == refs["tags/v1.0.0"]
    with pytest.raises(RefusedError, match="main has changed since this was planned"):
        publisher.at("uploading", lambda: None)
    assert send("1.1.0").returncode == 0
    assert_released(hub, repo, "1.0.0", "1.1.0")
    assert hub.files(repo, "v1.1.0")["notes.md"] == b"x"


STEPS = [
    pytest.param("uploading", marks=SLOW),
    "loading it back",
    pytest.param("making it known", marks=SLOW),
]


class GoneError(Exception):
    """The publisher has died."""


def die() -> None:
    raise GoneError


@pytest.mark.usefixtures("here")
def test_a_run_that_goes_on_verifies_what_main_has_become(
    hub: Hub, repo: str, full: Path, env: dict[str, str], send: Callable[..., Done]
) -> None:
    """What somebody put on main since the branch was built may change how the release loads."""
    with pytest.raises(GoneError):
        Publisher(hub, repo, full, "1.0.0").at("making it known", die)
    other = b"configs:\n- config_name: pairs\n  data_files: pairs/*.parquet\n"
    hub.commit(repo, {".gitignore": b"x", ".huggingface.yaml": other})
    assert "which was not published by" in told(send("1.0.0"), 1)
    hub.commit(repo, {".huggingface.yaml": None})
    assert send("1.0.0").returncode == 0
    assert_released(hub, repo, "1.0.0")
    assert hub.files(repo, "v1.0.0")[".gitignore"] == b"x"
    with pytest.raises(GoneError):
        Publisher(hub, repo, full, "1.0.1").at("making it known", die)
    hub.commit(repo, {".huggingface.yaml": other})
    done = send("1.0.1")
    assert "nothing was released" in told(done, done.returncode)
    assert "tags/v1.0.1" not in hub.refs(repo)
    hub.commit(repo, {".huggingface.yaml": None})
    assert send("1.0.1").returncode == 0
    assert_released(hub, repo, "1.0.0", "1.0.1")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("step", STEPS)
def test_two_that_release_the_same_with_other_words_do_not_mix(
    hub: Hub, repo: str, full: Path, env: dict[str, str], tmp_path: Path, step: str
) -> None:
    write_result(tmp_path / "runs" / "arnet", full)
    elsewhere = env | {"XDG_CACHE_HOME": str(tmp_path / "elsewhere")}
    words = ("publish", full, "--repo-id", repo, "--version", "1.0.0", "--yes")
    seen: list[Done] = []
    Publisher(hub, repo, full, "1.0.0").at(
        step, lambda: seen.append(call(*words, "--baselines", tmp_path / "runs", env=elsewhere))
    )
    assert "somebody else is publishing there" in told(seen[0], 1)
    assert_released(hub, repo, "1.0.0")
    assert "baselines/arnet.json" not in hub.files(repo, "v1.0.0")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("step", STEPS)
def test_two_that_release_the_very_same_go_on_with_each_other(
    hub: Hub, repo: str, full: Path, env: dict[str, str], tmp_path: Path, step: str
) -> None:
    elsewhere = env | {"XDG_CACHE_HOME": str(tmp_path / "elsewhere")}
    words = ("publish", full, "--repo-id", repo, "--version", "1.0.0", "--yes")
    seen: list[Done] = []
    Publisher(hub, repo, full, "1.0.0").at(step, lambda: seen.append(call(*words, env=elsewhere)))
    assert seen[0].returncode == 0, seen[0].stderr
    assert "going on with what a run that stopped, or still runs, has begun" in seen[0].stderr
    assert_released(hub, repo, "1.0.0")


@pytest.mark.usefixtures("here")
def test_a_branch_of_somebody_else_is_not_dropped(
    hub: Hub, repo: str, full: Path, send: Callable[..., Done]
) -> None:
    assert send("1.0.0").returncode == 0
    api = HfApi(endpoint=hub.url, token=WRITER)
    api.create_branch(repo, branch=BRANCH, revision="v1.0.0", repo_type="dataset")
    hub.commit(repo, {"draft.md": b"mine"}, branch=BRANCH)
    assert "--take-over" in told(send("1.0.1"), 1)
    assert hub.files(repo, BRANCH)["draft.md"] == b"mine"
    # One that is what the newest release is was left behind by it.
    api.delete_branch(repo, branch=BRANCH, repo_type="dataset")
    api.create_branch(repo, branch=BRANCH, revision="v1.0.0", repo_type="dataset")
    hub.commit(repo, {"LICENSE": b"MIT"})
    assert send("1.0.1").returncode == 0
    assert_released(hub, repo, "1.0.0", "1.0.1")


@pytest.mark.usefixtures("here")
def test_the_second_of_two_publishers_is_told(
    hub: Hub, repo: str, full: Path, env: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "Other"
    shutil.copytree(full, other)
    draw_picture(other / "trainA" / "00001_03.png", 78, photo=False)
    elsewhere = env | {"XDG_CACHE_HOME": str(tmp_path / "elsewhere")}
    seen: list[Done] = []

    def second() -> None:
        words = ("publish", other, "--repo-id", repo, "--version", "1.0.0", "--yes")
        seen.append(call(*words, env=elsewhere))
        # The same content from the same account of one machine: its lock tells.
        words = ("publish", full, "--repo-id", repo, "--version", "1.0.0", "--yes")
        seen.append(call(*words, env=env))

    Publisher(hub, repo, full, "1.0.0").at("loading it back", second)
    assert "somebody else is publishing there" in told(seen[0], 1)
    assert "is writing" in told(seen[1], 2)
    assert_released(hub, repo, "1.0.0")


@pytest.mark.usefixtures("here")
def test_a_tag_that_somebody_made_meanwhile_is_not_moved(
    hub: Hub, repo: str, full: Path, send: Callable[..., Done]
) -> None:
    assert send("1.0.0").returncode == 0
    api = HfApi(endpoint=hub.url, token=WRITER)
    draw_picture(full / "trainA" / "00001_03.png", 78, photo=False)
    head = hub.refs(repo)["heads/main"]
    with pytest.raises(RefusedError, match=r"v1\.1\.0 was made meanwhile, with other content"):
        Publisher(hub, repo, full, "1.1.0").at(
            "making it known",
            lambda: api.create_tag(repo, tag="v1.1.0", revision=head, repo_type="dataset"),
        )
    assert hub.refs(repo)["tags/v1.1.0"] == head


@pytest.mark.usefixtures("here")
def test_what_a_run_that_is_gone_began_is_taken_over_when_asked(
    hub: Hub, repo: str, full: Path, send: Callable[..., Done]
) -> None:
    with pytest.raises(GoneError):
        Publisher(hub, repo, full, "1.0.0").at("making it known", die)
    assert f"heads/{BRANCH}" in hub.refs(repo)
    assert set(hub.files(repo, "main")) == {".gitattributes"}
    draw_picture(full / "trainA" / "00001_03.png", 78, photo=False)
    assert "--take-over" in told(send("1.0.0"), 1)
    assert send("1.0.0", "--take-over").returncode == 0
    assert_released(hub, repo, "1.0.0")
    assert "trainA/00001_03.png" in hub.files(repo, "v1.0.0")["manifest.json"].decode()


@pytest.mark.usefixtures("here")
def test_a_folder_that_changes_during_the_upload(
    hub: Hub, repo: str, full: Path, send: Callable[..., Done]
) -> None:
    publisher = Publisher(hub, repo, full, "1.0.0")
    with pytest.raises(RefusedError, match="has changed since it was checked"):
        publisher.at("uploading", lambda: draw_picture(full / "testA/00004_01.png", 5, photo=False))
    assert set(hub.files(repo, "main")) == {".gitattributes"}
    assert set(hub.refs(repo)) == {"heads/main"}
    done = send("1.0.0")
    assert done.returncode == 0, done.stderr
    assert_released(hub, repo, "1.0.0")


def test_the_log_of_a_release_is_short(hub: Hub, repo: str, send: Callable[..., Done]) -> None:
    """A release is a claim, its data and its making known: three commits, whatever its size."""
    assert send("1.0.0").returncode == 0
    commits = [path for method, path, _ in hub.log() if repo in path and "/commit/" in path]
    assert [re.sub(r".*/commit/", "", path) for path in commits] == [BRANCH, BRANCH, "main"]


def test_a_release_that_is_not_ours_is_not_downloaded(
    hub: Hub, repo: str, env: dict[str, str], tmp_path: Path
) -> None:
    api = HfApi(endpoint=hub.url, token=WRITER)
    api.create_repo(repo, repo_type="dataset")
    api.create_tag(repo, tag="v1.0.0", repo_type="dataset")
    line = told(call("download", repo, "--version", "1.0.0", "--out", tmp_path / "x", env=env), 2)
    assert "v1.0.0 is no release of clothes-toolkit" in line
    hub.commit(repo, {"manifest.json": b'{"files": [{"path": "../../evil"}]}'})
    api.create_tag(repo, tag="v1.1.0", repo_type="dataset")
    line = told(call("download", repo, "--version", "1.1.0", "--out", tmp_path / "x", env=env), 2)
    assert "is no manifest.json" in line
    assert not (tmp_path / "x").exists()


def test_networks_are_pushed_with_their_results(
    hub: Hub, repo: str, full: Path, env: dict[str, str], send: Callable[..., Done], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    write_result(runs / "arnet", full)
    options = ("--baselines", runs, "--models")
    assert "hold no networks" in told(send("1.0.0", *options), 2)
    (runs / "arnet" / "seed-0").mkdir()
    for name, data in (("model.safetensors", b"weights"), ("config.json", b"{}")):
        (runs / "arnet" / "seed-0" / name).write_bytes(data)
    api = HfApi(endpoint=hub.url, token=WRITER)
    model = f"{repo}-arnet-seed-0"
    api.create_repo(model)
    api.upload_file(repo_id=model, path_or_fileobj=b"mine", path_in_repo="notes.txt")
    assert "is another model; rename the run folder" in told(send("1.0.0", *options), 1)
    api.delete_repo(model)
    hub.fail("POST", r"/api/models/.*/commit/main$", status=503)
    assert send("1.0.0", "--private").returncode == 0
    done = send("1.0.1", *options)
    assert done.returncode == 0, done.stderr
    assert api.repo_info(model).private
    head = api.repo_info(model).sha
    files = set(api.list_repo_files(model))
    result = f".eval_results/{repo[4:]}.yaml"
    assert files == {".gitattributes", "config.json", "model.safetensors", result}
    path = api.hf_hub_download(model, result, local_dir=tmp_path / "fetched")
    assert yaml.safe_load(Path(path).read_text()) == [
        {
            "dataset": {
                "id": repo,
                "task_id": "acc_at_1",
                "revision": hub.refs(repo)["tags/v1.0.1"],
            },
            "value": 40.0,
            "notes": "protocol fixed, epoch 2 of 2, n 4, gallery 2",
        }
    ]
    task = yaml.safe_load(hub.files(repo, "v1.0.1")["eval.yaml"])["tasks"]
    assert task == [{"id": "acc_at_1", "config": "pairs", "split": "test"}]
    assert send("1.0.1", *options).returncode == 0
    assert api.repo_info(model).sha == head
    words = ("publish", full, "--to", tmp_path / "r", "--version", "1.0.0", *options)
    assert "--models goes with --repo-id" in call(*words, env=env).stderr


@pytest.mark.usefixtures("here")
def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, repo: str) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    place = HubPlace(repo, "http://127.0.0.1:9")
    for ask in (place.state, lambda: place.manifest(Version(1, 0, 0))):
        with pytest.raises(ToolkitError, match="cannot be reached"):
            ask()


def test_a_shard_that_is_no_lfs_file_to_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It goes with the commit, which is made when its file has gone."""
    repository = Repository("org/x")
    monkeypatch.setattr(HfApi, "preupload_lfs_files", lambda *_, **__: None)
    file = tmp_path / "shard.parquet"
    file.write_bytes(b"rows")
    operation = repository.send("pairs/x.parquet", file, "main")
    file.unlink()
    assert operation.path_or_fileobj == b"rows"


def test_how_long_is_waited(monkeypatch: pytest.MonkeyPatch, hub: Hub, repo: str) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    hub.fail("GET", r"/refs$", status=503, times=99)
    with pytest.raises(ToolkitError, match="the Hub answers 503; the same command goes on"):
        HubPlace(repo, hub.url).state()
    assert waited == [1.0, 2.0, 4.0, 8.0]
    hub.heal()
    waited.clear()
    hub.fail("GET", r"/refs$", status=429, retry_after=7, times=2)
    hub.fail("GET", r"/refs$", status=429, retry_after=700, times=3)
    with pytest.raises(ToolkitError, match="asks to wait"):
        HubPlace(repo, hub.url).state()
    assert waited == [7.0, 7.0, 60.0, 60.0]


def test_the_library_refuses_in_the_same_words(hub: Hub, repo: str) -> None:
    with pytest.raises(ToolkitError, match="is no dataset on the Hub"):
        HubPlace(repo, hub.url).manifest(Version(1, 0, 0))
