"""Fixtures of the core: a clock, a store, engines, and another program at the same file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cli_world import cli, program  # noqa: F401  # fixtures
from core_fakes import FakeClock, Notes

from jarvis_trio.delivery import Message
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.models import Handler
from jarvis_trio.reports import Reports
from jarvis_trio.runner import run_inline
from jarvis_trio.store import MemoryStore

MakeEngine = Callable[..., SchedulerEngine]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def store(path: Path, clock: FakeClock) -> Iterator[MemoryStore]:
    with MemoryStore(path, clock=clock, busy_timeout=timedelta(seconds=5)) as store:
        yield store


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def make_engine(store: MemoryStore, clock: FakeClock, notes: Notes) -> MakeEngine:
    """Makes engines on the store: handlers by type beside `note`, called inline, nobody else alive."""

    def make(handlers: Mapping[str, Handler] | None = None, **options: Any) -> SchedulerEngine:
        at = options.pop("store", store)
        return SchedulerEngine(
            at,
            handlers={"note": notes, **(handlers or {})},
            **{
                "clock": clock,
                "runner": run_inline,
                "owner": "here",
                "is_alive": lambda owner: False,
                "reports": Reports(at, clock, _send),
                "random": Random(0),
                **options,
            },
        )

    return make


def _send(channel: str, config: Mapping[str, Any], message: Message) -> str:
    return channel


@pytest.fixture
def engine(make_engine: MakeEngine) -> SchedulerEngine:
    return make_engine()


@pytest.fixture
def other(path: Path, store: MemoryStore) -> Iterator[sqlite3.Connection]:
    """The connection of another program, which knows nothing of us."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection
