"""Many designers drawing and handing in at once: what they wait for, and whether anything is lost.

Also how soon a page can be drawn on, and how long a sketch takes to render. The studio runs in a
process of its own, on a made-up dataset; designers and reviewers are HTTP
clients in this one. Designers save as the pad does, every so many seconds, rest, and hand in.

    python benchmarks/studio.py --minutes 3 --out benchmarks/results/studio.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

from annotation_ui.cli import designers_file
from annotation_ui.messages import CANVAS
from annotation_ui.people import People, Person, Role
from annotation_ui.records import State
from annotation_ui.store import Store
from annotation_ui.studio import RELEASE_SIZE
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.sources.garments import make_garments
from clothes_toolkit.strokes import SCHEMA, parse_drawing, render
from clothes_toolkit.validate import validate
from tests.studio import PASSWORD, add_people, browser, open_sheet, pen, served, sign_in

TRAIN, TEST = 40, 10
PAGES, EVENTS = 5, 600
SAVE_EVERY_S = 2.0
STROKES, POINTS = 12, 120
"""Of a sketch, and of a stroke."""


class Clock:
    """Collects how long calls took, by name; for many threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self._lock = threading.Lock()

    def call(self, client: httpx.Client, name: str, *inputs: Any) -> dict[str, Any]:
        """Ask the studio, and keep how long it took."""
        start = time.perf_counter()
        answer = client.post(f"/gradio_api/run/{name}", json={"data": list(inputs)})
        took = time.perf_counter() - start
        found: dict[str, Any] = answer.json()["data"][0] if answer.status_code == 200 else {
            "error": answer.text
        }  # fmt: skip
        with self._lock:
            self.seconds[name].append(took)
            if "error" in found:
                self.errors.append(f"{name}: {found['error']}")
        return found


def stroke(chance: random.Random, moment: int) -> dict[str, Any]:
    """Return a stroke such as a hand draws."""
    x, y, points = chance.uniform(200, 800), chance.uniform(200, 800), []
    for step in range(POINTS):
        x, y = x + chance.gauss(0, 8), y + chance.gauss(0, 8)
        points.append(
            [round(x, 2), round(y, 2), round(chance.uniform(0.3, 1), 3), moment + 8 * step]
        )
    return {"tool": "pen", "width": 4.0, "points": points}


def draw(url: str, number: int, until: float, clock: Clock) -> int:
    """Be a designer: returns how many sketches were handed in."""
    chance = random.Random(number)
    done = 0
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post("/login", data={"username": f"d{number}", "password": PASSWORD})
        time.sleep(chance.uniform(0, SAVE_EVERY_S))
        while time.monotonic() < until:
            task = clock.call(client, "next_task", "").get("task")
            if task is None:
                break
            photo = task["photo"]
            revision = clock.call(client, "drawing", photo)["revision"]
            strokes: list[dict[str, Any]] = []
            while len(strokes) < STROKES:
                strokes.append(stroke(chance, 1000 * len(strokes)))
                document = {"schema": SCHEMA, "canvas": list(CANVAS), "strokes": strokes}
                inputs = (photo, revision, json.dumps(document), "")
                revision = clock.call(client, "save_draft", *inputs)["revision"]
                time.sleep(SAVE_EVERY_S * chance.uniform(0.5, 1.5))
            if clock.call(client, "submit", photo).get("submission"):
                done += 1
    return done


def review(url: str, number: int, over: threading.Event, clock: Clock) -> int:
    """Be a reviewer: returns how many sketches were accepted."""
    accepted = 0
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post("/login", data={"username": f"r{number}", "password": PASSWORD})
        while True:
            last = over.is_set()
            waiting = clock.call(client, "waiting")["waiting"]
            mine = [one["submission"] for one in waiting if one["submission"] % 2 == number]
            for submission in mine:
                accepted += "sketch" in clock.call(client, "accept", submission)
            if last and not mine:
                return accepted
            time.sleep(1)


