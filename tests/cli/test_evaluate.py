"""`tick` and `run-now`: the engine in the command's own process."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jarvis_trio import __version__
from jarvis_trio.process.lock import DaemonLock
from jarvis_trio.store import MemoryStore
from tests.support.cli_world import Cli, Program, eventually
from tests.support.processes import lives

PLUGIN = """
def broken(task, context):
    raise ValueError("no luck")

def leaves(task, context):
    raise SystemExit(3)
"""


@pytest.fixture
def job(cli: Cli) -> Cli:
    """A database with a task that says hello every 30 minutes."""
    cli.ok("allow", "echo", "false")
    cli.ok("add", "job", "--every", "30m", "--", "echo", "hello")
    return cli


@pytest.mark.thorough
@pytest.mark.law(3)
def test_law_3_a_tick_whose_outcome_cannot_be_written_says_so_and_fails(job: Cli) -> None:
    job.clock.advance(minutes=30)
    with MemoryStore(job.path, clock=job.clock) as store:
        store.write("CREATE TRIGGER theirs BEFORE UPDATE ON task_runs BEGIN SELECT RAISE(ABORT, 'no'); END")
    done = job("tick", "--json")
    assert [report["status"] for report in json.loads(done.out)] == ["executed"]
    assert done.code == 1
    assert "an outcome could not be written: it will count as interrupted; see the reason above" in done.err


@contextmanager
def woken_in_vain() -> Iterator[None]:
    """A request wakes the holder of the lock, which is this process."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_daemon_that_starts_nothing_is_not_awaited_forever(job: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jarvis_trio.cli.commands.run_now._START_SECONDS", 0)
    with woken_in_vain(), DaemonLock(job.data / "jarvis-daemon.lock", job.clock.now()):
        assert job.fails("run-now", "job").endswith(" within 0s; to run it in this process: give --here\n")


def test_a_daemon_of_version_1_is_asked_for_nothing(job: Cli) -> None:
    lock = job.data / "jarvis-daemon.lock"
    with DaemonLock(lock, job.clock.now()):
        of_version_1 = lock.read_text().splitlines()[:3]
        lock.write_text("\n".join(of_version_1))
        told = job.fails("run-now", "job")
    assert f"the daemon is of version 1, older than this program ({__version__}), and takes no requests;" in told
    assert "; restart it: jarvis-trio service restart, or " in told
    assert told.endswith("; or give run-now --here\n")
    with MemoryStore(job.path) as store:
        assert store.requests.open_requests() == []


