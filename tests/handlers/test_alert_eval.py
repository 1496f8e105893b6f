"""The handler `alert_eval`, with the real tables."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import DeliveryError, HandlerTimeoutError
from jarvis_trio.handlers.alert_eval import AlertEval
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import FakeClock
from tests.support.handler_calls import DENVER, NOON, a_context, a_task

# "Today" is Monday 15 June 2026 in Denver, and already the 16th in Berlin when it is evening.
EVENING = NOON + timedelta(hours=10)


class Assistant:
    """An assistant's database, and what its person was told."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.told: list[tuple[str, str]] = []
        self.undeliverable = False

    def add(self, table: str, **columns: object) -> None:
        marks = ", ".join("?" * len(columns))
        self.store.write(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))

    def add_rule(self, alert_type: str, condition: object = None, *, name: str = "rule", **columns: object) -> None:
        text = json.dumps(condition) if isinstance(condition, dict) else condition
        self.add("alert_rules", name=name, alert_type=alert_type, condition=text, **columns)

    def evaluate(self, now: datetime = NOON) -> dict[str, Any]:
        return AlertEval(self.notify)(a_task(), a_context(self.store, now=now))

    def notify(self, title: str, text: str) -> None:
        if self.undeliverable:
            raise DeliveryError("notify-send is not on PATH")
        self.told.append((title, text))

    def stamp(self, name: str = "rule") -> str | None:
        [row] = self.store.read("SELECT last_triggered_at FROM alert_rules WHERE name = ?", (name,))
        stamp: str | None = row["last_triggered_at"]
        return stamp


@pytest.fixture
def assistant(tmp_path: Path) -> Iterator[Assistant]:
    with MemoryStore(tmp_path / "memory.db", clock=FakeClock(NOON, DENVER)) as store:
        yield Assistant(store)


def test_a_rule_that_matches_tells_the_person_and_is_stamped(assistant: Assistant) -> None:
    assistant.add_rule("overdue_delegation", name="Late work")
    assistant.add("delegations", task="one", due_date="2026-06-01")
    assistant.add("delegations", task="two", due_date="2026-06-14")
    assert assistant.evaluate() == {"status": "ok", "rules": 1, "triggered": ["Late work"], "quiet": []}
    assert assistant.told == [("Alert: Late work", "2 overdue_delegation found")]
    assert assistant.stamp("Late work") == "2026-06-15T12:00:00"


def test_a_rule_that_does_not_match_leaves_no_trace(assistant: Assistant) -> None:
    assistant.add_rule("overdue_delegation")
    assert assistant.evaluate() == {"status": "ok", "rules": 1, "triggered": [], "quiet": []}
    assert assistant.told == []
    assert assistant.stamp() is None


