"""The composition root: what it puts together, and which settings it refuses."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.engine.assembly import make_engine
from jarvis_trio.errors import SettingError
from jarvis_trio.handlers.making import make_channels, make_handlers
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.settings import read_settings
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import FakeClock


def test_the_handlers_are_the_built_in_ones_with_the_settings_folders(tmp_path: Path, clock: FakeClock) -> None:
    settings = read_settings({"WEBHOOK_INBOX_DIR": str(tmp_path / "in")}, tmp_path)
    handlers = make_handlers(settings, make_channels(settings, os.environ))
    task = ScheduledTask(name="inbox", schedule_type="interval", schedule_config="{}", handler_type="webhook_poll")
    with MemoryStore(tmp_path / "memory.db", clock=clock) as store:
        context = HandlerContext(store, clock.now(), 1, clock.now(), timedelta(minutes=1), logging.getLogger())
        assert handlers["webhook_poll"](task, context) == {"status": "ok", "ingested": 0, "failed": 0, "waiting": 0}
    assert (tmp_path / "in/processed").is_dir()
    assert {"alert_eval", "custom", "webhook_poll"} <= set(handlers)


@pytest.mark.parametrize(
    ("channel", "config", "reason"),
    [
        ("pigeon", "", "unknown channel 'pigeon'; use one of notification, email"),
        ("email", "{}", "nobody is named to send to"),
        ("email", "{", "JARVIS_ALERT_CONFIG is not a JSON object"),
    ],
)
def test_alerts_that_can_reach_nobody_are_refused_before_anything_runs(
    store: MemoryStore, clock: FakeClock, tmp_path: Path, channel: str, config: str, reason: str
) -> None:
    settings = read_settings({"JARVIS_ALERT_CHANNEL": channel, "JARVIS_ALERT_CONFIG": config}, tmp_path)
    with pytest.raises(SettingError, match=f"^JARVIS_ALERT_CHANNEL '{channel}' cannot be used: .*{reason}"):
        make_engine(settings, store, {})
