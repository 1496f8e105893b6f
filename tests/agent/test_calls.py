"""`run_task` waits for a run, and answers before its client gives up: on a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jarvis_trio.agent.calls import WAIT, Waiting
from jarvis_trio.cli.session import CommandSession
from jarvis_trio.process.lock import DaemonLock
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.requests import RequestKind
from tests.support.cli_world import Cli


@pytest.fixture
def waiting(cli: Cli) -> Iterator[Waiting]:
    """A daemon was asked to run a task. The request is put by hand: to wake the daemon would be to signal ourselves."""
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    now = cli.clock.now()
    with MemoryStore(cli.path, clock=cli.clock) as store:
        task_id = store.tasks.require_task("poll").id
        assert task_id is not None
        number = store.requests.ask(RequestKind.RUN, task_id, asked_by="an assistant", asker="a server", at=now)

    environment = {"JARVIS_DATA_DIR": str(cli.data), "PATH": "/usr/bin:/bin"}
    with DaemonLock(cli.data / "jarvis-daemon.lock", now):
        yield Waiting(lambda: CommandSession(environment, cli.clock), "poll", number, WAIT)


def start(cli: Cli) -> None:
    """What the daemon does with the request."""
    now = cli.clock.now()
    with MemoryStore(cli.path, clock=cli.clock) as store:
        claim = store.runs.claim_run(store.tasks.require_task("poll"), now, 1, started_at=now, owner="a daemon")
        [request] = store.requests.open_requests()
        assert claim is not None
        assert store.requests.answer(request.id, now, run_id=claim.run_id)


def test_a_run_of_more_than_45_seconds_is_answered_as_still_running_and_goes_on(cli: Cli, waiting: Waiting) -> None:
    start(cli)
    assert waiting.look() is None

    cli.clock.advance(seconds=44.9)
    assert waiting.look() is None

    cli.clock.advance(seconds=0.1)
    answer = waiting.look()
    assert answer is not None
    assert (answer["still_running"], answer["run"]["status"]) == (True, "running")
    assert answer["says"] == "poll still runs and goes on; list_runs tells its end"
    assert [str(run.status) for run in cli.runs("poll")] == ["running"]


def test_a_run_that_has_not_begun_by_then_is_not_said_to_run(cli: Cli, waiting: Waiting) -> None:
    assert waiting.look() is None

    cli.clock.advance(seconds=45)
    answer = waiting.look()
    assert answer is not None
    assert (answer["still_running"], answer["run"]) == (True, None)
    assert answer["says"] == "poll has not begun yet; the daemon may still run it, and list_runs tells its end"
