"""A studio to test: a real server in a process of its own, and a real browser with a pen."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from annotation_ui.cli import designers_file
from annotation_ui.people import People, Person, Role

PASSWORD = "correct horse battery"  # noqa: S105 - of the tests' people
ANN = Person("ann", frozenset({Role.DESIGNER}), "08")
BEA = Person("bea", frozenset({Role.DESIGNER, Role.REVIEWER}), "09")
REV = Person("rev", frozenset({Role.REVIEWER}))
HASHED = {person.name: person.with_password(PASSWORD) for person in (ANN, BEA, REV)}

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A studio that is open.

    Attributes:
        url: its address.
        root: its dataset.
        process: of the server.
    """

    url: str
    root: Path
    process: subprocess.Popen[str]


def add_people(root: Path) -> None:
    """Let Ann, Bea and Rev sign in to a dataset's studio."""
    people = People(designers_file(root))
    for person in HASHED.values():
        people.add(person)


@contextmanager
def served(root: Path, *options: str) -> Iterator[Server]:
    """Open a dataset's studio on a free port, and close it in the end."""
    command = [sys.executable, "-m", "clothes_toolkit", "annotate", str(root), "--port", "0"]
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, "the studio did not open"
        yield Server(line.split()[5], root, process)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser without a window."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            yield found
        finally:
            found.close()


def sign_in(page: Page, url: str, name: str) -> None:
    """Sign in as somebody, up to the first page."""
    page.goto(url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#page > *")


def open_sheet(page: Page) -> None:
    """Wait until there is a sheet to draw on."""
    page.wait_for_selector(".sheet[data-ready]")


def pen(page: Page, path: Sequence[tuple[float, float, float]]) -> None:
    """Draw a stroke with a pen: x and y as shares of the sheet's shorter side, and pressure."""
    box = page.locator(".sheet").bounding_box()
    assert box is not None
    side = min(box["width"], box["height"])
    left = box["x"] + (box["width"] - side) / 2
    top = box["y"] + (box["height"] - side) / 2
    devtools = page.context.new_cdp_session(page)

    def send(kind: str, point: tuple[float, float, float]) -> None:
        down = kind != "mouseReleased"
        devtools.send(
            "Input.dispatchMouseEvent",
            {
                "type": kind,
                "x": left + point[0] * side,
                "y": top + point[1] * side,
                "button": "left",
                "buttons": int(down),
                "clickCount": int(kind == "mousePressed"),
                "force": point[2] if down else 0,
                "pointerType": "pen",
            },
        )

    send("mousePressed", path[0])
    for point in path[1:]:
        send("mouseMoved", point)
    send("mouseReleased", path[-1])
    devtools.detach()


def arc(x: float, y: float, radius: float, parts: int = 24) -> list[tuple[float, float, float]]:
    """Return a round stroke whose pressure grows."""
    return [
        (
            x + radius * math.cos(2 * math.pi * i / parts),
            y + radius * math.sin(2 * math.pi * i / parts),
            round(0.3 + 0.6 * i / parts, 2),
        )
        for i in range(parts + 1)
    ]
