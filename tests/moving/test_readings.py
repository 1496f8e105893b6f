"""What a look at the assistant's file says of rows that nobody can read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from jarvis_trio.moving.readings import rule_readings, task_readings
from jarvis_trio.store import MemoryStore
from tests.support.cli_world import execute
from tests.support.core_fakes import START, a_task


def test_a_task_whose_schedule_cannot_be_read_is_told_with_what_to_type() -> None:
    bad = replace(a_task("two words"), schedule_config="{}")
    [told] = task_readings([bad, a_task("good")], ZoneInfo("UTC"), None)
    assert (told.name, told.fix) == ("two words", "jarvis-trio edit 'two words'")
    assert told.says.startswith("its schedule cannot be read, so it is set aside: interval must be")


def test_a_rule_whose_condition_cannot_be_read_is_told_and_the_next_one_too(store: MemoryStore, path: Path) -> None:
    for name in ("bad", "worse"):
        condition = '{"days_overdue": "many"}'
        values = f"'{name}', 'overdue_delegation', '{condition}', 1"
        execute(path, f"INSERT INTO alert_rules (name, alert_type, condition, enabled) VALUES ({values})")
    told = list(rule_readings(store, START))
    assert [(reading.name, reading.differs) for reading in told] == [
        ("alert rule bad", True),
        ("alert rule worse", True),
    ]
