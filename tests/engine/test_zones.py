"""Tests of which zones the queue was filled by, and of what is known of their rules after a restart."""

from __future__ import annotations

import json
import logging
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.engine.zones import ZoneWatch
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import MakeEngine

DENVER = ZoneInfo("America/Denver")
TOKYO = ZoneInfo("Asia/Tokyo")
NOTE = "zone rules"


def noted(store: MemoryStore) -> dict[str, str]:
    rules: dict[str, str] = json.loads(store.notes.note(NOTE) or "{}")
    return rules


def test_a_zone_in_use_is_remembered_beside_those_before_it(store: MemoryStore) -> None:
    watch = ZoneWatch(store)
    watch.use("Europe/Berlin")
    watch.use("Asia/Tokyo")
    assert noted(store).keys() == {"Europe/Berlin", "Asia/Tokyo"}


def test_rules_that_are_as_they_were_are_no_change_after_a_restart(store: MemoryStore) -> None:
    ZoneWatch(store).use("Europe/Berlin")
    assert ZoneWatch(store).changed(DENVER) == []


def test_rules_that_changed_while_nothing_ran_are_found_once(store: MemoryStore) -> None:
    for name in ("Europe/Berlin", "Asia/Tokyo"):
        ZoneWatch(store).use(name)
    now = noted(store)
    store.notes.remember(NOTE, json.dumps(now | {"Asia/Tokyo": "the rules of last year"}))
    watch = ZoneWatch(store)
    assert watch.changed(DENVER) == ["Asia/Tokyo"]
    assert noted(store) == now
    assert watch.changed(DENVER) == []
    assert ZoneWatch(store).changed(DENVER) == []


def test_the_log_names_the_zones_whose_rules_changed(
    store: MemoryStore, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in ("Europe/Berlin", "Asia/Tokyo"):
        ZoneWatch(store).use(name)
    store.notes.remember(NOTE, json.dumps(dict.fromkeys(noted(store), "the rules of last year")))
    make_engine().evaluate_due_tasks()
    assert "The rules of Europe/Berlin, Asia/Tokyo changed; schedules are read again" in caplog.messages


def test_nothing_is_as_seen_before_the_first_look_in_another_zone_or_with_a_further_zone(store: MemoryStore) -> None:
    watch = ZoneWatch(store)
    watch.use("Europe/Berlin")
    assert not watch.are_as_seen(DENVER)
    watch.changed(DENVER)
    assert watch.are_as_seen(DENVER)
    assert not watch.are_as_seen(TOKYO)
    watch.use("Asia/Tokyo")
    assert not watch.are_as_seen(DENVER)


@pytest.mark.law(4)
@pytest.mark.parametrize("text", ["rubbish", "[]", "[" * 100_000, '"Europe/Berlin"'], ids=lambda text: text[:8])
def test_what_makes_no_sense_in_the_note_is_nothing_and_is_written_again(store: MemoryStore, text: str) -> None:
    store.notes.remember(NOTE, text)
    watch = ZoneWatch(store)
    assert watch.changed(DENVER) == []
    watch.use("Europe/Berlin")
    assert noted(store).keys() == {"Europe/Berlin"}
