"""Our engine on a copy of the assistant's own file: what its user would lose is not lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.assistant_app import copy_database
from tests.support.cli_world import Cli, execute

TWO_WEEKS_LATER = datetime(2026, 12, 12, 9, 0, 30, tzinfo=UTC)
ORPHANS = (
    "('skill_auto_exec', 'knowledge_lint', 'morning_brief', 'proactive_push', 'skill_analysis', 'webhook_dispatch')"
)


@pytest.fixture
def file(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Commands on the assistant's file, two weeks after its last tick. Nobody can be notified."""
    cli.path.unlink()
    copy_database(cli.data)
    cli.clock.instant = TWO_WEEKS_LATER
    monkeypatch.setenv("PATH", "/nowhere")
    return cli


def tick(file: Cli) -> dict[str, str]:
    return {report["name"]: report["status"] for report in file.json("tick")}


def rows(file: Cli, columns: str, condition: str = "1") -> list[tuple[Any, ...]]:
    return execute(file.path, f"SELECT {columns} FROM scheduled_tasks WHERE {condition} ORDER BY id")


@pytest.mark.law(2)
def test_law_2_no_single_time_that_is_over_runs_again(file: Cli) -> None:
    before = rows(file, "name, last_run_at, last_result", "schedule_type = 'once'")
    assert not {"once_done", "once_past"} & set(tick(file))
    assert rows(file, "name, last_run_at, last_result", "schedule_type = 'once'") == before
    listed = {task["name"]: task for task in file.json("list")}
    assert listed["once_done"]["last_run_at"] == "2026-11-28T13:12:23.342306"


def test_a_single_time_that_is_over_is_told_as_such(file: Cli) -> None:
    lines = {line.split()[0]: line for line in file.ok("list").splitlines()}
    assert "no more" in lines["once_done"]
    assert lines["once_done"].rstrip().endswith("14 d ago")
    assert "no more" in lines["once_past"]
    assert lines["once_past"].rstrip().endswith("never")
    assert "once_done does not run again: its only time was" in file.ok("explain", "once_done")
    assert "once_past does not run: its only time was" in file.ok("explain", "once_past")


def test_a_single_time_that_its_update_tool_enables_again_stays_over(file: Cli) -> None:
    tick(file)
    execute(file.path, "UPDATE scheduled_tasks SET enabled = 1, updated_at = 'now' WHERE name = 'once_done'")
    file.clock.advance(minutes=5)
    assert "once_done" not in tick(file)


@pytest.mark.law(3)
def test_law_3_what_nobody_can_run_is_told_once_and_waits_where_it_was(file: Cli) -> None:
    before = rows(file, "name, next_run_at, enabled", f"handler_type IN {ORPHANS}")
    for _ in range(3):
        tick(file)
        file.clock.advance(days=1)
    assert rows(file, "name, next_run_at, enabled", f"handler_type IN {ORPHANS}") == before
    theirs = f"SELECT id FROM scheduled_tasks WHERE handler_type IN {ORPHANS}"
    counts = execute(file.path, f"SELECT count(*) FROM task_runs WHERE task_id IN ({theirs}) GROUP BY task_id")
    assert counts == [(1,)] * 6


@pytest.mark.law(8)
def test_law_8_nothing_of_ours_is_in_enabled(file: Cli) -> None:
    execute(file.path, "UPDATE scheduled_tasks SET schedule_config = 'nonsense' WHERE name = 'float_int'")
    before = rows(file, "name, enabled")
    tick(file)
    assert rows(file, "name, enabled") == before


def test_the_stamps_of_its_alert_rules_are_text_that_it_can_subtract(file: Cli) -> None:
    assert tick(file)["alert_eval"] == "executed"
    stamps = execute(file.path, "SELECT last_triggered_at FROM alert_rules WHERE last_triggered_at IS NOT NULL")
    for (stamp,) in stamps:
        assert datetime.fromisoformat(stamp).tzinfo is None
    assert len(stamps) == 9, "of eleven, one is unknown, and no deadline comes up"


def test_a_number_that_is_given_out_again_is_another_task(file: Cli) -> None:
    execute(file.path, "UPDATE scheduled_tasks SET id = 1000 WHERE name = 'webhook_poll'")
    assert tick(file)["webhook_poll"] == "executed"
    execute(file.path, "DELETE FROM scheduled_tasks WHERE id = 1000")
    columns = "id, name, schedule_type, schedule_config, handler_type, next_run_at, created_at"
    values = "1000, 'new', 'interval', '{\"minutes\": 5}', 'webhook_poll', '2026-12-12T09:05:00', '2026-12-12T09:00:00'"
    execute(file.path, f"INSERT INTO scheduled_tasks ({columns}) VALUES ({values})")
    assert {task["name"]: task["last_status"] for task in file.json("list")}["new"] is None
    file.clock.advance(minutes=5)
    assert tick(file)["new"] == "executed"


def test_empty_parts_of_a_cron_list_are_no_reason_to_set_a_task_aside(file: Cli) -> None:
    assert tick(file)["cron_emptyparts"] == "executed"
