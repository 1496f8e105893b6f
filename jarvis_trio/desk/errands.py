"""What is asked of a running daemon: a run now, and the end of one.

A request goes through the database and wakes the daemon, so that the run has the daemon's
environment and outlives whoever asked. `store.requests` has the guarantees.
"""

from __future__ import annotations

from jarvis_trio.desk.session import Session
from jarvis_trio.errors import DaemonMissingError, TaskError
from jarvis_trio.models import Run, RunStatus, require_id
from jarvis_trio.process.identity import current_owner
from jarvis_trio.store.requests import RequestKind


def ask_run(session: Session, name: str, asked_by: str) -> int:
    """Ask the daemon to run a task now; returns the number of the request.

    Args:
        asked_by: who asks, in words; the log names them.

    Raises UnknownTaskError, DaemonMissingError, StoreError.
    """
    task = session.task(name)
    if session.daemon() is None:
        raise DaemonMissingError("no daemon runs that could run it", fix="start it with: jarvis-trio run")

    number = session.store.ask(
        RequestKind.RUN, require_id(task), asked_by=asked_by, asker=current_owner(), at=session.now()
    )
    session.changed()
    return number


def asked_run(session: Session, number: int) -> Run | None:
    """The run that a request has led to; None while nobody has answered it.

    Raises TaskError if it was refused or withdrawn, DaemonMissingError if the daemon ended meanwhile.
    """
    request = session.store.request(number)
    if request is None or request.refusal is not None:
        raise TaskError(f"the run was refused: {request.refusal}" if request else "the run was withdrawn")
    if request.run_id is not None:
        return session.store.get_run(request.run_id)
    if session.daemon() is None:
        session.store.withdraw(number)
        raise DaemonMissingError("the daemon ended before it could run it", fix="start it with: jarvis-trio run")
    return None


def end_run(session: Session, number: int, asked_by: str) -> None:
    """Take a request for a run back, or end the run that it has led to. Raises StoreError."""
    if session.store.withdraw(number):
        return
    run = asked_run(session, number)
    if run is not None and run.status is RunStatus.RUNNING:
        session.store.ask(
            RequestKind.STOP,
            run.task_id,
            run_id=run.id,
            asked_by=asked_by,
            asker=current_owner(),
            at=session.now(),
        )
        session.changed()
