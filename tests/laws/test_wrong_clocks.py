"""Machines whose own clocks are wrong, in different zones: the database's clock and zone count."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.models import RunStatus
from jarvis_trio.store.opening import open_store
from tests.support.cli_world import eventually
from tests.support.core_fakes import a_task
from tests.support.fleet import machines
from tests.support.postgres_server import PostgresServer

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
"""Gives a process another wall clock."""


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.law(5)
@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (Debian: apt-get install libfaketime)")
def test_a_wrong_clock_and_another_zone_move_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    address = postgres.new_database()
    with machines(tmp_path, address, "ahead", "behind") as found:
        for machine, skew, zone in zip(found, ("+2h", "-3h"), ("Asia/Tokyo", "America/Denver"), strict=True):
            machine.environment |= {"LD_PRELOAD": str(LIBRARY), "FAKETIME": skew, "TZ": zone}
            machine.environment |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        assert found[0].command("init").returncode == 0

        with open_store(tmp_path / "unused", address) as store:
            store.store_scheduled_task(a_task("daily", cron="30 7 * * *", handler="alert_eval", policy={"on": "any"}))
            for machine in found:
                machine.start()
            eventually(lambda: len(store.machines.list_machines()) == 2)
            ahead = {machine.name: machine.clock_ahead for machine in store.machines.list_machines()}
            assert {name: off and round(off / timedelta(hours=1)) for name, off in ahead.items()} == {
                "ahead": 2,
                "behind": -3,
            }, "the clocks are wrong indeed"
            at = store.clock.now() + timedelta(seconds=5)
            for place in ("ahead", "behind", "any"):
                store.store_scheduled_task(a_task(place, at=at.isoformat(), handler="alert_eval", policy={"on": place}))
            eventually(lambda: {"ahead", "behind", "any"} <= {run.task_name for run in store.runs.list_runs()})
            eventually(lambda: not store.runs.list_runs(status=RunStatus.RUNNING))

            runs = [run for run in store.runs.list_runs() if run.task_name in ("ahead", "behind", "any")]
            assert [run.status for run in runs] == [RunStatus.EXECUTED] * 3
            assert {run.scheduled_for for run in runs} == {at}
            for run in runs:  # minutes, not hours: the machine may be busy
                assert timedelta(0) <= run.started_at - at < timedelta(minutes=2)
            daily = store.get_scheduled_task_by_name("daily")
            assert daily is not None
            assert str(daily.next_run_at).endswith("T07:30:00+09:00"), "the zone of the machine that made the tables"
        assert [machine.stop() for machine in found] == [0, 0]
    said = "".join((machine.folder / "jarvis-daemon.log").read_text() for machine in found)
    assert "set back" not in said
