"""Servers and programs that hang, on every channel: a good task runs on time beside them, and so does the stop.

Real processes, real sockets on loopback. A server drips one byte every while, so no single wait for it is long.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.cli_world import Program, eventually
from tests.support.dripping import Dripping

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

LATEST = timedelta(seconds=15)
STOP_SECONDS = 15.0
"""Also on a busy machine; who waited for a channel would wait for half a minute and longer."""

CHANNELS = {
    "email": {"to": "me@example.org"},
    "teams": {},
    "apprise": {"urls": ["env:SLOW_URL"]},
    "notification": {},
    "imessage": {"recipient": "+15550100"},
}


@pytest.fixture
def server() -> Iterator[Dripping]:
    server = Dripping()
    yield server
    server.close()


@pytest.fixture
def home(program: Program, server: Dripping, tmp_path: Path) -> Program:
    """A set-up whose every channel hangs."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("notify-send", "osascript"):
        (programs / name).write_text("#!/bin/sh\nexec sleep 60\n")
        (programs / name).chmod(0o755)
    url = f"http://127.0.0.1:{server.port}/"
    program.environment |= {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "JARVIS_SMTP_URL": f"smtp://127.0.0.1:{server.port}",
        "JARVIS_TEAMS_WEBHOOK_URL": url,
        "SLOW_URL": url.replace("http", "json"),
        "JARVIS_ALERT_CHANNEL": "email",
        "JARVIS_ALERT_CONFIG": json.dumps(CHANNELS["email"]),
    }
    assert program("init").code == 0
    assert program("allow", "true", "false", "sleep").code == 0
    return program


def add(home: Program, name: str, every: str, *command: str, channel: str | None = None) -> None:
    deliver = ["--deliver", channel, "--deliver-config", json.dumps(CHANNELS[channel])] if channel else []
    done = home("add", name, "--every", every, *deliver, "--", *command)
    assert done.code == 0, done


def starts(home: Program, name: str) -> list[datetime]:
    runs = json.loads(home("history", name, "--limit", "100", "--json").out)
    return sorted(datetime.fromisoformat(run["started_at"]) for run in runs)


@pytest.mark.law(1)
@pytest.mark.law(4)
def test_whatever_channel_hangs_a_good_task_is_on_time_and_so_is_the_stop(home: Program, server: Dripping) -> None:
    for channel in CHANNELS:
        add(home, f"by-{channel}", "1s", "true", channel=channel)
    add(home, "fails", "1s", "false")  # which is told by the channel for alerts
    add(home, "good", "1s", "true")
    daemon = home.daemon(DAEMON_MAX_CONCURRENT_TASKS="2")
    eventually(lambda: server.connections >= 3 and len(starts(home, "good")) >= 6)

    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    _, log = daemon.communicate(timeout=180)
    assert (daemon.returncode, time.monotonic() - began < STOP_SECONDS) == (0, True), log

    times = starts(home, "good")
    assert max(later - earlier for earlier, later in pairwise(times)) < LATEST
    assert json.loads(home("status", "--json").out)["undelivered"] >= len(CHANNELS)


@pytest.mark.law(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_tick_that_waits_for_a_server(home: Program, server: Dripping, number: signal.Signals) -> None:
    add(home, "told", "1s", "true", channel="email")
    time.sleep(1)  # then it is due
    tick = home.start("tick")
    eventually(lambda: server.connections)
    began = time.monotonic()
    tick.send_signal(number)
    _, log = tick.communicate(timeout=180)
    assert (tick.returncode, time.monotonic() - began < STOP_SECONDS) == (0, True), log
    assert json.loads(home("history", "told", "--json").out)[0]["status"] == "executed"
