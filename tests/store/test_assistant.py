"""Tests of the assistant's other tables: what of them is read, whatever it holds, and what is written."""

from __future__ import annotations

import sqlite3

import pytest

from jarvis_trio.errors import ConflictError
from jarvis_trio.models import AlertRule, WebhookEvent
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.assistant import EventRow, RuleRow

INBOX, OTHER_INBOX = b"/inbox", b"/other"
NOW = "2026-03-02T09:00:00+00:00"
ODD = sqlite3.Binary(b"a\xff")


def event(file: bytes) -> WebhookEvent:
    return WebhookEvent(file, "github", "push", "{}")


def take_in(store: MemoryStore, *files: bytes, at_hand: set[bytes], inbox: bytes = INBOX) -> int:
    return store.assistant.add_webhook_events(inbox, [event(file) for file in files], at_hand, NOW)


def test_an_event_is_pending_since_it_was_received(store: MemoryStore, other: sqlite3.Connection) -> None:
    assert take_in(store, b"a", at_hand={b"a"}) == 1
    row = other.execute("SELECT source, event_type, payload, status, received_at, processed_at FROM webhook_events")
    assert row.fetchall() == [("github", "push", "{}", "pending", NOW, None)]


@pytest.mark.law(3)
def test_a_file_is_taken_in_once_while_it_is_at_hand(store: MemoryStore) -> None:
    take_in(store, b"a", at_hand={b"a"})
    assert take_in(store, b"b", b"a", at_hand={b"a", b"b"}) == 1
    assert store.value("SELECT count(*) FROM webhook_events") == 2


@pytest.mark.law(3)
def test_a_new_file_of_the_name_of_one_that_was_moved_away_is_another(store: MemoryStore) -> None:
    take_in(store, b"a", b"b", at_hand={b"a", b"b"})
    take_in(store, at_hand={b"b"})
    assert take_in(store, b"b", at_hand={b"a", b"b"}) == 0
    assert take_in(store, b"a", at_hand={b"a", b"b"}) == 1


@pytest.mark.law(3)
def test_inboxes_do_not_know_each_others_files(store: MemoryStore) -> None:
    take_in(store, b"a", at_hand={b"a"})
    assert take_in(store, b"a", at_hand={b"a"}, inbox=OTHER_INBOX) == 1
    take_in(store, at_hand=set(), inbox=OTHER_INBOX)
    assert take_in(store, b"a", at_hand={b"a"}) == 0


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_events_are_added_all_together_or_not_at_all(store: MemoryStore, other: sqlite3.Connection) -> None:
    other.execute(
        "CREATE TRIGGER theirs BEFORE INSERT ON webhook_events WHEN NEW.source = 'no'"
        " BEGIN SELECT raise(ABORT, 'no'); END"
    )
    events = [event(b"a"), WebhookEvent(b"b", "no", "push", "{}")]
    with pytest.raises(ConflictError):
        store.assistant.add_webhook_events(INBOX, events, {b"a", b"b"}, NOW)
    assert store.value("SELECT count(*) FROM webhook_events") == 0
    assert take_in(store, b"a", at_hand={b"a"}) == 1


def add_rule(other: sqlite3.Connection, number: int, *values: object, enabled: object = 1) -> None:
    columns = "id, name, alert_type, condition, last_triggered_at, enabled"
    other.execute(f"INSERT INTO alert_rules ({columns}) VALUES (?, ?, ?, ?, ?, ?)", (number, *values, enabled))


@pytest.mark.sqlite
def test_enabled_rules_come_in_the_order_in_which_they_were_made(store: MemoryStore, other: sqlite3.Connection) -> None:
    for number, name in ((3, "a"), (1, "c"), (2, "b")):
        add_rule(other, number, name, "stale_backup", None, None)
    add_rule(other, 4, "off", "stale_backup", None, None, enabled=0)
    add_rule(other, 5, "odd", "stale_backup", None, None, enabled="yes")
    assert [rule.name for rule in store.assistant.enabled_alert_rules()] == ["c", "b", "a"]


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_a_rule_of_the_wrong_types_is_read_as_text(store: MemoryStore, other: sqlite3.Connection) -> None:
    add_rule(other, 1, ODD, ODD, ODD, ODD)
    add_rule(other, 2, "plain", "x", None, None)
    text = "a\ufffd"
    assert store.assistant.enabled_alert_rules() == [
        AlertRule(1, text, text, text, text),
        AlertRule(2, "plain", "x", None, None),
    ]


