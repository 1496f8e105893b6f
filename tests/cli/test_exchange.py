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
    return cli.after(_a_task_of_each_kind)


def _a_task_of_each_kind(cli: Cli) -> None:
    cli.ok("allow", "echo")
    words = ['quo"ted', "tab\t", "é\u2028"]
    cli.ok("add", "a", "--every", "90s", "--retries", "2", "--timeout", "0.5s", "--", "echo", *words)
    cli.ok("add", "b", "--cron", "0 9 * * MON-FRI", "--timezone", "Europe/Berlin", "--handler", "alert_eval")
    cli.ok("add", "c", "--at", "2026-12-01T09:00", "--handler", "webhook_poll", "--deliver", "notification")
    cli.ok("add", "d", "--every", "1d", "--handler", "alert_eval", "--config", '{"x": null, "y": [{"z": null}]}')
    cli.ok("pause", "b")


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


def test_options_that_say_what_holds_anyway_are_no_change(cli: Cli, tmp_path: Path) -> None:
    cli.ok("add", "a", "--every", "1h", "--handler", "alert_eval")
    cli.change("a", policy='{"retries": 0, "on_interrupt": "retry"}')  # as another program may
    file = tmp_path / "tasks.toml"
    file.write_text(cli.ok("export"))
    assert cli.ok("import", str(file), "--dry-run").splitlines()[-1].startswith("0 of ")


@pytest.mark.parametrize(
    "command", [["--shell", "echo a | cat"], ["--", "echo", "~/a", "~"]], ids=["a shell's text", "a tilde"]
)
def test_a_command_comes_back_word_for_word(cli: Cli, command: list[str]) -> None:
    cli.ok("add", "a", "--every", "1d", *command)
    before, file = cli.task("a").handler_config, cli.data.parent / "tasks.toml"
    file.write_text(cli.ok("export"))
    assert cli.ok("import", str(file)) == "0 of 1 task is to be added or changed.\n"
    cli.ok("remove", "a", "--yes")
    cli.ok("import", str(file), "--yes")
    assert cli.task("a").handler_config == before


def test_the_file_is_in_the_words_of_the_command_line(full: Cli) -> None:
    tasks = {task["name"]: task for task in tomllib.loads(full.ok("export"))["tasks"]}
    program, *words = tasks["a"].pop("command")
    assert Path(program).name == "echo"
    assert words == ['quo"ted', "tab\t", "é\u2028"]
    assert tasks["a"] == {"name": "a", "every": "1m30s", "timeout": "0.5s", "retries": 2}
    assert tasks["b"] == {
        "name": "b",
        "cron": "0 9 * * MON-FRI",
        "timezone": "Europe/Berlin",
        "handler": "alert_eval",
        "paused": True,
    }
    assert tasks["c"] == {
        "name": "c",
        "at": "2026-12-01T09:00:00",
        "handler": "webhook_poll",
        "deliver": "notification",
    }
    assert tasks["d"]["config"] == '{"x": null, "y": [{"z": null}]}'


def test_a_file_written_by_hand_is_read(full: Cli) -> None:
    file = full.data.parent / "tasks.toml"
    file.write_text("""
[[tasks]]
name = "nightly"
cron = "30 2 * * *"
command = "echo 'a  b' c"
timeout = "2h"
retries = "1"

[[tasks]]
name = "poll"
every = "5 minutes"
handler = "webhook_poll"
""")
    assert "2 of 2 tasks are to be added or changed.\n" in full.ok("import", str(file))
    assert json.loads(full.task("nightly").handler_config or "")["command"][1:] == ["a  b", "c"]
    assert json.loads(full.task("nightly").policy or "") == {"timeout_seconds": 7200, "retries": 1}
    assert full.task("poll").schedule_config == '{"minutes": 5}'


