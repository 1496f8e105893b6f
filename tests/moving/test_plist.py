"""Unit tests: what a property list of launchd becomes, or why it becomes nothing."""

from __future__ import annotations

import json
import plistlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.moving.entry import Entry
from jarvis_trio.moving.plist import read_plist
from jarvis_trio.schedules.cron import CronExpression


def read(**keys: Any) -> Entry:
    agent = {"Label": "org.me.backup", "ProgramArguments": ["/bin/x", "--all"]} | keys
    return read_plist(plistlib.dumps({key: value for key, value in agent.items() if value is not None}), "x.plist")


def expressions(calendar: object) -> list[str]:
    return [json.loads(task.schedule_config)["expression"] for task in read(StartCalendarInterval=calendar).tasks]


@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_an_interval_with_all_that_goes_with_it(form: plistlib.PlistFormat) -> None:
    agent = {
        "Label": "org.me.backup",
        "ProgramArguments": ["/bin/x", "--all"],
        "StartInterval": 7200,
        "WorkingDirectory": "/srv",
        "EnvironmentVariables": {"A": "1", "B": 2},
    }
    [task] = read_plist(plistlib.dumps(agent, fmt=form), "x.plist").tasks
    assert (task.name, task.schedule_type, task.schedule_config) == ("backup", "interval", '{"hours": 2}')
    assert json.loads(task.handler_config or "") == {"command": ["/bin/x", "--all"], "env": {"A": "1"}, "cwd": "/srv"}
    assert task.enabled


@pytest.mark.parametrize(
    ("calendar", "expected"),
    [
        ({"Hour": 2, "Minute": 30}, ["30 2 * * *"]),
        ({"Hour": 2}, ["* 2 * * *"]),
        ({"Minute": 0}, ["0 * * * *"]),
        ({}, ["* * * * *"]),
        ({"Weekday": 0, "Hour": 9, "Minute": 0}, ["0 9 * * SUN"]),
        ({"Weekday": 7, "Hour": 9, "Minute": 0}, ["0 9 * * SUN"]),
        ({"Day": 1, "Month": 1, "Hour": 0, "Minute": 0}, ["0 0 1 1 *"]),
        ({"Day": 13, "Weekday": 5, "Hour": 9, "Minute": 0}, ["0 9 13 * *", "0 9 * * FRI"]),
        ([{"Hour": 9, "Minute": 0, "Weekday": day} for day in range(1, 6)], ["0 9 * * MON-FRI"]),
        ([{"Hour": hour, "Minute": minute} for hour in (9, 12) for minute in (0, 30)], ["0,30 9,12 * * *"]),
        ([{"Hour": 9, "Minute": 0}, {"Hour": 10, "Minute": 30}], ["0 9 * * *", "30 10 * * *"]),
        ({"Day": 30, "Month": 2, "Weekday": 1, "Hour": 9, "Minute": 0}, ["0 9 * 2 MON"]),
        ([{"Day": 31, "Month": 4, "Hour": 9}, {"Hour": 10, "Minute": 30}], ["30 10 * * *"]),
    ],
)
def test_a_calendar_becomes_as_few_expressions_as_mean_the_same(calendar: object, expected: list[str]) -> None:
    assert expressions(calendar) == expected


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"KeepAlive": True}, "it runs always (KeepAlive)"),
        ({"WatchPaths": ["/a"]}, "it starts when something happens (WatchPaths)"),
        ({}, "it starts at no time"),
        ({"StartInterval": 0}, "not a number of seconds: 0"),
        ({"StartInterval": True}, "not a number of seconds: True"),
        ({"StartInterval": 60, "ProgramArguments": None}, "it names no program"),
        ({"StartInterval": 60, "ProgramArguments": "x"}, "not a list of texts"),
        ({"StartInterval": 60, "UserName": "root"}, "it runs as root"),
        ({"StartCalendarInterval": {"Hour": 24}}, "its Hour is not a number from 0 to 23: 24"),
        ({"StartCalendarInterval": {"Hours": 2}}, "unknown key 'Hours'"),
        ({"StartCalendarInterval": {"Day": 30, "Month": 2}}, "no date matches"),
        ({"StartCalendarInterval": []}, "is empty"),
        ({"StartCalendarInterval": "daily"}, "neither a dictionary nor a list"),
        ({"StartCalendarInterval": [{"Minute": minute} for minute in range(51)]}, "more than 50"),
    ],
)
def test_an_agent_that_cannot_be_taken_over_says_why(keys: dict[str, Any], why: str) -> None:
    entry = read(**keys)
    assert entry.tasks == ()
    assert why in entry.why


