"""The studio's server, asked by programs: the right ones, the wrong ones, and the hostile ones."""

from __future__ import annotations

import base64
import io
import json
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from PIL import Image, ImageDraw

from annotation_ui.cli import designers_file
from annotation_ui.people import People
from annotation_ui.sessions import LOCKED_SECONDS, SESSION_SECONDS, TRIES, Sessions, SignInError
from annotation_ui.store import Store
from clothes_toolkit.dataset import Dataset
from clothes_toolkit.sources.garments import make_garments
from clothes_toolkit.validate import validate
from tests.studio import ANN, PASSWORD, Server, add_people, served
from tests.test_studio import document


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("studio") / "Clothes-Demo"
    make_garments(root, train_photos=8, test_photos=3, size=96)
    add_people(root)
    with served(root) as found:
        yield found


@pytest.fixture
def ann(server: Server) -> Iterator[httpx.Client]:
    yield from _signed_in(server, "ann")


@pytest.fixture
def bea(server: Server) -> Iterator[httpx.Client]:
    yield from _signed_in(server, "bea")


@pytest.fixture
def nobody(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def _signed_in(server: Server, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        answer = client.post("/login", data={"username": name, "password": PASSWORD})
        assert answer.status_code == 200
        yield client


def call(client: httpx.Client, name: str, *inputs: Any) -> dict[str, Any]:
    answer = client.post(f"/gradio_api/run/{name}", json={"data": list(inputs)})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["data"]
    assert isinstance(found, dict)
    return found


def hand_in(client: httpx.Client, photo: str, seed: int) -> int:
    revision = call(client, "drawing", photo)["revision"]
    drawing = document(seed).decode()
    assert "error" not in call(client, "save_draft", photo, revision, drawing, "")
    number = call(client, "submit", photo)["submission"]
    assert isinstance(number, int)
    return number


def test_a_program_draws_and_another_reviews(server: Server) -> None:
    designer = Client(server.url, auth=("ann", PASSWORD), verbose=False)
    photo = designer.predict("", api_name="/next_task")["task"]["photo"]
    drawing = document(41).decode()
    before = designer.predict(photo, api_name="/drawing")["revision"]
    told = designer.predict(photo, before, drawing, "", api_name="/save_draft")
    assert told == {"revision": before + 1}
    number = designer.predict(photo, api_name="/submit")["submission"]
    reviewer = Client(server.url, auth=("rev", PASSWORD), verbose=False)
    assert number in [s["submission"] for s in reviewer.predict(api_name="/waiting")["waiting"]]
    path = reviewer.predict(number, api_name="/accept")["sketch"]
    assert (server.root / path).is_file()
    assert designer.predict(number, api_name="/accept")["error"] == "ann is no reviewer"
    assert validate(Dataset.open(server.root)).ok


def test_signed_out_requests_change_nothing_and_see_nothing(
    server: Server, nobody: httpx.Client
) -> None:
    before = (server.root / ".clothes" / "studio.sqlite").stat().st_mtime_ns
    for name in ("me", "save_draft", "submit", "accept", "coverage", "waiting", "find"):
        answer = nobody.post(f"/gradio_api/run/{name}", json={"data": []})
        assert (answer.status_code, answer.json()) == (401, {"error": "sign in first"})
    for path in ("/studio/photo/00001", "/studio/submission/1", "/config", "/gradio_api/info"):
        assert nobody.get(path).status_code == 401
    assert nobody.post("/studio/upload/00001", content=b"x").status_code == 401
    assert nobody.post("/studio/photos", content=b"x").status_code == 401
    assert nobody.post("/gradio_api/queue/join", json={"data": []}).status_code == 401
    home = nobody.get("/")
    assert (home.status_code, home.headers["location"]) == (303, "/login")
    assert (server.root / ".clothes" / "studio.sqlite").stat().st_mtime_ns == before


def test_other_sites_cannot_ask_in_somebodys_name(server: Server, ann: httpx.Client) -> None:
    body = {"data": ["00002"]}
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        answer = ann.post("/gradio_api/run/skip", json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (403, "this came from another site")
        assert ann.post("/logout", headers=headers).status_code == 403
    own = {"origin": server.url, "sec-fetch-site": "same-origin"}
    assert ann.post("/gradio_api/run/skip", json=body, headers=own).status_code == 200
    cookie = ann.post("/login", data={"username": "ann", "password": PASSWORD})
    told = cookie.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=lax" in told
    assert ann.get("/").headers["x-frame-options"] == "DENY"


SECRETS = ("studio.sqlite", "studio.sqlite-wal", "designers.json", "facts.sqlite")


UPWARDS = ("..%2f..%2f", "../../.clothes/", "%2e%2e/.clothes/")


def test_no_url_gives_what_is_private(server: Server, ann: httpx.Client, bea: httpx.Client) -> None:
    """Every route that Gradio and the studio have is asked for every private file."""
    hidden = "a secret stroke of bea"
    drawing = json.loads(document(7))
    drawing["strokes"][0]["width"] = 123.4567
    revision = call(bea, "drawing", "00003")["revision"]
    call(bea, "save_draft", "00003", revision, json.dumps(drawing), "")
    private = server.root / ".clothes"
    files = [*(private / name for name in SECRETS), Path("/etc/passwd")]
    assert (private / "designers.json").is_file()
    prefixes = [
        "/file=", "/file/", "/gradio_api/file=", "/gradio_api/file/", "/gradio_api/proxy=file://",
        "/proxy=", "/static/", "/assets/", "/svelte/", "/gradio_api/custom_component/x/client/js/",
        "/gradio_api/stream/x/", "/studio/assets/", "/studio/photo/", "/studio/submission/",
        "/gradio_api/deep_link?session_hash=", "/monitoring/", "/gradio_api/vibe-code",
        "/gradio_api/run-history/records/", "/gradio_api/component_server/", "/",
    ]  # fmt: skip
    for file in files:
        for prefix in prefixes:
            for path in (str(file), str(file).lstrip("/"), *(up + file.name for up in UPWARDS)):
                for method in ("GET", "POST"):
                    answer = ann.request(method, f"{prefix}{path}")
                    assert answer.status_code in (400, 401, 403, 404, 405, 422), (prefix, path)
    for text in (b"123.4567", hidden.encode(), b"scrypt", b"SQLite", b"root:x:"):
        for path in ("/", "/config", "/gradio_api/info", "/studio/photo/00003"):
            assert text not in ann.get(path).content
    assert "123.4567" not in json.dumps(call(ann, "drawing", "00003"))
    number = hand_in(bea, "00003", 8)
    assert ann.get(f"/studio/submission/{number}").status_code == 404
    assert bea.get(f"/studio/submission/{number}").headers["content-type"] == "image/png"


def test_routes_that_are_not_needed_are_closed(ann: httpx.Client) -> None:
    for path in ("/gradio_api/vibe-edit", "/gradio_api/process_recording", "/gradio_api/upload",
                 "/gradio_api/run-history/connect", "/gradio_api/profiling/clear"):  # fmt: skip
        assert ann.post(path, json={}).status_code == 404
    for path in ("/monitoring", "/docs", "/openapi.json", "/gradio_api/openapi.json",
                 "/gradio_api/dev/reload", "/gradio_api/upload_progress"):  # fmt: skip
        assert ann.get(path).status_code == 404
    assert ann.put("/gradio_api/run/me", json={}).status_code == 404


def test_bad_calls_are_one_line_and_never_a_servers_error(ann: httpx.Client) -> None:
    strokes = json.loads(document())["strokes"]
    endless = [[1, 1, 1, 0]] * 300_000
    bad: list[Any] = [
        {}, [], 7, None, "x", {"strokes": strokes}, {**json.loads(document()), "more": 1},
        {**json.loads(document()), "strokes": [{**strokes[0], "points": endless}]},
        {**json.loads(document()), "strokes": [{**strokes[0], "points": [[1, 1, 1, -5]]}]},
    ]  # fmt: skip
    for drawing in bad:
        found = call(ann, "save_draft", "00004", 0, json.dumps(drawing), "")
        assert "error" in found, drawing
        assert "\n" not in found["error"]
    nan = '{"schema": "x", "strokes": [NaN, Infinity]}'
    assert "NaN is no number" in call(ann, "save_draft", "00004", 0, nan, "")["error"]
    headers = {"content-type": "application/json"}
    for inputs in (["00004", 0, {"x": float("nan")}, ""], ["00004", 0, strokes, ""]):
        body = json.dumps({"data": inputs})
        answer = ann.post("/gradio_api/run/save_draft", content=body, headers=headers)
        assert answer.status_code < 500
    for body in ('{"data": []}', '{"data": [1]}', "{}", "garbage", ""):
        for name in ("save_draft", "submit", "accept", "nothing"):
            answer = ann.post(f"/gradio_api/run/{name}", content=body, headers=headers)
            told = answer.status_code == 200 and "error" in answer.json()["data"][0]
            assert told or 400 <= answer.status_code < 500, (name, body, answer.text)
    for name, inputs in (("drawing", ["../x"]), ("drawing", ["99999"]), ("accept", ["x"]),
                         ("accept", [-1]), ("accept", [10**30]), ("give_back", [1, None]),
                         ("skip", [{}])):  # fmt: skip
        assert "error" in call(ann, name, *inputs)


FILE = {"meta": {"_type": "gradio.FileData"}}


def test_a_call_takes_no_files(server: Server, ann: httpx.Client) -> None:
    """Gradio would copy, hash or fetch what looks like one of its files, wherever it stands."""
    private = str(server.root / ".clothes" / "designers.json")
    cached = set(Path(tempfile.gettempdir()).rglob("designers.json"))
    for path in ("/dev/zero", private, f"{private}-not", "http://127.0.0.1:9/x", server.url):
        for more in ({}, {"url": path}, {"is_stream": True}):
            file = {"path": path, **more, **FILE}
            for value in (file, [file], {"a": file}):
                for route in ("run", "call"):
                    answer = ann.post(f"/gradio_api/{route}/skip", json={"data": [value]})
                    assert "scrypt" not in answer.text
                    assert "gradio/" not in answer.text
                body = {"data": [value], "fn_index": 6, "session_hash": "abc"}
                assert ann.post("/gradio_api/queue/join", json=body).status_code < 500
    assert set(Path(tempfile.gettempdir()).rglob("designers.json")) == cached
    assert call(ann, "me")["name"] == "ann"


def test_headers_that_cannot_be_read_are_one_line(ann: httpx.Client) -> None:
    for headers in ({"host": "["}, {"origin": "http://["}, {"cookie": "clothes_session=\x7f[;"}):
        answer = ann.post("/gradio_api/run/me", json={"data": []}, headers=headers)
        assert answer.status_code < 500
    chunks = ann.post("/studio/upload/00001", content=iter([b"x" * 100]))
    assert chunks.status_code == 411
    assert ann.get(f"/studio/submission/{10**30}").status_code == 404


def test_a_save_sent_again_changes_nothing(ann: httpx.Client) -> None:
    revision = call(ann, "drawing", "00007")["revision"]
    first = call(ann, "save_draft", "00007", revision, document(71).decode(), "one")
    assert call(ann, "save_draft", "00007", revision, document(71).decode(), "one") == first
    assert "error" in call(ann, "save_draft", "00007", revision, document(72).decode(), "two")
    number = call(ann, "submit", "00007")
    # Revisions never go back, so that an old window cannot take itself for a new one.
    assert number["revision"] > first["revision"]
    assert call(ann, "drawing", "00007")["revision"] == number["revision"]
    assert "error" in call(ann, "save_draft", "00007", revision, document(73).decode(), "three")


def test_more_than_fits_is_refused_before_it_is_read(server: Server, ann: httpx.Client) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1 << 20
            yield b"x" * (1 << 20)

    headers = {"content-length": str(100 << 20)}
    try:
        answer = ann.post("/studio/upload/00001", content=body(), headers=headers)
    except httpx.WriteError:
        assert sent < 100 << 20
    else:
        assert answer.status_code == 413


def test_two_hand_in_and_two_accept_at_the_same_instant(
    server: Server, ann: httpx.Client, bea: httpx.Client
) -> None:
    for client, seed in ((ann, 51), (bea, 52)):
        revision = call(client, "drawing", "00005")["revision"]
        call(client, "save_draft", "00005", revision, document(seed).decode(), "")
    gate = threading.Barrier(2)

    def submit(client: httpx.Client) -> int:
        gate.wait()
        number = call(client, "submit", "00005")["submission"]
        assert isinstance(number, int)
        return number

    with ThreadPoolExecutor(2) as pool:
        numbers = list(pool.map(submit, (ann, bea)))
    assert len(set(numbers)) == 2
    with httpx.Client(base_url=server.url, timeout=60) as rev:
        rev.post("/login", data={"username": "rev", "password": PASSWORD})
        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(lambda _: call(rev, "accept", numbers[0]), range(2)))
        assert sorted("sketch" in one for one in told) == [False, True]
        assert "sketch" in call(rev, "accept", numbers[1])


def picture(kind: str = "PNG", size: tuple[int, int] = (300, 200), paper: int = 255) -> bytes:
    image = Image.new("L", size, paper)
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 30, size[0] // 2, size[1] - 40), outline=20, width=4)
    draw.line((20, 20, size[0] - 30, size[1] - 30), fill=20, width=3)
    file = io.BytesIO()
    image.convert("RGB").save(file, kind)
    return file.getvalue()


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50" {more}>{inside}'
    '<path d="M10 10L90 40" stroke="black" stroke-width="2" fill="none"/></svg>'
)


def preview(client: httpx.Client, data: bytes, **query: Any) -> Image.Image:
    answer = client.post("/studio/upload/00006", content=data, params=query)
    assert answer.status_code == 200, answer.text
    encoded = answer.json()["picture"].partition(",")[2]
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def ink_box(found: Image.Image) -> tuple[int, int, int, int]:
    box = found.point([255 * (v < 128) for v in range(256)]).getbbox()
    assert box is not None
    return box


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "PDF", "SVG"])
def test_what_was_drawn_elsewhere_is_cropped_squared_and_drawn_anew(
    ann: httpx.Client, kind: str
) -> None:
    data = SVG.format(more="", inside="").encode() if kind == "SVG" else picture(kind)
    found = preview(ann, data)
    assert (found.size, found.mode, found.format) == ((512, 512), "L", "PNG")
    left, top, right, bottom = ink_box(found)
    assert right - left == pytest.approx(512 * 0.88, abs=8)
    assert left + right == pytest.approx(512, abs=6)
    assert top + bottom == pytest.approx(512, abs=6)
    assert found.getpixel((2, 2)) == 255
    turned = preview(ann, data, turn=1)
    box = ink_box(turned)
    assert (box[3] - box[1], box[2] - box[0]) == pytest.approx((right - left, bottom - top), abs=4)


