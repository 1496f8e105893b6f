"""`run-now` and `stop`: through a daemon, and without one."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.cli_world import Program, eventually, execute
from tests.support.processes import lives

pytestmark = pytest.mark.slow


@pytest.fixture
def jobs(program: Program) -> Program:
    """A database with commands that may run: one that is quick, one that waits for ever."""
    program("init")
    program("allow", "sh")
    program("add", "quick", "--every", "1d", "--", "sh", "-c", 'echo "from $JARVIS_MARK"; echo problem >&2')
    program("add", "endless", "--every", "1d", "--", "sh", "-c", "echo begun; trap 'exit 9' TERM; sleep 100 & wait")
    return program


def runs(program: Program, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(program("history", name, "--json").out)
    return found


def requests(program: Program) -> list[tuple[Any, ...]]:
    return execute(program.data / "memory.db", "SELECT kind, answered_at IS NULL, refusal FROM requests ORDER BY id")


def test_the_daemon_runs_it_and_its_output_is_shown(jobs: Program) -> None:
    daemon = jobs.daemon()
    done = jobs("run-now", "quick")
    assert (done.code, done.out.splitlines()[:2]) == (0, ["from ", "problem"])
    assert done.out.splitlines()[2].startswith("quick: executed in ")
    (run,) = runs(jobs, "quick")
    assert (run["trigger"], run["status"]) == ("manual", "executed")
    owner = execute(jobs.data / "memory.db", "SELECT owner FROM task_runs WHERE task_name = 'quick'")[0][0]
    assert owner.startswith(f"{daemon.pid}:")
    assert requests(jobs) == [("run", 0, None)]


@pytest.mark.thorough
def test_a_run_that_fails_in_the_daemon_is_exit_1_with_its_reason(jobs: Program) -> None:
    jobs.daemon()
    jobs("add", "bad", "--every", "1d", "--", "sh", "-c", "exit 3")
    done = jobs("run-now", "bad")
    assert done.code == 1
    assert "bad: error in " in done.out
    assert "exit code 3" in done.out


def test_a_terminal_is_shown_what_a_run_writes_without_what_acts_on_it(jobs: Program) -> None:
    jobs(
        "add",
        "red",
        "--every",
        "1d",
        "--",
        "sh",
        "-c",
        r"printf 'a \033[31mred\033[0m \033]0;title\007b \342\202\254\n'",
    )
    done = jobs.at_terminal("run-now", "red", "--here")
    assert done.out.splitlines()[0] == "a red b €"


def test_here_is_this_process_also_beside_a_daemon(jobs: Program) -> None:
    jobs.daemon()
    done = jobs("run-now", "quick", "--here", "--json")
    assert json.loads(done.out)["status"] == "executed"
    assert requests(jobs) == []


def test_several_names_run_one_after_the_other(jobs: Program) -> None:
    done = jobs("run-now", "quick", "webhook_poll", "quick", "--json")
    assert [report["name"] for report in json.loads(done.out)] == ["quick", "webhook_poll"]


@pytest.mark.law(2)
@pytest.mark.thorough
def test_what_runs_already_is_refused_in_one_line(jobs: Program) -> None:
    jobs.daemon()
    waiting = jobs.start("run-now", "endless")
    eventually(lambda: jobs.status()["runs"])
    done = jobs("run-now", "endless")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "task 'endless' runs already" in done.err
    jobs("stop", "endless")
    assert waiting.wait(180) == 1


def test_status_tells_the_processes_and_stop_ends_them(jobs: Program) -> None:
    jobs.daemon()
    jobs("edit", "endless", "--retries", "3")
    waiting = jobs.start("run-now", "endless")
    (live,) = eventually(lambda: [run for run in jobs.status()["runs"] if len(run["pids"]) == 2])
    assert live["task"] == "endless"
    assert f"PID {live['pids'][0]}" in jobs("status").out

    done = jobs("stop", "endless")
    assert done.out == f"Stopped run {live['run']} of endless.\n"
    eventually(lambda: not any(map(lives, live["pids"])))
    (run,) = runs(jobs, "endless")
    assert (run["status"], run["reason"].startswith("stopped by ")) == ("interrupted", True)
    assert waiting.wait(180) == 1
    assert jobs.status()["runs"] == []
    assert execute(jobs.data / "memory.db", "SELECT count(*) FROM task_queue WHERE attempt > 1") == [(0,)]


def test_without_a_daemon_a_run_in_another_process_is_stopped_from_here(jobs: Program) -> None:
    waiting = jobs.start("run-now", "endless")
    eventually(lambda: jobs.status()["runs"] and jobs.status()["runs"][0]["pids"])
    assert jobs("stop", "endless").code == 0
    (run,) = runs(jobs, "endless")
    assert (run["status"], run["reason"].startswith("stopped by ")) == ("interrupted", True)
    assert waiting.wait(180) == 1


@pytest.mark.law(3)
def test_a_run_whose_process_was_killed_can_be_stopped_and_ends_as_a_row(jobs: Program) -> None:
    waiting = jobs.start("run-now", "endless")
    (live,) = eventually(lambda: [run for run in jobs.status()["runs"] if len(run["pids"]) == 2])
    waiting.kill()
    waiting.wait()
    assert jobs("stop", "endless").code == 0
    assert runs(jobs, "endless")[0]["status"] == "interrupted"
    eventually(lambda: not any(map(lives, live["pids"])))


def test_what_does_not_run_cannot_be_stopped(jobs: Program) -> None:
    done = jobs("stop", "quick")
    assert (done.code, done.err) == (
        1,
        "jarvis-trio: task 'quick' does not run; `jarvis-trio status` shows what runs\n",
    )


@pytest.mark.thorough
def test_the_run_of_a_removed_task_is_stopped_by_its_name(jobs: Program) -> None:
    jobs.daemon()
    waiting = jobs.start("run-now", "endless")
    eventually(lambda: jobs.status()["runs"] and jobs.status()["runs"][0]["pids"])
    jobs("remove", "endless", "--yes")
    jobs("add", "endless", "--every", "1d", "--handler", "alert_eval")
    assert jobs("stop", "endless").code == 0
    assert waiting.wait(180) == 1
    assert [(run["task"], run["status"]) for run in runs(jobs, "endless")] == [("endless", "interrupted")]


def test_ctrl_c_of_one_who_waits_leaves_the_run_to_the_daemon(jobs: Program) -> None:
    jobs.daemon()
    waiting = jobs.start("run-now", "endless")
    assert waiting.stdout is not None
    assert waiting.stderr is not None
    assert waiting.stdout.readline() == "begun\n"  # it follows the output
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(180) == 1
    assert "goes on in the daemon; to end it: jarvis-trio stop endless" in waiting.stderr.read()
    assert len(jobs.status()["runs"]) == 1
    jobs("stop", "endless")


@pytest.mark.thorough
def test_ctrl_c_before_the_start_is_seen_leaves_the_run_to_the_daemon(jobs: Program) -> None:
    """Who waits stands still while the daemon starts the run; Ctrl-C is the first that it gets to know."""
    daemon = jobs.daemon()
    daemon.send_signal(signal.SIGSTOP)
    waiting = jobs.start("run-now", "endless")
    eventually(lambda: requests(jobs) == [("run", 1, None)])
    asker = psutil.Process(waiting.pid)
    asked = asker.num_ctx_switches().voluntary
    eventually(lambda: asker.num_ctx_switches().voluntary >= asked + 20)  # by then it sleeps between its looks
    waiting.send_signal(signal.SIGSTOP)
    daemon.send_signal(signal.SIGCONT)
    eventually(lambda: requests(jobs) == [("run", 0, None)])
    waiting.send_signal(signal.SIGINT)
    waiting.send_signal(signal.SIGCONT)
    assert waiting.wait(180) == 1
    assert waiting.stderr is not None
    assert "goes on in the daemon; to end it: jarvis-trio stop endless" in waiting.stderr.read()
    assert len(jobs.status()["runs"]) == 1
    jobs("stop", "endless")


@pytest.mark.thorough
def test_a_request_does_not_outlive_who_asked(jobs: Program) -> None:
    """The daemon stands still as it is asked; when it goes on, its asker is gone."""
    daemon = jobs.daemon()
    daemon.send_signal(signal.SIGSTOP)
    waiting = jobs.start("run-now", "quick")
    eventually(lambda: requests(jobs) == [("run", 1, None)])
    waiting.kill()
    waiting.wait()
    daemon.send_signal(signal.SIGCONT)
    eventually(lambda: requests(jobs) == [("run", 0, "nobody waits for it now")])
    assert runs(jobs, "quick") == []


def test_a_daemon_that_dies_before_it_answers_leaves_the_run_to_this_process(jobs: Program) -> None:
    daemon = jobs.daemon()
    daemon.send_signal(signal.SIGSTOP)
    waiting = jobs.start("run-now", "quick")
    eventually(lambda: requests(jobs) == [("run", 1, None)])
    daemon.kill()
    assert waiting.wait(180) == 0
    assert requests(jobs) == []
    assert len(runs(jobs, "quick")) == 1


@pytest.mark.law(1)
def test_a_second_signal_to_a_run_in_this_process_stops_it(jobs: Program, tmp_path: Path) -> None:
    waiting = jobs.start("run-now", "endless", "--here")
    eventually(lambda: jobs.status()["runs"] and jobs.status()["runs"][0]["pids"])
    assert waiting.stderr is not None
    waiting.send_signal(signal.SIGTERM)
    assert "once more to stop it" in waiting.stderr.readline()  # two signals at the same moment are one
    assert waiting.poll() is None
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(180) == 1
    (run,) = runs(jobs, "endless")
    assert (run["status"], run["reason"].startswith("stopped by ")) == ("interrupted", True)


def test_status_check_is_exit_3_without_a_daemon(jobs: Program) -> None:
    assert jobs("status", "--check").code == 3
    daemon = jobs.daemon()
    assert jobs("status", "--check").code == 0
    done = jobs("run")
    assert done.code == 1
    assert f"another daemon (PID {daemon.pid}) holds" in done.err
    assert f"look at it with `jarvis-trio status`, or stop it with `kill {daemon.pid}`" in done.err
