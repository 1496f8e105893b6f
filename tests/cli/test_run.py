"""The daemon as a person or launchd meets it: real processes, real signals, real files."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from jarvis_trio.process.lock import holder
from tests.support.cli_world import Program, eventually, execute

pytestmark = pytest.mark.slow


@pytest.fixture
def home(program: Program) -> Program:
    """A program whose `init` was run, and that may run `sh` and `echo`."""
    assert program("init").code == 0
    assert program("allow", "sh", "echo").code == 0
    return program


def log(program: Program) -> str:
    return (program.data / "jarvis-daemon.log").read_text()


def drop(program: Program, name: str, content: str) -> Path:
    """Put a file into the inbox that is old enough to be taken in."""
    file = program.data / "webhook-inbox" / name
    file.write_text(content)
    os.utime(file, (time.time() - 60, time.time() - 60))
    return file


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a daemon; its exit code and what it said on stderr."""
    _, err = process.communicate(timeout=180)
    return process.returncode, err


@pytest.mark.law(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.thorough)])
def test_a_signal_in_its_sleep_ends_it_at_once_with_0(home: Program, number: signal.Signals) -> None:
    daemon = home.daemon()
    eventually(lambda: home.status()["tasks"]["overdue"] == 0)
    began = time.monotonic()
    daemon.send_signal(number)
    code, err = ended(daemon)
    assert code == 0
    assert time.monotonic() - began < 10
    assert f"Stopped by {number.name}" in err.splitlines()[-1]
    assert holder(home.data / "jarvis-daemon.lock") is None


@pytest.mark.law(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.thorough)])
def test_a_signal_in_a_tick_lets_the_command_finish_and_record(
    home: Program, number: signal.Signals, tmp_path: Path
) -> None:
    begun, go_on, done = tmp_path / "begun", tmp_path / "go on", tmp_path / "done"
    daemon = home.daemon()
    script = f"touch {begun}; until [ -e '{go_on}' ]; do sleep 0.05; done; touch {done}"
    home("add", "slow", "--every", "1s", "--", "sh", "-c", script)
    eventually(begun.exists)
    daemon.send_signal(number)
    eventually(lambda: number.name in log(home))
    go_on.touch()
    assert ended(daemon)[0] == 0
    assert done.exists()
    runs = json.loads(home("history", "slow", "--json").out)
    assert {run["status"] for run in runs} - {"skipped"} == {"executed"}  # slots may have passed while it ran


def test_a_second_daemon_is_refused_and_told_the_pid_of_the_first(home: Program) -> None:
    daemon = home.daemon()
    second = home("run")
    assert second.code == 1
    assert second.err == (
        f"jarvis-trio: another daemon (PID {daemon.pid}) holds {home.data}/jarvis-daemon.lock; "
        f"look at it with `jarvis-trio status`, or stop it with `kill {daemon.pid}`\n"
    )
    assert daemon.poll() is None


def test_no_arguments_run_the_daemon(home: Program) -> None:
    daemon = home.start_anew()
    eventually(lambda: home.status()["running"])
    daemon.send_signal(signal.SIGTERM)
    assert ended(daemon)[0] == 0


def test_the_log_tells_of_start_ticks_and_stop_once_in_each_place(home: Program) -> None:
    daemon = home.daemon()
    eventually(lambda: home.status()["tasks"]["overdue"] == 0)
    daemon.send_signal(signal.SIGTERM)
    _, err = ended(daemon)
    assert err == log(home)
    start = rf"Started: version \S+, PID {daemon.pid}, database {home.data}/memory.db, .* every 1m, 2 tasks"
    assert len(re.findall(start, err)) == 1
    assert len(re.findall("Stopped by SIGTERM", err)) == 1
    assert "Task 'webhook_poll': executed in" in err


def test_the_log_can_be_json(home: Program) -> None:
    daemon = home.daemon("--log-format", "json")
    daemon.send_signal(signal.SIGTERM)
    _, err = ended(daemon)
    events = [json.loads(line) for line in err.splitlines()]
    assert events[0]["message"].startswith("Started: version ")
    assert {"time", "level", "logger", "message"} <= events[0].keys()


def test_a_dropped_file_becomes_an_event_and_a_broken_one_is_put_aside(home: Program) -> None:
    good = drop(home, "good.json", '{"source": "ci", "event_type": "done", "payload": {"n": 1}}')
    broken = drop(home, "broken.json", "{")
    home.daemon()
    eventually(lambda: not good.exists() and not broken.exists())
    rows = execute(home.data / "memory.db", "SELECT source, event_type, status FROM webhook_events")
    assert rows == [("ci", "done", "pending")]
    inbox = home.data / "webhook-inbox"
    assert [file.name for file in (inbox / "processed").iterdir()] == ["good.json"]
    assert "broken.json" in [file.name for file in (inbox / "failed").iterdir()]


def test_a_rule_that_matches_is_stamped_at_the_first_tick(home: Program) -> None:
    database = home.data / "memory.db"
    execute(database, "INSERT INTO alert_rules (name, alert_type, condition) VALUES ('late', 'stale_backup', '{}')")
    home.daemon()
    eventually(lambda: execute(database, "SELECT 1 FROM alert_rules WHERE last_triggered_at IS NOT NULL"))


