"""`forecast`, `explain` and `timeline`, called in this process.

It is Monday, 2 March 2026, 09:00 UTC; on 8 March the clocks change in America.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree.ElementTree import fromstring
from zoneinfo import ZoneInfo

import pytest

from tests.support.cli_world import Cli, Program

DENVER = ZoneInfo("America/Denver")


@pytest.fixture
def denver(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Commands on a machine in Denver, with a task that the change of the clock meets."""
    monkeypatch.setenv("COLUMNS", "100")
    cli.clock.machine_zone = DENVER
    cli.ok("add", "backup", "--cron", "30 2 * * *", "--handler", "webhook_poll")
    return cli


def test_forecast_prints_each_slot_in_its_tasks_zone(denver: Cli) -> None:
    denver.ok("add", "there", "--cron", "0 9 * * *", "--timezone", "Europe/Berlin", "--handler", "webhook_poll")
    assert denver.json("forecast", "--from", "2026-03-07T00:00", "--days", "2") == [
        {"task": "there", "at": "2026-03-07T09:00:00+01:00"},
        {"task": "backup", "at": "2026-03-07T02:30:00-07:00"},
        {"task": "there", "at": "2026-03-08T09:00:00+01:00"},
        {"task": "backup", "at": "2026-03-08T03:00:00-06:00"},
    ]


def test_forecast_of_one_task_names_no_other(denver: Cli) -> None:
    denver.ok("add", "other", "--every", "1h", "--handler", "webhook_poll")
    assert {slot["task"] for slot in denver.json("forecast", "backup")} == {"backup"}
    assert len(denver.json("forecast", "backup", "--days", "5")) == 5


def test_days_from_a_local_time_are_days_of_the_calendar_and_from_an_instant_24_hours(denver: Cli) -> None:
    denver.ok("add", "hourly", "--cron", "0 * * * *", "--handler", "webhook_poll")
    assert len(denver.json("forecast", "hourly", "--from", "2026-03-08T00:00", "--days", "1")) == 23
    assert len(denver.json("forecast", "hourly", "--from", "2026-03-08T00:00-07:00", "--days", "1")) == 24


def test_forecast_aligns_what_follows_a_name_of_wide_characters(denver: Cli) -> None:
    denver.ok("add", "日本", "--every", "1h", "--handler", "webhook_poll")
    lines = denver.ok("forecast", "--from", "2026-03-10T00:00", "--days", "1").splitlines()
    [wide] = [line for line in lines if "日本" in line]
    assert "日本    and 23 times more" in wide  # four cells, two to be as wide as `backup`, and the gap


def test_forecast_prints_an_empty_array_where_nothing_runs(denver: Cli) -> None:
    denver.ok("pause", "backup")
    assert denver.json("forecast") == []


def test_forecast_prints_thousands_of_slots_as_one_array(denver: Cli) -> None:
    denver.ok("add", "beat", "--every", "5m", "--handler", "webhook_poll")
    assert len(denver.json("forecast", "beat", "--days", "10")) == 10 * 288 - 1  # the first is 5 minutes from now


def test_forecast_counts_a_single_day_as_one(denver: Cli) -> None:
    denver.ok("pause", "backup")
    assert denver.ok("forecast", "--days", "1").startswith("Nothing runs in 1 day from Mon ")


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_forecast_stops_after_a_limit_and_says_so(denver: Cli, form: tuple[str, ...]) -> None:
    stopped = denver("forecast", "backup", "--days", "5", "--limit", "4", *form)
    assert stopped.err == "note: stopped after 4 times; --limit N shows more\n"
    assert stopped.out.count("02:30") == 4
    whole = denver("forecast", "backup", "--days", "5", "--limit", "5", *form)
    assert (whole.err, whole.out.count("02:30")) == ("", 5)


def test_forecast_for_people_is_grouped_by_day_and_tells_of_clock_changes(denver: Cli) -> None:
    denver.ok("add", "beat", "--every", "2h", "--handler", "webhook_poll")
    shown = denver.ok("forecast", "--from", "2026-03-07T00:00", "--days", "2")
    assert [line.rstrip() for line in shown.splitlines()] == [
        "Sat 2026-03-07",
        "  00:00  beat    and 11 times more until 22:00",
        "  02:30  backup",
        "",
        "Sun 2026-03-08 (the clock goes from 02:00 to 03:00)",
        "  00:00 MST  beat    and 11 times more until 23:00 MDT",
        "  03:00 MDT  backup",
        "",
    ]


