"""The server: signing in, pictures, and Gradio with the pages, behind the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from string import Template

import gradio as gr
from fastapi import FastAPI, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from gradio.events import api

from annotation_ui.api import Answer, Calls, endpoints, png_url, ranked_json, required, told_of
from annotation_ui.gate import COOKIE, STATE, Gate, token_of
from annotation_ui.people import Person
from annotation_ui.photos import TwinError
from annotation_ui.search import Search
from annotation_ui.sessions import SESSION_SECONDS, Door, SignInError
from annotation_ui.studio import NotAllowedError, Studio
from annotation_ui.uploads import Choices, sketch_of
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import open_data
from clothes_toolkit.strokes import parse_drawing, to_svg

ASSETS = Path(__file__).parent / "assets"
TITLE = "Clothes studio"
HEAD = '<link rel="stylesheet" href="/studio/assets/studio.css">'
SESSIONS = 100
"""Pages whose last inputs Gradio keeps at a time."""
SIGNED_IN = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Signed in</title>'
    '<link rel="stylesheet" href="/studio/assets/studio.css"><body class="door">'
    "<p>You are signed in. Close this window, and go on drawing in the other one.</p>"
)
"""For who signs in beside a page that holds what was drawn: a second one would take it over."""
LARGEST_ID = (1 << 63) - 1
START = """
import('/studio/assets/studio.js').then((studio) => studio.start(element));
"""


def build(
    studio: Studio,
    door: Door,
    search: Search | None = None,
    hosts: frozenset[str] | None = None,
) -> Gate:
    """Return the ASGI application of a studio."""
    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None)
    _add_doors(app, door)
    _add_pictures(app, studio)
    _add_uploads(app, studio, search)
    calls = endpoints(Calls(studio, door, search))
    with gr.Blocks(title=TITLE, analytics_enabled=False) as pages:
        gr.HTML("", html_template='<div id="studio"></div>', js_on_load=START,
                apply_default_css=False)  # fmt: skip
        # What a call holds is data: Gradio would fetch and copy what looks like one of its files.
        pages.state_session_capacity = SESSIONS
        for function in calls:
            api(function, api_name=function.__name__, queue=False)
    for call in pages.fns.values():
        for block in call.inputs:
            block.async_move_resource_to_block_cache = _no_file
    gr.mount_gradio_app(
        app,
        pages,
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        auth_dependency=_name_of,
        head=HEAD,
        max_file_size=1,
    )
    return Gate(app, door, frozenset(function.__name__ for function in calls), hosts)


async def _no_file(path: object) -> str:  # noqa: ARG001 - Gradio awaits it
    raise ValueError("a call takes no files")


def _add_doors(app: FastAPI, door: Door) -> None:
    @app.get("/login")
    def page(request: Request, close: bool = False) -> Response:
        if _asking(request) is not None:
            return RedirectResponse("/", 303)
        return HTMLResponse(_sign_in_page(close=close))

    @app.post("/login")
    def sign_in(
        request: Request,
        username: str = Form(""),
        password: str = Form(""),
        close: str = Form(""),
    ) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        try:
            token = door.sign_in(username, password)
        except SignInError as error:
            if wants_page:
                return HTMLResponse(_sign_in_page(str(error), username, bool(close)), 401)
            return JSONResponse({"error": str(error)}, 401)
        answer: Response = JSONResponse({"success": True})
        if wants_page:
            answer = HTMLResponse(SIGNED_IN) if close else RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            token,
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    @app.post("/logout")
    def sign_out(request: Request) -> Response:
        door.sign_out(token_of(dict(request.headers)))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE)
        return answer


def _add_pictures(app: FastAPI, studio: Studio) -> None:
    @app.get("/studio/assets/{name}")
    def asset(name: str) -> Response:
        file = ASSETS / name
        if file.parent != ASSETS or not file.is_file():
            return _nothing()
        return FileResponse(file, headers={"cache-control": "no-cache"})

    @app.get("/studio/photo/{stem}")
    def photo(stem: str) -> Response:
        return _or_nothing(lambda: _private(FileResponse(studio.photo_file(stem))))

    @app.get("/studio/drawing/{photo}.svg")
    def svg(photo: str, request: Request) -> Response:
        def answer() -> Response:
            document, _ = studio.drawing(_required(request), photo)
            text = to_svg(parse_drawing(json.loads(document)))
            return _private(Response(text, media_type="image/svg+xml"))

        return _or_nothing(answer)

    @app.get("/studio/submission/{number}")
    def submission(number: int, request: Request) -> Response:
        def answer() -> Response:
            found = studio.submission(_required(request), min(number, LARGEST_ID))
            return _private(Response(found.picture, media_type="image/png"))

        return _or_nothing(answer)


def _add_uploads(app: FastAPI, studio: Studio, search: Search | None) -> None:
    @app.post("/studio/upload/{photo}")
    async def upload(
        photo: str, request: Request, threshold: float | None = None, page: int = 1,
        turn: int = 0, hand_in: bool = False,
    ) -> Response:  # fmt: skip
        data, person = await request.body(), _required(request)

        def answer() -> Answer:
            picture = sketch_of(data, studio.size, Choices(threshold, page, turn))
            if not hand_in:
                return {"picture": png_url(picture)}
            outcome = studio.submit_picture(person, photo, picture)
            return told_of(studio, search, person, photo, outcome)

        return await run_in_threadpool(_answer, answer)

    @app.post("/studio/find")
    async def find(
        request: Request, threshold: float | None = None, page: int = 1, turn: int = 0
    ) -> Response:
        data = await request.body()

        def answer() -> Answer:
            picture = sketch_of(data, studio.size, Choices(threshold, page, turn))
            ranked = required(search).find(open_data(picture, "the sketch"))
            return {"picture": png_url(picture), "photos": ranked_json(ranked)}

        return await run_in_threadpool(_answer, answer)

    @app.post("/studio/photos")
    async def photos(request: Request, split: str = "train") -> Response:
        data, person = await request.body(), _required(request)
        return await run_in_threadpool(
            _answer, lambda: {"photo": studio.add_photo(person, data, split)}
        )


def _answer(answer: Callable[[], Answer]) -> Response:
    try:
        return JSONResponse(answer())
    except TwinError as error:
        return JSONResponse({"error": str(error), "twin": error.twin}, 409)
    except NotAllowedError as error:
        return JSONResponse({"error": str(error)}, 403)
    except ToolkitError as error:
        return JSONResponse({"error": " ".join(str(error).split())}, 422)


def _private(response: Response) -> Response:
    response.headers["cache-control"] = "private, no-cache"
    return response


def _nothing() -> Response:
    return JSONResponse({"error": "there is nothing here"}, 404)


def _or_nothing(answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except (ToolkitError, FileNotFoundError):
        return _nothing()


def _asking(request: Request) -> Person | None:
    person: Person | None = request.scope["state"].get(STATE)
    return person


def _required(request: Request) -> Person:
    person = _asking(request)
    if person is None:
        raise NotAllowedError("sign in first")
    return person


def _name_of(request: Request) -> str | None:
    person = _asking(request)
    return None if person is None else person.name


def _sign_in_page(error: str = "", name: str = "", close: bool = False) -> str:
    page = Template((ASSETS / "login.html").read_text(encoding="utf-8"))
    told = "yes" if close else ""
    return page.substitute(error=escape(error), name=escape(name), close=told)
