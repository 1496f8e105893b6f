"""`export` and `import`: a set-up as a file, whole and all or nothing."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_world import Cli, Program


@pytest.fixture
def full(cli: Cli) -> Cli:
    """A database with a task of each kind."""
    cli.ok("allow", "echo")
    words = ['quo"ted', "tab\t", "é\u2028"]
    cli.ok("add", "a", "--every", "90s", "--retries", "2", "--timeout", "0.5s", "--", "echo", *words)
    cli.ok("add", "b", "--cron", "0 9 * * MON-FRI", "--timezone", "Europe/Berlin", "--handler", "alert_eval")
    cli.ok("add", "c", "--at", "2026-12-01T09:00", "--handler", "webhook_poll", "--deliver", "notification")
    cli.ok("add", "d", "--every", "1d", "--handler", "alert_eval", "--config", '{"x": null, "y": [{"z": null}]}')
    cli.ok("pause", "b")
    return cli


def entry(**columns: Any) -> dict[str, Any]:
    schedule = {"schedule_type": "interval", "schedule_config": {"minutes": 5}}
    return {"name": "new", "handler_type": "alert_eval"} | schedule | columns


def written(cli: Cli, document: object) -> str:
    path = cli.data.parent / "tasks.json"
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize("kind", ["toml", "json"])
def test_what_was_exported_is_the_same_after_the_import_elsewhere(full: Cli, kind: str) -> None:
    text = full.ok("export", "--format", kind)
    for name in full.names():
        full.ok("remove", name, "--yes")
    file = full.data.parent / "tasks"
    file.write_text(text)
    assert full.ok("import", str(file)).endswith("4 of 4 tasks are to be added or changed.\nDone.\n")
    assert full.ok("export", "--format", kind) == text


def test_an_import_of_what_is_there_changes_nothing(full: Cli) -> None:
    before = [full.task(name) for name in full.names()]
    file = full.data.parent / "tasks.toml"
    file.write_text(full.ok("export"))
    full.clock.advance(minutes=1)
    assert full.ok("import", str(file)) == "0 of 4 tasks are to be added or changed.\n"
    assert [full.task(name) for name in full.names()] == before


def test_the_file_is_for_people(full: Cli) -> None:
    tasks = {task["name"]: task for task in tomllib.loads(full.ok("export"))["tasks"]}
    assert tasks["b"] == {
        "name": "b",
        "schedule_type": "cron",
        "schedule_config": {"expression": "0 9 * * MON-FRI"},
        "handler_type": "alert_eval",
        "policy": {"timezone": "Europe/Berlin"},
        "enabled": False,
    }
    assert tasks["d"]["handler_config"] == '{"x": null, "y": [{"z": null}]}'


def test_a_single_time_that_is_done_is_not_exported(full: Cli) -> None:
    full.clock.advance(days=365)
    full.ok("tick")
    assert "c" not in [task["name"] for task in tomllib.loads(full.ok("export"))["tasks"]]


def test_the_difference_is_shown_and_other_tasks_stay(full: Cli) -> None:
    changed = entry(name="b", schedule_type="interval", schedule_config={"hours": 2}, policy={"retries": 1})
    out = full.ok("import", written(full, {"tasks": [changed, entry()]}))
    assert out == (
        "~ b\n"
        "    schedule: at 09:00 on Monday to Friday -> every 2h\n"
        "    timezone: Europe/Berlin -> none\n"
        "    retries: none -> 1\n"
        "+ new\n"
        "    schedule: none -> every 5m\n"
        "    handler: none -> alert_eval\n"
        "2 of 2 tasks are to be added or changed.\n"
        "Done.\n"
    )
    assert full.names() == ["a", "b", "c", "d", "new"]
    assert full.task("b").next_run_at == "2026-03-02T11:00:00+00:00"


def test_a_key_of_a_policy_that_another_program_has_written_is_imported_again(full: Cli) -> None:
    full.change("b", policy='{"colour": "red"}')
    assert "+ new" in full.ok("import", written(full, {"tasks": [entry(policy={"colour": "blue"})]}))
    assert full.task("new").policy == '{"colour": "blue"}'


def test_a_dry_run_only_shows(full: Cli) -> None:
    assert "+ new" in full.ok("import", written(full, {"tasks": [entry()]}), "--dry-run")
    assert "new" not in full.names()


def test_the_history_and_the_rhythm_of_a_changed_task_stay(full: Cli) -> None:
    full.clock.advance(minutes=2)
    full.ok("tick")
    before = full.task("a")
    same_times = entry(name="a", schedule_config={"seconds": 90}, handler_type="webhook_poll")
    full.ok("import", written(full, {"tasks": [same_times]}))
    after = full.task("a")
    assert after.handler_type == "webhook_poll"
    assert (after.id, after.next_run_at, after.last_run_at) == (before.id, before.next_run_at, before.last_run_at)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (entry(schedule_config={"minutes": 0}), "task 'new': interval must be greater than zero"),
        (entry(schedule_type="sometimes"), "unknown schedule_type 'sometimes'"),
        (entry(policy={"retries": "many"}), "retries must be a whole number"),
        (entry(policy="}{"), "policy is not JSON"),
        (entry(policy={"retrys": 2}), "'new': unknown key 'retrys' of a policy; did you mean 'retries'? there are"),
        (entry(handler_config="[]"), "handler_config must be a JSON object"),
        (entry(delivery_channel="pigeon"), "unknown channel 'pigeon'"),
        (entry(handler_type="custom"), "needs a command"),
        (entry(handler_type="custom", handler_config='{"command": "/no/such"}'), "task 'new': there is no program"),
        (entry(name="bad\x1b"), "not a name for a task"),
        (entry(name="a"), "names a task twice"),
        (entry(surprise=1), "unknown key 'surprise'"),
        (entry(enabled="yes"), "enabled has a value of the wrong kind: 'yes'"),
        (entry(handler_type=None), "handler_type has a value of the wrong kind: None"),
        ({"name": "x"}, "has no schedule_type"),
        ("job", "is no table of keys and values"),
    ],
)
def test_one_bad_task_means_that_nothing_is_imported(full: Cli, bad: Any, said: str) -> None:
    before = [full.task(name) for name in full.names()]
    done = full("import", written(full, {"tasks": [entry(name="a", schedule_config={"hours": 9}), bad]}))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert said in done.err
    assert [full.task(name) for name in full.names()] == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tasks = [", "is neither TOML nor JSON"),
        ("{", "is neither TOML nor JSON"),
        ("[other]\nx = 1", "must hold a list named tasks"),
        ('{"tasks": {}}', "must hold a list named tasks"),
        ("", "must hold a list named tasks"),
    ],
)
def test_what_is_no_export_is_refused(cli: Cli, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    assert said in cli.fails("import", str(file))


def test_bytes_that_are_no_text_are_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xff\xfe")
    assert "is neither TOML nor JSON" in cli.fails("import", str(file))


def test_a_file_that_is_not_there_is_one_line(cli: Cli) -> None:
    assert "does not exist" in cli.fails("import", "/nowhere/tasks.toml", code=2)


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "imported"), [("y\n", True), ("n\n", False)])
def test_a_person_is_asked_after_the_difference(program: Program, tmp_path: Path, answer: str, imported: bool) -> None:
    program("init")
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps({"tasks": [entry()]}))
    out = program.at_terminal("import", str(file), answer=answer).out
    assert out.index("+ new") < out.index("Do it? [y/N]")
    assert (program("show", "new").code == 0) == imported


def test_a_configuration_that_is_no_json_is_exported_as_it_is_and_comes_back(full: Cli) -> None:
    full.change("b", handler_config="{not JSON")
    text = full.ok("export", "--format", "json")
    assert {task["name"]: task.get("handler_config") for task in json.loads(text)["tasks"]}["b"] == "{not JSON"


def test_one_past_single_time_is_left_out_and_the_rest_is_imported(full: Cli) -> None:
    past = entry(name="past", schedule_type="once", schedule_config={"run_at": "2020-01-01"})
    done = full("import", written(full, {"tasks": [past, entry()]}))
    assert (done.code, done.err) == (0, "note: past is left out: its only time is past\n")
    assert "new" in full.names()
    assert "past" not in full.names()


def test_a_single_time_that_passed_while_nothing_ran_is_left_out_of_the_export(full: Cli) -> None:
    full.clock.advance(days=365)
    done = full("export")
    assert done.err == "note: c is left out: its only time is past\n"
    assert "c" not in [task["name"] for task in tomllib.loads(done.out)["tasks"]]


def test_what_acts_on_a_terminal_is_an_escape_in_the_export(full: Cli) -> None:
    full.change("a", description="\x9b2J\u202ered\u2028")
    text = full.ok("export")
    assert re.search("[\x80-\x9f\u2028-\u202e]", text) is None
    assert tomllib.loads(text)["tasks"][0]["description"] == "\x9b2J\u202ered\u2028"


@pytest.mark.law(9)
@pytest.mark.slow
def test_an_import_with_yes_approves_nothing(program: Program, tmp_path: Path) -> None:
    program("init")
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps({"tasks": [entry(handler_type="custom", handler_config={"command": ["/bin/ls"]})]}))
    done = program.at_terminal("import", str(file), "--yes")
    assert "is not approved to run" in done.out
    assert program("allow", "--list", "--json").out == "[]\n"