def measure(designers: int, minutes: float) -> dict[str, Any]:
    """Let so many designers draw for some minutes, and look at what is left of it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "Clothes-Demo"
        make_garments(root, train_photos=TRAIN, test_photos=TEST, size=384)
        people = People(designers_file(root))
        for number in range(designers):
            person = Person(f"d{number}", frozenset({Role.DESIGNER}), f"{number + 10:02}")
            people.add(person.with_password(PASSWORD))
        for number in range(2):
            people.add(Person(f"r{number}", frozenset({Role.REVIEWER})).with_password(PASSWORD))
        clock, over = Clock(), threading.Event()
        with served(root, "--scheme", "open") as server, ThreadPoolExecutor(designers + 2) as pool:
            until = time.monotonic() + 60 * minutes
            reviewing = [pool.submit(review, server.url, n, over, clock) for n in range(2)]
            drawing = [pool.submit(draw, server.url, n, until, clock) for n in range(designers)]
            handed_in = sum(one.result() for one in drawing)
            over.set()
            accepted = sum(one.result() for one in reviewing)
            memory = psutil.Process(server.process.pid).memory_info().rss >> 20
        lost = [*_lost(root), *clock.errors]
        report = validate(Dataset.open(root, "open"))
        errors = [finding for finding in report.findings if finding.severity == "error"]
    return {
        "rendering_5000_points_ms": measure_rendering(),
        **measure_page(),
        "designers": designers,
        "minutes": minutes,
        "handed_in": handed_in,
        "accepted": accepted,
        "lost": len(lost),
        "errors_of_validate": len(errors),
        "memory_mib": memory,
        "calls": [_row(name, clock.seconds[name]) for name in sorted(clock.seconds)],
    }


def measure_page() -> dict[str, float]:
    """Return how soon a cold browser shows a sheet to draw on, and what it keeps of a fast pen."""
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        root = Path(folder) / "Clothes-Demo"
        make_garments(root, train_photos=TRAIN, test_photos=TEST, size=384)
        add_people(root)
        with served(root) as server:
            seconds = []
            for _ in range(PAGES):
                context = chromium.new_context()
                page = context.new_page()
                page.goto(server.url)
                page.get_by_label("Name").fill("ann")
                page.get_by_label("Password").fill(PASSWORD)
                start = time.perf_counter()
                page.get_by_role("button", name="Sign in").click()
                open_sheet(page)
                seconds.append(time.perf_counter() - start)
                context.close()
            page = chromium.new_page()
            sign_in(page, server.url, "ann")
            open_sheet(page)
            start = time.perf_counter()
            pen(page, [(0.1 + 0.8 * i / EVENTS, 0.5, 0.5) for i in range(EVENTS)])
            took = time.perf_counter() - start
            kept = page.evaluate("clothesPad.strokes[0].points.length")
    return {
        "first_page_s": statistics.median(seconds),
        "pen_events": EVENTS,
        "pen_events_kept": kept,
        "pen_events_per_s": EVENTS / took,
    }


def measure_rendering() -> float:
    """Return the milliseconds that a sketch of 5,000 points takes to draw at 512 by 512."""
    chance = random.Random(0)
    strokes = [stroke(chance, 0) for _ in range(5000 // POINTS + 1)]
    document = {"schema": SCHEMA, "sketch": "x", "canvas": list(CANVAS), "strokes": strokes}
    drawing = parse_drawing(document)
    took = []
    for _ in range(20):
        start = time.perf_counter()
        render(drawing, RELEASE_SIZE)
        took.append(time.perf_counter() - start)
    return 1000 * statistics.median(took)


def _lost(root: Path) -> list[str]:
    """Return the accepted sketches that are not in the dataset as they were handed in."""
    dataset = Dataset.open(root, "open")
    files = {(s.photo, s.designer): root / s.path for s in dataset.sketches}
    store = Store(root / ".clothes" / "studio.sqlite")
    return [
        f"{one.photo}_{one.designer}"
        for one in store.submissions(State.ACCEPTED)
        if hashlib.sha256(files[one.photo, one.designer].read_bytes()).digest()
        != hashlib.sha256(one.picture).digest()
    ]


def _row(name: str, seconds: list[float]) -> dict[str, Any]:
    p50, p95 = (statistics.quantiles(seconds, n=20)[place] for place in (9, 18))
    return {"what": name, "calls": len(seconds), "p50_ms": 1000 * p50, "p95_ms": 1000 * p95}


def main() -> None:
    """Measure, print, and write the results where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--designers", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    arguments = parser.parse_args()
    found = measure(arguments.designers, arguments.minutes)
    print(json.dumps(found, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if found["lost"] or found["accepted"] != found["handed_in"]:
        raise SystemExit("something was lost")


if __name__ == "__main__":
    main()
