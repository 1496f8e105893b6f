"""What people ask about the machines that share a database, and on which of them a task runs."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

from jarvis_trio.desk.session import Session
from jarvis_trio.errors import ScheduleError, TaskError
from jarvis_trio.insight import machines
from jarvis_trio.insight.machines import MachineState
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.text import nearest
from jarvis_trio.policy import ANYWHERE, task_policy
from jarvis_trio.store.places import named_place, place_of


def machine_states(session: Session) -> list[MachineState]:
    """The machines that have used the database, and how they stand.

    Raises TaskError if the database belongs to one machine, and StoreError.
    """
    _require_shared(session)
    return machines.machine_states(session.store, session.now())


def forget(session: Session, name: str) -> None:
    """A machine is gone for good: what ran on it is interrupted, and runs again as each task says.

    Raises TaskError, UnknownTaskError, StoreError.
    """
    from jarvis_trio.engine.assembly import make_engine  # noqa: PLC0415  # 30 ms, which no look need pay
    from jarvis_trio.engine.machines import Forgotten  # noqa: PLC0415  # as above

    _require_shared(session)
    if name == session.store.machine:
        raise TaskError(f"{name!r} is this machine", fix="its own daemon ends what is left of its runs")
    session.store.machines.forget_machine(name)
    make_engine(session.settings, session.store, session.environment, peers=Forgotten(name)).recover()
    session.changed()


def placed(session: Session, task: ScheduledTask) -> ScheduledTask:
    """A new task with its place.

    It runs on the machine that it is added on, which has its program, unless it names a place.
    """
    check_place(session, task)
    here, policy = session.store.machine, task_policy(task.policy)
    if here is None or policy.on is not None:
        return task
    return replace(task, policy=replace(policy, on=here).to_json())


def check_place(session: Session, task: ScheduledTask) -> None:
    """Refuse a machine that nobody knows: its task would wait forever. Raises TaskError."""
    here, place = session.store.here, place_of(task, session.store.here)
    if here is None or place is None or here.may_take(place):
        return
    machines = session.store.machines.list_machines()
    if not any(machine.may_take(place) for machine in machines):
        known = {name for machine in machines for name in (machine.name, *machine.labels)}
        says = f"no machine is named {place!r}, or has it as a label"
        fix = nearest(place, sorted({*known, here.name, *here.labels}))
        raise TaskError(says, fix=f"{fix}`jarvis-trio machines` shows the names")


def _require_shared(session: Session) -> None:
    if session.store.machine is None:
        says = f"the database {session.store.location} is this machine's alone"
        raise TaskError(says, fix="several machines share one by JARVIS_DATABASE_URL; see docs/several-machines.md")


def tasks_by_machine(session: Session) -> Counter[str]:
    """How many enabled tasks run on each machine; `any` counts those that any may run."""
    places: Counter[str] = Counter()
    for task in session.store.list_scheduled_tasks(enabled_only=True):
        with suppress(ScheduleError):
            places[named_place(task.policy) or ANYWHERE] += 1
    return places
