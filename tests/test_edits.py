"""Changes in place: all or nothing, whatever happens, and taken back to the byte."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clothes_toolkit.edits.change import apply, recover, undo
from clothes_toolkit.edits.journal import Journal
from clothes_toolkit.edits.lock import LockedError, locked
from clothes_toolkit.edits.plan import Plan, Step
from clothes_toolkit.errors import ToolkitError
from tests.nobody import needs_root, run_as_nobody
from tests.trees import Tree, contents, tree


def grow(root: Path, files: Tree) -> None:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


FILES = {"B/1.png": b"one", "B/2.png": b"two", "A/1_01.png": b"sketch", "A/2_01.png": b"other"}
PLAN = Plan(
    "test",
    (
        Step("B/1.png", "B/2.png", "swap"),
        Step("B/2.png", "B/1.png", "swap"),
        Step("A/1_01.png", None, "away"),
        Step("A/2_01.png", "A/2_01.png", "anew", b"changed"),
        Step(None, "strokes/deep/1.json", "new", b"{}"),
    ),
)
AFTER = {
    "B/1.png": b"two",
    "B/2.png": b"one",
    "A/2_01.png": b"changed",
    "strokes/deep/1.json": b"{}",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    grow(tmp_path / "set", FILES)
    return tmp_path / "set"


def test_a_plan_is_made_and_taken_back(root: Path) -> None:
    change = apply(root, PLAN)
    assert (change.number, change.command) == (1, "test")
    assert tree(root) == AFTER
    kept = root / ".clothes" / "quarantine" / "0001"
    assert tree(kept.parent.parent / "quarantine" / "0001") == {}  # nothing outside .clothes
    assert (kept / "A" / "1_01.png").read_bytes() == b"sketch"
    assert (kept / "A" / "2_01.png").read_bytes() == b"other"
    assert not (kept / "B").exists()
    assert undo(root) is not None
    assert tree(root) == FILES
    assert not (root / "strokes").exists()
    assert undo(root) is None


def test_changes_are_taken_back_one_by_one(root: Path) -> None:
    apply(root, Plan("first", (Step("B/1.png", "B/3.png", ""),)))
    between = tree(root)
    apply(root, Plan("second", (Step("B/3.png", "B/4.png", ""),)))
    assert [change.command for change in (undo(root), undo(root)) if change] == ["second", "first"]
    assert between != tree(root) == FILES


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([Step("B/9.png", None, "")], "no longer a plain file"),
        ([Step("B/1.png", "B/2.png", "")], "is there already"),
        ([Step("B/1.png", "../1.png", "")], "leads out"),
        ([Step("B/1.png", "B/7.png", ""), Step("B/1.png", "B/8.png", "")], "two steps"),
        ([Step("B/1.png", "B/7.png", ""), Step("B/2.png", "B/7.png", "")], "two steps"),
        ([Step("B/1.png", None, "", sha256="0" * 64)], "was changed"),
        ([Step(None, "B/7.png", "")], "without content"),
    ],
)
def test_a_plan_that_does_not_fit_changes_nothing(root: Path, steps: list[Step], told: str) -> None:
    with pytest.raises(ToolkitError, match=told):
        apply(root, Plan("test", tuple(steps)))
    assert tree(root) == FILES
    assert not list((root / ".clothes").rglob("*.json"))
    assert undo(root) is None


def test_links_are_not_moved(root: Path) -> None:
    (root / "B" / "3.png").symlink_to("1.png")
    with pytest.raises(ToolkitError, match="plain file"):
        apply(root, Plan("test", (Step("B/3.png", None, ""),)))


@pytest.mark.parametrize(
    "meddle",
    [
        lambda root: (root / "B/1.png").write_bytes(b"edited"),
        lambda root: (root / "B/2.png").unlink(),
        lambda root: (root / "A/1_01.png").write_bytes(b"a new one"),
        lambda root: (root / ".clothes/quarantine/0001/A/1_01.png").unlink(),
    ],
)
def test_undo_refuses_what_would_lose_something(
    root: Path, meddle: Callable[[Path], object]
) -> None:
    apply(root, PLAN)
    meddle(root)
    before = tree(root)
    with pytest.raises(ToolkitError, match=r"cannot be taken back|to undo"):
        undo(root)
    assert tree(root) == before


NAMES = [f"B/{number}.png" for number in range(6)]


@st.composite
def plans(draw: st.DrawFn) -> tuple[Tree, Plan]:
    """Draw a folder and a plan that fits it: any mapping of files to free places and quarantine."""
    there = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    files = {path: f"content of {path}".encode() for path in there}
    sources = draw(st.lists(st.sampled_from(there), unique=True))
    free = [path for path in NAMES if path not in there or path in sources]
    targets: list[str] = draw(st.permutations(free))
    random = draw(st.randoms(use_true_random=False))
    steps = []
    for source in sources:
        target = targets.pop() if targets and random.random() < 0.7 else None
        data = draw(st.none() | st.binary(min_size=1, max_size=4)) if target else None
        steps.append(Step(source, target, "", data))
    if targets and random.random() < 0.5:
        steps.append(Step(None, targets.pop(), "", b"new"))
    return files, Plan("test", tuple(steps))


def expected(files: Tree, plan: Plan) -> Tree:
    sources = {step.source for step in plan.steps}
    after = {path: data for path, data in files.items() if path not in sources}
    for step in plan.steps:
        if step.target is not None:
            after[step.target] = step.data if step.data is not None else files[str(step.source)]
    return after


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=plans())
def test_any_plan_does_what_it_says_and_undo_restores_it(
    drawn: tuple[Tree, Plan], tmp_path_factory: pytest.TempPathFactory
) -> None:
    files, plan = drawn
    root = tmp_path_factory.mktemp("set")
    grow(root, files)
    apply(root, plan)
    assert tree(root) == expected(files, plan)
    assert set(files.values()) <= contents(root)
    undo(root)
    assert tree(root) == files


def run_until(root: Path, script: str, event: int) -> int:
    """Run a script that dies at its n-th system call; gives its exit status."""
    lines = [
        "from pathlib import Path",
        "from tests.test_edits import PLAN",
        "from clothes_toolkit.edits.change import apply, undo, recover",
        "from tests.crash import dies_at",
        f"root = Path({str(root)!r})",
        f"with dies_at({event}):",
        f"    {script}",
    ]
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize("script", ["apply(root, PLAN)", "undo(root)"])
def test_a_crash_at_any_system_call_leaves_before_or_after(tmp_path: Path, script: str) -> None:
    event, finished = 0, False
    while not finished:
        root = tmp_path / str(event)
        grow(root, FILES)
        if script.startswith("undo"):
            apply(root, PLAN)
        finished = run_until(root, script, event) == 0
        assert set(FILES.values()) <= contents(root)
        said = recover(root)
        assert tree(root) in (FILES, AFTER)
        assert recover(root) == []
        if finished:
            assert said == []
        apply(root, Plan("next", (Step(None, "B/next.png", "", b"next"),)))
        undo(root)
        if tree(root) == AFTER:
            undo(root)
        assert tree(root) == FILES
        event += 1
    assert event > 20


class Refusing:
    """Stands for a system call and fails once, as on a full disk."""

    def __init__(self, real: Callable[..., object], failing: int) -> None:
        self.real, self.left = real, failing

    def __call__(self, *args: object, **kwargs: object) -> object:
        self.left -= 1
        if self.left == -1:
            raise OSError(28, "No space left on device", str(args[0]))
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("refused", ["rename", "replace", "mkdir", "fsync"])
def test_a_disk_that_refuses_at_any_call_changes_nothing(
    tmp_path: Path, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for failing in range(100):
        root = tmp_path / str(failing)
        grow(root, FILES)
        call = Refusing(getattr(os, refused), failing)
        with monkeypatch.context() as patch:
            patch.setattr(os, refused, call)
            try:
                apply(root, PLAN)
                assert tree(root) == AFTER
            except ToolkitError as error:
                told.append(str(error))
                assert tree(root) == FILES
        assert recover(root) == []
        if call.left >= 0:
            break
    assert told
    assert all("No space left" in line for line in told)


def test_two_refusals_leave_it_to_the_next_command(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".png":
            raise OSError(13, "Permission denied", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ToolkitError, match="nothing was changed"):
        apply(root, PLAN)
    monkeypatch.undo()
    assert tree(root) == FILES


def test_recovery_goes_round_a_file_that_appeared(root: Path) -> None:
    assert run_until(root, "apply(root, PLAN)", find_event(root, "placing")) != 0
    (root / "B" / "1.png").write_bytes(b"somebody else's")
    with pytest.raises(ToolkitError, match="appeared"):
        recover(root)
    assert (root / "B" / "1.png").read_bytes() == b"somebody else's"
    assert set(FILES.values()) <= contents(root)
    (root / "B" / "1.png").rename(root / "theirs.png")
    recover(root)
    (root / "theirs.png").unlink()
    assert tree(root) in (FILES, AFTER)


def find_event(root: Path, state: str) -> int:
    """Return the system call at which a change of a copy of the folder is in a state."""
    for event in range(200):
        copy = root.parent / f"copy-{event}"
        grow(copy, FILES)
        run_until(copy, "apply(root, PLAN)", event)
        if any(journal.state == state for journal in Journal.all_of(copy)):
            return event
    raise AssertionError(state)


def test_one_writer_at_a_time(root: Path) -> None:
    (root / ".clothes").mkdir()
    lock = root / ".clothes" / "lock"
    with locked(lock) as stale:
        assert not stale
        assert json.loads(lock.read_text())["pid"] == os.getpid()
        with pytest.raises(LockedError, match=f"process {os.getpid()} is writing"):
            apply(root, PLAN)
        assert recover(root) == []
    assert not lock.exists()
    assert tree(root) == FILES


def test_a_lock_of_a_living_process_is_respected_and_a_dead_one_is_taken_over(root: Path) -> None:
    (root / ".clothes").mkdir()
    lock = root / ".clothes" / "lock"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        lock.write_text(str(other.pid))
        with pytest.raises(LockedError, match=str(other.pid)):
            apply(root, PLAN)
        other.communicate(b"\n")
    apply(root, PLAN)
    assert tree(root) == AFTER
    assert not lock.exists()


def test_a_killed_writer_does_not_lock_others_out(root: Path) -> None:
    (root / ".clothes").mkdir()
    script = (
        "import sys, time; from pathlib import Path\n"
        "from clothes_toolkit.edits.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(root / ".clothes" / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(LockedError):
            apply(root, PLAN)
        other.send_signal(signal.SIGKILL)
        other.wait()
    apply(root, PLAN)
    assert tree(root) == AFTER


def test_many_writers_take_turns(root: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from clothes_toolkit.edits.change import apply\n"
        "from clothes_toolkit.edits.lock import LockedError\n"
        "from clothes_toolkit.edits.plan import Plan, Step\n"
        "root, name = Path(sys.argv[1]), sys.argv[2]\n"
        "for number in range(20):\n"
        "    while True:\n"
        "        try:\n"
        "            apply(root, Plan('x', (Step(None, f'B/{name}-{number}.png', '', b'x'),)))\n"
        "            break\n"
        "        except LockedError: pass\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(root), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(tree(root)) == len(FILES) + 60
    assert [journal.number for journal in Journal.all_of(root)] == list(range(1, 61))


@needs_root
def test_a_folder_that_may_not_be_written_is_refused(root: Path) -> None:
    root.chmod(0o755)
    found = run_as_nobody(
        root,
        "from pathlib import Path\n"
        "from clothes_toolkit.edits.change import apply\n"
        "from clothes_toolkit.edits.plan import Plan, Step\n"
        "from clothes_toolkit.errors import ToolkitError",
        "try: apply(Path(), Plan('x', (Step('B/1.png', None, ''),)))\n"
        "except ToolkitError as error: print(error); sys.exit(2)",
    )
    assert found.returncode == 2, found.stderr
    assert "Permission denied" in found.stdout
    assert tree(root) == FILES


@pytest.mark.parametrize("way", ["../victim.txt", "/etc/hostname", ".clothes/../../victim.txt"])
def test_a_journal_that_leads_out_moves_nothing(root: Path, way: str) -> None:
    """A folder from anywhere may bring its own journal."""
    (root.parent / "victim.txt").write_text("mine")
    place = ".clothes/quarantine/0001/x"
    slot = {"source": way, "target": "B/9.png", "place": place, "sha256": "0" * 64}
    folder = root / ".clothes" / "changes" / "0001"
    folder.mkdir(parents=True)
    told = {"command": "x", "made": "x", "slots": [slot], "folders": []}
    (folder / "taking.json").write_text(json.dumps(told))
    with pytest.raises(ToolkitError, match="leads out"):
        recover(root)
    assert tree(root) == FILES
    assert (root.parent / "victim.txt").read_text() == "mine"


def test_numbers_go_on_after_a_lost_journal(root: Path) -> None:
    apply(root, Plan("first", (Step("A/1_01.png", None, "away"),)))
    shutil.rmtree(root / ".clothes" / "changes")
    change = apply(root, Plan("second", (Step("B/1.png", "B/7.png", "renamed"),)))
    assert change.number == 2
    assert (root / ".clothes/quarantine/0001/A/1_01.png").read_bytes() == b"sketch"


def test_a_name_may_change_its_case_where_disks_know_none(root: Path) -> None:
    """Simulated: a file is found under its new name before it is renamed."""
    os.link(root / "B" / "1.png", root / "B" / "1.PNG")
    apply_ = Plan("x", (Step("B/1.png", "B/1.PNG", "case"),))
    apply_.check(root)
    (root / "B" / "1.PNG").unlink()
    apply(root, apply_)
    assert undo(root) is not None
    assert tree(root) == FILES