def test_a_scan_becomes_black_on_white(ann: httpx.Client) -> None:
    found = preview(ann, picture("JPEG", paper=170), threshold=0.4)
    levels = found.histogram()
    assert sum(levels[30:225]) < 0.1 * 512 * 512
    assert levels[255] > 0.8 * 512 * 512


def _bomb() -> bytes:
    file = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(file, "PNG")
    return file.getvalue()


def _pages(count: int) -> bytes:
    file = io.BytesIO()
    first, *rest = [Image.new("L", (20, 20), 255) for _ in range(count)]
    first.save(file, "PDF", save_all=True, append_images=rest)
    return file.getvalue()


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text></svg>'
)


TALL = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="90000" viewBox="0 0 9 9"/>'


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"hello", "no drawing"),
        (b"%PDF-1.7 garbage", "PDF cannot be read"),
        (picture()[:200], "no drawing"),
        (_bomb(), "Mpx"),
        (_pages(60), "60 pages"),
        (b"\x89PNG" + b"x" * (21 << 20), "MiB"),
        (LAUGHS, "entities"),
        (SVG.format(more="", inside="<script>alert(1)</script>").encode(), "<script>"),
        (SVG.format(more='onload="x()"', inside="").encode(), "onload"),
        (SVG.format(more="", inside='<image href="file:///etc/passwd"/>').encode(), "<image>"),
        (SVG.format(more="", inside='<use href="http://a.example/x.svg#a"/>').encode(), "href"),
        (SVG.format(more="", inside="<style>@import 'http://a'</style>").encode(), "style"),
        (SVG.format(more="", inside="<foreignObject/>").encode(), "foreignobject"),
        (SVG.format(more="", inside='<rect fill="url(http://a.example/x)"/>').encode(), "outside"),
        (b"<svg", "SVG cannot be read"),
        (TALL, "this file"),
    ],
)  # fmt: skip
def test_hostile_and_broken_uploads_are_one_line(ann: httpx.Client, data: bytes, what: str) -> None:
    answer = ann.post("/studio/upload/00006", content=data)
    assert answer.status_code == 422
    assert what in answer.json()["error"]
    assert tempfile.gettempdir() not in answer.json()["error"]