def test_forecast_for_people_says_what_time_it_is_there(denver: Cli) -> None:
    denver.ok("add", "there", "--cron", "0 9 * * *", "--timezone", "Europe/Berlin", "--handler", "webhook_poll")
    assert "  01:00  there  09:00 in Europe/Berlin\n" in denver.ok("forecast", "--days", "1")


def test_forecast_says_who_is_left_out_and_why(denver: Cli) -> None:
    denver.ok("pause", "backup")
    shown = denver.ok("forecast", "--days", "3")
    assert shown.splitlines() == [
        "Nothing runs in 3 days from Mon 2026-03-02 02:00 MST.",
        "backup is left out: paused",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("forecast", "bakcup"), 1, "no task is named 'bakcup'; did you mean 'backup'?"),
        (("forecast", "--from", "soon"), 1, "not a time: 'soon'"),
        (("forecast", "--from", "9998-12-01", "--days", "900"), 1, "time out of range"),
        (("forecast", "--days", "0"), 2, "'--days'"),
        (("explain", "bakcup"), 1, "no task is named 'bakcup'; did you mean 'backup'?"),
        (("explain", "backup", "--at", "soon"), 1, "not a time: 'soon'"),
        (("explain", "backup", "--at", "0100-01-01"), 1, "use a year from 1900 to 9899"),
        (("timeline", "--hours", "0"), 2, "'--hours'"),
        (("timeline", "--svg", "nowhere/x.svg"), 1, "cannot write nowhere/x.svg: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    denver: Cli, arguments: tuple[str, ...], code: int, line: str
) -> None:
    assert line in denver.fails(*arguments, code=code)


def test_explain_leads_with_the_answer_and_shows_each_field(denver: Cli) -> None:
    lines = denver.ok("explain", "backup", "--at", "2026-03-08T02:30").splitlines()
    assert " ".join(line.strip() for line in lines[:2]) == (
        "backup will run at Sun 2026-03-08 03:00 MDT, in 6 days: "
        "02:30 does not exist that day, so it runs right after, at 03:00."
    )
    assert "That day the clock goes from 02:00 to 03:00 in America/Denver." in lines
    assert "The slot before: Sat 2026-03-07 02:30 MST" in lines
    assert "The slot after:  Mon 2026-03-09 02:30 MDT" in lines
    assert ["hour", "2", "02", "yes"] in [line.split() for line in lines]