@pytest.mark.parametrize("data", [b"", b"hello", b"<plist><dict>", b"bplist00", b"<!-- \xff", plistlib.dumps(["x"])])
def test_what_is_not_a_property_list_says_so(data: bytes) -> None:
    assert "not a property list" in read_plist(data, "x.plist").why


def test_program_goes_before_the_first_argument() -> None:
    [task] = read(StartInterval=60, Program="/bin/real").tasks
    assert json.loads(task.handler_config or "") == {"command": ["/bin/real", "--all"]}


def test_an_agent_that_is_switched_off_is_paused() -> None:
    assert [task.enabled for task in read(StartInterval=60, Disabled=True).tasks] == [False]


def test_an_agent_without_a_label_is_called_like_its_program() -> None:
    assert [task.name for task in read(StartInterval=60, Label=None).tasks] == ["x"]


@pytest.mark.parametrize(
    ("keys", "note"),
    [
        ({"KeepAlive": {"SuccessfulExit": False}}, "launchd also starts it again when it ends (KeepAlive)"),
        ({"WatchPaths": ["/a"]}, "launchd also starts it by WatchPaths"),
    ],
)
def test_what_else_starts_an_agent_with_a_time_is_noted(keys: dict[str, Any], note: str) -> None:
    entry = read(StartInterval=60, **keys)
    assert len(entry.tasks) == 1
    assert entry.notes == (f"{note}; the task runs at its times only",)


def test_what_gets_lost_is_noted() -> None:
    entry = read(StartInterval=60, RunAtLoad=True, StandardOutPath="/tmp/a", StandardErrorPath="/tmp/b", Nice=5)
    assert entry.notes == (
        "launchd also starts it at login (RunAtLoad); the task runs at its times only",
        "its output goes into the history, no longer into /tmp/a and /tmp/b",
        "not taken over: Nice",
    )


def test_a_protected_agent_stays() -> None:
    data = plistlib.dumps({"Label": "org.me.x", "ProgramArguments": ["/bin/x"], "StartInterval": 60})
    assert read_plist(data, "x.plist", frozenset(["org.me.x"])).why == "org.me.x stays where it is"


VALUES = st.dictionaries(st.sampled_from(["Minute", "Hour", "Day", "Month", "Weekday", "Hours"]), st.integers(-1, 32))
AGENTS = st.fixed_dictionaries(
    {},
    optional={
        "Label": st.text(max_size=10),
        "ProgramArguments": st.lists(st.text(max_size=5), max_size=3),
        "StartInterval": st.integers(-1, 10**12),
        "StartCalendarInterval": st.one_of(VALUES, st.lists(VALUES, max_size=4)),
        "EnvironmentVariables": st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
    },
)


@given(AGENTS)
def test_any_agent_becomes_tasks_or_a_reason(agent: dict[str, Any]) -> None:
    try:
        data = plistlib.dumps(agent)
    except (ValueError, OverflowError, TypeError):  # a text that no property list can hold
        return
    entry = read_plist(data, "x.plist")
    assert bool(entry.tasks) != bool(entry.why)


MOMENTS = st.fixed_dictionaries(
    {}, optional={"Minute": st.sampled_from([0, 30]), "Hour": st.sampled_from([0, 9]), "Weekday": st.integers(0, 7)}
)


@given(st.lists(MOMENTS, min_size=1, max_size=4))
@pytest.mark.thorough
def test_merged_expressions_match_when_one_of_the_entries_does(calendar: list[dict[str, int]]) -> None:
    found = [CronExpression(text) for text in expressions(calendar)]
    entries = [entry | ({"Weekday": entry["Weekday"] % 7} if "Weekday" in entry else {}) for entry in calendar]
    for minutes in range(0, 7 * 24 * 60, 30):
        moment = datetime.fromisoformat("2026-03-01T00:00") + timedelta(minutes=minutes)  # a Sunday
        values = {"Minute": moment.minute, "Hour": moment.hour, "Weekday": moment.isoweekday() % 7}
        wanted = any(entry.items() <= values.items() for entry in entries)
        assert any(all(check.matches for check in one.describe(moment)) for one in found) == wanted


def test_a_day_that_never_comes_is_told_in_the_agents_words() -> None:
    times = {"Month": 2, "Day": 30, "Hour": 0, "Minute": 0}
    why = "no date matches Minute=0 Hour=0 Day=30 Month=2: it never starts, there neither"
    assert read(StartCalendarInterval=times).why == why


def test_a_day_that_never_comes_leaves_one_task_and_no_word_of_two() -> None:
    entry = read(StartCalendarInterval={"Day": 30, "Month": 2, "Weekday": 1, "Hour": 9, "Minute": 0})
    assert (len(entry.tasks), entry.notes) == (1, ())
