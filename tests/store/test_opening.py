"""Tests of what the way in hands on to a file's store."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.errors import StoreBusyError, StoreError
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.opening import open_store
from tests.support.core_fakes import FakeClock


def test_a_file_is_made_and_can_be_written(path: Path, clock: FakeClock) -> None:
    with open_store(path, clock=clock) as store:
        store.notes.remember("key", "value")
        assert store.notes.note("key") == "value"
        assert store.clock is clock


def test_who_only_looks_writes_nothing(path: Path) -> None:
    MemoryStore(path).close()
    with open_store(path, read_only=True) as store, pytest.raises(StoreError):
        store.notes.remember("key", "value")


def test_a_write_waits_as_long_as_it_is_told(store: MemoryStore, path: Path, other: sqlite3.Connection) -> None:
    with open_store(path, busy_timeout=timedelta(milliseconds=20)) as impatient:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError):
            impatient.notes.remember("key", "value")
        other.execute("ROLLBACK")