def test_a_stamp_is_that_rules_alone(store: MemoryStore, other: sqlite3.Connection) -> None:
    for number in (1, 2):
        add_rule(other, number, f"{number}", "stale_backup", None, None)
    store.assistant.stamp_alert_rule(2, NOW)
    assert [rule.last_triggered_at for rule in store.assistant.enabled_alert_rules()] == [None, NOW]


@pytest.mark.sqlite
def test_active_delegations_that_have_a_due_date_are_due(store: MemoryStore, other: sqlite3.Connection) -> None:
    for status, due in (("active", "2026-03-02"), ("completed", "2026-03-01"), ("active", ""), ("active", None)):
        other.execute("INSERT INTO delegations (task, status, due_date) VALUES ('t', ?, ?)", (status, due))
    other.execute("INSERT INTO delegations (task, due_date) VALUES ('t', ?)", (ODD,))
    assert store.assistant.delegations_due() == ["2026-03-02", "a\ufffd"]


@pytest.mark.sqlite
def test_pending_decisions_are_told_with_when_they_were_made(store: MemoryStore, other: sqlite3.Connection) -> None:
    pending = "pending_execution"
    for status, made in ((pending, "2026-03-02"), ("executed", "2026-03-01"), (pending, ""), (pending, None)):
        other.execute("INSERT INTO decisions (title, status, created_at) VALUES ('t', ?, ?)", (status, made))
    other.execute("INSERT INTO decisions (title, created_at) VALUES ('t', ?)", (ODD,))
    assert store.assistant.decisions_pending_since() == ["2026-03-02", "a\ufffd"]


@pytest.mark.sqlite
def test_a_fact_is_found_by_category_and_key(store: MemoryStore, other: sqlite3.Connection) -> None:
    for row in (("work", "other", "1"), ("home", "backup", "2"), ("work", "backup", ODD), ("work", "nothing", None)):
        other.execute("INSERT INTO facts (category, key, value) VALUES (?, ?, ?)", row)
    assert store.assistant.fact("work", "backup") == "a\ufffd"
    assert [store.assistant.fact("work", "nothing"), store.assistant.fact("work", "unknown")] == [None, None]


def test_a_rule_is_added_enabled_and_all_are_listed_whole_by_name(store: MemoryStore) -> None:
    store.assistant.add_alert_rule("b", "stale_backup", '{"hours": 24}', None, NOW)
    store.assistant.add_alert_rule("a", "overdue", "{}", "what it is for", NOW)
    store.assistant.enable_alert_rule(2, False)
    assert store.assistant.alert_rules() == [
        RuleRow(2, "a", "what it is for", "overdue", "{}", False, None, NOW),
        RuleRow(1, "b", None, "stale_backup", '{"hours": 24}', True, None, NOW),
    ]
    store.assistant.enable_alert_rule(2, True)
    assert [rule.enabled for rule in store.assistant.alert_rules()] == [True, True]


def test_a_rule_that_is_deleted_is_gone_alone(store: MemoryStore) -> None:
    for name in ("a", "b"):
        store.assistant.add_alert_rule(name, "stale_backup", "{}", None, NOW)
    store.assistant.delete_alert_rule(1)
    assert [rule.name for rule in store.assistant.alert_rules()] == ["b"]


@pytest.fixture
def events(store: MemoryStore) -> list[int]:
    """The numbers of three events; the second one was dealt with."""
    numbers = [store.assistant.add_webhook_event("github", kind, "{}", NOW) for kind in ("push", "issue", "release")]
    store.assistant.set_webhook_event(numbers[1], "processed", NOW)
    return numbers


@pytest.mark.parametrize(
    ("status", "limit", "kinds"),
    [
        (None, -1, ["release", "issue", "push"]),
        (None, 2, ["release", "issue"]),
        (None, 0, []),
        ("pending", -1, ["release", "push"]),
        ("pending", 1, ["release"]),
        ("processed", -1, ["issue"]),
    ],
)
def test_events_are_listed_the_newest_first(
    store: MemoryStore, events: list[int], status: str | None, limit: int, kinds: list[str]
) -> None:
    assert [found.event_type for found in store.assistant.webhook_events(status, limit)] == kinds


def test_an_event_is_found_by_its_number_until_it_is_deleted(store: MemoryStore, events: list[int]) -> None:
    _, second, _ = events
    assert store.assistant.webhook_event(second) == EventRow(second, "github", "issue", "{}", "processed", NOW, NOW)
    store.assistant.delete_webhook_event(second)
    assert store.assistant.webhook_event(second) is None
    assert len(store.assistant.webhook_events(None, -1)) == 2