def test_paths_in_the_home_folder_serve_another_home(
    full: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(home: str) -> Path:
        path = tmp_path / home / "bin/job"
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        monkeypatch.setenv("HOME", str(tmp_path / home))
        return path

    here = script("ada")
    full.ok("add", "mine", "--every", "1h", "--cwd", str(here.parent), "--", str(here), f"{here.parent}/data")
    text = full.ok("export", "mine")
    assert tomllib.loads(text)["tasks"][0]["command"] == ["~/bin/job", "~/bin/data"]
    full.ok("remove", "mine", "--yes")

    there = script("alan")
    file = tmp_path / "tasks.toml"
    file.write_text(text)
    full.ok("import", str(file))
    assert json.loads(full.task("mine").handler_config or "") == {
        "command": [str(there), f"{there.parent}/data"],
        "cwd": str(there.parent),
    }


def test_weekdays_stored_as_numbers_are_written_by_name_and_come_back_as_they_were(full: Cli) -> None:
    full.change("b", schedule_config='{"expression": "0 9 * * 0"}')
    text = full.ok("export", "b")
    assert tomllib.loads(text)["tasks"][0]["cron"] == "0 9 * * MON"
    file = full.data.parent / "tasks.toml"
    file.write_text(text)
    assert full.ok("import", str(file)) == "0 of 1 task is to be added or changed.\n"


def test_prune_removes_what_the_file_does_not_name(full: Cli) -> None:
    out = full.ok("import", written(full, {"tasks": [entry()]}), "--prune")
    assert "- a\n- b\n- c\n- d\n4 tasks to be removed.\n" in out
    assert full.names() == ["new"]
    assert "--prune goes with a file of tasks" in full.fails("import", "--plist", "/dev/null", "--prune", code=2)


def test_the_file_of_the_first_release_is_read(full: Cli) -> None:
    old = {
        "name": "old",
        "schedule_type": "cron",
        "schedule_config": {"expression": "0 9 * * 0"},
        "handler_type": "alert_eval",
        "policy": {"timeout_seconds": 60},
        "enabled": False,
    }
    full.ok("import", written(full, {"tasks": [old]}))
    task = full.task("old")
    assert (task.schedule_config, task.policy, task.enabled) == (
        '{"expression": "0 9 * * 0"}',
        '{"timeout_seconds": 60}',
        False,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"every": "5m"}, "task 2 of the file has nothing to run; give command, or handler"),
        ({"handler": "alert_eval"}, "task 2 of the file has no schedule; give every, cron or at"),
        ({"every": "often", "handler": "alert_eval"}, "task 2 of the file: not a duration: 'often'"),
        ({"every": "5m", "at": "noon", "handler": "alert_eval"}, "give one of `every`, `cron` and `at`"),
        ({"every": "5m", "handlr": "x"}, "unknown key 'handlr'; did you mean 'handler'?\n"),
        ({"every": 5, "handler": "alert_eval"}, "every has a value of the wrong kind: 5"),
        ({"every": "5m", "command": [1]}, "needs a command"),
        ({"every": "5m", "handler": "alert_eval", "timeout": True}, "timeout has a value of the wrong kind: True"),
    ],
)
def test_words_that_make_no_sense_are_one_line_and_nothing_is_imported(full: Cli, words: Any, said: str) -> None:
    document = {"tasks": [{"name": "fine", "every": "5m", "handler": "alert_eval"}, {"name": "new", **words}]}
    done = full("import", written(full, document))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert said in done.err
    assert "fine" not in full.names()


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
        (entry(policy={"retrys": 2}), "'new': unknown key 'retrys' of a policy; did you mean 'retries'?\n"),
        (entry(handler_type="custom", handler_config="[]"), "handler_config must be a JSON object"),
        (entry(delivery_channel="pigeon"), "unknown channel 'pigeon'"),
        (entry(handler_type="custom"), "names no command"),
        (entry(handler_type="custom", handler_config='{"command": "/no/such"}'), "task 'new': there is no program"),
        (entry(name="bad\x1b"), "not a name for a task"),
        (entry(name="a"), "names a task twice"),
        (entry(surprise=1), "unknown key 'surprise'"),
        (entry(enabled="yes"), "enabled has a value of the wrong kind: 'yes'"),
        (entry(handler_type=None), "handler_type has a value of the wrong kind: None"),
        ({"name": "x"}, "has no schedule; give every, cron or at"),
        ({"every": "1h", "handler": "alert_eval"}, "task 2 of the file has no name"),
        ("job", "is not a table of keys and values"),
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


@pytest.mark.parametrize("kind", [[], ["--plist"], ["--crontab"]])
def test_a_file_without_an_end_is_one_line(cli: Cli, kind: list[str]) -> None:
    said = cli.fails("import", *kind, "/dev/zero")
    assert said == "jarvis-trio: /dev/zero cannot be read: it is larger than 16 MiB\n"


