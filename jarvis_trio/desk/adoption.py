"""Taking over an assistant's database: the look, what a person decides about it, and doing that."""

from __future__ import annotations

from enum import StrEnum

from jarvis_trio.desk import acts
from jarvis_trio.desk.approvals import command_refusal, refusal_elsewhere
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError, ServiceError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.moving.survey import ADOPTED, Survey, survey
from jarvis_trio.notation.instants import utc_text
from jarvis_trio.notation.text import counted, joined
from jarvis_trio.schedules.schedule import task_schedule

_SKIPPED = "a person chose to skip it when the database was adopted"


class Overdue(StrEnum):
    """What becomes of the tasks that are overdue."""

    RUN = "run"
    """They run at the first tick."""
    SKIP = "skip"
    """They go on at their next time. A task with a single time has no other one and is held."""
    HOLD = "hold"
    """They wait until a person resumes each of them."""


def look(session: Session) -> Survey:
    """What would happen to the tasks of the session's database. Raises StoreError."""
    settings, source = session.settings, session.source
    with session.look() as store:
        return survey(
            store,
            handlers=session.handlers,
            refusal=lambda task: refusal(session, task),
            check_delivery=session.channels.check,
            now=session.now(),
            folder=source.folder if source else settings.memory_db_path.parent.parent,
        )


def adopt(session: Session, seen: Survey, overdue: Overdue) -> None:
    """Go on with what a person has seen. Raises StoreError, UnknownTaskError."""
    names = [found.task for found in seen.at_once]
    with session.store.transaction():
        if overdue is not Overdue.RUN:
            acts.hold(session, names)
        if overdue is Overdue.SKIP:
            for name in filter(lambda name: _comes_again(session, name), names):
                acts.resume(session, name, skipped=_SKIPPED)
        session.store.notes.remember(ADOPTED, utc_text(session.now()))
    session.changed()


def refuse_surprises(session: Session) -> None:
    """Raise ServiceError if a daemon that starts now would surprise its owner.

    Raises StoreError.
    """
    seen = look(session)
    if not seen.would_surprise or seen.adopted:
        return
    parts = (
        (len(seen.at_once), "overdue task", "would run at once"),
        (len(seen.needs_approval), "command", "not approved"),
        (len(seen.nobody_has), "task", "of a type that nobody has"),
    )
    told = joined([f"{counted(count, noun)} {rest}" for count, noun, rest in parts if count])
    fix = "see them: jarvis-trio adopt; then adopt --yes, or install with --anyway"
    raise ServiceError(f"{seen.database} was not adopted: {told}", fix=fix)


def _comes_again(session: Session, name: str) -> bool:
    return task_schedule(session.task(name), session.zone()).only is None


def refusal(session: Session, task: ScheduledTask) -> str | None:
    """Why a task's command may not run, here or under a service; None if it may, or if the task
    runs no command.
    """
    try:
        refused = command_refusal(session, task) or refusal_elsewhere(session, task)
    except JarvisError as error:
        return error.says
    return None if refused is None else refused.says
