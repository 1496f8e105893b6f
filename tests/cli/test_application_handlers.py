"""An existing application's handlers under our engine, by the real program, on the assistant's own file."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.assistant_app import HANDLERS, REGISTRY, STORE, make_application
from tests.support.cli_world import Process, Program, eventually, execute
from tests.support.fork_server import ForkServer

pytestmark = pytest.mark.slow

TYPES = ["webhook_dispatch", "skill_analysis", "proactive_push", "skill_auto_exec", "morning_brief", "knowledge_lint"]


class Assistant(Program):
    """The application, and our program on its database; only the tasks of its own types are due."""

    def __init__(self, folder: Path, fork_server: ForkServer) -> None:
        super().__init__(folder.parent / "jarvis", fork_server)
        self.folder = make_application(folder)
        self.database = folder / "data/memory.db"
        self.data.mkdir(mode=0o700)
        self.environment |= {"MEMORY_DB_PATH": str(self.database), "DAEMON_TICK_INTERVAL_SECONDS": "1"}
        self.options = ("--app-dir", str(folder), "--handlers", HANDLERS, "--store", STORE, "--part", REGISTRY)
        types = ", ".join(f"'{kind}'" for kind in TYPES)
        later = "next_run_at = '2099-01-01T00:00:00', delivery_channel = NULL"
        self.do(f"UPDATE scheduled_tasks SET {later} WHERE schedule_type <> 'once'")
        self.do(f"UPDATE scheduled_tasks SET next_run_at = '2026-01-01T00:00:00' WHERE handler_type IN ({types})")

    def do(self, sql: str) -> list[tuple[Any, ...]]:
        return execute(self.database, sql)

    def add(self, kind: str, config: object = None) -> None:
        """A task that is due, and not again for a year, as the assistant's own store writes one."""
        columns = "name, schedule_type, schedule_config, handler_type, handler_config, next_run_at"
        values = f"'my {kind}', 'interval', '{{\"days\": 365}}', '{kind}', '{json.dumps(config or {})}'"
        self.do(f"INSERT INTO scheduled_tasks ({columns}) VALUES ({values}, '2026-01-01T00:00:00')")

    def ok(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.code == 0, done
        return done.out

    def outcomes(self) -> dict[str, str]:
        return dict(
            self.do("SELECT t.handler_type, r.status FROM task_runs r JOIN scheduled_tasks t ON t.id = r.task_id")
        )


@pytest.fixture
def assistant(tmp_path: Path, fork_server: ForkServer) -> Iterator[Assistant]:
    assistant = Assistant(tmp_path / "assistant", fork_server)
    yield assistant
    assistant.end()


def test_a_tick_runs_all_types_of_the_assistant_in_its_own_interpreter(assistant: Assistant) -> None:
    reports = json.loads(assistant.ok("tick", "--json", *assistant.options))
    assert {report["handler_type"]: report["status"] for report in reports} == {
        **dict.fromkeys(TYPES, "executed"),
        "knowledge_lint": "skipped",
    }
    results = dict(assistant.do("SELECT handler_type, last_result FROM scheduled_tasks"))
    assert json.loads(results["morning_brief"]) == {
        "status": "ok",
        "handler": "morning_brief",
        "brief": "# Good morning",
    }
    assert json.loads(results["proactive_push"])["agents"] == ["report_builder"]


def test_the_daemon_runs_them_and_says_whose_they_are(assistant: Assistant) -> None:
    daemon = assistant.start("run", *assistant.options)
    eventually(lambda: assistant.do("SELECT * FROM sqlite_master WHERE name = 'task_runs'"))
    eventually(lambda: len(assistant.outcomes()) == len(TYPES))
    daemon.send_signal(signal.SIGTERM)
    _, err = daemon.communicate(timeout=180)
    assert daemon.returncode == 0, err
    assert f"handlers of {assistant.folder}" in err
    assert assistant.outcomes()["skill_analysis"] == "executed"


def test_run_now_runs_one_of_them(assistant: Assistant) -> None:
    report = json.loads(assistant.ok("run-now", "morning_brief", "--json", *assistant.options))
    assert report["result"]["brief"] == "# Good morning"


@pytest.mark.law(3)
def test_law_3_after_kill_9_the_orphan_ends_and_the_slot_runs_again(assistant: Assistant) -> None:
    assistant.do("DELETE FROM scheduled_tasks")
    assistant.add("hangs", {"sleep": f"600.{os.getpid()}"})
    daemon = assistant.start("run", *assistant.options)
    orphans = eventually(lambda: _running(f"600.{os.getpid()}"))
    daemon.kill()
    daemon.wait(180)
    second = assistant.start("run", *assistant.options)
    eventually(lambda: _attempts(assistant) == [(1, "interrupted"), (2, "running")])
    assert not set(orphans) & set(_running(f"600.{os.getpid()}"))
    assistant.do("UPDATE scheduled_tasks SET enabled = 0")
    second.kill()
    second.wait(180)
    assistant("tick")  # ends what the second one left
    assert _running(f"600.{os.getpid()}") == []


def _running(word: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if word in (process.info["cmdline"] or ())]


def _attempts(assistant: Assistant) -> list[tuple[Any, ...]]:
    return assistant.do("SELECT attempt, status FROM task_runs ORDER BY attempt")


@pytest.mark.law(9)
def test_law_9_custom_tasks_still_need_an_approval(assistant: Assistant, tmp_path: Path) -> None:
    assistant.do("DELETE FROM scheduled_tasks")
    for kind in ("custom", "Custom "):
        assistant.add(kind, {"command": f"touch {tmp_path}/ran"})
    reports = json.loads(assistant.ok("tick", "--json", *assistant.options))
    assert {report["handler_type"]: report["status"] for report in reports}["custom"] == "error"
    assert not (tmp_path / "ran").exists()


def test_another_database_than_the_daemons_is_refused_at_the_start(assistant: Assistant) -> None:
    assistant.environment["MEMORY_DB_PATH"] = str(assistant.data / "memory.db")
    assistant.ok("init")
    done = assistant("run", *assistant.options)
    assert (done.code, done.err.count("\n")) == (1, 1), done
    assert "its config.MEMORY_DB_PATH is" in done.err


def test_doctor_says_which_types_it_gets_and_which_packages_are_missing(assistant: Assistant) -> None:
    next(assistant.folder.glob(".venv/lib/python*/site-packages/only_in_its_venv.py")).unlink()
    findings = json.loads(assistant("doctor", "--json", *assistant.options).out)["findings"]
    says = {finding["says"]: finding["fix"] for finding in findings if finding["subject"] == "application"}
    missing = "it imports only_in_its_venv, which its interpreter does not have"
    assert says[missing] == f"{assistant.folder}/.venv/bin/python -m pip install only_in_its_venv"
    [gets] = [text for text in says if "it gets" in text]
    assert gets.endswith(
        "knowledge_lint, morning_brief, proactive_push, skill_analysis, skill_auto_exec and webhook_dispatch"
    )
    assert "handler" not in {finding["subject"] for finding in findings}


@pytest.mark.thorough
def test_doctor_asks_the_running_daemon_whose_handlers_it_runs(assistant: Assistant) -> None:
    daemon = assistant.start_anew("run", *assistant.options)  # its command line tells whose handlers it has
    eventually(lambda: assistant.status()["last_tick_at"] is not None)
    findings = json.loads(assistant("doctor", "--json").out)["findings"]
    assert any("it gets" in finding["says"] for finding in findings if finding["subject"] == "application")
    assert "handler" not in {finding["subject"] for finding in findings}
    _stop(daemon)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--handlers", HANDLERS), "--handlers goes with --app-dir"),
        (("--app-dir", "."), "--app-dir, --store, --app-python, --part and --instead-of go with --handlers"),
        (("--app-dir", ".", "--handlers", HANDLERS, "--engine", "a:b"), "give one of them"),
        (("--store", STORE), "--engine and --store go together; --app-dir goes with them, or with --handlers"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(program: Program, options: tuple[str, ...], says: str) -> None:
    done = program("run", *options)
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert says in done.err


def test_an_engine_whose_store_is_bound_to_its_thread_is_ticked_in_that_thread(assistant: Assistant) -> None:
    """As the assistant's was when it got its daemon: each tick failed."""
    del assistant.environment["MEMORY_DB_PATH"], assistant.environment["JARVIS_DATA_DIR"]
    options = ("--engine", "scheduler.engine:SchedulerEngine", "--store", STORE)
    types = "'webhook_dispatch', 'skill_analysis'"
    assistant.do(f"DELETE FROM scheduled_tasks WHERE handler_type NOT IN ({types})")
    environment = {"PYTHONPATH": os.pathsep.join((assistant.environment["PYTHONPATH"], *_packages(assistant)))}
    daemon = assistant.start("run", "--app-dir", str(assistant.folder), *options, **environment)
    eventually(lambda: _results(assistant) == {"webhook_dispatch": "ok", "skill_analysis": "ok"})
    assistant.do("UPDATE scheduled_tasks SET last_result = NULL, next_run_at = '2026-01-01T00:00:00'")
    eventually(lambda: _results(assistant) == {"webhook_dispatch": "ok", "skill_analysis": "ok"})
    _, err = _stop(daemon)
    assert "failed" not in err


def _packages(assistant: Assistant) -> list[str]:
    return [str(path) for path in assistant.folder.glob(".venv/lib/python*/site-packages")]


def _results(assistant: Assistant) -> dict[str, str]:
    rows = assistant.do("SELECT handler_type, last_result FROM scheduled_tasks WHERE last_result IS NOT NULL")
    return {kind: json.loads(text)["status"] for kind, text in rows}


def _stop(daemon: Process) -> tuple[str, str]:
    daemon.send_signal(signal.SIGTERM)
    return daemon.communicate(timeout=180)
