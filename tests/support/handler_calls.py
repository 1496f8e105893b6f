"""What a handler is called with, for the tests of the handlers."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from jarvis_trio.models import HandlerContext, ScheduledTask

DENVER = ZoneInfo("America/Denver")
NOON = datetime(2026, 6, 15, 18, 0, tzinfo=UTC)
"""12:00 in Denver, a Monday."""


def a_task(config: object = None, name: str = "nightly") -> ScheduledTask:
    """A task whose handler_config is `config` as JSON."""
    return ScheduledTask(
        id=1,
        name=name,
        schedule_type="interval",
        schedule_config='{"minutes": 5}',
        handler_type="any",
        handler_config=json.dumps(config),
    )


def a_context(
    store: Any = None,
    *,
    now: datetime = NOON,
    timeout: timedelta = timedelta(seconds=60),
    zone: tzinfo = DENVER,
    attempt: int = 1,
) -> HandlerContext:
    """A call that started at `now`, for the slot of that time."""
    return HandlerContext(
        store=store,
        scheduled_for=now,
        attempt=attempt,
        started_at=now,
        timeout=timeout,
        logger=logging.getLogger("test"),
        zone=zone,
    )