def test_a_file_that_is_not_there_is_one_line(cli: Cli) -> None:
    for options in ([], ["--plist"], ["--crontab"]):
        refused = cli.fails("import", *options, "/nowhere/tasks")
        says = "/nowhere/tasks cannot be read: No such file or directory; give a file that is there"
        assert refused == f"jarvis-trio: {says}\n"
    assert "Is a directory; give a file that is there" in cli.fails("import", "/")
    assert "File name too long; give a file that is there" in cli.fails("import", "a" * 300)


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "imported"), [("y\n", True), ("n\n", False)])
def test_a_person_is_asked_after_the_difference(program: Program, tmp_path: Path, answer: str, imported: bool) -> None:
    program("init")
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps({"tasks": [entry()]}))
    out = program.at_terminal("import", str(file), answer=answer).out
    assert out.index("+ new") < out.index("Do it? [y/N]")
    assert (program("show", "new").code == 0) == imported


@pytest.mark.parametrize("kind", ["toml", "json"])
@pytest.mark.parametrize("config", ["{not JSON", "[]", "null"])
def test_a_configuration_that_is_no_json_object_is_exported_as_it_is_and_comes_back(
    full: Cli, kind: str, config: str
) -> None:
    full.change("b", handler_config=config)
    file = full.data.parent / "tasks"
    file.write_text(full.ok("export", "--format", kind))
    assert full.ok("import", str(file)) == "0 of 4 tasks are to be added or changed.\n"
    full.ok("remove", "b", "--yes")
    full.ok("import", str(file))
    assert full.task("b").handler_config == config
    assert (full.task("b").handler_type, full.task("b").enabled) == ("alert_eval", False)


@pytest.mark.parametrize("kind", ["toml", "json"])
@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("b", {"policy": '{"retries": 2, "theirs": {"x": [1, null]}}'}),
        ("b", {"policy": '{"theirs": null, "retries": 2}'}),
        ("b", {"policy": '{"theirs": "\\ud800"}'}),
        ("b", {"handler_config": '{"\\udfff": "\\ud800"}'}),
        ("a", {"handler_config": '{"command": ["/bin/echo", "caf\\udce9"], "cwd": "/tmp/\\udcff"}'}),
        ("c", {"delivery_config": '{"sound": "\\ud800"}'}),
    ],
)
def test_what_toml_cannot_hold_is_exported_as_json_and_comes_back(
    full: Cli, kind: str, name: str, columns: dict[str, str]
) -> None:
    full.change(name, **columns)
    full.change("d", policy='{"theirs": 1}')  # so that the key is no mistake
    file = full.data.parent / "tasks"
    file.write_text(full.ok("export", "--format", kind))
    full.ok("remove", name, "--yes")
    full.ok("import", str(file), "--yes")
    after = full.task(name)
    assert {key: json.loads(getattr(after, key)) for key in columns} == {
        key: json.loads(text) for key, text in columns.items()
    }


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
    hostile = "\x9b2J\u202ered\u2028\U000e0041"
    full.change("a", description=hostile)
    text = full.ok("export")
    assert re.search("[\x80-\x9f\u2028-\u202e\U000e0041]", text) is None
    assert tomllib.loads(text)["tasks"][0]["description"] == hostile


@pytest.mark.law(9)
@pytest.mark.slow
def test_an_import_with_yes_approves_nothing(program: Program, tmp_path: Path) -> None:
    program("init")
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps({"tasks": [entry(handler_type="custom", handler_config={"command": ["/bin/ls"]})]}))
    done = program.at_terminal("import", str(file), "--yes")
    assert "is not approved to run" in done.out
    assert program("allow", "--list", "--json").out == "[]\n"


def test_json_of_an_import_asks_nobody(full: Cli) -> None:
    file = written(full, {"tasks": [entry()]})
    assert "give --yes or --dry-run" in full.fails("import", file, "--json", code=2)
    planned = full.json("import", file, "--dry-run")
    assert [(change["task"], change["new"]) for change in planned["changes"]] == [("new", True)]
    assert (planned["done"], "new" in full.names()) == (False, False)
    assert full.json("import", file, "--yes")["done"]
    assert "new" in full.names()


def test_an_export_with_an_unreadable_schedule_can_be_imported_again(full: Cli) -> None:
    full.change("a", schedule_config='{"minutes": 0}')
    file = full.data.parent / "tasks.toml"
    file.write_text(full.ok("export"))
    assert full.ok("import", str(file)) == "0 of 4 tasks are to be added or changed.\n"
    full.ok("remove", "a", "--yes")
    assert "task 'a': interval must be greater than zero" in full.fails("import", str(file))


def test_a_command_with_an_open_quotation_is_refused_with_the_entrys_number(cli: Cli) -> None:
    file = written(cli, {"tasks": [{"name": "new", "every": "5m", "command": 'echo "hi'}]})
    said = cli.fails("import", file, "--yes")
    assert "task 1 of the file: the command cannot be understood: No closing quotation" in said
