"""The composition root: what it puts together, and which settings it refuses."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.assembly import make_engine, make_peers
from jarvis_trio.engine.equipment import equip
from jarvis_trio.engine.peers import LOCKS, Peers
from jarvis_trio.errors import SettingError
from jarvis_trio.handlers.application.source import HandlerSource
from jarvis_trio.handlers.approvals import Approvals
from jarvis_trio.handlers.making import make_channels, make_handlers
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask
from jarvis_trio.process.identity import current_owner
from jarvis_trio.process.machine import machine_identity
from jarvis_trio.settings import read_settings
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.places import Here
from tests.support.core_fakes import START, FakeClock, a_task


def test_the_handlers_are_the_built_in_ones_with_the_settings_folders(tmp_path: Path, clock: FakeClock) -> None:
    settings = read_settings({"WEBHOOK_INBOX_DIR": str(tmp_path / "in")}, tmp_path)
    handlers = make_handlers(settings, make_channels(settings, os.environ))
    task = ScheduledTask(name="inbox", schedule_type="interval", schedule_config="{}", handler_type="webhook_poll")
    with MemoryStore(tmp_path / "memory.db", clock=clock) as store:
        context = HandlerContext(store, clock.now(), 1, clock.now(), timedelta(minutes=1), logging.getLogger())
        assert handlers["webhook_poll"](task, context) == {"status": "ok", "ingested": 0, "failed": 0, "waiting": 0}
    assert (tmp_path / "in/processed").is_dir()
    assert {"alert_eval", "custom", "webhook_poll"} <= set(handlers)


@pytest.mark.parametrize(
    ("channel", "config", "reason"),
    [
        ("pigeon", "", "unknown channel 'pigeon'; use one of notification, email"),
        ("email", "{}", "nobody is named to send to"),
        ("email", "{", "JARVIS_ALERT_CONFIG is not a JSON object"),
    ],
)
def test_alerts_that_can_reach_nobody_are_refused_before_anything_runs(
    store: MemoryStore, clock: FakeClock, tmp_path: Path, channel: str, config: str, reason: str
) -> None:
    settings = read_settings({"JARVIS_ALERT_CHANNEL": channel, "JARVIS_ALERT_CONFIG": config}, tmp_path)
    with pytest.raises(SettingError, match=f"^JARVIS_ALERT_CHANNEL '{channel}' cannot be used: .*{reason}"):
        make_engine(settings, store, {})


@pytest.fixture
def laptop(path: Path, empty_database: Path, clock: FakeClock) -> Iterator[MemoryStore]:
    """The database as one of several machines sees it."""
    shutil.copy(empty_database, path)
    with MemoryStore(path, clock=clock, machine=Here("laptop")) as laptop:
        yield laptop


Made = Callable[..., SchedulerEngine]
"""Called with settings, and with the further arguments of `make_engine` by name."""


@pytest.fixture
def made(store: MemoryStore, tmp_path: Path) -> Iterator[Made]:
    """Makes the engine of some settings for the test's database; its inbox is `in`."""
    engines: list[SchedulerEngine] = []

    def make(
        source: HandlerSource | None = None,
        peers: Peers | None = None,
        environment: Mapping[str, str] | None = None,
        **variables: str,
    ) -> SchedulerEngine:
        places = {"MEMORY_DB_PATH": str(store.path), "WEBHOOK_INBOX_DIR": str(tmp_path / "in")}
        settings = read_settings(places | variables, tmp_path)
        engines.append(make_engine(settings, store, environment or {}, source, peers))
        return engines[-1]

    yield make
    for engine in engines:
        engine.finish()


def test_tasks_run_with_the_handlers_and_the_folders_of_the_settings(
    store: MemoryStore, made: Made, tmp_path: Path
) -> None:
    store.store_scheduled_task(a_task("inbox", handler="webhook_poll"))
    assert made().run_now("inbox")["status"] == "executed"
    assert (tmp_path / "in/processed").is_dir()