def test_explain_wraps_its_lines_without_a_blank_at_the_end(denver: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for at in ("2026-03-08T02:30", "2026-03-08"):
        lines = denver.ok("explain", "backup", "--at", at).splitlines()
        assert [line for line in lines if line.endswith(" ")] == []


def test_explain_reads_a_naive_time_in_the_tasks_zone(denver: Cli) -> None:
    denver.ok("add", "there", "--cron", "0 9 * * *", "--timezone", "Europe/Berlin", "--handler", "webhook_poll")
    found = denver.json("explain", "there", "--at", "2026-03-03T09:00")
    assert (found["at"], found["fires"], found["slot"]) == (
        "2026-03-03T09:00:00+01:00",
        True,
        "2026-03-03T09:00:00+01:00",
    )


def test_explain_tells_a_program_the_same(denver: Cli) -> None:
    found = denver.json("explain", "backup", "--at", "2026-03-03T02:31")
    assert found["task"] == "backup"
    assert found["answer"] == "backup will not run at Tue 2026-03-03 02:31 MST: the minute is 31, not 30."
    assert (found["verdict"], found["fires"], found["slot"]) == ("will not run", False, None)
    assert found["why"] == "the minute is 31, not 30"
    assert (found["before"], found["after"]) == ("2026-03-03T02:30:00-07:00", "2026-03-04T02:30:00-07:00")
    assert found["fields"][0] == {"field": "minute", "says": "30", "is": "31", "matches": False}
    assert [field["matches"] for field in found["fields"]] == [False, True, True, True, True]
    assert (found["notes"], found["runs"]) == ([], [])


def test_explain_shows_the_runs_that_its_answer_rests_on(denver: Cli) -> None:
    denver.ok("run-now", "backup")
    found = denver.json("explain", "backup", "--at", "2026-03-02T02:00")
    assert [run["status"] for run in found["runs"]] == ["executed"]
    assert "because a person asked for it" in found["answer"]
    assert "executed" in denver.ok("explain", "backup", "--at", "2026-03-02T02:00").splitlines()[-1]


def test_timeline_draws_a_lane_for_each_task(denver: Cli) -> None:
    denver.ok("add", "beat", "--every", "2h", "--handler", "webhook_poll")
    denver.ok("run-now", "beat")
    lines = denver.ok("timeline").splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["backup", "beat"]
    assert "▁│" in lines[2]


def test_timeline_writes_a_picture(denver: Cli, tmp_path: Path) -> None:
    path = tmp_path / "runs.svg"
    assert denver.ok("timeline", "--hours", "6", "--svg", str(path)) == f"Wrote {path}\n"
    assert fromstring(path.read_text(encoding="utf-8")).tag == "{http://www.w3.org/2000/svg}svg"


def test_timeline_tells_a_program_the_same(denver: Cli) -> None:
    denver.ok("run-now", "backup")
    found = denver.json("timeline", "--hours", "8")
    assert (found["from"], found["now"], found["to"]) == (
        "2026-03-01T18:00:00-07:00",
        "2026-03-02T02:00:00-07:00",
        "2026-03-02T04:00:00-07:00",
    )
    [lane] = found["lanes"]
    assert lane["task"] == "backup"
    assert [run["status"] for run in lane["runs"]] == ["executed"]
    assert lane["ahead"] == ["2026-03-02T02:30:00-07:00"]


@pytest.mark.slow
def test_explain_notices_a_running_daemon(program: Program) -> None:
    program("init")
    program("add", "far", "--cron", "0 0 1 1 *", "--handler", "webhook_poll")
    assert json.loads(program("explain", "far", "--json").out)["notes"] != []
    program.daemon()
    assert json.loads(program("explain", "far", "--json").out)["notes"] == []


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["80", pytest.param("200", marks=pytest.mark.thorough)])
def test_at_a_terminal_no_line_is_wider_than_it_and_colours_can_be_refused(program: Program, columns: str) -> None:
    program("init")
    program("add", "a task with a rather long name, for a chart", "--every", "1h", "--handler", "webhook_poll")
    for command in (["timeline"], ["forecast"], ["explain", "alert_eval", "--at", "2030-03-10T02:30"]):
        shown = program.at_terminal(*command, COLUMNS=columns, NO_COLOR="1", TERM="xterm").out
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)  # bold and dim may stay, colours may not
        assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines())) <= int(columns)


def test_a_tasks_runs_are_told_in_its_own_zone(denver: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    denver.ok("add", "there", "--every", "1h", "--timezone", "Europe/Berlin", "--handler", "alert_eval")
    denver.clock.advance(hours=1)
    denver.ok("tick")
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("explain", "show"):
        assert "2026-03-02 11:00:00" in denver.ok(command, "there").splitlines()[-1]


def test_explain_shows_the_fields_only_of_a_moment_that_was_asked_for(denver: Cli) -> None:
    assert "FIELD" not in denver.ok("explain", "backup")
    assert denver.json("explain", "backup")["fields"]


def test_explain_works_whatever_the_policy_and_the_lock_are(denver: Cli) -> None:
    denver.change("backup", policy='{"timezone": "Mars/Base"}')
    (denver.data / "jarvis-daemon.lock").mkdir()
    assert "Mars/Base" in denver.ok("explain", "backup")


def test_explain_answers_for_a_day(denver: Cli) -> None:
    lines = denver.ok("explain", "backup", "--at", "2026-03-08").splitlines()
    assert lines[0] == "backup has 1 slot on Sun 2026-03-08: 1 to come."
    assert lines[1].startswith("- It will run at Sun 2026-03-08 03:00 MDT")
    found = denver.json("explain", "backup", "--at", "sunday")
    assert (found["day"], found["counts"], found["left_out"]) == ("2026-03-08", {"to come": 1}, 0)
    assert found["slots"][0]["at"] == "2026-03-08T03:00:00-06:00"
