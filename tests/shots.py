"""Takes the pictures of the studio for the docs, and others to look at: python -m tests.shots OUT.

Garments are made up; a pen draws them in a real browser.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from random import Random

from playwright.sync_api import Page, expect

from clothes_toolkit.sources.garments import make_garments
from clothes_toolkit.sources.shapes import draw_garment
from tests.studio import add_people, browser, open_sheet, pen, served, sign_in

SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "tablet": {"viewport": {"width": 1024, "height": 768}, "has_touch": True},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
}
SIZE = 512


def draw(page: Page, photo: str) -> None:
    """Draw a garment over again, with a hand that is not quite steady."""
    random = Random(f"garment 0 {int(photo)}")
    garment, shake = draw_garment(random), Random(1)
    for line in garment.lines:
        points = [line.points[0]]
        for (ax, ay), (bx, by) in zip(line.points, line.points[1:], strict=False):
            parts = max(round(math.hypot(bx - ax, by - ay) / 0.015), 1)
            points += [
                (ax + (bx - ax) * i / parts, ay + (by - ay) * i / parts)
                for i in range(1, parts + 1)
            ]
        pen(page, [(x + shake.gauss(0, 0.0007), y + shake.gauss(0, 0.0007),
                    min(max(0.55 + 0.3 * math.sin(3 * i / len(points)), 0.2), 1))
                   for i, (x, y) in enumerate(points)])  # fmt: skip


def main(out: Path) -> None:
    """Draw, hand in, review, and take a picture of each page on each screen."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        root = Path(folder) / "Clothes-Demo"
        make_garments(root, train_photos=12, test_photos=6, size=SIZE)
        add_people(root)
        with served(root) as server:
            for name, screen in SCREENS.items():
                context = chromium.new_context(**screen)  # type: ignore[arg-type]
                page = context.new_page()
                if name == "desktop":
                    page.goto(server.url)
                    page.screenshot(path=out / "sign-in.png")
                sign_in(page, server.url, "ann")
                open_sheet(page)
                page.wait_for_function("document.querySelector('.garment img').complete")
                photo = page.locator(".bottom .name").inner_text()
                draw(page, photo)
                page.wait_for_timeout(1500)
                page.screenshot(path=out / f"draw-{name}.png")
                page.keyboard.press("u")
                page.screenshot(path=out / f"under-{name}.png")
                page.keyboard.press("u")
                page.get_by_role("button", name="Hand in").click()
                page.wait_for_selector("dialog[open]")
                page.screenshot(path=out / f"handed-in-{name}.png")
                page.get_by_role("button", name="Next photo").click()
                expect(page.locator(".bottom .name")).not_to_have_text(photo)
                open_sheet(page)
                if name == "desktop":
                    page.keyboard.press("?")
                    page.screenshot(path=out / "keys.png")
                    page.get_by_role("button", name="Close").click()
                    page.get_by_role("button", name="Upload").click()
                    page.get_by_label("File").set_input_files(min((root / "trainA").iterdir()))
                    page.wait_for_selector(".preview:not([hidden])")
                    page.screenshot(path=out / "upload.png")
                    page.get_by_role("button", name="Cancel").click()
                page.goto(f"{server.url}/#/overview")
                page.wait_for_selector(".matrix")
                page.wait_for_timeout(500)
                page.screenshot(path=out / f"overview-{name}.png")
                context.close()
                context = chromium.new_context(**screen)  # type: ignore[arg-type]
                page = context.new_page()
                sign_in(page, server.url, "rev")
                page.wait_for_selector(".views")
                page.wait_for_timeout(500)
                page.screenshot(path=out / f"review-{name}.png", full_page=True)
                page.get_by_role("button", name="Accept").click()
                page.wait_for_selector(".empty")
                page.screenshot(path=out / f"nothing-waits-{name}.png")
                context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
