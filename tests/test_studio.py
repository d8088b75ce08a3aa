"""The studio's rules on a real dataset and a real database."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import sqlite3
import stat
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation_ui.messages import CANVAS, MOST_POINTS, read_message
from annotation_ui.people import People, Person, Role
from annotation_ui.queue import Standing
from annotation_ui.records import State
from annotation_ui.store import MIGRATIONS, Store
from annotation_ui.studio import NotAllowedError, OutdatedError, Studio
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import png_bytes
from clothes_toolkit.strokes import SCHEMA, read_drawing, render
from clothes_toolkit.validate import validate
from tests.conftest import draw_picture

ANN = Person("ann", frozenset({Role.DESIGNER}), "03")
BEA = Person("bea", frozenset({Role.DESIGNER, Role.REVIEWER}), "04")
REV = Person("rev", frozenset({Role.REVIEWER}))


def document(seed: int = 0, count: int = 4, **changes: Any) -> bytes:
    """Return what a browser sends of a drawing that no other seed gives."""
    chance = random.Random(seed)
    drawn = []
    for _ in range(count):
        x, y, points = chance.uniform(200, 800), chance.uniform(200, 800), []
        for moment in range(20):
            x, y = x + chance.uniform(-40, 40), y + chance.uniform(-40, 40)
            points.append([round(x, 2), round(y, 2), 0.5 + moment / 40, 8.0 * moment])
        drawn.append({"tool": "pen", "width": 8.0, "points": points})
    return json.dumps(
        {"schema": SCHEMA, "canvas": list(CANVAS), "strokes": drawn, **changes}
    ).encode()


@pytest.fixture
def studio(sound: Path, tmp_path: Path) -> Studio:
    return Studio(sound, Store(tmp_path / "studio" / "studio.sqlite"))


def hand_in(studio: Studio, person: Person, photo: str, seed: int = 0, **changes: Any) -> int:
    _, revision = studio.drawing(person, photo)
    studio.save_draft(person, photo, revision, document(seed, **changes))
    outcome = studio.submit_drawing(person, photo)
    assert outcome.submission is not None
    return outcome.submission


def test_a_sketch_from_its_first_stroke_into_the_dataset(studio: Studio, sound: Path) -> None:
    first = studio.next_task(ANN)
    assert first is not None
    assert (first.photo, first.standing) == ("00001", Standing.OPEN)
    assert json.loads(studio.drawing(ANN, "00001")[0])["strokes"] == []
    assert studio.save_draft(ANN, "00001", 0, document(1)) == 1
    assert studio.tasks(ANN)[0].standing is Standing.STARTED
    number = hand_in(studio, ANN, "00001", 2)
    assert not (sound / "trainA/00001_03.png").exists()
    assert [s.id for s in studio.waiting(REV)] == [number]

    studio.give_back(REV, number, " the collar is missing \n")
    task = studio.tasks(ANN)[0]
    assert (task.standing, task.comment) == (Standing.RETURNED, "the collar is missing")
    again, _ = studio.drawing(ANN, "00001")
    assert json.loads(again)["strokes"] == json.loads(document(2))["strokes"]

    second = hand_in(studio, ANN, "00001", 3)
    assert studio.accept(REV, second) == "trainA/00001_03.png"
    drawing = read_drawing(sound / "strokes/00001_03.json")
    picture = png_bytes(render(drawing, (512, 512)).convert("RGB"))
    assert (sound / "trainA/00001_03.png").read_bytes() == picture
    assert [s.state for s in studio.store.submissions()] == [State.RETURNED, State.ACCEPTED]
    assert {t.photo: t.standing for t in studio.tasks(ANN)}["00001"] is Standing.DONE
    assert validate(Dataset.open(sound)).ok
    told = [(line["person"], line["what"]) for line in studio.store.log()]
    assert told == [
        ("ann", "begin"), ("ann", "submit"), ("rev", "return"), ("ann", "submit"),
        ("rev", "accept"), ("studio", "accepted"),
    ]  # fmt: skip


def test_the_queue(studio: Studio) -> None:
    order = ["00001", "00002", "00003", "00004", "00005"]
    assert [task.photo for task in studio.tasks(ANN)] == order
    studio.skip(ANN, "00001")
    studio.skip(ANN, "00002")
    assert [task.photo for task in studio.tasks(ANN)] == [*order[2:], *order[:2]]
    studio.save_draft(ANN, "00004", 0, document())
    assert [task.photo for task in studio.tasks(ANN)] == ["00004", "00003", "00005", *order[:2]]
    task = studio.next_task(ANN, after="00004")
    assert task is not None
    assert task.photo == "00003"
    for number, photo in enumerate(order):
        hand_in(studio, ANN, photo, 10 + number)
    assert studio.next_task(ANN) is None
    assert [task.photo for task in studio.tasks(BEA)] == order


def test_what_is_skipped_comes_back_once_it_is_drawn_on(studio: Studio) -> None:
    now = 1e9
    studio.store.clock = lambda: now
    for photo in ("00001", "00002"):
        studio.save_draft(ANN, photo, 0, document())
    now += 1
    studio.skip(ANN, "00001")
    studio.skip(ANN, "00002")
    standing = {task.photo: task.standing for task in studio.tasks(ANN)}
    assert [standing["00001"], standing["00002"]] == [Standing.SKIPPED] * 2
    task = studio.next_task(ANN)
    assert task is not None
    assert task.photo == "00003"
    now += 1
    studio.save_draft(ANN, "00002", 1, document(1))
    assert studio.tasks(ANN)[0].photo == "00002"
    number = hand_in(studio, ANN, "00003", 5)
    now += 1
    studio.skip(ANN, "00003")
    now += 1
    studio.give_back(REV, number, "again")
    assert studio.tasks(ANN)[0].photo == "00003"


def test_a_sketch_in_another_format_is_replaced_by_a_png(pool: Path, tmp_path: Path) -> None:
    draw_picture(pool / "A" / "oak-chair_03.jpg", 60, photo=False)
    studio = Studio(pool, Store(tmp_path / "studio.sqlite"))
    assert studio.accept(REV, hand_in(studio, ANN, "oak-chair", 1)) == "A/oak-chair_03.png"
    assert not (pool / "A" / "oak-chair_03.jpg").exists()
    assert validate(Dataset.open(pool)).ok


def test_an_accept_that_fails_does_not_bring_back_an_older_version(
    studio: Studio, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hand_in(studio, ANN, "00001", 1)

    def full(_root: Path, _plan: object) -> None:
        hand_in(studio, ANN, "00001", 2)
        raise ToolkitError("no space left")

    monkeypatch.setattr("annotation_ui.studio.apply", full)
    with pytest.raises(ToolkitError, match="no space"):
        studio.accept(REV, first)
    monkeypatch.undo()
    assert [s.version for s in studio.waiting(REV)] == [2]
    studio.accept(REV, studio.waiting(REV)[0].id)
    assert validate(Dataset.open(sound)).ok


def test_a_studio_opens_though_the_photo_of_what_it_accepted_is_gone(
    studio: Studio, sound: Path
) -> None:
    number = hand_in(studio, ANN, "00001", 1)
    with studio.store.changing() as change:
        change.move(number, State.WAITING, State.ACCEPTING)
    (sound / "trainB/00001.png").unlink()
    again = Studio(sound, Store(studio.store.file))
    assert [s.id for s in again.store.submissions(State.WAITING)] == [number]


def test_nobody_does_what_is_not_theirs(studio: Studio) -> None:
    own = hand_in(studio, BEA, "00001", 1)
    other = hand_in(studio, ANN, "00002", 2)
    assert [s.id for s in studio.waiting(BEA)] == [other]
    for decide in (studio.accept, lambda who, n: studio.give_back(who, n, "no")):
        with pytest.raises(NotAllowedError, match="of their own"):
            decide(BEA, own)
        with pytest.raises(NotAllowedError, match="no reviewer"):
            decide(ANN, other)
        with pytest.raises(NotAllowedError, match="for you"):
            decide(REV, 99)
    with pytest.raises(NotAllowedError, match="no designer"):
        studio.save_draft(REV, "00001", 0, document())
    with pytest.raises(NotAllowedError, match="for you"):
        studio.submission(ANN, own)
    assert studio.submission(ANN, other).photo == "00002"
    with pytest.raises(NotAllowedError):
        studio.waiting(ANN)


def test_two_tabs_do_not_overwrite_each_other(studio: Studio) -> None:
    studio.save_draft(ANN, "00001", 0, document(1))
    with pytest.raises(OutdatedError):
        studio.save_draft(ANN, "00001", 0, document(2))
    assert (
        json.loads(studio.drawing(ANN, "00001")[0])["strokes"]
        == (json.loads(document(1))["strokes"])
    )
    # Another designer's draft of the photo is another draft.
    assert studio.save_draft(BEA, "00001", 0, document(2)) == 1


def test_a_version_that_waits_is_replaced_and_kept(studio: Studio) -> None:
    first, second = hand_in(studio, ANN, "00001", 1), hand_in(studio, ANN, "00001", 2)
    assert [s.id for s in studio.waiting(REV)] == [second]
    with pytest.raises(ToolkitError, match="not waiting any more"):
        studio.accept(REV, first)
    studio.accept(REV, second)
    third = hand_in(studio, ANN, "00001", 3)
    studio.accept(REV, third)
    versions = studio.store.submissions(designer="03", photo="00001")
    assert [v.version for v in versions] == [1, 2, 3]
    assert [v.state for v in versions] == [State.REPLACED, State.ACCEPTED, State.ACCEPTED]


def test_what_the_rules_say(studio: Studio, sound: Path) -> None:
    studio.save_draft(ANN, "00001", 0, document(0, 0))
    blank = studio.submit_drawing(ANN, "00001")
    assert (blank.submission, [f.rule for f in blank.findings]) == (None, ["blank-sketch"])
    studio.save_draft(ANN, "00001", 1, document(0, strokes=[_dot()]))
    assert [f.rule for f in studio.submit_drawing(ANN, "00001").findings] == ["little-ink"]
    hand_in(studio, ANN, "00002", 5)
    studio.save_draft(ANN, "00003", 0, document(5))
    own = studio.submit_drawing(ANN, "00003").findings
    assert [(f.rule, f.related) for f in own] == [("near-duplicate", ("00002_03",))]
    studio.save_draft(BEA, "00002", 0, document(5))
    copied = studio.submit_drawing(BEA, "00002").findings
    assert [(f.rule, f.related) for f in copied] == [("copied-sketch", ("00002_03", "00003_03"))]
    assert studio.waiting(REV)[-1].findings[0]["rule"] == "copied-sketch"
    taken = studio.submit_picture(ANN, "00004", (sound / "testA/00004_01.png").read_bytes())
    assert [(f.rule, f.related) for f in taken.findings] == [("copied-sketch", ("00004_01",))]


def _dot() -> dict[str, Any]:
    return {"tool": "pen", "width": 8.0, "points": [[500, 500, 1.0, 0]]}


def test_a_dataset_that_changed_meanwhile(studio: Studio, sound: Path) -> None:
    number = hand_in(studio, ANN, "00001", 1)
    draw_picture(sound / "trainA/00001_03.png", 77, photo=False)
    with pytest.raises(ToolkitError, match="changed by somebody else"):
        studio.accept(REV, number)
    assert studio.waiting(REV)[0].id == number
    (sound / "trainA/00001_03.png").unlink()
    (sound / "trainB/00001.png").rename(sound / "trainB/00009.png")
    with pytest.raises(ToolkitError, match="no such photo"):
        studio.accept(REV, number)
    (sound / "trainB/00009.png").rename(sound / "testB/00001.png")
    assert studio.accept(REV, number) == "testA/00001_03.png"


def test_a_sketch_that_was_there_may_be_drawn_anew(studio: Studio, sound: Path) -> None:
    ella = Person("ella", frozenset({Role.DESIGNER}), "01")
    before = (sound / "trainA/00002_01.png").read_bytes()
    studio.accept(REV, hand_in(studio, ella, "00002", 1))
    assert (sound / "trainA/00002_01.png").read_bytes() != before
    kept = [path.read_bytes() for path in (sound / ".clothes").rglob("*") if path.is_file()]
    assert before in kept
    # A picture drawn elsewhere has no strokes, so those of the version before leave.
    draw_picture(sound.parent / "mine.png", 5, photo=False)
    outcome = studio.submit_picture(ella, "00002", (sound.parent / "mine.png").read_bytes())
    assert outcome.submission is not None
    studio.accept(REV, outcome.submission)
    assert not (sound / "strokes/00002_01.json").exists()


def test_a_scheme_without_room_for_a_designer(studio: Studio) -> None:
    many = Person("many", frozenset({Role.DESIGNER}), "12")
    studio.save_draft(many, "00001", 0, document())
    with pytest.raises(ToolkitError, match="01 to 09"):
        studio.submit_drawing(many, "00001")


def test_two_reviewers_at_the_same_instant(studio: Studio) -> None:
    number = hand_in(studio, ANN, "00001", 1)
    gate, told = threading.Barrier(2), []

    def decide(person: Person) -> None:
        gate.wait()
        try:
            told.append(studio.accept(person, number))
        except ToolkitError as error:
            told.append(str(error))

    threads = [threading.Thread(target=decide, args=(person,)) for person in (REV, BEA)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(told) == "trainA/00001_03.png"
    assert "not waiting any more" in min(told)


def _accept_all(root: Path, file: Path) -> None:
    studio = Studio(root, Store(file))
    for waiting in studio.waiting(REV):
        studio.accept(REV, waiting.id)


@pytest.mark.parametrize("seed", range(12))
def test_a_server_killed_while_accepting(studio: Studio, sound: Path, seed: int) -> None:
    """Afterwards a sketch is in the dataset and accepted, or not there and waiting."""
    photos = ["00001", "00002", "00003", "00004", "00005"]
    numbers = [hand_in(studio, ANN, photo, n) for n, photo in enumerate(photos)]
    before = {one.id: one.picture for one in studio.waiting(REV)}
    process = multiprocessing.get_context("fork").Process(
        target=_accept_all, args=(sound, studio.store.file)
    )
    process.start()
    assert process.pid is not None
    time.sleep(random.Random(seed).uniform(0, 0.15))
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    again = Studio(sound, Store(studio.store.file))
    for number, photo in zip(numbers, photos, strict=True):
        (file,) = [f"{s}A/{photo}_03.png" for s in ("train", "test") if (sound / f"{s}B/{photo}.png").exists()]  # noqa: E501  # fmt: skip
        found = again.store.submission(number)
        assert found is not None
        if found.state is State.ACCEPTED:
            assert (sound / file).read_bytes() == before[number]
            assert (sound / f"strokes/{photo}_03.json").read_bytes() == found.strokes
        else:
            assert found.state is State.WAITING
            assert not (sound / file).exists()
            assert not (sound / f"strokes/{photo}_03.json").exists()
            again.accept(REV, number)
    assert validate(Dataset.open(sound)).ok


bad_points: Any = st.sampled_from([
    [[float("nan"), 1, 1, 0]], [[1, float("inf"), 1, 0]], [[1, 1, 2, 0]], [[1, 1, 1, -5]],
    [[1, 1, 1, 9], [1, 1, 1, 3]], [[1, 1]], [["a", 1, 1, 0]], [[1e9, 1, 1, 0]], [None], 7,
])  # fmt: skip


@given(bad_points)
def test_bad_points_are_one_line(points: Any) -> None:
    stroke = {"tool": "pen", "width": 4.0, "points": points}
    with pytest.raises(ToolkitError, match="this is no drawing") as told:
        read_message(document(strokes=[stroke]), "00001_03")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no drawing"),
        (b"[1]", "no object"),
        (b'{"strokes": []}', "'schema' is missing"),
        (b"[" * 100_000, "no drawing"),
        (document(more=1), "unknown fields"),
        (document(canvas=[10, 10]), "canvas"),
        (document(strokes=[{"tool": "laser", "width": 1, "points": []}]), "laser"),
        (document(strokes=[{"tool": "pen", "width": 1e4, "points": []}]), "width"),
        (document(strokes=[{"tool": "pen", "width": 1, "points": [], "x": 1}]), "unknown fields"),
        (document(strokes=[{"tool": "pen", "width": 1, "points": [[0, 0, 1, 0]] * (MOST_POINTS + 1)}]), "limit"),  # noqa: E501
        (b" " * (25 << 20), "limit"),
    ],
)  # fmt: skip
def test_bad_messages_are_one_line(data: bytes, what: str) -> None:
    with pytest.raises(ToolkitError, match=what):
        read_message(data, "00001_03")


def test_a_database_of_a_newer_version_is_refused_and_one_of_an_older_brought_up(
    tmp_path: Path,
) -> None:
    file = tmp_path / "studio.sqlite"
    for version in range(len(MIGRATIONS) + 1):
        file.unlink(missing_ok=True)
        database = sqlite3.connect(file)
        for number in range(version):
            database.executescript(MIGRATIONS[number])
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()
        database.close()
        assert Store(file).submissions() == []
    database = sqlite3.connect(file)
    database.execute("PRAGMA user_version = 99")
    database.commit()
    database.close()
    with pytest.raises(ToolkitError, match="newer"):
        Store(file)
    (tmp_path / "other.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(ToolkitError, match="not a database"):
        Store(tmp_path / "other.sqlite")


def test_what_raises_in_a_transaction_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "studio.sqlite")

    def interrupted() -> None:
        with store.changing() as change:
            change.save_draft("03", "00001", b"{}")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store.draft("03", "00001") is None


def test_a_full_disk_loses_no_draft(studio: Studio) -> None:
    studio.save_draft(ANN, "00001", 0, document(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    large = studio.store.file.stat().st_size + 200_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (large, before[1]))
    try:
        with pytest.raises(ToolkitError, match="nothing was changed"):
            studio.save_draft(ANN, "00001", 1, document(2, 800))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    kept, revision = studio.drawing(ANN, "00001")
    assert (json.loads(kept)["strokes"], revision) == (json.loads(document(1))["strokes"], 1)
    assert studio.save_draft(ANN, "00001", 1, document(2, 800)) == 2


def test_people(tmp_path: Path) -> None:
    people = People(tmp_path / "private" / "designers.json")
    assert people.all() == ()
    people.add(ANN.with_password("a long secret"))
    people.add(REV.with_password("another secret"))
    assert stat.S_IMODE(people.file.stat().st_mode) == 0o600
    assert b"secret" not in people.file.read_bytes()
    assert [person.name for person in people.all()] == ["ann", "rev"]
    found = people.signed_in("ann", "a long secret")
    assert found is not None
    assert found.designer == "03"
    for name, password in (("ann", "another secret"), ("nobody", "a long secret"), ("ann", "")):
        assert people.signed_in(name, password) is None
    with pytest.raises(ToolkitError, match="there already"):
        people.add(ANN)
    with pytest.raises(ToolkitError, match="03 is ann already"):
        people.add(Person("eve", frozenset({Role.DESIGNER}), "03"))
    assert people.remove("ann").name == "ann"
    with pytest.raises(ToolkitError, match="nobody called ann"):
        people.remove("ann")
    people.file.write_text('{"schema": "clothes-toolkit/designers/1", "people": [{"name": "x"}]}')
    with pytest.raises(ToolkitError, match="no designers file"):
        people.all()


@pytest.mark.parametrize(
    ("name", "roles", "number"),
    [
        ("", {Role.REVIEWER}, None),
        ("../x", {Role.REVIEWER}, None),
        ("ann", set(), None),
        ("ann", {Role.DESIGNER}, None),
        ("ann", {Role.REVIEWER}, "03"),
        ("ann", {Role.DESIGNER}, "3"),
    ],
)
def test_a_person_that_cannot_be(name: str, roles: set[Role], number: str | None) -> None:
    with pytest.raises(ToolkitError):
        Person(name, frozenset(roles), number)
    with pytest.raises(ToolkitError, match="at least 8"):
        ANN.with_password("short")


verbs = st.sampled_from(["save", "submit", "skip", "return", "accept"])


@settings(max_examples=15)
@given(st.lists(st.tuples(verbs, st.sampled_from([ANN, BEA]), st.sampled_from(["00001", "00002"]),
                          st.integers(0, 2**16)), max_size=14))  # fmt: skip
def test_whatever_people_do_nothing_is_lost_and_the_dataset_is_sound(
    steps: list[tuple[str, Person, str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "Clothes"
        for side in "AB":
            (root / f"train{side}").mkdir(parents=True)
            (root / f"test{side}").mkdir(parents=True)
        for number, split in ((1, "train"), (2, "test")):
            draw_picture(root / f"{split}B/{number:05}.png", number, photo=True)
        studio = Studio(root, Store(Path(folder) / "studio.sqlite"))
        handed_in: dict[int, bytes] = {}
        for verb, person, photo, seed in steps:
            waiting = studio.waiting(REV)
            if verb == "save":
                revision = studio.drawing(person, photo)[1]
                studio.save_draft(person, photo, revision, document(seed))
            elif verb == "submit" and studio.store.draft(str(person.designer), photo):
                outcome = studio.submit_drawing(person, photo)
                assert outcome.submission is not None
                found = studio.store.submission(outcome.submission)
                assert found is not None
                handed_in[found.id] = found.picture
            elif verb == "skip":
                studio.skip(person, photo)
            elif verb == "return" and waiting:
                studio.give_back(REV, waiting[0].id, "again")
            elif verb == "accept" and waiting:
                path = studio.accept(REV, waiting[0].id)
                assert (root / path).read_bytes() == handed_in[waiting[0].id]
        kept = {one.id: one.picture for one in studio.store.submissions()}
        assert kept == handed_in
        states = [one.state for one in studio.store.submissions()]
        assert State.ACCEPTING not in states
        report = validate(Dataset.open(root), skip=["empty-split", "photo-without-sketch"])
        assert not [f for f in report.findings if f.severity == "error" and "A/" in f.path]