@pytest.fixture
def plugin(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A database with a task for each handler of an installed package."""
    packages = tmp_path / "packages"
    metadata = packages / "unlucky-1.0.dist-info"
    metadata.mkdir(parents=True)
    (packages / "unlucky.py").write_text(PLUGIN)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: unlucky\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[jarvis_trio.handlers]\nbroken = unlucky:broken\nleaves = unlucky:leaves\n"
    )
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.delitem(sys.modules, "unlucky", raising=False)  # its file went with the test before
    for handler in ("broken", "leaves"):
        cli.ok("add", handler, "--every", "1h", "--handler", handler)
    return cli


def test_a_tick_runs_what_is_due_and_prints_what_came_of_it(job: Cli) -> None:
    assert job.ok("tick") == "Nothing is due.\n"
    job.clock.advance(hours=1)
    assert [line.split() for line in job.ok("tick").splitlines()[1:]] == [["job", "executed", "hello"]]


def test_a_tick_in_json_has_the_engines_results(job: Cli) -> None:
    job.clock.advance(hours=1)
    (report,) = job.json("tick")
    assert (report["name"], report["handler_type"], report["status"]) == ("job", "custom", "executed")
    assert report["result"]["stdout"] == "hello\n"
    assert report["next_run_at"] == "2026-03-02T10:30:00+00:00"
    assert job.json("tick") == []


def test_a_tick_with_failures_has_done_its_work(job: Cli) -> None:
    job.ok("edit", "job", "--config", '{"command": "false"}')
    job.clock.advance(hours=1)
    done = job("tick")
    assert (done.code, "error" in done.out) == (0, True)


def test_an_unknown_handler_is_skipped_with_its_reason(job: Cli) -> None:
    job.change("job", handler_type="morning_brief")
    job.clock.advance(hours=1)
    assert "skipped" in job.ok("tick")
    assert job.json("history", "job")[0]["reason"] == "no handler of type 'morning_brief' is installed"


def test_run_now_prints_the_result_and_moves_no_slot(job: Cli) -> None:
    before = job.task("job").next_run_at
    assert job.ok("run-now", "job") == "hello\njob: executed in 0 ms, run 1\n"
    assert job.task("job").next_run_at == before
    assert job.json("history", "job")[0]["trigger"] == "manual"


def test_run_now_in_json_is_the_result_and_the_number_of_the_run(job: Cli) -> None:
    report = job.json("run-now", "job")
    assert (report["status"], report["result"]["stdout"], report["run"]) == ("executed", "hello\n", 1)


def test_run_now_of_a_paused_task_is_fine(job: Cli) -> None:
    job.ok("pause", "job")
    job.ok("run-now", "job")


def test_a_run_that_fails_is_exit_1_with_its_output_and_one_line(job: Cli) -> None:
    job.ok("edit", "job", "--config", '{"command": "false"}')
    done = job("run-now", "job")
    assert (done.code, done.err) == (1, "Task 'job': error in 0s: exit code 1\n")
    assert "exit_code: 1" in done.out


def test_a_command_that_nobody_approved_is_exit_1_with_the_mend(job: Cli) -> None:
    job.ok("edit", "job", "--config", '{"command": "true"}')
    done = job("run-now", "job")
    assert done.code == 1
    assert "is not approved to run; to approve exactly this command: jarvis-trio allow --task job; or " in done.err


def test_a_handler_that_is_not_installed_cannot_be_run_and_leaves_no_trace(job: Cli) -> None:
    job.change("job", handler_type="morning_brief")
    assert "no handler of type 'morning_brief' is installed" in job.fails("run-now", "job")
    assert job.runs("job") == []


@pytest.mark.law(4)
@pytest.mark.parametrize(("name", "reason"), [("broken", "ValueError: no luck"), ("leaves", "SystemExit: 3")])
def test_a_python_handler_that_raises_is_one_line_and_no_traceback(plugin: Cli, name: str, reason: str) -> None:
    done = plugin("run-now", name)
    assert (done.code, done.err) == (1, f"Task {name!r}: error in 0s: {reason}\n")


def test_verbose_shows_where_a_python_handler_failed(plugin: Cli) -> None:
    done = plugin("run-now", "broken", "--verbose")
    assert 'raise ValueError("no luck")' in done.err
    assert plugin("run-now", "broken").err.count("\n") == 1


@pytest.fixture
def slow_job(program: Program, tmp_path: Path) -> Path:
    """A task that writes its PID into the file that is returned, and then waits until there is one beside it."""
    program("init")
    program("allow", "sh")
    note = tmp_path / "pid"
    script = f"echo $$ > {note}; until [ -e {note}.go ]; do sleep 0.05; done; touch {note}.done"
    program("add", "job", "--every", "1s", "--", "sh", "-c", script)
    return note


@pytest.mark.slow
@pytest.mark.law(1)
@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(it, marks=pytest.mark.thorough) for it in (signal.SIGHUP, signal.SIGINT))],
)
@pytest.mark.parametrize("command", ["run-now", "tick"])
def test_a_signal_lets_what_runs_finish(program: Program, slow_job: Path, command: str, number: signal.Signals) -> None:
    program("add", "next", "--every", "1s", "--", "sh", "-c", "exit 3")
    time.sleep(1)  # then both are due
    process = program.start(*([command, "job"] if command == "run-now" else [command]))
    eventually(slow_job.exists)
    assert process.stderr is not None
    process.send_signal(number)
    said = process.stderr.readline()
    assert said.startswith(f"{number.name}: ")
    assert "once more to" in said
    slow_job.with_name("pid.go").touch()
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert slow_job.with_name("pid.done").exists()
    assert json.loads(program("history", "job", "--json").out)[0]["status"] == "executed"


@pytest.mark.slow
def test_a_second_signal_ends_the_command_that_runs(program: Program, slow_job: Path) -> None:
    process = program.start("run-now", "job")
    command = int(eventually(lambda: slow_job.exists() and slow_job.read_text()))
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    assert "once more to stop it" in process.stderr.readline()  # two at the same moment are one
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "interrupted" in shown + said
    eventually(lambda: not lives(command))
    assert not slow_job.with_name("pid.done").exists()
    slow_job.with_name("pid.go").touch()
    program("tick")
    assert json.loads(program("history", "job", "--json").out)[-1]["status"] in ("interrupted", "error")
