"""`add`: what it understands, what it refuses, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jarvis_trio.handlers.approvals import Approvals
from tests.support.cli_world import Cli, Program
from tests.support.core_fakes import START

ADD_HOURLY = ("add", "job", "--every", "1h", "--handler", "alert_eval")
OWNERS_SCRIPT = "#!/bin/sh\necho done\n"


def columns(cli: Cli, *arguments: str) -> tuple[str, object]:
    """The type and the configuration of the schedule that `add` makes of its options."""
    cli.ok("add", "job", *arguments, "--handler", "alert_eval")
    task = cli.task("job")
    return task.schedule_type, json.loads(task.schedule_config)


@pytest.mark.parametrize(
    ("duration", "config"),
    [
        ("30m", {"minutes": 30}),
        ("2h", {"hours": 2}),
        ("90s", {"seconds": 90}),
        ("1h30m", {"minutes": 90}),
        ("2d", {"days": 2}),
        ("0.5s", {"seconds": 0.5}),
    ],
)
def test_an_interval_is_stored_as_existing_rows_have_it(cli: Cli, duration: str, config: object) -> None:
    assert columns(cli, "--every", duration) == ("interval", config)


def test_an_interval_counts_from_now(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "30m", "--handler", "alert_eval")
    assert cli.task("job").next_run_at == "2026-03-02T09:30:00+00:00"


def test_a_cron_expression_is_stored_as_it_was_typed_and_said_in_words(cli: Cli) -> None:
    out = cli.ok("add", "job", "--cron", "30 8 * * MON-FRI", "--handler", "alert_eval")
    assert json.loads(cli.task("job").schedule_config) == {"expression": "30 8 * * MON-FRI"}
    assert out == (
        "Added job: at 08:30 on Monday to Friday\n"
        "Time limit: 5m (the default; --timeout sets another, or none)\n"
        "Next: Tue 2026-03-03 08:30 UTC (in 24 h)\n"
        "      Wed 2026-03-04 08:30 UTC (in 48 h)\n"
        "      Thu 2026-03-05 08:30 UTC (in 3 d)\n"
    )


def test_weekdays_as_numbers_are_refused_with_both_readings(cli: Cli) -> None:
    said = cli.fails("add", "job", "--cron", "0 9 * * 1-5", "--handler", "alert_eval")
    assert "TUE-SAT where 0 is Monday" in said
    assert "MON-FRI where 0 is Sunday" in said
    assert cli.names() == []


def test_a_single_time_is_read_in_the_tasks_zone(cli: Cli) -> None:
    arguments = ("--at", "tomorrow 9:00", "--timezone", "America/Denver")
    assert columns(cli, *arguments) == ("once", {"run_at": "2026-03-03T09:00:00"})
    assert cli.task("job").next_run_at == "2026-03-03T16:00:00+00:00"


def test_a_time_with_an_offset_stays_that_instant(cli: Cli) -> None:
    assert columns(cli, "--at", "2026-12-01T09:00+05:00") == ("once", {"run_at": "2026-12-01T09:00:00+05:00"})


def test_the_policy_holds_only_what_was_said(cli: Cli) -> None:
    cli.ok(
        *(*ADD_HOURLY, "--timezone", "Europe/Berlin", "--timeout", "30s"),
        *("--retries", "2", "--retry-delay", "1m30s", "--grace", "1h", "--on-interrupt", "skip", "--alert-after", "2d"),
    )
    assert json.loads(cli.task("job").policy or "") == {
        "timezone": "Europe/Berlin",
        "timeout_seconds": 30,
        "retries": 2,
        "retry_delay_seconds": 90,
        "misfire_grace_seconds": 3600,
        "on_interrupt": "skip",
        "alert_after_seconds": 172_800,
    }
    cli.ok("add", "plain", "--every", "1h", "--handler", "alert_eval")
    assert cli.task("plain").policy is None


def test_a_command_is_stored_with_its_absolute_path_and_its_words_apart(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "1h", "--", "sh", "-c", "echo 'a  b' --json")
    program, *arguments = json.loads(cli.task("job").handler_config or "")["command"]
    assert Path(program).is_absolute()
    assert Path(program).name == "sh"
    assert arguments == ["-c", "echo 'a  b' --json"]
    assert cli.task("job").handler_type == "custom"


def test_a_relative_path_is_made_absolute(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "job.sh"
    script.write_text(OWNERS_SCRIPT)
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    cli.ok("add", "job", "--every", "1h", "--", "./job.sh")
    assert json.loads(cli.task("job").handler_config or "") == {"command": [str(script)]}


def test_a_delivery_is_stored(cli: Cli) -> None:
    config = '{"title_template": "$task_name"}'
    cli.ok(*ADD_HOURLY, "--deliver", "notification", "--deliver-config", config)
    task = cli.task("job")
    assert (task.delivery_channel, task.delivery_config) == ("notification", config)


def test_json_is_the_row_and_the_next_times(cli: Cli) -> None:
    shown = cli.json(*ADD_HOURLY)
    assert (shown["name"], shown["schedule_config"], shown["last_status"]) == ("job", '{"hours": 1}', None)
    assert shown["next"] == [f"2026-03-02T{hour}:00:00+00:00" for hour in (10, 11, 12)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--every", "often"], "not a duration: 'often'"),
        (["--every", "0s"], "duration must be greater than zero"),
        (["--cron", "61 * * * *"], "61"),
        (["--cron", "0 0 30 2 *"], "can never fire"),
        (["--at", "2020-01-01T09:00"], "that is past; give a time that is to come"),
        (["--at", "eventually"], "not a time: 'eventually'"),
        (["--every", "5m", "--timezone", "Mars/Olympus"], "unknown time zone: 'Mars/Olympus'"),
        (["--every", "5m", "--timezone", "Europe/Berln"], "'Europe/Berln'; did you mean 'Europe/Berlin'? "),
        (["--every", "5m", "--timeout", "none of it"], "jarvis-trio: --timeout: not a duration: 'none of it'; write"),
        (["--every", "5m", "--timeout", "0"], "2d, 1w or 5 minutes; none sets no limit\n"),
        (["--every", "5m", "--grace", "4000d"], "jarvis-trio: --grace: duration longer than ten years: '4000d'; use"),
        (["--every", "5m", "--retry-delay", "0s"], "jarvis-trio: --retry-delay: duration must be greater than zero"),
        (["--every", "5m", "--retries", "many"], "jarvis-trio: --retries: not a whole number: 'many'; write it"),
        (["--every", "5m", "--retries", "-1"], "jarvis-trio: --retries must be a whole number from 0 to 1000, not -1"),
        (["--every", "5m", "--alert", ""], "jarvis-trio: --alert must be the name of a channel, not ''"),
        (["--every", "5m", "--alert-config", "[]"], "jarvis-trio: --alert-config: the text must be a JSON object"),
        (["--every", "5m", "--on", "a b"], "jarvis-trio: --on must be the name of a machine, or any: 'a b'"),
        (["--every", "5m", "--config", '{"command":'], "--config is not JSON"),
        (["--every", "5m", "--config", "[1]"], "--config must be a JSON object"),
        (["--every", "5m", "--deliver", "pigeon"], "unknown channel 'pigeon'"),
        (["--every", "5m", "--deliver", "email", "--deliver-config", "[]"], "--deliver-config must be a JSON object"),
    ],
)
def test_what_cannot_be_understood_is_one_line_and_changes_nothing(cli: Cli, arguments: list[str], said: str) -> None:
    assert said in cli.fails("add", "job", *arguments, "--handler", "alert_eval")
    assert cli.names() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--handler", "alert_eval"], "give --every, --cron or --at"),
        (["--every", "5m"], "give a command after --, or --handler"),
        (["--every", "5m", "--cron", "@daily", "--", "true"], "give one of --every, --cron and --at"),
        (["--every", "5m", "--handler", "custom", "--", "true"], "give either a command after --, or --handler"),
        (["--every", "5m", "--deliver-config", "{}", "--", "true"], "--deliver-config needs --deliver"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(cli: Cli, arguments: list[str], said: str) -> None:
    assert said in cli.fails("add", "job", *arguments, code=2)
    assert cli.names() == []


@pytest.mark.parametrize("name", ["", "  ", " padded", "a\nb", "\x1b[2Jclear", "\u202ereversed", "long" * 26])
def test_a_name_that_would_be_a_nuisance_is_refused(cli: Cli, name: str) -> None:
    assert "not a name for a task" in cli.fails("add", name, "--every", "5m", "--", "true")


def test_a_taken_name_is_refused_and_the_task_stays(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--", "true")
    before = cli.task("job")
    assert "a task named 'job' exists" in cli.fails("add", "job", "--every", "1h", "--", "false")
    assert cli.task("job") == before


def test_an_unknown_handler_is_refused_with_the_nearest_and_all_that_there_are(cli: Cli) -> None:
    said = cli.fails("add", "job", "--every", "5m", "--handler", "webhook_pol")
    assert "did you mean 'webhook_poll'? the types are alert_eval, custom" in said


def test_a_program_that_is_not_there_is_refused(cli: Cli) -> None:
    said = cli.fails("add", "job", "--every", "5m", "--", "nosuchprogram")
    assert "there is no program 'nosuchprogram' on PATH; give the path of an executable" in said


@pytest.mark.parametrize("program", ["/no/such", "./such"])
def test_a_path_at_which_there_is_no_program_is_refused(cli: Cli, program: str) -> None:
    said = cli.fails("add", "job", "--every", "5m", "--", program)
    assert said == f"jarvis-trio: there is no program {program!r}; give the path of an executable\n"
    assert cli.names() == []


@pytest.mark.parametrize("weekday", ["8", "FOO", "1-x"])
def test_a_weekday_that_is_none_is_refused_with_the_names_and_no_numbers(cli: Cli, weekday: str) -> None:
    said = cli.fails("add", "job", "--cron", f"0 9 * * {weekday}", "--", "true")
    allowed = "use * or MON to SUN, in lists (MON,WED), ranges (MON-WED) and steps (*/3); or FRI#2 or FRIL"
    assert said.endswith(f": {allowed}\n")


def test_a_configured_command_without_a_program_is_refused(cli: Cli) -> None:
    assert "names no command" in cli.fails("add", "job", "--every", "5m", "--handler", "custom")


def test_clock_changes_that_meet_the_schedule_are_told_with_their_date(cli: Cli) -> None:
    done = cli("add", "job", "--cron", "30 2 * * *", "--timezone", "America/Denver", "--handler", "alert_eval")
    assert done.code == 0
    assert done.err.startswith("note: on 2026-03-08 02:30 does not exist in America/Denver; it runs at 03:00")


def test_without_a_terminal_nothing_is_approved_and_the_mend_is_told(cli: Cli) -> None:
    done = cli("add", "job", "--every", "5m", "--", "true")
    assert done.code == 0
    assert "is not approved to run; to approve exactly this command: jarvis-trio allow --task job; or " in done.err
    assert Approvals(cli.data / "approved-commands.json").commands() == ()


def test_what_is_approved_already_needs_no_note(cli: Cli) -> None:
    cli.ok("allow", "true")
    assert cli("add", "job", "--every", "5m", "--", "true").err == ""


@pytest.mark.slow
def test_a_person_at_a_terminal_approves_what_is_added(program: Program) -> None:
    program("init")
    done = program.at_terminal("add", "job", "--every", "5m", "--", "true")
    assert done.code == 0
    (approved,) = Approvals(program.data / "approved-commands.json").commands()
    assert f"Approved: {approved.program} (exactly this command)" in done.out
    assert program("run-now", "job").code == 0


@pytest.mark.slow
def test_a_program_that_others_can_change_is_not_added_at_a_terminal(program: Program, tmp_path: Path) -> None:
    program("init")
    script = tmp_path / "job.sh"
    script.write_text(OWNERS_SCRIPT)
    script.chmod(0o777)
    done = program.at_terminal("add", "job", "--every", "5m", "--", str(script))
    assert done.code == 1
    assert "others can change it" in done.out
    assert "no task is named 'job'" in program("show", "job").err


def test_the_clock_of_these_tests_stands_still(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--handler", "alert_eval")
    assert cli.task("job").created_at == START.isoformat()


def test_an_alert_that_nobody_would_get_is_told_at_once(cli: Cli) -> None:
    done = cli("add", "poll", "--every", "5m", "--handler", "webhook_poll", "--alert-after", "1h")

    assert done.code == 0
    assert "nobody is told if it does not succeed in time" in done.err


def test_an_alert_with_a_channel_of_its_own_is_not_warned_of(cli: Cli) -> None:
    done = cli(
        "add", "poll", "--every", "5m", "--handler", "webhook_poll", "--alert-after", "1h", "--alert", "notification"
    )

    assert "nobody is told" not in done.err


def test_an_interval_of_weeks_is_an_interval(cli: Cli) -> None:
    cli.ok("add", "poll", "--every", "2w", "--handler", "webhook_poll")

    assert cli.task("poll").schedule_config == '{"days": 14}'


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--alert", "emial"], "unknown channel 'emial'; did you mean 'email'?"),
        (["--alert", "email", "--alert-config", "{}"], "email: "),
    ],
)
def test_a_channel_for_alerts_that_cannot_work_is_refused(cli: Cli, options: list[str], says: str) -> None:
    assert says in cli.fails("add", "poll", "--every", "5m", "--handler", "webhook_poll", *options)
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    assert says in cli.fails("edit", "poll", *options)
    assert cli.task("poll").policy in (None, "", "{}")
    cli.change("poll", policy='{"alert_channel": "pigeon"}')
    cli.ok("edit", "poll", "--every", "6m")
