"""End-to-end tests of the examples that hand slots over to queues: real servers, and real workers of theirs.

They need what `examples/pyproject.toml` names as its extras, which the program itself does not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jarvis_trio.models import Outcome, RunStatus
from jarvis_trio.notation.instants import utc_text
from jarvis_trio.trial import try_handler
from tests.support.cli_world import CHECKOUT, eventually
from tests.support.core_fakes import START
from tests.support.postgres_server import PostgresServer, await_listener, free_port

pytestmark = [pytest.mark.long, pytest.mark.law(2)]

EXAMPLES = CHECKOUT / "examples"
WORKERS = CHECKOUT / "tests" / "support" / "queue_workers"
SLOTS = [START + timedelta(hours=hours) for hours in range(3)]
TITLE = "sales"


class Hand:
    """Hands slots over by a handler, and knows what their workers have written."""

    def __init__(self, handler: Callable[..., Any], config: dict[str, Any], reports: Path) -> None:
        self._handler = handler
        self._config = {**config, "job": "reports.make", "arguments": {"title": TITLE}}
        self._reports = reports

    def over(self, slot: Any, attempt: int = 1, **config: Any) -> Outcome:
        return try_handler(self._handler, self._config | config, scheduled_for=slot, attempt=attempt)

    def result(self, slot: Any, attempt: int = 1) -> Any:
        outcome = self.over(slot, attempt)
        assert outcome.status is RunStatus.EXECUTED, outcome
        return json.loads(outcome.result or "null")

    def written(self) -> list[str]:
        return self._reports.read_text().splitlines() if self._reports.exists() else []


def lines(*slots: Any) -> list[str]:
    return [f"{TITLE} {utc_text(slot)}" for slot in slots]


@contextmanager
def worker(folder: Path, queue: str, *arguments: str) -> Iterator[None]:
    """A worker process of theirs, which is ended as they want it: SIGTERM."""
    path = os.pathsep.join([str(WORKERS), str(EXAMPLES), str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"QUEUE": queue, "REPORTS": str(folder / "reports"), "PYTHONPATH": path}
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", *arguments], env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=180)


def needed(module: str) -> Any:
    reason = f"{module} needs: pip install './examples[celery,procrastinate]'"
    return pytest.importorskip(module, reason=reason, exc_type=ImportError)


@pytest.fixture(autouse=True)
def _examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.fixture
def procrastinate(postgres: PostgresServer, tmp_path: Path) -> SimpleNamespace:
    example = needed("jarvis_trio_examples.procrastinate_job")
    address = postgres.new_database()
    with example.App(connector=example.SyncPsycopgConnector(conninfo=address)).open() as app:
        app.schema_manager.apply_schema()
    hand = Hand(example.procrastinate_job, {"database": address}, tmp_path / "reports")
    arguments = ("procrastinate", "--app=procrastinate_app.app", "worker")
    return SimpleNamespace(hand=hand, worker=lambda: worker(tmp_path, address, *arguments))


def test_procrastinate_runs_a_slot_once_however_often_it_is_tried(procrastinate: SimpleNamespace) -> None:
    hand = procrastinate.hand
    first = [hand.result(slot) for slot in SLOTS]
    assert [hand.result(slot, 2)["job"] for slot in SLOTS] == [found["job"] for found in first]
    with procrastinate.worker():
        eventually(lambda: len(hand.written()) >= 3)
        # It is done by now, and an attempt after that queues nothing either; the last slot proves it.
        assert hand.result(SLOTS[0], 3)["queued"] == "by an earlier attempt"
        last = START + timedelta(days=1)
        assert hand.result(last)["queued"] == "now"
        eventually(lambda: lines(last)[0] in hand.written())
    assert sorted(hand.written()) == lines(*SLOTS, last)


def test_procrastinate_that_cannot_be_reached_is_an_error_in_one_line(procrastinate: SimpleNamespace) -> None:
    outcome = procrastinate.hand.over(SLOTS[0], database="postgresql://127.0.0.1:1/x")
    assert outcome.status is RunStatus.ERROR
    assert outcome.reason.startswith("cannot queue a job in postgresql://127.0.0.1:1/x: ")
    assert "\n" not in outcome.reason
    assert procrastinate.hand.over(SLOTS[0], job=None).status is RunStatus.ERROR


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """The address of a Redis server of the test's own."""
    if (program := shutil.which("redis-server")) is None:
        pytest.skip("no Redis server is installed (Debian: apt-get install redis-server)")
    port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path],
        stdout=subprocess.DEVNULL,
    )
    try:
        await_listener(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def celery(redis: str, tmp_path: Path) -> SimpleNamespace:
    needed("redis")
    hand = Hand(needed("jarvis_trio_examples.celery_job").celery_job, {"broker": redis}, tmp_path / "reports")
    arguments = ("celery", "--app=celery_app", "worker", "--pool=solo", "--loglevel=INFO")
    return SimpleNamespace(hand=hand, worker=lambda: worker(tmp_path, redis, *arguments))


def test_celery_runs_a_slot_once_however_often_it_is_sent(celery: SimpleNamespace) -> None:
    hand = celery.hand
    first = [hand.result(slot) for slot in SLOTS]
    assert [hand.result(slot, 2) for slot in SLOTS] == first
    with celery.worker():
        eventually(lambda: len(hand.written()) >= 3)
        # They come in the order in which they were sent: when the last is done, the third was refused.
        hand.result(SLOTS[0], 3)
        last = START + timedelta(days=1)
        hand.result(last)
        eventually(lambda: lines(last)[0] in hand.written())
    assert sorted(hand.written()) == lines(*SLOTS, last)


def test_celery_that_cannot_be_reached_is_an_error_in_one_line(celery: SimpleNamespace) -> None:
    outcome = celery.hand.over(SLOTS[0], broker="redis://127.0.0.1:1/0")
    assert outcome.status is RunStatus.ERROR
    assert outcome.reason.startswith("cannot send to redis://127.0.0.1:1/0: ")
    assert "\n" not in outcome.reason