def test_two_tasks_that_evaluate_at_once_tell_the_person_once(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup")
    told: list[str] = []
    second: list[dict[str, Any]] = []

    def notify(title: str, _: str) -> None:
        told.append(title)
        if len(told) == 1:
            other.start()
            other.join(0.3)  # it would be done by now, if it did not wait

    evaluate = AlertEval(notify)
    other = threading.Thread(target=lambda: second.append(evaluate(a_task(), a_context(assistant.store))))
    first = evaluate(a_task(), a_context(assistant.store))
    other.join()

    assert told == ["Alert: rule"]
    assert [result["quiet"] for result in (first, *second)] == [[], ["rule"]]


def test_a_run_that_waits_for_another_one_ends_at_its_time_limit(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup")
    late = a_context(assistant.store)
    late.cancelled.set()

    def notify(_: str, __: str) -> None:
        with pytest.raises(HandlerTimeoutError, match="another task's run still evaluates"):
            evaluate(a_task(), late)

    evaluate = AlertEval(notify)
    assert evaluate(a_task(), a_context(assistant.store))["triggered"] == ["rule"]


def test_a_disabled_rule_is_not_evaluated(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup", enabled=0)
    assert assistant.evaluate()["rules"] == 0
    assert assistant.told == []


@pytest.mark.parametrize(
    ("due", "condition", "matches"),
    [
        ("2026-06-14", None, True),
        ("2026-06-14", "", True),
        ("2026-06-14", {}, True),
        ("2026-06-15", {}, False),
        ("2026-06-15", {"days_overdue": 0}, False),
        ("2026-06-14", {"days_overdue": 0}, True),
        ("2026-06-15", {"days_overdue": -1}, False),
        ("2026-06-12", {"days_overdue": 3}, True),
        ("2026-06-13", {"days_overdue": 3}, False),
        ("2026-06-14T23:59:59", {}, True),
        ("2026-06-15T00:00:00", {}, False),
        ("2026-06-15T05:59:00+00:00", {}, True),  # the 14th in Denver
        ("2026-06-15T06:00:00Z", {}, False),
    ],
)
def test_a_delegation_is_overdue_by_whole_local_days(
    assistant: Assistant, due: str, condition: object, matches: bool
) -> None:
    assistant.add_rule("overdue_delegation", condition)
    assistant.add("delegations", task="t", due_date=due)
    assert bool(assistant.evaluate()["triggered"]) is matches


def test_today_is_the_local_day(assistant: Assistant) -> None:
    assistant.add_rule("overdue_delegation")
    assistant.add("delegations", task="t", due_date="2026-06-15")
    assert EVENING.date() != EVENING.astimezone(DENVER).date()
    assert assistant.evaluate(EVENING)["triggered"] == []
    assert assistant.evaluate(EVENING + timedelta(hours=2))["triggered"] == ["rule"]


@pytest.mark.parametrize("columns", [{"status": "completed"}, {"status": "cancelled"}, {"due_date": None}])
def test_only_active_delegations_with_a_due_date_count(assistant: Assistant, columns: dict[str, object]) -> None:
    assistant.add_rule("overdue_delegation")
    assistant.add("delegations", **{"task": "t", "due_date": "2026-06-01", **columns})
    assert assistant.evaluate()["triggered"] == []


@pytest.mark.parametrize("alert_type", ["pending_decision", "stale_decision"])
@pytest.mark.parametrize(
    ("made", "condition", "matches"),
    [
        ("2026-06-07T23:59:59", {}, True),
        ("2026-06-08T00:00:00", {}, False),
        ("2026-06-08T05:59:59+00:00", {}, True),  # the 7th in Denver
        ("2026-06-13 23:00:00", {"days_stale": 1}, True),
        ("2026-06-14 00:00:00", {"days_stale": 1}, False),
    ],
)
def test_a_decision_is_stale_by_the_date_on_which_it_was_made(
    assistant: Assistant, alert_type: str, made: str, condition: object, matches: bool
) -> None:
    assistant.add_rule(alert_type, condition)
    assistant.add("decisions", title="t", created_at=made)
    assistant.add("decisions", title="done", created_at=made, status="executed")
    assert bool(assistant.evaluate()["triggered"]) is matches
    assert assistant.told == ([("Alert: rule", f"1 {alert_type} found")] if matches else [])


@pytest.mark.parametrize(
    ("due", "condition", "matches"),
    [
        ("2026-06-14", {}, False),
        ("2026-06-15", {}, True),
        ("2026-06-18", {}, True),
        ("2026-06-19", {}, False),
        ("2026-06-15", {"within_days": 0}, True),
        ("2026-06-16", {"within_days": 0}, False),
    ],
)
def test_a_deadline_is_upcoming_from_today_on(assistant: Assistant, due: str, condition: object, matches: bool) -> None:
    assistant.add_rule("upcoming_deadline", condition)
    assistant.add("delegations", task="t", due_date=due)
    assert bool(assistant.evaluate()["triggered"]) is matches


@pytest.mark.parametrize(
    ("value", "condition", "matches"),
    [
        (None, {}, True),
        ("", {}, True),
        ("yesterday", {}, True),
        ("2026-13-01: ok", {}, True),
        ("2026-06-1", {}, True),
        ("2026-06-14", {}, False),
        ("  2026-06-14 : 3 GB", {}, False),
        ("2026-06-14 3 GB", {}, False),
        ("2026-06-140: 3 GB", {}, True),
        ("2026-06-13: 3 GB", {}, True),  # 60 hours since its midnight
        ("2026-06-14: 3 GB", {}, False),
        ("2026-06-13: 3 GB", {"max_age_hours": 60}, False),
        ("2026-06-14: 3 GB", {"max_age_hours": 35.5}, True),
        ("2026-06-20: 3 GB", {}, False),
    ],
)
def test_a_backup_is_stale_when_it_is_old_or_unknown(
    assistant: Assistant, value: str | None, condition: object, matches: bool
) -> None:
    assistant.add_rule("stale_backup", condition)
    assistant.add("facts", category="work", key="backup_last_success", value=value)
    assistant.add("facts", category="home", key="backup_last_success", value="2026-06-15: ok")
    assert bool(assistant.evaluate()["triggered"]) is matches


def test_a_backup_that_was_never_made_is_stale(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup")
    assistant.evaluate()
    assert assistant.told == [("Alert: rule", "1 stale_backup found")]


@pytest.mark.parametrize(
    ("last", "quiet"),
    [
        ("2026-06-15T08:01:00", True),
        ("2026-06-15T14:01:00+00:00", True),
        ("2026-06-15T08:00:00.050-06:00", False),  # the slot four hours ago started 50 ms late
        ("2026-06-15T07:00:00", False),
        ("2026-06-15T13:00:00", True),  # the clock was set back a little
        ("2027-01-01T00:00:00", False),  # or far
        ("", False),
        ("long ago", False),
    ],
)
def test_a_rule_is_quiet_for_four_hours(assistant: Assistant, last: str, quiet: bool) -> None:
    assistant.add_rule("stale_backup", last_triggered_at=last)
    result = assistant.evaluate()
    assert (result["quiet"], result["triggered"]) == ((["rule"], []) if quiet else ([], ["rule"]))
    assert (assistant.stamp() == last) is quiet
    assert bool(assistant.told) is not quiet


@pytest.mark.parametrize(
    ("alert_type", "condition", "warning"),
    [
        ("Stale_Backup ", None, "alert_type 'Stale_Backup ' is read as stale_backup"),
        ("stale_backup", "{", "condition '{' is not a JSON object, so the default counts"),
        ("stale_backup", "[]", "condition '[]' is not a JSON object, so the default counts"),
        ("stale_backup", "age > 3", "condition 'age > 3' is not a JSON object, so the default counts"),
        ("stale_backup", "[" * 100_000, "is not a JSON object, so the default counts"),
        ("stale_backup", b"\xff\xfe", "is not a JSON object, so the default counts"),
        ("stale_backup", {"max_age_hours": "2"}, "condition: max_age_hours '2' is read as 2"),
        ("stale_backup", {"max_age_hours": 2.5}, "condition: max_age_hours 2.5 is read as 2"),
        ("stale_backup", {"max_age_hours": True}, "condition: max_age_hours True is read as 1"),
    ],
)
def test_a_rule_is_read_as_leniently_as_the_assistant_reads_it_and_the_result_says_so(
    assistant: Assistant, alert_type: str, condition: object, warning: str
) -> None:
    assistant.add_rule(alert_type, condition)
    result = assistant.evaluate()
    assert (result["status"], result["triggered"]) == ("ok", ["rule"])
    assert warning in result["warnings"]["rule"]
    assert assistant.told == [("Alert: rule", "1 stale_backup found")]


def test_a_rule_of_a_type_that_nobody_knows_matches_nothing_and_is_a_warning(assistant: Assistant) -> None:
    assistant.add_rule("low_battery", {"percent": 5})
    result = assistant.evaluate()
    assert (result["status"], result["triggered"]) == ("ok", [])
    assert result["warnings"]["rule"].startswith("unknown alert_type 'low_battery' matches nothing; the types are ")


def test_a_rule_that_needs_no_guess_has_no_warning(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup", {"max_age_hours": 2.0})
    assert "warnings" not in assistant.evaluate()


@pytest.mark.parametrize(
    ("alert_type", "condition", "reason"),
    [
        ("stale_backup", {"max_age_hours": "soon"}, "max_age_hours must be a whole number up to 100000, not 'soon'"),
        ("stale_backup", {"max_age_hours": None}, "must be a whole number"),
        ("stale_backup", '{"max_age_hours": NaN}', "must be a whole number"),
        ("overdue_delegation", {"days_overdue": 1e300}, "must be a whole number"),
        ("upcoming_deadline", {"within_days": [3]}, "must be a whole number"),
    ],
)
@pytest.mark.law(4)
def test_law_4_one_bad_rule_does_not_stop_the_others(
    assistant: Assistant, alert_type: str, condition: object, reason: str
) -> None:
    assistant.add_rule(alert_type, condition, name="bad")
    assistant.add_rule("stale_backup", name="good")
    result = assistant.evaluate()
    assert result["triggered"] == ["good"]
    assert result["status"] == "error"
    assert result["error"].startswith("1 of 2 alert rules cannot be evaluated: 'bad': ")
    assert reason in result["errors"]["bad"]


@pytest.mark.law(4)
def test_law_4_rules_that_another_program_left_without_a_name_go_by_their_number(assistant: Assistant) -> None:
    assistant.store.write("DROP TABLE alert_rules")
    assistant.store.write(
        "CREATE TABLE alert_rules (id INTEGER PRIMARY KEY, name TEXT UNIQUE, alert_type TEXT, condition TEXT,"
        " enabled INTEGER DEFAULT 1, last_triggered_at TEXT)"
    )
    assistant.add("alert_rules", alert_type="stale_backup")
    assistant.add("alert_rules", alert_type=None)
    assistant.add_rule("stale_backup", name="good")
    result = assistant.evaluate()
    assert (result["triggered"], list(result["warnings"])) == (["rule 1", "good"], ["rule 2"])
    assert assistant.told[0] == ("Alert: rule 1", "1 stale_backup found")


def test_beyond_its_time_limit_no_further_rule_is_evaluated_and_the_next_run_goes_on(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup", name="slow to tell")
    assistant.add_rule("stale_backup", name="next")
    context = a_context(assistant.store)

    def notify(title: str, text: str) -> None:
        context.cancelled.set()

    with pytest.raises(HandlerTimeoutError, match=r"^1 of 2 alert rules evaluated; the next run goes on$"):
        AlertEval(notify)(a_task(), context)
    result = assistant.evaluate()
    assert (result["quiet"], result["triggered"]) == (["slow to tell"], ["next"])


def test_a_date_that_cannot_be_read_is_passed_over_and_logged(
    assistant: Assistant, caplog: pytest.LogCaptureFixture
) -> None:
    assistant.add_rule("overdue_delegation")
    assistant.add("delegations", task="one", due_date="next week")
    assistant.add("delegations", task="two", due_date="2026-06-01")
    with caplog.at_level(logging.WARNING):
        assistant.evaluate()
    assert assistant.told == [("Alert: rule", "1 overdue_delegation found")]
    assert "'next week'" in caplog.text


def test_a_notification_that_fails_is_in_the_result_and_the_rule_has_triggered(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup")
    assistant.undeliverable = True
    result = assistant.evaluate()
    assert result["undelivered"] == {"rule": "notify-send is not on PATH"}
    assert (result["status"], result["triggered"]) == ("ok", ["rule"])
    assert assistant.stamp() == "2026-06-15T12:00:00"


def test_a_name_with_control_characters_is_told_without_them(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup", name="a\x1b[2J\nb")
    assistant.evaluate()
    assert assistant.told == [("Alert: a\\x1b[2J\\nb", "1 stale_backup found")]


@pytest.mark.law(8)
def test_law_8_only_the_stamp_of_a_rule_that_triggered_is_written(assistant: Assistant) -> None:
    assistant.add_rule("stale_backup", {"max_age_hours": 1}, name="one", description="d", created_at="c")
    assistant.add_rule("overdue_delegation", name="two")
    assistant.add("delegations", task="t", due_date="2027-01-01", notes="n")

    def rows() -> list[tuple[object, ...]]:
        tables = ("alert_rules", "delegations", "decisions", "facts", "webhook_events")
        return [tuple(row) for table in tables for row in assistant.store.read(f"SELECT * FROM {table}")]

    before: list[tuple[object, ...]] = rows()
    assistant.evaluate()
    changed = [(old, new) for old, new in zip(before, rows(), strict=True) if old != new]
    [(old, new)] = changed
    assert [index for index in range(len(old)) if old[index] != new[index]] == [6]  # last_triggered_at


def test_the_assistants_own_rules_notify_as_often_as_its_own_evaluator(tmp_path: Path) -> None:
    """Its file, evaluated in its hour: eight of eleven rules; one is fine, one unknown, one quiet."""
    shutil.copy(Path(__file__).parents[1] / "support/assistant/memory.db", tmp_path)
    noon = datetime(2026, 11, 28, 13, 30, tzinfo=UTC)
    with MemoryStore(tmp_path / "memory.db", clock=FakeClock(noon)) as store:
        assistant = Assistant(store)
        result = AlertEval(assistant.notify)(a_task(), a_context(store, now=noon, zone=UTC))
    assert (len(assistant.told), result["quiet"], result["status"]) == (8, ["Cool"], "ok")
    assert set(result["warnings"]) == {"Overdue3", "OverdueText", "OverdueStr", "OverdueList", "Pending", "Unknown"}


def test_the_stamp_is_local_text_that_the_assistant_can_subtract(assistant: Assistant) -> None:
    """It takes the stamp from its own naive present; an offset would make that fail."""
    assistant.add_rule("stale_backup")
    result = AlertEval(assistant.notify)(a_task(), a_context(assistant.store, zone=UTC))
    assert result["triggered"] == ["rule"]
    assert assistant.stamp() == "2026-06-15T12:00:00", "the machine's zone counts, whatever the task's is"
    assert AlertEval(assistant.notify)(a_task(), a_context(assistant.store, zone=UTC))["quiet"] == ["rule"]
