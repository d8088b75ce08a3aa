"""The studio as designers and reviewers meet it: a real browser, a pen, a real server."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from annotation_ui.store import Store
from arnet import create_method, save_method
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.images import png_bytes
from clothes_toolkit.sources.garments import make_garments
from clothes_toolkit.strokes import read_drawing, render
from clothes_toolkit.validate import validate
from tests.studio import (
    CHROMIUM,
    PASSWORD,
    Server,
    add_people,
    arc,
    browser,
    open_sheet,
    pen,
    served,
    sign_in,
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    with browser() as found:
        yield found


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "Clothes-Demo"
    make_garments(root, train_photos=6, test_photos=3, size=96)
    add_people(root)
    with served(root) as server:
        yield server


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    yield from _page(chromium)


@pytest.fixture
def other(chromium: Browser) -> Iterator[Page]:
    yield from _page(chromium)


def _page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page, faults = context.new_page(), list[str]()
    # Nothing of a page comes from elsewhere: the studio works without the internet.
    page.on("request", lambda asked: faults.append(asked.url) if not _near(asked.url) else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
    yield page
    context.close()
    assert not [fault for fault in faults if not any(known in fault for known in EXPECTED)]


EXPECTED = ("ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "401")
"""What a browser says of a connection that a test takes away, and of a session that has ended."""


def _near(url: str) -> bool:
    return url.startswith(("http://localhost:", "data:", "blob:"))


def draw_as_ann(page: Page, studio: Server) -> None:
    """Sign in as Ann, up to a sheet to draw on."""
    sign_in(page, studio.url, "ann")
    open_sheet(page)


def strokes(page: Page) -> int:
    found = page.evaluate("clothesPad.kept.length")
    assert isinstance(found, int)
    return found


def saved(page: Page) -> None:
    expect(page.locator("#studio [role=status]")).to_have_text("Saved")


def test_from_the_first_stroke_into_the_dataset(studio: Server, page: Page, other: Page) -> None:
    draw_as_ann(page, studio)
    photo = page.locator(".bottom .name").inner_text()
    pen(page, arc(0.5, 0.5, 0.3))
    pen(page, arc(0.5, 0.5, 0.2))
    pen(page, [(0.2, 0.2, 0.9), (0.8, 0.8, 0.9)])
    assert strokes(page) == 3
    page.keyboard.press("Control+z")
    assert strokes(page) == 2
    page.keyboard.press("Control+Shift+z")
    assert strokes(page) == 3
    page.keyboard.press("s")
    pen(page, [(0.5, 0.45, 0.5), (0.5, 0.55, 0.5)])
    assert strokes(page) == 2
    page.keyboard.press("e")
    pen(page, [(0.7, 0.5, 1.0), (0.9, 0.5, 1.0)])
    saved(page)

    page.reload()
    open_sheet(page)
    assert strokes(page) == 3
    drawn = page.evaluate("clothesPad.drawing.strokes")
    assert [stroke["tool"] for stroke in drawn] == ["pen", "pen", "pen", "eraser"]
    assert [("erased" in stroke) for stroke in drawn] == [False, False, True, False]
    pressures = [point[2] for point in drawn[0]["points"]]
    assert len(pressures) == 25
    assert pressures == pytest.approx([round(0.3 + 0.6 * i / 24, 2) for i in range(25)], abs=1e-3)
    page.get_by_role("button", name="Hand in").click()
    expect(page.get_by_role("dialog")).to_contain_text("Handed in")
    page.get_by_role("button", name="Next photo").click()
    expect(page.locator(".bottom .name")).not_to_have_text(photo)

    sign_in(other, studio.url, "rev")
    expect(other.get_by_role("heading", level=1)).to_have_text(f"{photo}_08")
    other.get_by_role("button", name="Return").click()
    expect(other.locator("#studio [role=alert]")).to_have_text(
        "Say in a comment what is to be changed."
    )
    other.get_by_label("Comment for the designer").fill("The hem is missing.")
    other.get_by_role("button", name="Return").click()
    expect(other.locator("#studio [role=status]")).to_have_text(f"{photo}_08 was returned.")

    page.goto(f"{studio.url}/#/draw")
    page.reload()
    open_sheet(page)
    expect(page.locator(".comment")).to_contain_text("The hem is missing.")
    pen(page, [(0.3, 0.85, 0.6), (0.5, 0.87, 0.8), (0.7, 0.85, 0.6)])
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Handed in")

    other.reload()
    other.wait_for_selector(".views")
    other.get_by_role("button", name="Accept").click()
    expect(other.locator("#studio [role=status]")).to_have_text(f"{photo}_08 is in the dataset.")

    drawing = read_drawing(studio.root / f"strokes/{photo}_08.json")
    assert len(drawing.strokes) == 5
    (sketch,) = studio.root.glob(f"*A/{photo}_08.png")
    picture = png_bytes(render(drawing, (512, 512)).convert("RGB"))
    assert sketch.read_bytes() == picture
    assert validate(Dataset.open(studio.root)).ok


def test_what_is_drawn_without_a_connection_is_sent_later(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    pen(page, arc(0.5, 0.5, 0.3))
    saved(page)
    page.context.set_offline(True)
    pen(page, arc(0.5, 0.5, 0.2))
    expect(page.locator("#studio [role=status]")).to_contain_text("No connection")
    pen(page, arc(0.5, 0.5, 0.1))
    page.context.set_offline(False)
    saved(page)
    page.reload()
    open_sheet(page)
    assert strokes(page) == 3


def test_a_tab_closed_without_a_connection_loses_nothing(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    pen(page, arc(0.5, 0.5, 0.3))
    saved(page)
    page.context.set_offline(True)
    pen(page, arc(0.5, 0.5, 0.2))
    expect(page.locator("#studio [role=status]")).to_contain_text("No connection")
    again = page.context.new_page()
    page.close()
    page.context.set_offline(False)
    again.goto(studio.url)
    open_sheet(again)
    assert strokes(again) == 2
    saved(again)


def test_a_second_tab_cannot_overwrite_the_first(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    second = page.context.new_page()
    second.goto(studio.url)
    open_sheet(second)
    page.bring_to_front()
    pen(page, arc(0.5, 0.5, 0.3))
    saved(page)
    second.bring_to_front()
    pen(second, arc(0.5, 0.5, 0.1))
    expect(second.locator("#studio [role=alert]")).to_contain_text("changed in another window")
    second.close()
    page.bring_to_front()
    page.reload()
    open_sheet(page)
    assert strokes(page) == 1


def test_a_lost_answer_loses_nothing(studio: Server, page: Page) -> None:
    """The save arrives, its answer does not: it is sent again, and what was drawn since as well."""
    draw_as_ann(page, studio)
    lost = []

    def lose(route: Route) -> None:
        lost.append(route.fetch())
        route.abort()

    page.route("**/run/save_draft", lose, times=1)
    pen(page, arc(0.5, 0.5, 0.3))
    expect(page.locator("#studio [role=status]")).to_contain_text("No connection")
    assert [answer.status for answer in lost] == [200]
    pen(page, arc(0.5, 0.5, 0.2))
    saved(page)
    page.reload()
    open_sheet(page)
    assert strokes(page) == 2


def test_saves_on_a_slow_link_do_not_overtake_each_other(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    devtools = page.context.new_cdp_session(page)
    link = {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", {**link, "latency": 1500})
    for radius in (0.3, 0.2, 0.1):
        pen(page, arc(0.5, 0.5, radius))
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(900)
    devtools.send("Network.emulateNetworkConditions", {**link, "latency": 0})
    saved(page)
    assert page.locator(".findings").is_hidden()


def test_an_old_window_keeps_what_was_drawn_in_it(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    pen(page, arc(0.5, 0.5, 0.3))
    saved(page)
    old = page.context.new_page()
    old.goto(studio.url)
    open_sheet(old)
    page.bring_to_front()
    pen(page, arc(0.5, 0.5, 0.25))
    saved(page)
    old.bring_to_front()
    pen(old, arc(0.5, 0.5, 0.1))
    pen(old, arc(0.4, 0.4, 0.1))
    expect(old.locator("#studio [role=alert]")).to_contain_text("another window")
    old.get_by_role("button", name="Use what is drawn here").click()
    saved(old)
    old.reload()
    open_sheet(old)
    assert strokes(old) == 3
    old.close()


def test_a_session_that_ends_while_drawing_loses_nothing(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    photo = page.locator(".bottom .name").inner_text()
    page.context.clear_cookies()
    pen(page, arc(0.5, 0.5, 0.3))
    expect(page.locator("#studio [role=alert]")).to_contain_text("Your session has ended")
    pen(page, arc(0.5, 0.5, 0.2))
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in").click()
    beside = opened.value
    beside.get_by_label("Name").fill("ann")
    beside.get_by_label("Password").fill(PASSWORD)
    beside.get_by_role("button", name="Sign in").click()
    expect(beside.get_by_text("You are signed in")).to_be_visible()
    beside.close()
    page.bring_to_front()
    saved(page)
    expect(page.locator(".bottom .name")).to_have_text(photo)
    assert strokes(page) == 2


def test_after_handing_in_one_can_draw_on(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    pen(page, arc(0.5, 0.5, 0.3))
    page.get_by_role("button", name="Hand in").click()
    page.get_by_role("button", name="Stay here").click()
    pen(page, arc(0.5, 0.5, 0.2))
    saved(page)
    page.get_by_role("button", name="Hand in").click()
    expect(page.get_by_role("dialog")).to_contain_text("Handed in")


def test_mouse_touch_palm_and_pinch(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    sheet = page.locator(".sheet")
    box = sheet.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=5)
    page.mouse.up()
    drawn = page.evaluate("clothesPad.drawing.strokes")
    assert len(drawn) == 1
    assert {point[2] for point in drawn[0]["points"]} == {None}
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": px, "y": py, "id": i} for i, (px, py) in enumerate(places)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (x, y))
    touch("touchMove", (x + 50, y))
    touch("touchEnd")
    assert strokes(page) == 2
    touch("touchStart", (x - 40, y))
    touch("touchStart", (x - 40, y), (x + 40, y))
    touch("touchMove", (x - 80, y), (x + 80, y))
    touch("touchEnd")
    assert strokes(page) == 2
    assert page.evaluate("clothesPad.zoom") == pytest.approx(2, abs=0.1)
    page.keyboard.press("0")
    # Once there is a pen, a palm draws nothing.
    pen(page, arc(0.5, 0.5, 0.2))
    touch("touchStart", (x, y))
    touch("touchMove", (x + 50, y))
    touch("touchEnd")
    assert strokes(page) == 3
    # A palm that cuts before the pen comes down gives back what it cut.
    page.keyboard.press("s")
    page.wait_for_timeout(700)
    touch("touchStart", (x, y))
    touch("touchMove", (x + 30, y + 20))
    assert strokes(page) == 3
    touch("touchEnd")


def test_what_is_seen_does_not_change_what_is_drawn(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    pen(page, [(0.25, 0.5, 0.5), (0.3, 0.5, 0.5)])
    before = page.evaluate("clothesPad.drawing.strokes[0].points[0]")
    assert before[:2] == pytest.approx([256, 512], abs=3)
    page.keyboard.press("m")
    page.keyboard.press("u")
    page.keyboard.press("+")
    assert page.evaluate("clothesPad.drawing.strokes[0].points[0]") == before
    page.keyboard.press("0")
    # In the mirror the pen draws where it is seen.
    pen(page, [(0.25, 0.25, 0.5), (0.3, 0.25, 0.5)])
    mirrored = page.evaluate("clothesPad.drawing.strokes[1].points[0]")
    assert mirrored[:2] == pytest.approx([768, 256], abs=3)
    page.get_by_role("button", name="Clear the sheet").click()
    page.get_by_role("button", name="Cancel").click()
    assert strokes(page) == 2
    page.get_by_role("button", name="Clear the sheet").click()
    page.get_by_role("button", name="Clear", exact=True).click()
    page.wait_for_function("clothesPad.kept.length === 0")
    page.keyboard.press("Control+z")
    assert strokes(page) == 2
    saved(page)


def test_every_point_of_a_fast_pen_is_kept(studio: Server, page: Page) -> None:
    draw_as_ann(page, studio)
    path = [(0.1 + 0.8 * i / 300, 0.5 + 0.3 * (i % 7) / 7, 0.5) for i in range(300)]
    pen(page, path)
    points = page.evaluate("clothesPad.drawing.strokes[0].points")
    assert len(points) == len(path)
    moments = [point[3] for point in points]
    assert moments == sorted(moments)


def test_a_drawing_searches_and_a_sketch_is_told_what_it_finds(tmp_path: Path, page: Page) -> None:
    root = tmp_path / "Clothes-Demo"
    make_garments(root, train_photos=6, test_photos=3, size=96)
    (checkpoint := tmp_path / "checkpoint").mkdir()
    save_method(checkpoint, create_method("arnet-mstr", "test_vit", form="match", scales=(1,)))
    with served(root, "--no-login", "--designer", "08", "--checkpoint", str(checkpoint)) as server:
        page.goto(f"{server.url}/#/search")
        open_sheet(page)
        pen(page, arc(0.5, 0.5, 0.3))
        expect(page.locator(".found li")).to_have_count(9)
        page.locator(".tools input[type=file]").set_input_files(root / "trainB" / "00002.png")
        expect(page.locator(".found li")).to_have_count(9)
        page.get_by_role("link", name="Draw").click()
        page.wait_for_selector(".bottom .name")
        open_sheet(page)
        pen(page, arc(0.5, 0.5, 0.3))
        page.get_by_role("button", name="Hand in").click()
        expect(page.locator(".retrieved li")).to_have_count(9)
        expect(page.locator(".retrieved li.own")).to_have_count(1)
        page.get_by_role("button", name="Stay here").click()
        # Alone one decides about one's own sketches.
        page.get_by_role("link", name="Review").click()
        page.get_by_role("button", name="Accept").click()
        expect(page.locator("#studio [role=status]")).to_contain_text("is in the dataset")


def test_real_garments_are_drawn_on(shared_data: Path, tmp_path: Path, page: Page) -> None:
    root = tmp_path / "figures"
    shutil.copytree(shared_data / "clothes-v1-figures", root, copy_function=shutil.copyfile)
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    before = validate(Dataset.open(root)).open_findings()
    with served(root, "--no-login", "--designer", "09") as server:
        page.goto(server.url)
        open_sheet(page)
        page.wait_for_function("document.querySelector('.garment img').naturalWidth > 0")
        photo = page.locator(".bottom .name").inner_text()
        page.keyboard.press("u")
        for radius in (0.1, 0.2, 0.3):
            pen(page, arc(0.5, 0.5, radius))
        saved(page)
        if out := os.environ.get("CLOTHES_SHOTS"):
            page.screenshot(path=Path(out) / "figures.png")
        page.get_by_role("button", name="Hand in").click()
        page.get_by_role("button", name="Stay here").click()
        page.get_by_role("link", name="Review").click()
        page.get_by_role("button", name="Accept").click()
        expect(page.locator("#studio [role=status]")).to_contain_text("is in the dataset")
    assert list(root.glob(f"*A/{photo}_09.png"))
    assert read_drawing(root / f"strokes/{photo}_09.json").kept
    new = {(f.rule, f.path) for f in validate(Dataset.open(root)).open_findings()}
    assert new <= {(finding.rule, finding.path) for finding in before}


def test_a_server_that_comes_back_has_every_draft(tmp_path: Path, page: Page) -> None:
    root = tmp_path / "Clothes-Demo"
    make_garments(root, train_photos=3, test_photos=2, size=96)
    add_people(root)
    with served(root) as server:
        draw_as_ann(page, server)
        pen(page, arc(0.5, 0.5, 0.3))
        saved(page)
        server.process.kill()
    store = Store(root / ".clothes" / "studio.sqlite")
    ((photo, _),) = store.drafted("08").items()
    draft = store.draft("08", photo)
    assert draft is not None
    assert len(json.loads(draft.document)["strokes"]) == 1
