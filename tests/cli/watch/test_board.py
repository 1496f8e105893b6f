"""What the live screen shows, read from a real database."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from jarvis_trio.cli.watch.board import Board, countdown, matching, read_board
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.models import RunStatus
from tests.support.cli_world import Cli


def board(cli: Cli) -> Board:
    cli.ok("status")  # it reads the settings of this test
    with CommandSession(os.environ, cli.clock) as session:
        return read_board(session)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m00s"), (125, "2m05s"), (3_599, "59m59s"), (11_400, "3h10m"), (187_200, "2d04h")],
)
def test_a_countdown_keeps_its_width(seconds: int, text: str) -> None:
    assert countdown(timedelta(seconds=seconds)) == text


def test_a_task_is_shown_with_its_next_slot_and_its_last_outcomes(cli: Cli) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    cli.clock.advance(minutes=5)
    cli.ok("tick")
    cli.clock.advance(minutes=5)
    cli.ok("tick")

    (row,) = board(cli).rows
    assert row.strip == (RunStatus.EXECUTED, RunStatus.EXECUTED)
    assert row.next_at == cli.clock.now() + timedelta(minutes=5)
    assert (row.enabled, row.running, row.set_aside) == (True, None, None)


def test_a_paused_task_has_no_next_slot(cli: Cli) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    cli.ok("pause", "poll")

    (row,) = board(cli).rows
    assert (row.enabled, row.next_at) == (False, None)


def test_rows_are_filtered_by_name_and_by_schedule(cli: Cli) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    cli.ok("add", "rules", "--every", "2h", "--handler", "alert_eval")
    rows = board(cli).rows

    assert [row.name for row in matching(rows, "POLL")] == ["poll"]
    assert [row.name for row in matching(rows, "every 2h")] == ["rules"]
    assert [row.name for row in matching(rows, "")] == ["poll", "rules"]
