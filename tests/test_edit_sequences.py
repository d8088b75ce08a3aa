"""Any sequence of changes, undos, other people's edits and crashes; a model says what must be."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from clothes_toolkit.edits.change import apply, recover, undo
from clothes_toolkit.edits.plan import Plan, Step
from clothes_toolkit.errors import ToolkitError
from tests.crash import dies_at
from tests.trees import Tree, contents, tree

PATHS = [f"{side}/{name}.png" for side in "AB" for name in "12345"] + ["strokes/1.json"]
HELPERS = multiprocessing.get_context("forkserver")
HELPERS.set_forkserver_preload(["tests.test_edit_sequences"])


def change(root: Path, plan: Plan | None, event: int | None) -> None:
    """Apply a plan, or undo; die at a system call if one is given."""
    with dies_at(10**9 if event is None else event):
        if plan is None:
            undo(root)
        else:
            apply(root, plan)


def in_a_process(root: Path, plan: Plan | None, event: int) -> bool:
    """Change in a process that dies at a system call; tell whether it did."""
    process = HELPERS.Process(target=change, args=(root, plan, event))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def effect(files: Tree, plan: Plan) -> Tree:
    """What a plan must do, in the simplest words."""
    after = {
        path: data for path, data in files.items() if path not in {s.source for s in plan.steps}
    }
    for step in plan.steps:
        if step.target is not None:
            old = files[step.source] if step.source is not None else b""
            after[step.target] = old if step.data is None else step.data
    return after


class Edits(RuleBasedStateMachine):
    """A dataset's folder, and what it must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Path(tempfile.mkdtemp())
        self.root = self.work / "Set"
        self.files: Tree = {}
        self.history: list[Tree] = []
        self.ever: set[bytes] = set()
        self.fresh = 0

    def teardown(self) -> None:
        shutil.rmtree(self.work)

    @initialize(count=st.integers(1, 6))
    def some_files(self, count: int) -> None:
        for path in PATHS[:count]:
            self.write(path)

    def content(self) -> bytes:
        self.fresh += 1
        return f"content {self.fresh}".encode()

    def write(self, path: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        self.files[path] = self.content()
        (self.root / path).write_bytes(self.files[path])

    def draw_plan(self, data: st.DataObject) -> Plan:
        """Draw a plan that fits: moves, cycles among them, new content, quarantine, new files."""
        sources = data.draw(st.lists(st.sampled_from(sorted(self.files) or [""]), unique=True))
        free = [path for path in PATHS if path not in self.files]
        places = data.draw(st.permutations([*(s for s in sources if s), *free]))
        steps = []
        for source in filter(None, sources):
            what = data.draw(st.sampled_from(["move", "away", "rewrite", "move and rewrite"]))
            target = None if what == "away" else places.pop() if "move" in what else source
            if target == source and source in places:
                places.remove(source)
            new = self.content() if "rewrite" in what else None
            steps.append(Step(source, target, "why", new))
        taken = {step.target for step in steps}
        if places and places[-1] in free and places[-1] not in taken and data.draw(st.booleans()):
            steps.append(Step(None, places[-1], "new", self.content()))
        return Plan("test", tuple(steps))

    def fits(self, plan: Plan) -> bool:
        targets = [step.target for step in plan.steps if step.target]
        sources = {step.source for step in plan.steps}
        free = all(target in sources or target not in self.files for target in targets)
        return bool(plan.steps) and free and len(set(targets)) == len(targets)

    @rule(data=st.data())
    def apply(self, data: st.DataObject) -> None:
        plan = self.draw_plan(data)
        if not self.fits(plan):
            return
        apply(self.root, plan)
        self.history.append(self.files)
        self.files = effect(self.files, plan)

    @rule(data=st.data(), event=st.integers(0, 60))
    def apply_and_crash(self, data: st.DataObject, event: int) -> None:
        plan = self.draw_plan(data)
        if not self.fits(plan):
            return
        after = effect(self.files, plan)
        in_a_process(self.root, plan, event)
        self.nothing_lost()
        recover(self.root)
        now = tree(self.root)
        assert now in (self.files, after)
        if now == after != self.files or self.changes() > len(self.history):
            self.history.append(self.files)
            self.files = after

    @precondition(lambda self: self.history)
    @rule()
    def undo(self) -> None:
        assert undo(self.root) is not None
        self.files = self.history.pop()

    @precondition(lambda self: self.history)
    @rule(event=st.integers(0, 60))
    def undo_and_crash(self, event: int) -> None:
        in_a_process(self.root, None, event)
        self.nothing_lost()
        recover(self.root)
        assert tree(self.root) in (self.files, self.history[-1])
        if self.changes() < len(self.history):
            self.files = self.history.pop()

    @precondition(lambda self: self.history and self.files)
    @rule(data=st.data())
    def undo_after_another_wrote(self, data: st.DataObject) -> None:
        """Somebody changes a file by hand: undo touches it under no circumstances."""
        path = data.draw(st.sampled_from(sorted(self.files)))
        theirs, ours = self.content(), self.files[path]
        (self.root / path).write_bytes(theirs)
        before = tree(self.root)
        try:
            undo(self.root)
            self.files = self.history.pop()
            assert theirs in contents(self.root)
            assert tree(self.root) == self.files | {path: theirs}
            self.files = tree(self.root)
            # What came before did not know of their file.
            self.history = []
            shutil.rmtree(self.root / ".clothes")
            self.ever = set()
        except ToolkitError:
            assert tree(self.root) == before
            (self.root / path).write_bytes(ours)

    def changes(self) -> int:
        """How many changes can be undone, by the journal."""
        return len(list((self.root / ".clothes" / "changes").glob("*/done.json")))

    @invariant()
    def the_folder_is_as_the_model_says(self) -> None:
        assert tree(self.root) == self.files
        assert recover(self.root) == []

    @invariant()
    def nothing_lost(self) -> None:
        """Every content that was ever in the dataset is still somewhere."""
        self.ever |= set(self.files.values())
        assert self.ever <= contents(self.root)


TestEdits = Edits.TestCase
TestEdits.settings = settings(
    max_examples=30,
    stateful_step_count=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
