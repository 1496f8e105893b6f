"""Hand a slot over to the workers of Celery, which run it once however often it is sent."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.exceptions import Ignore
from kombu.exceptions import OperationalError

from jarvis_trio.errors import HandlerError
from jarvis_trio.models import HandlerContext, ScheduledTask, json_object
from jarvis_trio.notation.instants import utc_text

KEPT = timedelta(days=7)
"""How long a worker remembers what it has run: longer than a slot is ever tried again."""


def celery_job(task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
    """Send `job`, the task of their application, through `broker`; it is told `slot` beside its `arguments`.

    `{"broker": "redis://homeserver/0", "job": "reports.make", "arguments": {}, "queue": "celery"}`.
    """
    config = {"queue": "celery", "arguments": {}} | json_object(task.handler_config, "handler_config")
    slot = utc_text(context.scheduled_for)
    # The same for each attempt at the slot: a broker cannot say whether it has a message already,
    # so that a second one is sent, and the worker (`once`) knows by its number that it is the second.
    number = str(uuid.uuid5(uuid.NAMESPACE_OID, f"jarvis {task.id} {slot}"))
    try:
        with Celery(broker=config["broker"], set_as_current=False) as app:
            app.conf.broker_transport_options = {"socket_timeout": 10, "socket_connect_timeout": 10}
            options = {"queue": config["queue"], "task_id": number, "retry": False, "ignore_result": True}
            app.send_task(config["job"], kwargs={"slot": slot, **config["arguments"]}, **options)
    except KeyError as error:
        raise HandlerError(f"no {error} in the handler_config; add it") from error
    except OperationalError as error:
        raise HandlerError(f"cannot send to {config['broker']}: {error}; see whether it runs") from error
    return {"job": number}


def once(redis: Any, lease: timedelta = timedelta(hours=1)) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For their workers: a job of one number runs once, and again only if it failed.

    It stands below Celery's own decorator, which has to bind the job to its function:

        @app.task(name="reports.make", bind=True)
        @once(Redis.from_url("redis://homeserver/0"))
        def make(job, slot, title): ...

    Args:
        redis: a client of redis-py.
        lease: longer than the job ever runs. If its worker is killed, it can run again after that,
            if Celery delivers it again (`acks_late`).
    """

    def guard(run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def guarded(job: Any, *arguments: Any, **named: Any) -> Any:
            key = f"once {job.request.id}"
            if not redis.set(key, "begun", nx=True, ex=lease):
                raise Ignore
            try:
                result = run(job, *arguments, **named)
            except BaseException:
                redis.delete(key)
                raise
            redis.set(key, "done", ex=KEPT)
            return result

        return guarded

    return guard
