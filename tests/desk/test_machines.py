"""Machines in the faces: who is there, for whom a task waits, where it ran. With one file nothing of it shows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from jarvis_trio import __version__
from jarvis_trio.agent.calls import Calls
from jarvis_trio.cli.watch.board import read_board
from jarvis_trio.clock import SharedClock
from jarvis_trio.desk import errands
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.models import RunStatus
from jarvis_trio.process.identity import owner_machine, owner_pid, owner_process
from jarvis_trio.settings import own_settings
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.postgres import PostgresDatabase
from tests.support.cli_world import Cli
from tests.support.core_fakes import START, FakeClock, a_task
from tests.support.postgres_server import PostgresServer

both = pytest.mark.parametrize("command", ["status", "machines"])


def on_a_server(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.postgres(pytest.mark.slow(test))


class Shared:
    """A database of `here` and `laptop`, asked by the commands of `here`."""

    def __init__(self, cli: Cli, store: MemoryStore, clock: FakeClock) -> None:
        self.cli = cli
        self.store = store
        self.clock = clock

    def check_in(self, name: str, **says: Any) -> None:
        self.store.machines.check_in(name, f"identity of {name}", self.clock.now(), **says)

    def add(self, name: str, place: str, handler: str = "alert_eval", at: datetime = START) -> None:
        policy = {"on": place}
        task = a_task(name, every={"days": 1}, handler=handler, policy=policy, next_run_at=at.isoformat())
        self.store.queue.settle(self.store.store_scheduled_task(task), at)

    def run(self, name: str, machine: str, status: RunStatus | None = RunStatus.EXECUTED) -> int:
        task = self.store.tasks.require_task(name)
        owner = f"{machine}/999999:1@boot/1"
        claim = self.store.runs.claim_run(task, START, 1, started_at=self.clock.now(), owner=owner)
        assert claim is not None
        if status is not None:
            self.store.write("UPDATE task_runs SET status = ?, live = NULL WHERE id = ?", (status, claim.run_id))
        return claim.run_id


@pytest.fixture
def shared(
    cli: Cli, postgres: PostgresServer, clock: FakeClock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shared]:
    address = postgres.new_database()
    monkeypatch.setenv("JARVIS_DATABASE_URL", address)
    monkeypatch.setenv("JARVIS_MACHINE", "here")
    clock.set(seconds=1)
    with MemoryStore(path, clock=clock, connection=PostgresDatabase(address), machine="here") as store:
        yield Shared(cli, store, clock)


def away(shared: Shared) -> None:
    """The laptop is not seen for three hours, but this machine is."""
    shared.check_in("laptop", labels=["mac"])
    shared.clock.advance(hours=3)
    shared.check_in("here", handlers=["alert_eval"])


def open_session(shared: Shared) -> Session:
    return Session(lambda: own_settings(os.environ), {}, shared.clock)


def said(text: str) -> str:
    return " ".join(text.split())


@on_a_server
@both
def test_it_tells_who_is_there_and_who_is_away(shared: Shared, command: str) -> None:
    away(shared)
    out = said(shared.cli.ok(command))
    assert __version__ in out
    assert "3 h ago" in out
    assert out.count("away") == 1


@on_a_server
@both
def test_it_tells_whose_clock_is_off(shared: Shared, command: str) -> None:
    shared.check_in("laptop")
    assert "its clock" not in said(shared.cli.ok(command))
    shared.store.write("UPDATE machines SET clock_ahead_seconds = -7200")
    assert "its clock is 2 hours behind" in said(shared.cli.ok(command))


@on_a_server
@both
def test_its_json_has_each_machine(shared: Shared, command: str) -> None:
    away(shared)
    found = shared.cli.json(command)
    here, laptop = found["machines"] if command == "status" else found
    assert (here["machine"], here["away"], here["handlers"]) == ("here", False, ["alert_eval"])
    assert (laptop["machine"], laptop["away"], laptop["labels"]) == ("laptop", True, ["mac"])
    assert laptop["version"] == __version__
    assert laptop["clock_ahead_seconds"] is None  # the clock of this test is no server's


@on_a_server
@pytest.mark.law(3)
@pytest.mark.parametrize(
    ("place", "handler", "why"),
    [
        ("laptop", "alert_eval", "it waits for laptop, last seen 3 h ago"),
        ("mac", "alert_eval", "it waits for laptop, last seen 3 h ago"),
        ("big", "alert_eval", "no machine is named big or has that label; to give it one: jarvis-trio edit job --on"),
        ("here", "morning_brief", "no handler of type morning_brief on here"),
        ("any", "morning_brief", "no handler of type morning_brief on here"),
        ("here", "alert_eval", "the daemon has not come to it yet"),
    ],
)
def test_explain_says_why_a_slot_waits(shared: Shared, place: str, handler: str, why: str) -> None:
    away(shared)
    shared.add("job", place, handler)
    out = said(shared.cli.ok("explain", "job"))
    assert "has been due since Mon 2026-03-02 09:00 UTC, 3 hours ago, and has not started" in out
    assert why in out
    assert "No daemon" not in out


@on_a_server
def test_explain_says_why_a_slot_to_come_would_wait(shared: Shared) -> None:
    away(shared)
    shared.add("job", "laptop", at=START + timedelta(days=1))
    assert "Now it waits for laptop, last seen 3 h ago." in said(shared.cli.ok("explain", "job"))


@on_a_server
def test_a_run_has_its_machine(shared: Shared) -> None:
    shared.check_in("laptop")
    shared.add("job", "any")
    number = shared.run("job", "laptop")
    assert "It ran on laptop." in said(shared.cli.ok("explain", "job", "--at", START.isoformat()))
    for command in (("history",), ("show", "job")):
        assert "job laptop 2026-03-02 09:00:00 0 s ago executed" in said(shared.cli.ok(*command))
    (row,) = shared.cli.json("history")
    assert (row["id"], row["machine"]) == (number, "laptop")
    assert [run["machine"] for run in shared.cli.json("show", "job")["runs"]] == ["laptop"]


@on_a_server
def test_a_run_that_is_under_way_has_its_machine_and_whether_that_is_away(shared: Shared) -> None:
    shared.check_in("laptop")
    shared.add("job", "laptop")
    shared.run("job", "laptop", status=None)
    away(shared)
    assert "job on laptop since 3 h ago" in said(shared.cli.ok("status"))
    assert shared.cli.json("status")["runs"][0]["machine"] == "laptop"
    out = said(shared.cli.ok("explain", "job"))
    assert "It runs on laptop." in out
    assert "That is on laptop, last seen 3 h ago: nobody else runs it meanwhile" in out


@on_a_server
def test_a_run_on_another_machine_is_not_ended_from_here(shared: Shared) -> None:
    shared.add("job", "laptop")
    number = shared.run("job", "laptop", status=None)
    with open_session(shared) as session:
        stopping = errands.ask_stop(session, "job")
        with pytest.raises(TaskError, match="'job' runs on laptop, which does not answer; it is told when it is back"):
            errands.stop_from_here(session, stopping)
        assert not errands.is_taken_on(session, stopping)
        assert not errands.is_over(session, number)


@on_a_server
def test_doctor_tells_of_machines_that_are_away_differ_or_lack_a_handler(shared: Shared) -> None:
    away(shared)
    shared.add("theirs", "laptop")
    shared.add("nobody's", "big")
    shared.add("brief", "here", "morning_brief")
    shared.store.write("UPDATE machines SET version = '0.9', clock_ahead_seconds = 7200 WHERE name = 'laptop'")
    found = shared.cli("doctor", "--json")
    says = {item["says"]: item["fix"] for item in json.loads(found.out)["findings"] if item["level"] == "warning"}
    assert "forget laptop" in says["laptop is away, last seen 3 h ago; 1 task waits for it"]
    assert "NTP" in says["laptop: its clock is 2 hours ahead of the database's"]
    assert "upgrade" in says[f"the machines have different versions: here has {__version__} and laptop has 0.9"]
    assert "--on MACHINE" in says["nobody's: no machine is named big or has that label"]
    assert "--on MACHINE" in says["brief: no handler of type morning_brief on here"]
    assert not any("integrity" in item["subject"] for item in json.loads(found.out)["findings"])


@on_a_server
def test_the_live_screen_tells_of_machines_and_of_what_waits_for_them(shared: Shared) -> None:
    away(shared)
    shared.add("job", "laptop")
    with open_session(shared) as session:
        board = read_board(session)
    assert [(state.name, state.away) for state in board.status.machines] == [("here", False), ("laptop", True)]
    assert board.rows[0].waits == "it waits for laptop, last seen 3 h ago"


@on_a_server
@pytest.mark.law(3)
def test_what_ran_on_a_machine_that_is_forgotten_is_interrupted(shared: Shared) -> None:
    away(shared)
    shared.add("job", "any")
    shared.run("job", "laptop", status=None)
    assert shared.cli.ok("machines", "forget", "laptop") == "Forgotten: laptop\n"
    (row,) = shared.cli.json("history")
    assert (row["status"], row["machine"]) == ("interrupted", "laptop")
    assert [machine["machine"] for machine in shared.cli.json("machines")] == ["here"]
    assert row["reason"] == "laptop, which ran it, was given up"


@on_a_server
def test_neither_this_machine_nor_one_that_nobody_knows_is_forgotten(shared: Shared) -> None:
    away(shared)
    assert "'here' is this machine; its own daemon ends" in shared.cli.fails("machines", "forget", "here")
    assert "laptob" in shared.cli.fails("machines", "forget", "laptob")
    assert len(shared.cli.json("machines")) == 2


@on_a_server
def test_a_task_is_bound_to_the_machine_that_it_is_added_on_unless_it_names_a_place(shared: Shared) -> None:
    away(shared)
    for name, options in (("bound", ()), ("mac", ("--on", "mac")), ("free", ("--on", "any"))):
        shared.cli.ok("add", name, "--every", "1d", "--handler", "alert_eval", *options)
    shared.cli.ok("edit", "bound", "--on", "laptop")
    places = {task.name: json.loads(task.policy or "{}")["on"] for task in shared.store.list_scheduled_tasks()}
    assert places == {"bound": "laptop", "mac": "mac", "free": "any"}
    assert {row["machine"]: row["tasks"] for row in shared.cli.json("machines")} == {"here": 0, "laptop": 1}


@on_a_server
@pytest.mark.parametrize(("place", "meant"), [("labtop", "laptop"), ("mack", "mac"), ("hera", "here")])
def test_a_place_that_no_machine_has_is_refused_with_the_nearest_that_is_there(
    shared: Shared, place: str, meant: str
) -> None:
    away(shared)
    said = shared.cli.fails("add", "job", "--every", "1d", "--handler", "alert_eval", "--on", place)
    assert f"no machine is named '{place}', or has it as a label; " in said
    assert f"did you mean '{meant}'?" in said


def test_a_file_is_this_machines_alone(cli: Cli) -> None:
    for command in (("machines",), ("machines", "forget", "laptop")):
        assert "is this machine's alone; several machines share one by JARVIS_DATABASE_URL" in cli.fails(*command)


@on_a_server
@pytest.mark.parametrize("count", [0, 1])
def test_each_look_works_on_a_server(shared: Shared, count: int) -> None:
    if count:
        shared.add("job", "any")
        shared.run("job", "here")
    for command in ("list", "status", "history", "forecast", "timeline", "machines"):
        shared.cli.json(command)
        shared.cli.ok(command)


@on_a_server
def test_an_assistant_is_told_the_same(shared: Shared) -> None:
    away(shared)
    shared.add("job", "laptop")
    shared.run("job", "here")
    calls = Calls(lambda: open_session(shared), read_only=True)
    assert calls.call("scheduler_status", {}) == shared.cli.json("status")
    (run,) = cast("Any", calls.call("list_runs", {}))["runs"]
    assert run["machine"] == "here"
    assert "it waits for laptop" in cast("Any", calls.call("explain_task", {"name": "job"}))["answer"]


def test_with_one_file_nothing_of_it_shows(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--handler", "alert_eval")
    cli.ok("run-now", "job", "--here")
    for command in ("status", "history", "list", "doctor"):
        done = cli(command)
        assert "MACHINE" not in done.out.replace("JARVIS_MACHINE", "")
        assert not [line for line in done.out.splitlines() if line.startswith("machine")]
    assert " on " not in cli.ok("explain", "job")
    assert "machines" not in cli.json("status")
    assert [set(run) & {"machine"} for run in cli.json("history")] == [set()]
    with Session(lambda: own_settings(os.environ), {}) as session:
        board = read_board(session)
    assert (board.status.machines, board.rows[0].waits) == ([], "")


def test_an_owner_says_its_machine_and_its_process() -> None:
    for machine, owner in ((None, "12:34@boot/5,6"), ("my.mac-1", "my.mac-1/12:34@boot/5,6")):
        assert (owner_machine(owner), owner_pid(owner)) == (machine, "12")
        assert owner_process(owner) == "12:34@boot/5,6"
    assert (owner_machine(None), owner_pid(None), owner_process(None)) == (None, "unknown", "")


def test_a_shared_clock_says_how_far_the_machines_own_is_ahead() -> None:
    clock = SharedClock()
    clock.correct(datetime.now(UTC) - timedelta(hours=2))
    assert abs(clock.machine_ahead() - timedelta(hours=2)) < timedelta(minutes=1)
