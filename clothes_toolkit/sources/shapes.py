"""The geometry of procedural garments: outlines, seams and details in a unit square.

Coordinates run right and down from 0 to 1; a garment is symmetric about x = 0.5 but for what only
one side has, like a chest pocket.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

Point = tuple[float, float]

CURVE_STEPS = 12


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a designer draws.

    Attributes:
        points: in order.
        closed: the last point joins the first.
        detail: not part of the silhouette; a hasty designer leaves it out.
    """

    points: tuple[Point, ...]
    closed: bool = False
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Garment:
    """What a garment looks like.

    Attributes:
        kind: one of `KINDS`.
        panels: the outlines that are filled with cloth, back to front.
        lines: all lines, silhouette first.
        color: of the cloth, RGB. `accent`: of its print.
        pattern: one of `PATTERNS`.
    """

    kind: str
    panels: tuple[tuple[Point, ...], ...]
    lines: tuple[Line, ...]
    color: tuple[int, int, int]
    accent: tuple[int, int, int]
    pattern: str


KINDS = ("tee", "shirt", "hoodie", "jacket", "dress", "skirt", "trousers")
PATTERNS = ("plain", "plain", "stripes", "pinstripes", "checks", "dots", "block")
COLORS = (
    (28, 30, 36), (240, 236, 226), (52, 74, 112), (142, 38, 46), (46, 92, 70), (206, 170, 120),
    (120, 120, 124), (228, 178, 190), (92, 64, 48), (232, 196, 72), (110, 150, 190), (96, 70, 120),
)  # fmt: skip


def draw_garment(random: Random) -> Garment:
    """Invent a garment: its kind, its cut, its details, its cloth."""
    kind = random.choice(KINDS)
    if kind == "skirt":
        panels, lines = _skirt(random)
    elif kind == "trousers":
        panels, lines = _trousers(random)
    else:
        panels, lines = _top(random, kind)
    color, accent = random.sample(COLORS, 2)
    return Garment(kind, panels, lines, color, accent, random.choice(PATTERNS))


Parts = tuple[tuple[tuple[Point, ...], ...], tuple[Line, ...]]


def curve(start: Point, control: Point, end: Point) -> tuple[Point, ...]:
    """Return points along a quadratic Bézier curve, both ends included."""
    points = []
    for step in range(CURVE_STEPS + 1):
        t = step / CURVE_STEPS
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
        points.append(
            (
                a * start[0] + b * control[0] + c * end[0],
                a * start[1] + b * control[1] + c * end[1],
            )
        )
    return tuple(points)