@pytest.mark.sqlite
def test_commands_get_the_environment_that_the_engine_was_given(
    store: MemoryStore, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_PAPER", "of this process")
    Approvals(read_settings({}, tmp_path).approvals_file).allow("printenv")
    command = json.dumps({"command": ["printenv", "LC_PAPER"]})
    store.store_scheduled_task(a_task(handler="custom", handler_config=command))
    engine = made(environment={"PATH": os.environ["PATH"], "LC_PAPER": "given"})
    assert json.loads(engine.run_now("job")["result"])["stdout"] == "given\n"


def test_a_slot_is_claimed_a_moment_before_its_time(store: MemoryStore, made: Made, clock: FakeClock) -> None:
    store.store_scheduled_task(a_task("inbox", handler="webhook_poll", at="2026-03-02T09:05"))
    engine = made()
    assert engine.evaluate_due_tasks() == []
    clock.advance(minutes=4, seconds=59.99)
    assert [result["status"] for result in engine.evaluate_due_tasks()] == ["executed"]


def test_types_that_are_not_ours_go_to_the_application_and_ours_stay(
    store: MemoryStore, made: Made, tmp_path: Path
) -> None:
    for handler in ("report", "webhook_poll"):
        store.store_scheduled_task(a_task(handler, handler=handler))
    engine = made(source=HandlerSource(tmp_path, "app:run", tmp_path / "no-python"))
    failed = engine.run_now("report")
    assert (failed["status"], "no-python" in failed["error"]) == ("error", True)
    assert engine.run_now("webhook_poll")["status"] == "executed"


def test_a_run_is_of_the_process_that_is_given(store: MemoryStore, made: Made) -> None:
    store.store_scheduled_task(a_task("inbox", handler="webhook_poll"))
    made(peers=Peers("somebody", lambda owner: True)).claim_now("inbox")
    assert [run.owner for run in store.runs.live_runs_of_others("nobody")] == ["somebody"]


def test_troubles_go_to_the_channel_of_the_settings_as_it_is_configured_there(
    store: MemoryStore, made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 0}))
    made(JARVIS_ALERT_CHANNEL="webhook", JARVIS_ALERT_CONFIG='{"url": "env:NOBODY_SET_IT"}').evaluate_due_tasks()
    assert "NOBODY_SET_IT" in caplog.text
    assert "unknown channel" not in caplog.text
    assert store.outbox.letters_waiting() == 1


@pytest.fixture
def old_runs(store: MemoryStore) -> list[int]:
    """The numbers of three runs of one task: of four, three and no days ago."""
    task = store.store_scheduled_task(a_task(enabled=False))
    for days in (4, 3, 0):
        at = START - timedelta(days=days)
        store.runs.record_unrun(task, at, RunStatus.MISSED, "too late", at=at)
    return sorted(store.runs.run_numbers())


def test_the_history_has_as_many_rows_as_the_settings_allow_and_their_outputs(
    store: MemoryStore, made: Made, old_runs: list[int], tmp_path: Path
) -> None:
    outputs = Outputs(read_settings({}, tmp_path).outputs_dir)
    for number in old_runs:
        outputs.path(number).parent.mkdir(exist_ok=True)
        outputs.path(number).write_text("what it wrote")
    made(JARVIS_HISTORY_RUNS="2").evaluate_due_tasks()
    assert sorted(store.runs.run_numbers()) == old_runs[1:]
    assert [outputs.path(number).exists() for number in old_runs] == [False, True, True]


def test_the_history_grows_as_old_as_the_settings_allow(
    store: MemoryStore, made: Made, old_runs: list[int], clock: FakeClock
) -> None:
    engine = made(JARVIS_HISTORY_DAYS="1")
    engine.evaluate_due_tasks()
    clock.advance(hours=2)  # by then the clock counts as steady
    engine.evaluate_due_tasks()
    assert sorted(store.runs.run_numbers()) == old_runs[2:]


@pytest.mark.sqlite
def test_without_settings_the_outputs_lie_beside_the_database(store: MemoryStore) -> None:
    assert equip(store).outputs.path(1).is_relative_to(store.path.parent)


def test_a_lock_beside_the_database_proves_that_the_process_lives(
    path: Path, tmp_path: Path, laptop: MemoryStore
) -> None:
    peers = make_peers(read_settings({"MEMORY_DB_PATH": str(path)}, tmp_path), laptop)
    assert peers.owner == f"laptop/{current_owner()}"
    path.with_name(LOCKS).unlink()
    peers.check_in(START, [])
    assert path.with_name(LOCKS).exists()


def test_a_machine_is_known_by_the_identity_in_its_data_folder(path: Path, tmp_path: Path, laptop: MemoryStore) -> None:
    settings = read_settings({"MEMORY_DB_PATH": str(path), "JARVIS_DATA_DIR": str(tmp_path)}, tmp_path)
    make_peers(settings, laptop).check_in(START, [])
    [machine] = laptop.machines.list_machines()
    assert (machine.identity, machine.takes_any) == (machine_identity(tmp_path), True)


def test_what_others_may_take_over_is_guarded(
    tmp_path: Path, laptop: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    guards: list[object] = []
    monkeypatch.setattr("jarvis_trio.engine.machines.Guard", lambda owner, silence: guards.append(owner))
    make_peers(read_settings({"MEMORY_DB_PATH": str(laptop.path)}, tmp_path), laptop)
    assert guards == [current_owner()]


def test_a_handler_has_the_time_limit_of_the_settings(
    store: MemoryStore, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[timedelta] = []
    handlers = {"note": lambda task, context: limits.append(context.timeout)}
    monkeypatch.setattr("jarvis_trio.engine.equipment.make_handlers", lambda *_: handlers)
    store.store_scheduled_task(a_task())
    made(SCHEDULER_HANDLER_TIMEOUT_SECONDS="7").run_now("job")
    assert limits == [timedelta(seconds=7)]
