"""`annotate` and `designers` on the command line."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from annotation_ui.cli import designers_file
from annotation_ui.people import People
from tests.conftest import Run
from tests.studio import PASSWORD, add_people, served


def add(root: Path, *arguments: str, password: str = PASSWORD) -> tuple[int, str]:
    found = subprocess.run(
        [sys.executable, "-m", "clothes_toolkit", "designers", "add", arguments[0], str(root),
         *arguments[1:], "--password-stdin"],
        input=password + "\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.returncode, found.stdout + found.stderr


def test_who_may_sign_in(run: Run, sound: Path) -> None:
    assert run("designers", "list", sound)[2].startswith("nobody may sign in yet")
    assert add(sound, "ann", "--designer", "03") == (0, "ann  designer 03 may sign in\n")
    assert add(sound, "rev", "--reviewer") == (0, "rev  reviewer may sign in\n")
    assert run("designers", "list", sound)[1] == "ann  designer 03\nrev  reviewer\n"
    assert People(designers_file(sound)).signed_in("ann", PASSWORD) is not None
    for arguments, why in (
        (("ann", "--designer", "04"), "ann is there already"),
        (("eve", "--designer", "03"), "designer 03 is ann already"),
        (("eve",), "a role is needed"),
        (("eve", "--designer", "3"), "two digits"),
        (("e/ve", "--reviewer"), "no name to sign in with"),
    ):
        status, told = add(sound, *arguments)
        assert status == 2
        assert why in told
        assert told.count("\n") == 1
    assert "at least 8" in add(sound, "eve", "--reviewer", password="short")[1]  # noqa: S106
    assert run("designers", "remove", "ann", sound)[1] == "ann  designer 03 may sign in no more\n"
    assert run("designers", "remove", "ann", sound)[0] == 2
    assert run("designers", "list", sound.parent / "nowhere")[0] == 2


def test_a_studio_that_cannot_open_says_why(run: Run, sound: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        status, out, err = run("annotate", *arguments)
        assert (status, out) == (2, "")
        return err

    assert "nobody may sign in yet" in refused(sound)
    assert "this machine only" in refused(sound, "--no-login", "--host", "0.0.0.0")  # noqa: S104
    assert "no such folder" in refused(tmp_path / "nowhere", "--no-login")
    assert "says nothing" in refused(sound, "--no-login", "--designers", tmp_path / "x.json")
    assert "--designer is for --no-login" in refused(sound, "--designer", "02")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "try --port 0" in refused(sound, "--no-login", "--port", port)
    assert "nowhere" in refused(sound, "--no-login", "--checkpoint", tmp_path / "nowhere")
    (tmp_path / "x.json").write_text("{}")
    assert "no designers file" in refused(sound, "--designers", tmp_path / "x.json")


def test_without_gradio_the_extra_is_named(
    run: Run, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name)
    )
    status, _, err = run("annotate", sound, "--no-login")
    assert status == 2
    assert "clothes-toolkit[annotate]" in err


def refused_beside(root: Path) -> str:
    """Return why a second studio of a dataset does not open."""
    command = [sys.executable, "-m", "clothes_toolkit", "annotate", str(root), "--no-login"]
    found = subprocess.run(
        [*command, "--port", "0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 2
    return found.stderr


def test_alone_one_draws_and_decides_and_ctrl_c_closes(sound: Path) -> None:
    with served(sound, "--no-login", "--designer", "05") as server:
        me = httpx.post(f"{server.url}/gradio_api/run/me", json={"data": []}).json()["data"][0]
        assert (me["designer"], me["draws"], me["reviews"]) == ("05", True, True)
        assert "process" in refused_beside(sound)
        # A page of another site that points a name of its own at this machine stays outside.
        answer = httpx.post(
            f"{server.url}/gradio_api/run/me", json={"data": []}, headers={"host": "evil.example"}
        )
        assert (answer.status_code, answer.json()["error"]) == (
            403, "this studio answers on this machine only"
        )  # fmt: skip
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0


def test_people_of_another_file(sound: Path, tmp_path: Path) -> None:
    add_people(tmp_path / "other")
    file = designers_file(tmp_path / "other")
    with served(sound, "--designers", str(file)) as server:
        answer = httpx.post(f"{server.url}/login", data={"username": "ann", "password": PASSWORD})
        assert answer.status_code == 200
    assert not designers_file(sound).exists()
