"""`list`, `show`, `history` and `status`: what they tell, and how it looks."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import Letter
from tests.support.cli_world import Cli, Program, eventually, execute
from tests.support.core_fakes import PATIENCE

COLUMNS = [
    *("id", "name", "description", "schedule_type", "schedule_config", "handler_type", "handler_config", "enabled"),
    *("last_run_at", "next_run_at", "last_result", "created_at", "updated_at", "delivery_channel", "delivery_config"),
    "policy",
]


@pytest.fixture
def day(cli: Cli) -> Cli:
    """A database with one task that has run, one that has failed, one paused and one set aside."""
    return cli.after(_a_day)


def _a_day(cli: Cli) -> None:
    cli.ok("allow", "echo", "false")
    cli.ok("add", "good", "--every", "30m", "--", "echo", "all is well")
    cli.ok("add", "bad", "--every", "1h", "--", "false")
    cli.ok("add", "later", "--cron", "0 9 * * MON-FRI", "--timezone", "Europe/Berlin", "--", "echo")
    cli.ok("pause", "later")
    cli.ok("add", "odd", "--every", "1h", "--", "echo")
    cli.change("odd", schedule_config="{}")
    cli.clock.advance(hours=1)
    cli.ok("tick")
    cli.clock.advance(minutes=3)


def test_list_shows_each_task_with_its_next_and_its_last_run(day: Cli) -> None:
    lines = [re.split(r"\s{2,}", line.strip()) for line in day.ok("list").splitlines()]
    assert lines == [
        ["NAME", "SCHEDULE", "HANDLER", "NEXT", "NEXT AT", "LAST RUN"],
        ["bad", "every 1h", "custom", "in 57 min", "Mon 2026-03-02 11:00 UTC", "error 3 min ago"],
        ["good", "every 30m", "custom", "in 27 min", "Mon 2026-03-02 10:30 UTC", "executed 3 min ago"],
        ["later", "at 09:00 on Monday to Friday (Europe/Berlin)", "custom", "paused", "never"],
        ["odd", "interval {}", "custom", "set aside", "skipped 3 min ago"],
        [
            "odd is set aside until it is fixed: interval must be greater than zero in days, hours, "
            "minutes or seconds: {}"
        ],
    ]


def test_list_in_json_has_the_columns_of_the_table_and_the_last_status(day: Cli) -> None:
    rows = {row["name"]: row for row in day.json("list")}
    assert set(rows["good"]) == {*COLUMNS, "definition", "last_status", "set_aside", "failing", "running"}
    assert {name: row["last_status"] for name, row in rows.items()} == {
        "good": "executed",
        "bad": "error",
        "later": None,
        "odd": "skipped",
    }
    assert rows["good"]["schedule_config"] == '{"minutes": 30}'
    assert (rows["good"]["enabled"], rows["later"]["enabled"]) == (True, False)
    assert rows["odd"]["set_aside"].startswith("interval must be greater than zero")


def test_an_empty_list_says_how_to_begin(cli: Cli) -> None:
    assert cli.ok("list") == "There are no tasks yet. To add one: jarvis-trio add NAME --every 5m -- COMMAND\n"
    assert cli.json("list") == []


def test_history_in_json_tells_each_run_the_newest_first(day: Cli) -> None:
    day.ok("run-now", "good")
    newest, older = day.json("history", "good")
    assert newest == {
        "id": newest["id"],
        "task": "good",
        "scheduled_for": "2026-03-02T10:03:00.000001+00:00",
        "attempt": 1,
        "started_at": "2026-03-02T10:03:00+00:00",
        "finished_at": "2026-03-02T10:03:00+00:00",
        "status": "executed",
        "reason": None,
        "result": {"status": "ok", "exit_code": 0, "stdout": "all is well\n", "stderr": ""},
        "trigger": "manual",
        "collapsed": 0,
        "delivery": None,
    }
    assert (older["scheduled_for"], older["collapsed"]) == ("2026-03-02T10:00:00+00:00", 1)


def test_history_tells_what_came_of_a_run(day: Cli) -> None:
    lines = day.ok("history").splitlines()
    assert re.search(r"good +2026-03-02 10:00:00 +3 min ago +executed +\d+ ms +all is well", "\n".join(lines))
    assert re.search(r"bad .* error .* exit code 1", "\n".join(lines))


@pytest.mark.parametrize(
    ("arguments", "tasks"),
    [
        (["--task", "good"], ["good"]),
        (["good"], ["good"]),
        (["--status", "error"], ["bad"]),
        (["--status", "missed"], []),
        (["--since", "5m"], ["bad", "good", "odd"]),
        (["--since", "1m"], []),
        (["--since", "today 10:00", "--status", "executed"], ["good"]),
        (["--since", "2026-03-03"], []),
    ],
)
def test_history_can_be_filtered(day: Cli, arguments: list[str], tasks: list[str]) -> None:
    assert sorted(run["task"] for run in day.json("history", *arguments)) == tasks


def test_history_is_limited(day: Cli) -> None:
    assert len(day.json("history", "--limit", "2")) == 2


def test_no_such_runs_are_said(day: Cli) -> None:
    assert day.ok("history", "later") == "There are no such runs.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--since", "whenever"], 1, "not a time: 'whenever'"),
        (["good", "--task", "bad"], 2, "name different tasks"),
        (["--status", "fine"], 2, "'fine' is not one of"),
        (["--limit", "0"], 2, "0 is less than 1"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(day: Cli, arguments: list[str], code: int, said: str) -> None:
    assert said in day.fails("history", *arguments, code=code)


def test_show_tells_all_of_a_task(day: Cli) -> None:
    day.ok("edit", "good", "--description", "Says so", "--retries", "2", "--timeout", "30s")
    shown = day.ok("show", "good")
    for line in (
        "good\n",
        "  description: Says so\n",
        "  schedule:    every 30m\n",
        "  retries:     2\n",
        "  timeout:     30s\n",
        "Next: Mon 2026-03-02 10:30 UTC (in 27 min)\n",
        "Last runs:\n",
    ):
        assert line in shown
    assert re.search(r"handler: +custom: /\S+/echo 'all is well'\n", shown)


def test_show_says_that_there_is_no_run_of_that_number(day: Cli) -> None:
    assert "no run has the number 987, and no task that name" in day.fails("show", "987")


def test_show_says_what_is_wrong_with_a_task(day: Cli) -> None:
    assert day.ok("show", "later").startswith("later (paused)\n")
    assert day.ok("show", "odd").startswith("odd (set aside: interval must be greater than zero")


def test_show_in_json_has_the_next_times_and_the_last_runs(day: Cli) -> None:
    shown = day.json("show", "good")
    assert shown["next"][0] == "2026-03-02T10:30:00+00:00"
    assert [run["status"] for run in shown["runs"]] == ["executed"]


def test_show_tells_all_of_a_run(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\necho one\necho two\nprintf 'a\\tb\\033[31m\\n'\n")
    script.chmod(0o755)
    cli.ok("allow", str(script))
    cli.ok("add", "job", "--every", "1h", "--", str(script))
    cli.ok("run-now", "job")
    shown = cli.ok("show", str(cli.runs("job")[0].id))
    assert shown.startswith("Run 1 of job: executed\n")
    assert "  attempt:       1, by run-now\n" in shown
    assert "  stdout:\n" in shown
    assert "    one\n" in shown
    assert "    two\n" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("columns", ["80", "200"])
def test_a_name_without_end_is_cut_in_tables_and_whole_in_json(
    cli: Cli, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    cli.ok("add", "plain", "--every", "5m", "--handler", "alert_eval")
    cli.clock.advance(minutes=5)
    cli.ok("tick")
    long = "n" * 100_000
    cli.change("plain", name=long, schedule_config=json.dumps({"minutes": 5, "note": long}))
    cli.change(long, schedule_type=long)
    for command in ("list", "history", "status"):
        shown = cli.ok(command)
        assert len(shown) < 10_000, command
        assert "n…" in shown or command == "history"
    assert cli.json("list")[0]["name"] == long


def test_a_task_that_no_daemon_has_seen_has_no_next_time_yet(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "1h", "--handler", "alert_eval")
    cli.change("job", next_run_at=None)
    assert re.search(r"^job +every 1h +alert_eval +not yet +never", cli.ok("list"), re.MULTILINE)


def test_a_single_time_that_is_done_has_no_more(cli: Cli) -> None:
    cli.ok("add", "job", "--at", "2026-03-02T10:00", "--handler", "alert_eval")
    cli.clock.advance(hours=2)
    cli.ok("tick")
    assert re.search(r"^job +once, .* alert_eval +no more +executed ", cli.ok("list"), re.MULTILINE)


def test_a_policy_that_makes_no_sense_hides_no_task(cli: Cli) -> None:
    cli.ok("add", "job", "--cron", "0 9 * * *", "--handler", "alert_eval")
    cli.change("job", policy="{")
    assert re.search(r'^job +cron \{"expression": "0 9 \* \* \*"\} ', cli.ok("list"), re.MULTILINE)


def test_show_in_json_of_a_run_has_all_of_it(day: Cli) -> None:
    shown = day.json("show", str(day.runs("good")[0].id))
    assert (shown["task"], shown["status"], shown["attempt"]) == ("good", "executed", 1)
    assert shown["result"]["stdout"] == "all is well\n"


def test_a_run_that_came_late_says_what_it_stands_for_and_a_failure_its_reason(day: Cli) -> None:
    day.clock.advance(hours=5)
    day.ok("tick")
    shown = {name: re.split(r"\n  |\n", day.ok("show", str(day.runs(name)[0].id))) for name in ("good", "bad")}
    assert "stands for:    itself and 9 earlier slots that had passed" in shown["good"]
    assert "reason:        exit code 1" in shown["bad"]


def test_a_task_whose_name_is_a_number_goes_before_the_run(cli: Cli) -> None:
    cli.ok("add", "1", "--every", "1h", "--handler", "alert_eval")
    cli.ok("run-now", "1")
    assert cli.json("show", "1")["name"] == "1"


def test_status_counts_the_tasks_and_names_the_next(day: Cli) -> None:
    day.clock.advance(minutes=30)
    assert day.json("status") == {
        "running": False,
        "pid": None,
        "started_at": None,
        "last_tick_at": None,
        "tasks": {"total": 4, "enabled": 2, "overdue": 1, "failing": 1, "set_aside": 1},
        "next": {"task": "good", "at": "2026-03-02T10:30:00+00:00"},
        "undelivered": 0,
        "disk_full": False,
        "runs": [],
    }


def test_status_in_words_names_what_is_wrong(day: Cli) -> None:
    shown = [re.split(r"\s{2,}", line.strip()) for line in day.ok("status").splitlines()]
    assert shown == [
        ["daemon", "does not run; to start it: jarvis-trio run"],
        ["tasks", "4, of which 2 enabled"],
        ["failing", "bad"],
        ["set aside", "odd"],
        ["next", "good, in 27 min (Mon 2026-03-02 10:30 UTC)"],
    ]


@pytest.mark.parametrize("command", ["list", "history", "status"])
def test_no_line_of_a_table_ends_in_blanks(day: Cli, command: str) -> None:
    assert [line for line in day.ok(command).splitlines() if line != line.rstrip()] == []


def test_status_says_that_the_disk_is_full(day: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "make room" not in day.ok("status")
    free = shutil.disk_usage(day.data)
    monkeypatch.setattr("shutil.disk_usage", lambda _: free._replace(free=4096))
    shown = " ".join(day.ok("status").split())
    assert f"disk only 4.1 kB are free at {day.data}" in shown
    assert "make room: what cannot be recorded does not run" in shown
    assert day.json("status")["disk_full"] is True


def test_status_counts_the_messages_that_wait(cli: Cli) -> None:
    with MemoryStore(cli.path, clock=cli.clock) as store:
        store.outbox.post(Letter("email", None, "job", "error", None, "2026-03-02T09:00:00+00:00"), cli.clock.now())
    assert cli.json("status")["undelivered"] == 1
    assert re.search(r"^undelivered +1 message *$", cli.ok("status"), re.MULTILINE)


def test_status_of_nothing(cli: Cli) -> None:
    assert cli.json("status")["next"] is None


def test_watching_needs_a_terminal(cli: Cli) -> None:
    assert "--watch is for a terminal" in cli.fails("status", "--watch", code=2)


@pytest.mark.slow
def test_status_tells_of_a_running_daemon(program: Program) -> None:
    program("init")
    daemon = program.daemon()
    told = eventually(lambda: (now := program.status())["tasks"]["overdue"] == 0 and now)
    assert (told["running"], told["pid"]) == (True, daemon.pid)
    assert told["started_at"] <= told["last_tick_at"]
    assert told["next"]["task"] == "webhook_poll"
    assert f"runs, PID {daemon.pid}" in program("status").out


@pytest.mark.slow
def test_watching_goes_on_until_ctrl_c(program: Program) -> None:
    program("init")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "jarvis_trio", "status", "--watch"]
    environment = program.environment | {"TERM": "xterm"}
    with (
        open(ours, "rb", buffering=0) as terminal,
        subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process,
    ):
        os.close(theirs)
        try:
            read_until(terminal, b"does not run")
            daemon = program.daemon()
            read_until(terminal, f"runs, PID {daemon.pid}".encode())
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def read_until(terminal: FileIO, text: bytes) -> None:
    """Read what is shown until the text is among it."""
    shown = b""
    while text not in shown:
        assert select.select([terminal], [], [], PATIENCE)[0], shown
        shown += terminal.read(65536) or b""


@pytest.mark.slow
def test_colours_are_for_a_terminal_only_and_not_with_no_color(program: Program) -> None:
    program("init")
    coloured = program.at_terminal("list", TERM="xterm-256color").out
    assert "\x1b[" in coloured
    plain = program.at_terminal("list", TERM="xterm-256color", NO_COLOR="1").out
    assert not re.search(r"\x1b\[[\d;]*3\dm", plain)
    assert "\x1b" not in program("list").out


@pytest.mark.slow
@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_keep_to_the_width_and_lose_no_name(program: Program, width: int) -> None:
    program("init")
    name = "a-name-that-is-rather-long-for-a-narrow-terminal"
    program("add", name, "--cron", "1,7,13,22,41,55 3,9,16 1,15 JAN,JUN MON-FRI", "--handler", "alert_eval")
    lines = program("list", COLUMNS=str(width)).out.splitlines()
    assert max(map(len, lines)) <= width
    shown = "".join(line.split("  ")[0].strip() for line in lines)
    assert name in shown
    assert json.loads(program("list", "--json").out)[0]["name"] == name


def test_list_keeps_what_is_asked_for(day: Cli) -> None:
    def names(*words: str) -> list[str]:
        return [task["name"] for task in day.json("list", *words)]

    assert names("GOOD") == ["good"]
    assert names("all is well") == ["good"]
    assert names("--failing") == ["bad", "odd"]
    assert names("--due") == []
    day.clock.advance(minutes=30)
    assert names("--due") == ["good"]
    assert names("--due", "--failing") == []
    assert day.ok("list", "nothing like it") == "There are no such tasks; --all shows also those that are finished.\n"


def test_a_task_that_ran_once_leaves_the_list_after_a_day(cli: Cli) -> None:
    cli.ok("add", "once", "--at", "in 1h", "--handler", "alert_eval")
    cli.clock.advance(hours=2)
    cli.ok("tick")
    assert "no more" in cli.ok("list")
    cli.clock.advance(days=1, hours=1)
    assert cli.json("list") == []
    assert [task["name"] for task in cli.json("list", "--all")] == ["once"]


def test_what_runs_is_seen_in_the_list(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "1h", "--handler", "alert_eval")
    with MemoryStore(cli.path, clock=cli.clock) as store:
        SchedulerEngine(store).claim_now("job")
        cli.clock.advance(minutes=3)
        assert "runs for 3 min" in cli.ok("list")
        assert cli.json("list")[0]["running"] == {
            "run": 1,
            "task": "job",
            "started_at": "2026-03-02T09:00:00+00:00",
        }


@pytest.fixture
def many(cli: Cli) -> Cli:
    """Seven tasks, one of which fails."""
    return cli.after(_many_tasks)


def _many_tasks(cli: Cli) -> None:
    cli.ok("allow", "echo", "false")
    for number in range(6):
        cli.ok("add", f"task {number}", "--every", "1h", "--", "echo")
    cli.ok("add", "bad", "--every", "1h", "--", "false")
    cli.clock.advance(hours=1)
    cli.ok("tick")


def test_list_shows_the_first_tasks_and_says_how_many_more_there_are(many: Cli) -> None:
    done = many("list", "--limit", "2")
    assert [line.split("  ")[0] for line in done.out.splitlines()] == ["NAME", "bad", "task 0"]
    assert done.err.splitlines() == ["note: 5 more; --limit 7 shows all, a TEXT those that have it"]
    assert [task["name"] for task in many.json("list", "--limit", "2")] == ["bad", "task 0"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--limit", "9"], ["bad", *(f"task {number}" for number in range(6))]),
        (["TASK", "--limit", "1"], ["task 0"]),
        (["--failing"], ["bad"]),
        (["task 5", "--failing"], []),
        (["--due"], []),
    ],
    ids=str,
)
def test_list_chooses_before_it_cuts(many: Cli, options: list[str], names: list[str]) -> None:
    assert [task["name"] for task in many.json("list", *options)] == names


def test_list_reads_no_more_tasks_than_it_shows(many: Cli) -> None:
    """So it is quick among very many."""
    with MemoryStore(many.path) as store:
        found = store.tasks.numbered(store.tasks.numbers()[:2])
        last_runs = store.runs.last_runs([task.id for task in found if task.id is not None])
    assert [task.name for task in found] == ["bad", "task 0"]
    assert sorted(run.task_name for run in last_runs.values()) == ["bad", "task 0"]


@pytest.mark.parametrize("words", ["history --limit", "list --limit", "events list --limit"])
def test_more_than_a_database_can_count_is_all_of_it(cli: Cli, words: str) -> None:
    assert cli(*words.split(), str(2**64)).code == 0


def test_a_number_that_no_event_can_have_is_wrong_usage(cli: Cli) -> None:
    assert cli("events", "show", str(2**63)).code == 2


def test_history_says_no_time_of_a_run_in_which_the_clock_was_set_back(day: Cli) -> None:
    execute(day.data / "memory.db", "UPDATE task_runs SET finished_at = '2020-01-01T00:00:00+00:00'")
    assert re.search(r"good .* executed +\? +all is well", day.ok("history", "good"))
