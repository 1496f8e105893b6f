"""What follows an interruption by a death: the slot runs again, or people are told."""

from __future__ import annotations

from datetime import datetime

from jarvis_trio.engine.notices import Notices
from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import Run, TroubleKind
from jarvis_trio.policy import OnInterrupt, task_policy
from jarvis_trio.store import MemoryStore

MAX_ATTEMPTS_AFTER_INTERRUPT = 3
"""A slot whose attempts die with their process is tried at most this often."""


def run_again(store: MemoryStore, notices: Notices, run: Run, reason: str, now: datetime) -> str:
    """Queue the slot of an interrupted run again, as its task's policy says.

    Call it in the transaction that records the end. Returns what to add to the reason.
    """
    task = store.runs.task_of_run(run.id)
    if task is None or not task.enabled:
        return ""
    try:
        wanted = task_policy(task.policy).on_interrupt is OnInterrupt.RETRY
    except ScheduleError:
        wanted = False

    if not wanted or run.attempt >= MAX_ATTEMPTS_AFTER_INTERRUPT:
        notices.trouble(task, TroubleKind.FAILING, reason, now)
        return ""
    store.queue.enqueue_retry(task, run.scheduled_for, run.attempt + 1, max(now, run.scheduled_for))
    return "; its slot runs again"