def test_an_upload_is_handed_in(server: Server, ann: httpx.Client) -> None:
    answer = ann.post("/studio/upload/00006?hand_in=true", content=picture()).json()
    found = Store(server.root / ".clothes" / "studio.sqlite").submission(answer["submission"])
    assert found is not None
    assert (found.photo, found.strokes) == ("00006", None)
    blank = ann.post("/studio/upload/00007?hand_in=true", content=picture(paper=20)).json()
    assert blank["submission"] is None
    assert ann.post("/studio/upload/..%2fx?hand_in=true", content=picture()).status_code == 404


def test_a_drawing_is_saved_as_svg(ann: httpx.Client, bea: httpx.Client) -> None:
    revision = call(ann, "drawing", "00008")["revision"]
    call(ann, "save_draft", "00008", revision, document(61).decode(), "")
    found = ann.get("/studio/drawing/00008.svg")
    assert found.headers["content-type"] == "image/svg+xml"
    assert found.text.count("<g stroke") == 4
    assert bea.get("/studio/drawing/00008.svg").text.count("<g stroke") == 0
    assert ann.get("/studio/drawing/99999.svg").status_code == 404


def test_new_photos(server: Server, ann: httpx.Client, bea: httpx.Client) -> None:
    image = Image.new("RGB", (200, 260), "white")
    ImageDraw.Draw(image).polygon([(30, 30), (170, 40), (150, 230), (60, 220)], fill=(30, 90, 160))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    assert ann.post("/studio/photos", content=file.getvalue()).status_code == 403
    added = bea.post("/studio/photos", content=file.getvalue())
    assert added.json() == {"photo": "00012"}
    assert (server.root / "trainB/00012.png").is_file()
    again = io.BytesIO()
    image.resize((300, 390)).save(again, "PNG")
    refused = bea.post("/studio/photos", content=again.getvalue())
    assert (refused.status_code, refused.json()["twin"]) == (409, "00012")
    assert bea.post("/studio/photos", content=b"no photo").status_code == 422
    assert call(ann, "drawing", "00012")["task"]["standing"] == "open"


