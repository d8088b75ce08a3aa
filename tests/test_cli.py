"""The command line: exit statuses, outputs, one line for everything that goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import jsonschema
import pytest

from clothes_toolkit.cli import cli
from tests.conftest import Run
from tests.contract import MODELS, STATS, VALIDATE
from tests.nobody import needs_root, run_as_nobody

COMMAND = [sys.executable, "-m", "clothes_toolkit"]


def test_a_sound_dataset_exits_0(run: Run, sound: Path) -> None:
    status, out, err = run("validate", sound)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "sound (0 errors, 0 warnings)"


def test_findings_exit_1_and_are_grouped(run: Run, sound: Path) -> None:
    for number in range(8):
        (sound / "trainA" / f"notes{number}.txt").write_text("x")
    (sound / "testB" / "00004.png").unlink()
    status, out, _ = run("validate", sound)
    assert status == 1
    assert "warning unexpected-file (8)" in out
    assert "… and 3 more" in out
    assert out.count("notes") == 5
    assert out.splitlines()[-1] == "not sound: 2 errors, 8 warnings"


def test_what_can_be_repaired_is_said(run: Run, sound: Path) -> None:
    (sound / "trainB" / "00001.png").rename(sound / "trainB" / "00001.PNG")
    assert (
        f"`clothes-toolkit fix {sound}` repairs what it can of 1 finding"
        in run("validate", sound)[1]
    )
    run("fix", sound, "--yes")
    assert "clothes-toolkit fix" not in run("validate", sound)[1]


def test_warnings_alone_exit_0_unless_asked(run: Run, sound: Path) -> None:
    (sound / "trainA" / "notes.txt").write_text("x")
    assert run("validate", sound)[0] == 0
    assert run("validate", sound, "--fail-on", "warning")[0] == 1
    assert run("validate", sound, "--fail-on", "warning", "--skip", "unexpected-file")[0] == 0
    assert run("validate", sound, "--fail-on", "warning", "--only", "name-format")[0] == 0


def test_validate_json_follows_the_contract(run: Run, sound: Path) -> None:
    shutil.copy(sound / "trainA" / "00001_01.png", sound / "trainA" / "00001_03.png")
    status, out, err = run("validate", sound, "--format", "json")
    document = json.loads(out)
    jsonschema.validate(document, VALIDATE)
    assert (status, document["ok"], err) == (1, False, "")
    assert document["root"] == str(sound)
    assert document["counts"]["splits"]["train"] == {"photos": 3, "sketches": 7}
    assert document["findings"] == [
        {
            "rule": "exact-duplicate",
            "severity": "error",
            "path": "trainA/00001_03.png",
            "message": "the same pixels as trainA/00001_01.png",
            "hint": "ask the designer which photo it draws; nobody else can know",
            "related": ["trainA/00001_01.png"],
            "accepted": None,
        }
    ]


def test_validate_sarif(run: Run, sound: Path) -> None:
    (sound / "clothes.toml").write_text(
        '[[accepted]]\nrule = "unexpected-file"\npath = "trainA/my notes.txt"\nreason = "Mine."\n'
    )
    (sound / "trainA" / "my notes.txt").write_text("x")
    (sound / "testB" / "00004.png").unlink()
    status, out, _ = run("validate", sound, "--format", "sarif")
    document = json.loads(out)
    assert (status, document["version"]) == (1, "2.1.0")
    results = document["runs"][0]["results"]
    rules = {rule["id"] for rule in document["runs"][0]["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in results} <= rules
    first = results[0]
    location = first["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == "trainA/my%20notes.txt"
    assert first["suppressions"] == [{"kind": "external", "justification": "Mine."}]
    assert [result["level"] for result in results] == ["warning", "error", "error"]


def test_stats(run: Run, sound: Path, pool: Path) -> None:
    status, out, _ = run("stats", sound)
    assert status == 0
    assert "5 photos, 10 sketches, 10 pairs, 2 designers" in out
    for root in (sound, pool):
        document = json.loads(run("stats", root, "--format", "json")[1])
        jsonschema.validate(document, STATS)
    assert run("stats", sound / "trainA")[0] == 2


def test_models(run: Run) -> None:
    status, out, _ = run("models", "--format", "json")
    document = json.loads(out)
    jsonschema.validate(document, MODELS)
    assert status == 0
    assert [method["name"] for method in document["methods"]] == ["arnet-basic", "arnet-mstr"]
    assert document["methods"][1]["published"]["clothes-v1"]["acc@1"] == 95.27
    assert "Acc@1/5/10 75.45 / 94.66 / 97.87" in run("models")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["validate", "nowhere"], "nowhere: no such folder"),
        (["validate", "EMPTY"], "not a dataset"),
        (["validate", "FILE"], "not a folder"),
        (["validate", "SOUND", "--expect", "v1"], "neither a known expectation"),
        (["validate", "SOUND", "--only", "orphan"], "did you mean 'orphan-sketch'"),
        (["validate", "SOUND", "--jobs", "0"], "--jobs"),
        (["validate"], "DATASET"),
        (["valdate", "x"], "Did you mean 'validate'"),
        (["baseline", "nowhere", "--model", "arnet-mstr"], "nowhere: no such folder"),
        (["baseline", "SOUND"], "--model"),
        (["baseline", "SOUND", "--model", "arnet"], "Did you mean 'arnet-"),
        (["baseline", "SOUND", "--model", "arnet-mstr", "--seeds", "a"], "whole numbers"),
        (["baseline", "SOUND", "--model", "arnet-mstr", "--seeds", "1,1"], "named twice"),
        (["baseline", "SOUND", "--model", "arnet-mstr", "--set", "x"], "KEY=VALUE"),
        (["baseline", "SOUND", "--model", "arnet-mstr", "--batch-size", "1"], "from 2"),
        (["baseline", "SOUND", "--model", "arnet-mstr", "--resume"], "--resume needs --out"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_what_could_not_run_exits_2_and_says_why(
    arguments: list[str], message: str, run: Run, sound: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    stand_ins = {"SOUND": sound, "EMPTY": tmp_path / "empty", "FILE": sound / "trainB/00001.png"}
    status, out, err = run(*(stand_ins.get(word, word) for word in arguments))
    assert (status, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_the_dataset_may_be_left_out_of_baseline(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run("baseline", "--model", "arnet-mstr")
    assert (status, err) == (2, "error: Clothes-V1: no such folder\n")


@pytest.mark.parametrize(
    "hub",
    [
        {"HF_HUB_OFFLINE": "1"},
        # The Hub's client tries again for most of a minute.
        pytest.param({"HF_ENDPOINT": "http://127.0.0.1:9"}, marks=pytest.mark.slow),
    ],
)
def test_the_hub_out_of_reach_names_the_two_other_ways(
    hub: dict[str, str], garments: Path, tmp_path: Path
) -> None:
    # In a process of its own: the client reads its settings when it is imported.
    found = subprocess.run(
        [*COMMAND, "baseline", garments, "--model=arnet-basic", "--backbone=test_vit"],
        env={**os.environ, **hub, "HF_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    fetching, error = found.stderr.strip().splitlines()
    assert fetching == "fetching the weights of test_vit from the Hub …"
    for way in ("--weights FILE.safetensors", "--weights none"):
        assert way in error
    assert not list(tmp_path.glob("runs/*"))


def test_debug_shows_a_traceback(run: Run) -> None:
    assert "Traceback" in run("validate", "nowhere", "--debug")[2]
    assert "Traceback" in run("--debug", "validate", "nowhere")[2]


def test_a_bug_is_one_line(run: Run, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clothes_toolkit.cli.validate.validate", lambda *_, **__: 1 / 0)
    status, _, err = run("validate", sound)
    assert (status, len(err.splitlines())) == (2, 1)
    assert "ZeroDivisionError" in err
    assert "--debug" in err


def test_names_cannot_draw_on_the_terminal(run: Run, sound: Path) -> None:
    (sound / "trainA" / "evil\x1b[31m\n\u202egnp.png").write_bytes(b"x")
    out = run("validate", sound)[1]
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert r"evil\x1b[31m\n\u202egnp.png" in out


def test_a_closed_pipe_is_no_error(sound: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    found = subprocess.run(
        [*COMMAND, "validate", sound], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert found.stderr == b""


@needs_root
def test_no_permission_is_one_line(sound: Path) -> None:
    (sound / "trainA").chmod(0o700)
    found = run_as_nobody(
        sound,
        "from clothes_toolkit.cli import main, validate",
        f"sys.argv = ['clothes-toolkit', 'validate', {str(sound)!r}]; main()",
    )
    assert found.returncode == 2, found.stderr
    assert found.stderr == f"error: {sound / 'trainA'}: cannot be read (Permission denied)\n"


def test_every_command_has_help_with_an_example(run: Run) -> None:
    for name in cli.commands_at:
        status, out, _ = run(name, "--help")
        assert status == 0
        assert f"clothes-toolkit {name}" in out.split("Example:")[1]
    assert all(name in run("--help")[1] for name in cli.commands_at)


def test_every_option_has_help() -> None:
    context = click.Context(cli)
    for name in cli.commands_at:
        command = cli.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


def test_validate_needs_neither_torch_nor_gradio(sound: Path) -> None:
    script = (
        "import sys; heavy = ['torch', 'timm', 'gradio', 'rich']\n"
        "sys.modules.update(dict.fromkeys(heavy))\n"
        f"sys.argv = ['clothes-toolkit', 'validate', {str(sound)!r}]\n"
        "from clothes_toolkit.cli import main; main()"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_a_missing_extra_is_named(tmp_path: Path, sound: Path) -> None:
    for arguments in (["models"], ["baseline", str(sound), "--model", "arnet-mstr"], ["demo"]):
        script = (
            "import sys; sys.modules['torch'] = None\n"
            f"sys.argv = ['clothes-toolkit', *{arguments!r}]\n"
            "from clothes_toolkit.cli import main; main()"
        )
        found = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert found.returncode == 2
        assert "pip install 'clothes-toolkit[learn]'" in found.stderr
        assert len(found.stderr.splitlines()) == 1
