"""Try a handler without a daemon, a database or a task: one call, as the daemon makes it.

```python
from jarvis_trio.trial import try_handler

def greet(task, context):
    return {"greeting": f"hello, attempt {context.attempt}"}

print(try_handler(greet).result)
```
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jarvis_trio.clock import SystemClock
from jarvis_trio.engine.runner import run_in_thread
from jarvis_trio.models import Handler, HandlerContext, Outcome, ScheduledTask, ScheduleType
from jarvis_trio.notation.instants import as_utc
from jarvis_trio.store import MemoryStore


def try_handler(
    handler: Handler,
    config: Mapping[str, Any] | None = None,
    *,
    scheduled_for: datetime | None = None,
    attempt: int = 1,
    timeout: timedelta = timedelta(minutes=5),
) -> Outcome:
    """Call a handler as the daemon does: in a thread, with its time limit, whatever it raises.

    It is called now, by the machine's clock and in its zone, with a store that is empty and
    deleted afterwards. What the handler does to the rest of the world is real.

    Args:
        handler: a callable `(task, context)`.
        config: what the task's `handler_config` holds.
        scheduled_for: the slot's nominal time, naive ones local; by default now.
        attempt: which attempt at that slot it is, from 1.
        timeout: its time limit.

    Returns how it ended: the `status`, the `result` as the JSON that a row keeps, the `reason`.
    """
    clock = SystemClock()
    now, zone = clock.now(), clock.zone()
    task = ScheduledTask(
        id=1,
        name="trial",
        schedule_type=ScheduleType.ONCE,
        schedule_config=json.dumps({"run_at": now.isoformat()}),
        handler_type="trial",
        handler_config=None if config is None else json.dumps(dict(config)),
    )
    with tempfile.TemporaryDirectory() as folder, MemoryStore(Path(folder) / "memory.db", clock=clock) as store:
        context = HandlerContext(
            store=store,
            scheduled_for=as_utc(scheduled_for or now, zone),
            attempt=attempt,
            started_at=now,
            timeout=timeout,
            logger=logging.getLogger(__name__),
            zone=zone,
        )
        return run_in_thread(handler, task, context)
