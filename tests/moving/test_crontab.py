"""Unit tests: what each line of a crontab becomes, or why it becomes nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.models import ScheduledTask
from jarvis_trio.moving.crontab import read_crontab
from jarvis_trio.moving.entry import Entry
from jarvis_trio.schedules.cron import CronExpression

START = datetime.fromisoformat("2026-03-02T00:00")  # a Monday


def only(text: str, user: str | None = None) -> Entry:
    [entry] = read_crontab(text, user)
    return entry


def expressions(line: str) -> list[str]:
    return [json.loads(task.schedule_config)["expression"] for task in only(line).tasks]


def config(task: ScheduledTask) -> dict[str, object]:
    return dict(json.loads(task.handler_config or ""))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("30 2 * * *", "30 2 * * *"),
        ("*/5 9-17 * * 1-5", "*/5 9-17 * * MON-FRI"),
        ("0 9 * * 0", "0 9 * * SUN"),
        ("0 9 * * 7", "0 9 * * SUN"),
        ("0 9 * * 5-7", "0 9 * * FRI-SUN"),
        ("0 9 * * 1,3,5", "0 9 * * MON,WED,FRI"),
        ("0 9 * * */2", "0 9 * * TUE,THU,SAT,SUN"),
        ("0 9 * * 0-6", "0 9 * * *"),
        ("0 9 * * mon-fri", "0 9 * * MON-FRI"),
        ("0 9 */2 * 1", "0 9 */2 * MON"),  # a field that begins with * restricts nothing in Debian's cron
        ("@daily", "@daily"),
        ("@Weekly", "@weekly"),
        ("@every_minute", "* * * * *"),
        ("0 9 * * FRI-SUN", "0 9 * * FRI-SUN"),
        ("00 09 * * 01-05", "00 09 * * MON-FRI"),
        ("0 9 * * 07", "0 9 * * SUN"),
        ("0 9 30 2 1", "0 9 * 2 MON"),  # either may match, and no date is 30 February
    ],
)
def test_the_times_mean_what_they_meant(times: str, expected: str) -> None:
    assert expressions(f"{times} /bin/true") == [expected]


def test_day_of_month_or_weekday_becomes_two_tasks() -> None:
    entry = only("0 9 13 * 5 /bin/true")
    assert expressions("0 9 13 * 5 /bin/true") == ["0 9 13 * *", "0 9 * * FRI"]
    assert "both run if both match" in entry.notes[0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("@reboot /bin/true", "@reboot is not a time; start it at login"),
        ("@fortnightly /bin/true", "the name @fortnightly is not known"),
        ("0 9 * * * mail me%hello", "what follows % is the command's input"),
        ("0 9 * *", "neither five fields and a command nor a variable"),
        ("hello", "neither five fields and a command nor a variable"),
        ("0 9 30 2 * /bin/true", "no date matches '0 9 30 2 *'"),
        ("0 9 * * 8 /bin/true", "weekday '8' is not understood"),
        ("0 9 * * *-5 /bin/true", "weekday '*-5' is not understood"),
        ("0 9 * * */0 /bin/true", "weekday '*/0' is not understood"),
        ("0 9 * * XYZ /bin/true", "weekday 'XYZ' is not understood"),
        ("61 9 * * * /bin/true", "cron minute '61' is out of range"),
        ("0~9 9 * * * /bin/true", "a random time (~)"),
        ("CRON_TZ=Mars/Base\n0 9 * * * /bin/true", "unknown time zone: 'Mars/Base'"),
    ],
)
def test_a_line_that_cannot_be_taken_over_says_why(line: str, why: str) -> None:
    entry = only(line)
    assert entry.tasks == ()
    assert why in entry.why


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/usr/bin/backup --all", ["/usr/bin/backup", "--all"]),
        ("/bin/echo 'two words' \"and more\"", ["/bin/echo", "two words", "and more"]),
        ("/bin/tar --file=x y", ["/bin/tar", "--file=x", "y"]),
        ("/bin/a | /bin/b", ["/bin/sh", "-c", "/bin/a | /bin/b"]),
        ("/bin/a > /dev/null 2>&1", ["/bin/sh", "-c", "/bin/a > /dev/null 2>&1"]),
        ("cd /srv && ./run", ["/bin/sh", "-c", "cd /srv && ./run"]),
        ("X=1 /bin/a", ["/bin/sh", "-c", "X=1 /bin/a"]),
        ("echo $HOME ~", ["/bin/sh", "-c", "echo $HOME ~"]),
        ("echo 'no end", ["/bin/sh", "-c", "echo 'no end"]),
        (r"date +\%Y-\%m", ["date", "+%Y-%m"]),
    ],
)
def test_a_command_gets_a_shell_only_if_it_needs_one(command: str, words: list[str]) -> None:
    [task] = only(f"0 9 * * * {command}").tasks
    assert config(task) == {"command": words}


def test_variables_count_for_the_lines_below_them() -> None:
    text = 'A=1\n0 1 * * * /bin/x\nA = "two words"\nSHELL=/bin/bash\nHOME=/srv\n0 2 * * * y | z\n'
    first, second = (entry.tasks[0] for entry in read_crontab(text))
    assert config(first) == {"command": ["/bin/x"], "env": {"A": "1"}}
    assert config(second) == {"command": ["/bin/bash", "-c", "y | z"], "env": {"A": "two words"}, "cwd": "/srv"}


def test_the_path_of_a_crontab_finds_its_programs() -> None:
    [task] = only("PATH=/opt/bin\n0 1 * * * backup\n").tasks
    assert config(task) == {"command": ["/bin/sh", "-c", "backup"], "env": {"PATH": "/opt/bin"}}


def test_a_zone_is_the_tasks_own() -> None:
    [task] = only("CRON_TZ=Europe/Berlin\n0 1 * * * /bin/x\n").tasks
    assert task.policy == '{"timezone": "Europe/Berlin"}'


def test_mail_is_noted() -> None:
    assert "not mailed to me@example.org" in only("MAILTO=me@example.org\n0 1 * * * /bin/x\n").notes[0]
    assert only('MAILTO=""\n0 1 * * * /bin/x\n').notes == ()


def test_a_comment_above_a_line_describes_it() -> None:
    text = "# m h  dom mon dow   command\n0 1 * * * /bin/a\n# Tidy up\n0 2 * * * /bin/b\n# 0 3 * * * /bin/off\n"
    assert [entry.tasks[0].description for entry in read_crontab(text)] == [None, "Tidy up"]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/local/bin/backup.sh --all", "backup"),
        ("python3 -u /srv/app/poll.py", "poll"),
        ("cd /srv/app && nice python3 manage.py", "manage"),
        ("/usr/bin/env FOO=1 bash x.sh", "x"),
        ("[ -x /a ] || /usr/sbin/anacron", "anacron"),
        ("FOO=1 run", "run"),
        ("((", "command"),
        ("/opt/Größe", "Größe"),
    ],
)
def test_a_task_is_called_like_what_it_runs(command: str, name: str) -> None:
    assert only(f"0 9 * * * {command}").tasks[0].name == name


def test_of_the_systems_crontab_only_the_users_own_lines_are_taken() -> None:
    mine, roots = read_crontab("0 1 * * * ada /bin/x 1\n0 1 * * * root /bin/x\n", "ada")
    assert config(mine.tasks[0]) == {"command": ["/bin/x", "1"]}
    assert roots.why == "it runs as root, and tasks here run as ada"


def test_a_tab_may_follow_the_user_in_the_systems_crontab() -> None:
    mine, roots = read_crontab("17 *\t* * *\tada\t/bin/x 1\n17 *\t* * *\troot\tcd / && y\n", "ada")
    assert config(mine.tasks[0]) == {"command": ["/bin/x", "1"]}
    assert roots.why == "it runs as root, and tasks here run as ada"


def test_a_line_of_the_systems_crontab_without_a_command_says_so() -> None:
    [entry] = read_crontab("17 * * * * ada\n", "ada")
    assert entry.why == "it has no command"


PIECES = st.sampled_from(
    ["0", "9", "*", "*/5", "1-5", "MON", "@daily", "@reboot", "%", "#", "A=1", "/bin/x", "~", "\n"]
)


@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=14).map(" ".join)))
def test_each_line_becomes_tasks_or_a_reason(text: str) -> None:
    entries = read_crontab(text)
    assert all(bool(entry.tasks) != bool(entry.why) for entry in entries)


DAY_TERMS = st.one_of(
    st.integers(0, 7).map(str),
    st.tuples(st.integers(0, 3), st.integers(3, 7)).map(lambda ends: f"{ends[0]}-{ends[1]}"),
    st.sampled_from(["*", "*/2", "*/3", "1-5/2"]),
)


@given(st.lists(DAY_TERMS, min_size=1, max_size=3).map(",".join))
def test_numeric_weekdays_run_on_the_days_of_crontab(weekdays: str) -> None:
    try:
        theirs = CronSim(f"0 9 * * {weekdays}", START)
    except CronSimError:
        return
    [ours] = expressions(f"0 9 * * {weekdays} /bin/true")
    end = START + timedelta(days=21)
    found, after = [], START
    while (after := CronExpression(ours).next_time(after)) < end:
        found.append(after)
    expected = []
    while (fire := next(theirs)) < end:
        expected.append(fire)
    assert found == expected


def test_what_is_not_utf8_is_refused_as_add_refuses_it() -> None:
    entry = only(b"0 9 * * * /bin/echo \xff".decode("utf-8", "surrogateescape"))
    assert entry.tasks == ()
    assert entry.why.startswith("it is not UTF-8: ")


@pytest.mark.parametrize("character", ["\u2028", "\x0b", "\x0c", "\x85", "\x1c"])
def test_only_a_line_feed_ends_a_line(character: str) -> None:
    assert len(read_crontab(f"0 9 * * * /bin/echo a{character}b\n")) == 1


def test_a_comment_above_a_variable_is_not_a_tasks_description() -> None:
    assert only("# Settings\nA=1\n0 9 * * * /bin/true").tasks[0].description is None