def mirrored(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Mirror points about the garment's axis, in reverse order so that outlines close."""
    return tuple((1 - x, y) for x, y in reversed(points))


def _closed(half: tuple[Point, ...]) -> tuple[Point, ...]:
    """Complete the right half of an outline, from top to bottom, with its mirror image."""
    return half + mirrored(half)


def _top(random: Random, kind: str) -> Parts:
    """Cut a tee, shirt, hoodie, jacket or dress: body, sleeves, neck, and what belongs to it."""
    neck = random.uniform(0.05, 0.1)
    shoulder = random.uniform(0.15, 0.2)
    chest = shoulder + random.uniform(-0.02, 0.03)
    waist = chest - random.uniform(-0.01, 0.06)
    length = random.uniform(0.6, 0.8) if kind != "dress" else random.uniform(0.78, 0.92)
    hem = waist + (random.uniform(0.05, 0.2) if kind == "dress" else random.uniform(-0.01, 0.04))
    top, drop = 0.12, random.uniform(0.02, 0.05)
    armhole = top + drop + random.uniform(0.13, 0.17)
    middle = armhole + random.uniform(0.12, 0.2)
    side = curve((0.5 + chest, armhole), (0.5 + waist - 0.01, middle), (0.5 + hem, length))
    half = ((0.5 + neck, top), (0.5 + shoulder, top + drop), *side)
    body = _closed(half)
    sleeves = _sleeves(random, kind, shoulder, top + drop, armhole, chest)
    lines = [Line(body, closed=True)]
    lines += [Line(sleeve, closed=True) for sleeve in sleeves]
    panels = [*sleeves, body]
    if kind == "hoodie":
        peak = (0.5, top - random.uniform(0.12, 0.2))
        panels.insert(0, curve((0.5 - neck, top), peak, (0.5 + neck, top)))
        lines.append(Line(panels[0]))
    lines += _neck(random, kind, neck, top)
    lines += _front(random, kind, top, armhole, length, chest, waist, middle)
    return tuple(panels), tuple(lines)


def _sleeves(
    random: Random, kind: str, shoulder: float, top: float, armhole: float, chest: float
) -> tuple[tuple[Point, ...], ...]:
    lengths = {"tee": (0.1, 0.2), "dress": (0.0, 0.35)}.get(kind, (0.3, 0.42))
    reach = random.uniform(*lengths)
    if reach < 0.06:
        return ()
    spread = random.uniform(0.25, 0.6) * reach
    width = random.uniform(0.05, 0.09)
    end_x, end_y = 0.5 + shoulder + spread, top + reach
    right = (
        (0.5 + shoulder, top),
        (end_x, end_y),
        (end_x - width, end_y + 0.3 * width),
        (0.5 + chest, armhole),
    )
    return right, mirrored(right)


def _neck(random: Random, kind: str, neck: float, top: float) -> list[Line]:
    depth = random.uniform(0.03, 0.11)
    left, right = (0.5 - neck, top), (0.5 + neck, top)
    if kind == "hoodie":
        opening = curve(left, (0.5, top + 2 * depth), right)
        cord = [Line(((0.5 + d, top + depth), (0.5 + d, top + depth + 0.1)), detail=True)
                for d in (-0.02, 0.02)]  # fmt: skip
        return [Line(opening), *cord]
    if kind in ("shirt", "jacket"):
        point = random.uniform(0.05, 0.12)
        flap = (right, (0.5 + neck + 0.03, top + point), (0.5, top + depth + 0.03))
        return [Line(flap), Line(mirrored(flap))]
    if random.random() < 0.4:
        return [Line((left, (0.5, top + 1.3 * depth), right))]
    band = [Line(curve(left, (0.5, top + 2 * depth), right))]
    if random.random() < 0.5:
        inner = ((left[0] - 0.015, top), (right[0] + 0.015, top))
        band.append(Line(curve(inner[0], (0.5, top + 2 * depth + 0.04), inner[1]), detail=True))
    return band


def _front(
    random: Random,
    kind: str,
    top: float,
    armhole: float,
    length: float,
    chest: float,
    waist: float,
    middle: float,
) -> list[Line]:
    """Put on buttons, a zip, pockets, a waist seam, pleats."""
    lines: list[Line] = []
    start = top + 0.1
    if kind in ("shirt", "jacket"):
        lines.append(Line(((0.5, start), (0.5, length))))
        count = random.randint(3, 7)
        for index in range(count):
            y = start + (index + 0.5) * (length - start) / count
            lines.append(_dot(0.515, y, 0.008))
    if kind in ("hoodie", "jacket") and random.random() < 0.7:
        y = random.uniform(0.6, 0.75) * length
        pocket = ((0.5 + 0.25 * chest, y), (0.5 + 0.85 * chest, y - 0.02),
                  (0.5 + 0.85 * chest, y + 0.09), (0.5 + 0.25 * chest, y + 0.09))  # fmt: skip
        lines += [Line(pocket, True, True), Line(mirrored(pocket), True, True)]
    if kind in ("tee", "shirt") and random.random() < 0.5:
        x, y, size = 0.5 + 0.3 * chest, armhole, random.uniform(0.05, 0.08)
        patch = ((x, y), (x + size, y), (x + size, y + size), (x + size / 2, y + 1.2 * size),
                 (x, y + size))  # fmt: skip
        lines.append(Line(patch, True, True))
    if kind == "dress":
        lines.append(Line(((0.5 - waist, middle), (0.5 + waist, middle)), detail=True))
        pleats = random.choice((0, 2, 4, 6))
        for index in range(pleats):
            x = 0.5 - waist + (index + 1) * 2 * waist / (pleats + 1)
            lines.append(Line(((x, middle), (0.5 + 1.5 * (x - 0.5), length - 0.01)), detail=True))
    if kind in ("hoodie", "tee") and random.random() < 0.5:
        lines.append(
            Line(((0.5 - waist, length - 0.03), (0.5 + waist, length - 0.03)), detail=True)
        )
    return lines


def _skirt(random: Random) -> Parts:
    waist, top = random.uniform(0.11, 0.16), 0.15
    hem, length = waist + random.uniform(0.02, 0.2), random.uniform(0.5, 0.88)
    bulge = waist + random.uniform(0.3, 0.9) * (hem - waist) + 0.02
    side = curve((0.5 + waist, top), (0.5 + bulge, 0.5 * (top + length)), (0.5 + hem, length))
    sag = random.uniform(0.0, 0.05)
    bottom = curve((0.5 + hem, length), (0.5, length + 2 * sag), (0.5 - hem, length))
    body = (*side, *bottom[1:-1], *mirrored(side))
    band = top + random.uniform(0.02, 0.05)
    lines = [Line(body, closed=True), Line(((0.5 - waist, band), (0.5 + waist, band)))]
    pleats = random.choice((0, 0, 3, 5, 8))
    for index in range(pleats):
        share = (index + 1) / (pleats + 1) * 2 - 1
        foot = (0.5 + share * hem, length)
        lines.append(Line(((0.5 + share * waist, band), foot), detail=True))
    if random.random() < 0.4:
        count = random.randint(3, 8)
        lines += [_dot(0.5, band + 0.05 + 0.06 * index, 0.009) for index in range(count)]
    return (body,), tuple(line for line in lines if line.points[0][1] < length)


def _trousers(random: Random) -> Parts:
    waist, top = random.uniform(0.11, 0.15), 0.1
    hip, crotch = waist + random.uniform(0.01, 0.05), random.uniform(0.32, 0.42)
    length = random.uniform(0.55, 0.93)
    hem, gap = random.uniform(0.05, 0.14), random.uniform(0.01, 0.05)
    inside, outside = 0.5 + gap, 0.5 + gap + hem
    half = (
        (0.5 + waist, top),
        *curve((0.5 + hip, 0.25), (0.5 + hip, crotch), (outside, length)),
        (inside, length),
        (0.5, crotch),
    )
    body = _closed(half)
    band = top + random.uniform(0.025, 0.04)
    lines = [
        Line(body, closed=True),
        Line(((0.5 - waist, band), (0.5 + waist, band))),
        Line(((0.5, band), (0.5, crotch)), detail=True),
    ]
    if random.random() < 0.7:
        pocket = curve((0.5 + 0.5 * waist, band), (0.5 + 0.6 * waist, band + 0.07),
                       (0.5 + hip, band + 0.09))  # fmt: skip
        lines += [Line(pocket, detail=True), Line(mirrored(pocket), detail=True)]
    if random.random() < 0.4:
        crease = ((0.5 + 0.5 * hip, crotch), (0.5 * (inside + outside), length))
        lines += [Line(crease, detail=True), Line(mirrored(crease), detail=True)]
    if random.random() < 0.4:
        cuff = ((inside, length - 0.04), (outside, length - 0.04))
        lines += [Line(cuff, detail=True), Line(mirrored(cuff), detail=True)]
    return (body,), tuple(lines)


def _dot(x: float, y: float, radius: float) -> Line:
    square = ((x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius))
    return Line(square, closed=True, detail=True)