def test_what_a_command_changes_reaches_the_daemon_at_once(home: Program) -> None:
    home.daemon()  # it would sleep for a minute
    eventually(lambda: home.status()["tasks"]["overdue"] == 0)
    home("add", "soon", "--every", "1s", "--", "echo", "here")
    ran = ("history", "soon", "--status", "executed", "--json")
    runs = eventually(lambda: json.loads(home(*ran).out))
    assert runs[-1]["result"]["stdout"] == "here\n"


def test_an_approved_command_runs_and_another_does_not(home: Program) -> None:
    home("add", "allowed", "--every", "1s", "--", "echo", "hello")
    home("add", "unknown", "--every", "1s", "--", "cat", "/etc/hostname")
    home.daemon()

    def last(name: str) -> dict[str, str] | None:
        """The newest run that ended. On a busy machine a slot is skipped while the one before still runs."""
        runs = json.loads(home("history", name, "--json").out)
        return next((run for run in runs if run["status"] not in ("running", "skipped")), None)

    assert eventually(lambda: last("allowed"))["status"] == "executed"
    refused = eventually(lambda: last("unknown"))
    assert refused["status"] == "error"
    assert "is not approved to run; to approve exactly this command: jarvis-trio allow" in refused["reason"]


def test_a_database_that_is_none_ends_with_one_line_in_both_places(home: Program) -> None:
    (home.data / "memory.db").write_text("no database at all, but long enough to be one " * 200)
    done = home("run")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "is not a SQLite database" in done.err
    assert done.err == log(home)


def test_a_log_that_cannot_be_written_is_one_line(home: Program, tmp_path: Path) -> None:
    done = home("run", DAEMON_LOG_FILE=str(tmp_path))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "cannot write the log" in done.err


@pytest.mark.law(1)
def test_a_thread_that_a_handler_left_does_not_hold_up_the_exit(home: Program, tmp_path: Path) -> None:
    site = tmp_path / "site"
    metadata = site / "jarvis_leaver-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: jarvis-leaver\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[jarvis_trio.handlers]\nleave = jarvis_leaver:leave\n")
    (site / "jarvis_leaver.py").write_text(
        "import threading, time\n"
        "def leave(task, context):\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=False).start()\n"
    )
    home.environment["PYTHONPATH"] += f"{os.pathsep}{site}"
    assert home("add", "leaver", "--every", "1s", "--handler", "leave").code == 0
    daemon = home.daemon()
    eventually(lambda: json.loads(home("history", "leaver", "--status", "executed", "--json").out))
    daemon.send_signal(signal.SIGTERM)
    assert ended(daemon)[0] == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_output_that_cannot_be_written_is_no_success(home: Program) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jarvis_trio", "status", "--json"],
            env=home.environment,
            cwd=home.data.parent,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=180,
        )
    assert done.returncode != 0
    assert "No space left on device" in done.stderr


@pytest.mark.law(4)
def test_a_log_that_is_no_regular_file_is_refused_before_the_lock_is_held(home: Program, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    done = home("run", DAEMON_LOG_FILE=str(tmp_path / "fifo"))
    assert (done.code, done.err) == (
        1,
        f"jarvis-trio: cannot write the log {tmp_path}/fifo: Not a regular file; "
        "set DAEMON_LOG_FILE to a regular file that you may write\n",
    )
    assert holder(home.data / "jarvis-daemon.lock") is None


@pytest.mark.thorough
@pytest.mark.law(1)
@pytest.mark.law(4)
def test_a_terminal_that_takes_nothing_stops_neither_a_task_nor_the_end(home: Program) -> None:
    """As after Ctrl-S, or with a pager at its end: the pipe is full before the daemon starts."""
    home("add", "fails", "--every", "1s", "--", "sh", "-c", "exit 3")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)
    words = [sys.executable, "-m", "jarvis_trio", "run"]
    with subprocess.Popen(words, env=home.environment, cwd=home.data.parent, stderr=writer) as daemon:
        eventually(lambda: len(json.loads(home("history", "fails", "--status", "error", "--json").out)) >= 2)
        began = time.monotonic()
        daemon.terminate()
        assert daemon.wait(180) == 0
        assert time.monotonic() - began < 10
    assert "Stopped by SIGTERM" in log(home)
    os.close(reader)
    os.close(writer)


@pytest.mark.law(2)
def test_a_daemon_whose_folder_is_removed_ends_when_another_one_has_it(home: Program) -> None:
    first = home.daemon(DAEMON_TICK_INTERVAL_SECONDS="1")
    first.send_signal(signal.SIGSTOP)
    shutil.rmtree(home.data)
    assert home("init").code == 0
    second = home.daemon()
    first.send_signal(signal.SIGCONT)
    code, err = ended(first)
    assert (code, "Another daemon has the lock of this data folder" in err) == (1, True)
    assert second.poll() is None
