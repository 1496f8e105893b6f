"""jarvis-trio's handler `webhook_poll` on an inbox full of files."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jarvis_many import resident_bytes
from protocol import answer

from jarvis_trio.handlers.webhook_poll import WebhookPoll
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.store import MemoryStore


def ingest(folder: str, count: int) -> dict[str, float]:
    """Seconds for `count` files to become events and be moved, and resident bytes before and after."""
    inbox = Path(folder) / "inbox"
    inbox.mkdir()
    for number in range(count):
        event = {"source": "benchmark", "event_type": "test", "payload": {"number": number}}
        (inbox / f"{number:06}.json").write_text(json.dumps(event))
    task = ScheduledTask(name="inbox", schedule_type="interval", schedule_config="{}", handler_type="webhook_poll")
    with MemoryStore(Path(folder) / "memory.db") as store:
        context = HandlerContext(
            store=store,
            scheduled_for=datetime.now(UTC),
            attempt=1,
            started_at=datetime.now(UTC) + timedelta(seconds=10),  # files younger than 2 s would wait
            timeout=timedelta(minutes=10),
            logger=logging.getLogger(__name__),
        )
        before = resident_bytes()
        start = time.perf_counter()
        WebhookPoll(inbox)(task, context)
        seconds = time.perf_counter() - start
        events = store.value("SELECT count(*) FROM webhook_events")
        assert events == count, f"{events} events of {count} files"
        return {"seconds": seconds, "bytes_before": before, "bytes_after": resident_bytes()}


if __name__ == "__main__":
    answer({"ingest": ingest})
