"""Hand a slot over to the workers of procrastinate, as one job however often it is tried."""

from __future__ import annotations

from typing import Any

import psycopg
from procrastinate import App, SyncPsycopgConnector

from jarvis_trio.errors import HandlerError
from jarvis_trio.models import HandlerContext, ScheduledTask, json_object
from jarvis_trio.notation.instants import utc_text


def procrastinate_job(task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
    """Queue `job`, the task of their application, in `database`; it is told `slot` beside its `arguments`.

    `{"database": "postgresql://queue@homeserver/queue", "job": "reports.make", "arguments": {}, "queue": "default"}`.
    The password belongs in `~/.pgpass`. What comes of the job is theirs to tell.
    """
    config = {"queue": "default", "arguments": {}} | json_object(task.handler_config, "handler_config")
    slot = utc_text(context.scheduled_for)
    key = f"jarvis {task.id} {slot}"
    try:
        # One transaction: the job is queued and this is known to whoever looks, or neither.
        with psycopg.connect(config["database"], connect_timeout=10) as connection:
            # Of two attempts at a slot one waits for the other, should a timed-out one still be at work.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
            # `queueing_lock` is unique among waiting jobs only, so look for those that are done, too.
            found = connection.execute("SELECT id FROM procrastinate_jobs WHERE queueing_lock = %s", (key,)).fetchone()
            if found is not None:
                return {"job": found[0], "queued": "by an earlier attempt"}
            job = App(connector=SyncPsycopgConnector()).configure_task(
                config["job"], queue=config["queue"], queueing_lock=key, connection=connection
            )
            return {"job": job.defer(slot=slot, **config["arguments"]), "queued": "now"}
    except KeyError as error:
        raise HandlerError(f"no {error} in the handler_config; add it") from error
    except psycopg.Error as error:
        says = " ".join(str(error).split())
        raise HandlerError(f"cannot queue a job in {config['database']}: {says}; see whether it runs") from error