def test_sessions_end_and_wrong_passwords_lock_out(tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    add_people(root)
    now = 1e9
    store = Store(tmp_path / "studio.sqlite", clock=lambda: now)
    sessions = Sessions(People(designers_file(root)), store)
    token = sessions.sign_in("ann", PASSWORD)
    assert sessions.person(token) is not None
    assert sessions.person("another") is None
    now += SESSION_SECONDS + 1
    assert sessions.person(token) is None
    for _ in range(TRIES):
        with pytest.raises(SignInError, match="do not belong together"):
            sessions.sign_in("ann", "wrong password")
    with pytest.raises(SignInError, match="too many"):
        sessions.sign_in("ann", PASSWORD)
    assert sessions.sign_in("bea", PASSWORD)
    now += LOCKED_SECONDS + 1
    token = sessions.sign_in("ann", PASSWORD)
    sessions.sign_out(token)
    assert sessions.person(token) is None
    # Another password ends the sessions of the one before.
    token = sessions.sign_in("ann", PASSWORD)
    People(designers_file(root)).remove("ann")
    People(designers_file(root)).add(ANN.with_password("another password"))
    assert sessions.person(token) is None
    People(designers_file(root)).remove("ann")
    People(designers_file(root)).add(ANN.with_password(PASSWORD))
    token = sessions.sign_in("ann", PASSWORD)
    People(designers_file(root)).remove("ann")
    assert sessions.person(token) is None
    assert token not in (tmp_path / "studio.sqlite").read_bytes().decode("latin-1")
