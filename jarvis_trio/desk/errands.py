"""What people ask of runs: make one now, stop one, read what it writes.

If a daemon runs, it is asked, and does it with its own environment; a request is a row of the
database and a wake. Otherwise, or if a person wants it so, it is done in this process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from jarvis_trio import __version__
from jarvis_trio.desk.definition import check_handler
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import DaemonMissingError, StoreError, TaskError, UnknownTaskError
from jarvis_trio.models import Run, RunStatus, require_id
from jarvis_trio.process.identity import current_owner, owner_machine, owner_process
from jarvis_trio.store.requests import RequestKind


@dataclass(frozen=True, slots=True)
class Stopping:
    """A run that is to end, and the number of the request."""

    number: int
    run: Run


@dataclass(frozen=True, slots=True)
class RunHere:
    """A run that goes on in a thread of this process.

    `wait` raises what the run raised, and StoreError if its outcome could not be written.
    """

    run_id: int
    wait: Callable[[], None]
    is_over: Callable[[], bool]


def ask_run(session: Session, name: str, asked_by: str | None = None) -> int | None:
    """Ask the daemon to run a task now. Returns the number of the request; None if no daemon runs.

    Args:
        asked_by: who asks, in words for the log; by default the session's user.

    Raises UnknownTaskError; DaemonMissingError if one runs that takes no requests; JarvisError.
    """
    task = session.task(name)
    daemon = session.daemon()
    if daemon is None:
        return None
    if daemon.is_of_version_1:
        says = f"the daemon is of version 1, older than this program ({__version__}), and takes no requests"
        fix = "restart it: jarvis-trio service restart, or stop it and start it again; or give run-now --here"
        raise DaemonMissingError(says, fix=fix)
    return _ask(session, RequestKind.RUN, require_id(task), None, asked_by)


def started(session: Session, number: int) -> int | None:
    """The number of the run that a request has led to; None while the daemon has started none.

    Raises TaskError if the request was refused or withdrawn.
    """
    request = session.store.requests.request(number)
    if request is None:
        raise TaskError("the run was withdrawn")
    if request.refusal is not None:
        raise TaskError(request.refusal)
    return request.run_id


def asked_run(session: Session, number: int) -> Run | None:
    """The run that a request has led to; None while nobody has answered it.

    Raises TaskError if it was refused or withdrawn, and DaemonMissingError if the daemon ended
    meanwhile.
    """
    run_id = started(session, number)
    if run_id is not None:
        return session.store.runs.get_run(run_id)
    if session.daemon() is None and withdraw(session, number):
        raise DaemonMissingError("the daemon ended before it could run it", fix="start it with: jarvis-trio run")
    return None


def end_asked_run(session: Session, number: int, asked_by: str) -> None:
    """Take a request for a run back, or end the run that it has led to. Raises StoreError."""
    if withdraw(session, number):
        return
    run = asked_run(session, number)
    if run is not None and run.status is RunStatus.RUNNING:
        _ask(session, RequestKind.STOP, run.task_id, run.id, asked_by)


def withdraw(session: Session, number: int) -> bool:
    """Take a request back. Returns False if the daemon has answered it already."""
    return session.store.requests.withdraw(number)


def run_here(session: Session, name: str, patience: timedelta | None = None) -> RunHere:
    """Start a run in a thread of this process.

    `patience` is how long it tries to write an outcome that cannot be written; by default the
    engine's.

    Raises UnknownTaskError, TaskRunningError, TaskError.
    """
    task = session.task(name)
    check_handler(task, session)
    claim = session.engine.claim_now(task.name)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            session.engine.run_claimed(claim)
            require_written(session, f"the outcome of task {name!r}", patience)
        except BaseException as error:  # noqa: BLE001  # it belongs to whoever waits
            raised.append(error)

    thread = threading.Thread(target=run, name="run-now", daemon=True)
    thread.start()

    def wait() -> None:
        thread.join()
        session.changed()
        if raised:
            raise raised[0]

    return RunHere(claim.run_id, wait, lambda: not thread.is_alive())


def tick(session: Session) -> list[dict[str, Any]]:
    """Run what is due, once, in this process; returns the engine's results.

    `require_written` tells whether they are on the disk.
    """
    try:
        return session.engine.evaluate_due_tasks()
    finally:
        session.changed()


def require_written(session: Session, what: str, patience: timedelta | None = None) -> None:
    """Write how runs of this process ended, if that could not be done so far.

    `patience` is how long it is tried; by default the engine's. Raises StoreError, which says of
    `what` that it could not be written.
    """
    engine = session.engine
    if not (engine.write_kept() if patience is None else engine.write_kept(patience)):
        says = f"{what} could not be written: it will count as interrupted"
        raise StoreError(says, fix="see the reason above; a full disk needs room")


def live_run(session: Session, name: str) -> Run | None:
    """The run of a task that is under way, or None.

    A run goes on if its task is removed, and keeps the name; it comes after that of a task that
    has the name now.

    Raises UnknownTaskError if neither a task nor such a run has the name.
    """
    runs = session.store.runs.live_runs()
    orphan = next((run for run in runs if run.task_name == name), None)
    try:
        task = session.task(name)
    except UnknownTaskError:
        if orphan is None:
            raise
        return orphan
    return next((run for run in runs if run.task_id == task.id), orphan)


def ask_stop(session: Session, name: str) -> Stopping:
    """Ask whoever runs a task to stop that run.

    Raises UnknownTaskError, and TaskError if it does not run.
    """
    run = live_run(session, name)
    if run is None:
        raise TaskError(f"task {name!r} does not run", fix="`jarvis-trio status` shows what runs")
    return Stopping(_ask(session, RequestKind.STOP, run.task_id, run.id), run)


def is_taken_on(session: Session, stopping: Stopping) -> bool:
    """Whether the process that runs it has told the run to stop."""
    request = session.store.requests.request(stopping.number)
    return request is not None and request.answered_at is not None


def stop_from_here(session: Session, stopping: Stopping) -> int:
    """End the processes of a run whose own process does not obey, such as a `tick`, or is gone.

    It takes as long as they resist SIGTERM. Returns how many were ended; a Python handler of
    another process cannot be told from here.

    Raises TaskError if it runs on another machine, which is told when it is back.
    """
    from jarvis_trio.handlers.processes import end_run  # noqa: PLC0415  # psutil: 20 ms

    owner = stopping.run.owner or ""
    if (machine := owner_machine(owner)) not in (None, session.store.machine):
        says = f"{stopping.run.task_name!r} runs on {machine}, which does not answer"
        raise TaskError(says, fix="it is told when it is back; `jarvis-trio machines` says when it was last seen")
    ended = end_run(owner_process(owner), str(stopping.run.id))
    session.store.requests.answer(stopping.number, session.now())
    if not session.peers.is_alive(owner):
        session.engine.recover()
    return ended


def end_all_here() -> None:
    """End the commands that this process runs: it ends without waiting for them."""
    from jarvis_trio.engine.peers import end_orphans  # noqa: PLC0415  # as above

    end_orphans(current_owner())


def is_over(session: Session, run_id: int) -> bool:
    """Whether a run has ended; one whose process is gone is ended here."""
    run = session.store.runs.get_run(run_id)
    if run is None or run.status is not RunStatus.RUNNING:
        return True
    if not session.peers.is_alive(run.owner):
        session.engine.recover()
    return False


def output(session: Session, run_id: int, pause: Callable[[], object], begun: RunHere | None = None) -> Iterator[bytes]:
    """What a run wrote, and what it writes until it is over; `pause` is called between looks.

    A run of this process is over when its thread is: its row may never say so, on a full disk.
    """
    over = partial(is_over, session, run_id) if begun is None else begun.is_over
    return session.outputs.follow(run_id, over, pause)


def _ask(session: Session, kind: RequestKind, task_id: int, run_id: int | None, asked_by: str | None = None) -> int:
    number = session.store.requests.ask(
        kind,
        task_id,
        run_id=run_id,
        asked_by=asked_by or session.asked_by,
        asker=session.peers.owner,
        at=session.now(),
    )
    session.changed()
    return number
