"""`edit`: what it changes, what it leaves, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jarvis_trio.store import MemoryStore
from tests.support.cli_world import Cli, Program


@pytest.fixture
def job(cli: Cli) -> Cli:
    """A database with a task that runs every 30 minutes."""
    cli.ok("add", "job", "--every", "30m", "--timeout", "1m", "--description", "old", "--handler", "alert_eval")
    return cli


def test_it_shows_before_and_after_and_the_next_times(job: Cli) -> None:
    assert job.ok("edit", "job", "--cron", "0 9 * * *", "--timeout", "none", "--grace", "1h") == (
        "Changed job:\n"
        "  schedule: every 30m -> at 09:00 every day\n"
        "  timeout: 1m -> none\n"
        "  grace: none -> 1h\n"
        "Next: Tue 2026-03-03 09:00 UTC (in 24 h)\n"
        "      Wed 2026-03-04 09:00 UTC (in 2 d)\n"
        "      Thu 2026-03-05 09:00 UTC (in 3 d)\n"
    )


def test_what_no_option_names_stays(job: Cli) -> None:
    before = job.task("job")
    job.ok("edit", "job", "--description", "new")
    after = job.task("job")
    assert after.description == "new"
    assert (after.next_run_at, after.policy, after.schedule_config) == (
        before.next_run_at,
        before.policy,
        before.schedule_config,
    )


def test_a_new_schedule_counts_from_now(job: Cli) -> None:
    job.clock.advance(minutes=10)
    job.ok("edit", "job", "--every", "1h")
    assert job.task("job").next_run_at == "2026-03-02T10:10:00+00:00"


def test_the_same_schedule_again_keeps_its_rhythm(job: Cli) -> None:
    job.change("job", schedule_config='{"seconds": 1800}')
    job.clock.advance(minutes=10)
    job.ok("edit", "job", "--every", "30m")
    assert job.task("job").next_run_at == "2026-03-02T09:30:00+00:00"


def test_a_new_zone_moves_a_cron_task_and_no_interval(job: Cli) -> None:
    job.ok("edit", "job", "--timezone", "America/Denver")
    assert job.task("job").next_run_at == "2026-03-02T09:30:00+00:00"
    job.ok("add", "daily", "--cron", "0 12 * * *", "--handler", "alert_eval")
    job.ok("edit", "daily", "--timezone", "America/Denver")
    assert job.task("daily").next_run_at == "2026-03-02T19:00:00+00:00"


def test_policy_keys_of_other_programs_stay(job: Cli) -> None:
    job.change("job", policy='{"timeout_seconds": 60, "theirs": [1, 2]}')
    job.ok("edit", "job", "--timeout", "default", "--retries", "3")
    assert json.loads(job.task("job").policy or "") == {"theirs": [1, 2], "retries": 3}


def test_a_policy_that_nobody_can_read_is_replaced(job: Cli) -> None:
    job.change("job", policy="}{")
    job.ok("edit", "job", "--retries", "1")
    assert json.loads(job.task("job").policy or "") == {"retries": 1}


def test_another_handler_does_not_inherit_the_configuration(job: Cli) -> None:
    job.ok("edit", "job", "--config", '{"a": 1}')
    assert job.task("job").handler_config == '{"a": 1}'
    job.ok("edit", "job", "--handler", "webhook_poll")
    assert (job.task("job").handler_type, job.task("job").handler_config) == ("webhook_poll", None)


def test_a_delivery_can_be_added_changed_and_taken_back(job: Cli) -> None:
    job.ok("edit", "job", "--deliver", "notification")
    job.ok("edit", "job", "--deliver-config", '{"sound": "Ping"}')
    assert job.task("job").delivery_channel == "notification"
    assert job.task("job").delivery_config == '{"sound": "Ping"}'
    job.ok("edit", "job", "--deliver", "none")
    assert (job.task("job").delivery_channel, job.task("job").delivery_config) == (None, None)


def test_a_task_with_a_handler_that_is_not_installed_can_be_edited(job: Cli) -> None:
    job.change("job", handler_type="morning_brief")
    job.ok("edit", "job", "--every", "1h")
    assert job.task("job").handler_type == "morning_brief"


def test_a_task_that_was_set_aside_comes_back(job: Cli) -> None:
    job.change("job", schedule_config='{"minutes": "thirty"}', next_run_at=None)
    job.ok("tick")
    assert "set aside until it is fixed: interval: minutes must be a number" in job.ok("list")
    job.ok("edit", "job", "--every", "30m")
    assert job.task("job").enabled
    assert job.task("job").next_run_at == "2026-03-02T09:30:00+00:00"
    with MemoryStore(job.path) as store:
        assert store.troubles.reasons_set_aside() == {}


def test_what_does_not_mend_a_task_that_was_set_aside_is_refused(job: Cli) -> None:
    job.change("job", schedule_config="{}")
    job.ok("tick")
    assert "interval must be greater than zero" in job.fails("edit", "job", "--description", "new")
    assert job.task("job").enabled  # its row says what people want


def test_a_paused_task_stays_paused(job: Cli) -> None:
    job.ok("pause", "job")
    job.ok("edit", "job", "--every", "1h")
    assert not job.task("job").enabled


def test_nothing_to_change_is_said(job: Cli) -> None:
    assert "nothing to change; name what is to change" in job.fails("edit", "job", code=2)
    assert job.ok("edit", "job", "--every", "30m").startswith("Nothing to change: job already has these values.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--every", "never"], "not a duration"),
        (["--cron", "0 9 * * 1"], "weekdays as numbers are read in two ways"),
        (["--timezone", "Nowhere"], "unknown time zone"),
        (["--handler", "nosuch"], "no handler of type 'nosuch' is installed"),
        (["--config", "nothing"], "--config is not JSON"),
        (["--deliver", "pigeon"], "unknown channel"),
        (["--at", "2020-01-01"], "that is past"),
    ],
)
def test_what_cannot_be_understood_is_one_line_and_changes_nothing(job: Cli, arguments: list[str], said: str) -> None:
    before = job.task("job")
    assert said in job.fails("edit", "job", "--retries", "5", *arguments)
    assert job.task("job") == before


def test_json_is_the_row_as_it_is_now(job: Cli) -> None:
    assert job.json("edit", "job", "--every", "1h")["schedule_config"] == '{"hours": 1}'


def test_a_renamed_task_keeps_its_history(job: Cli) -> None:
    job.clock.advance(hours=1)
    job.ok("tick")
    assert "  name: job -> Ünder a new name\n" in job.ok("edit", "job", "--name", "Ünder a new name")
    assert job.names() == ["Ünder a new name"]
    assert [run["task"] for run in job.json("history", "Ünder a new name")] == ["Ünder a new name"]
    assert job.task("Ünder a new name").next_run_at == "2026-03-02T10:30:00+00:00"


def test_a_name_that_is_taken_or_none_is_refused(job: Cli) -> None:
    job.ok("add", "other", "--every", "1h", "--handler", "alert_eval")
    assert "a task named 'other' exists" in job.fails("edit", "job", "--name", "other")
    assert "not a name for a task" in job.fails("edit", "job", "--name", " ")
    assert "already has these values" in job.ok("edit", "job", "--name", "job")


def editor(tmp_path: Path, script: str) -> str:
    """A program that edits the file that it is given, as a person would."""
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
def test_edit_alone_opens_the_editor(program: Program, tmp_path: Path) -> None:
    program("init")
    program("add", "job", "--every", "30m", "--handler", "alert_eval")
    change = editor(tmp_path, """sed -i -e 's/"30m"/"2h"/' -e 's/"job"/"work"/' "$1"; echo 'timeout = "5m"' >> "$1" """)
    done = program.at_terminal("edit", "job", EDITOR=change)
    assert done.code == 0, done
    assert "schedule: every 30m -> every 2h" in done.out
    assert json.loads(program("show", "work", "--json").out)["definition"]["policy"]["timeout_seconds"] == 300


@pytest.mark.slow
def test_an_edited_text_that_makes_no_sense_can_be_edited_again(program: Program, tmp_path: Path) -> None:
    program("init")
    program("add", "job", "--every", "30m", "--handler", "alert_eval")
    wrong_first = editor(
        tmp_path,
        f"""
        if [ -e {tmp_path}/again ]; then sed -i 's/often/3h/' "$1"; else sed -i 's/30m/often/' "$1"; fi
        touch {tmp_path}/again""",
    )
    done = program.at_terminal("edit", "job", answer="y\n", EDITOR=wrong_first)
    assert done.code == 0, done
    assert "not a duration: 'often'" in done.out
    assert json.loads(program("show", "job", "--json").out)["schedule_config"] == '{"hours": 3}'


@pytest.mark.slow
def test_an_edited_text_is_taken_whole_or_not_at_all(program: Program, tmp_path: Path) -> None:
    program("init")
    program("add", "job", "--every", "30m", "--handler", "alert_eval")
    wrong_first = editor(
        tmp_path,
        f"""
        if [ -e {tmp_path}/again ]; then sed -i '/pigeon/d' "$1"
        else sed -i 's/"job"/"work"/' "$1"; echo 'deliver = "pigeon"' >> "$1"; fi
        touch {tmp_path}/again""",
    )
    done = program.at_terminal("edit", "job", answer="n\n", EDITOR=wrong_first)
    assert done.code == 1
    assert "unknown channel 'pigeon'" in done.out
    assert program("show", "job").code == 0

    (tmp_path / "again").unlink()
    done = program.at_terminal("edit", "job", answer="y\n", EDITOR=wrong_first)
    assert done.code == 0, done
    assert (program("show", "job").code, program("show", "work").code) == (1, 0)


@pytest.mark.slow
def test_an_editor_that_is_left_unchanged_changes_nothing(program: Program, tmp_path: Path) -> None:
    program("init")
    done = program.at_terminal("edit", "webhook_poll", EDITOR=editor(tmp_path, "true"))
    assert (done.code, "Nothing was changed." in done.out) == (0, True)


@pytest.mark.slow
def test_an_editor_that_is_not_there_is_one_line_with_the_fix(program: Program, tmp_path: Path) -> None:
    program("init")
    done = program.at_terminal("edit", "webhook_poll", EDITOR=str(tmp_path / "none"))
    assert done.code == 1
    assert "set EDITOR to an editor that is there" in done.out


@pytest.mark.slow
def test_an_edited_text_with_two_tasks_is_refused(program: Program, tmp_path: Path) -> None:
    program("init")
    program("add", "job", "--every", "30m", "--handler", "alert_eval")
    twice = editor(tmp_path, """sed 's/"job"/"other"/' "$1" > "$1.2"; cat "$1.2" >> "$1" """)
    done = program.at_terminal("edit", "job", answer="n\n", EDITOR=twice)
    assert done.code == 1
    assert "the edited text must hold one task" in done.out
    assert program("show", "other").code == 1


def test_an_option_that_says_what_holds_anyway_changes_nothing(cli: Cli) -> None:
    cli.ok("add", "a", "--every", "1h", "--handler", "alert_eval", "--retries", "2")
    assert "retries: 2 -> none" in cli.ok("edit", "a", "--retries", "0")
    assert cli.task("a").policy is None
    assert cli.ok("edit", "a", "--retries", "0", "--on-interrupt", "retry").startswith("Nothing to change: a ")
