"""`remind`: a task whose text is told at a time."""

from __future__ import annotations

import pytest

from tests.support.cli_world import Cli


def test_a_reminder_is_a_task_that_tells_its_text(cli: Cli) -> None:
    assert cli.ok("remind", "Call Ada", "--at", "in 20m") == (
        "I will remind you by notification: Call Ada\nNext: Mon 2026-03-02 09:20 UTC (in 20 min)\n"
    )
    cli.clock.advance(minutes=30)
    cli.ok("tick")
    (run,) = cli.json("history", "Call Ada")
    assert (run["status"], run["result"]) == ("executed", "Call Ada")


def test_as_json_it_is_shown_as_every_task_is(cli: Cli) -> None:
    added = cli.json("remind", "Call Ada", "--at", "in 20m")
    assert added == cli.json("show", "Call Ada")


def test_reminders_of_one_text_have_names_of_their_own(cli: Cli) -> None:
    for _ in range(2):
        cli.ok("remind", "Stand up\n\x1b[2J now", "--every", "50m")
    assert cli.names() == ["Stand up\\n\\x1b[2J now", "Stand up\\n\\x1b[2J now 2"]


def test_it_goes_where_alerts_go(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JARVIS_ALERT_CHANNEL", "email")
    monkeypatch.setenv("JARVIS_ALERT_CONFIG", '{"to": "me@example.org"}')
    cli.ok("remind", "Call Ada", "--at", "noon")
    task = cli.task("Call Ada")
    assert (task.delivery_channel, task.delivery_config) == ("email", '{"to": "me@example.org"}')
    cli.ok("remind", "x", "--at", "noon", "--deliver", "notification", "--name", "mine")
    assert cli.task("mine").delivery_channel == "notification"


def test_a_reminder_needs_a_time(cli: Cli) -> None:
    assert "give --every, --cron or --at" in cli.fails("remind", "Call Ada", code=2)
    assert "a reminder needs a text" in cli("run-now", _added(cli)).err


def _added(cli: Cli) -> str:
    cli.ok("add", "empty", "--every", "1h", "--handler", "remind")
    return "empty"


def test_a_reminder_that_goes_nowhere_is_refused(cli: Cli) -> None:
    said = cli.fails("remind", "Call Ada", "--at", "noon", "--deliver", "none", code=2)
    assert "a reminder that goes nowhere reminds nobody; name a channel with --deliver" in said
    assert cli.names() == []
