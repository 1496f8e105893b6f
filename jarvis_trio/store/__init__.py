"""All SQL lives in this folder; `MemoryStore` is its one public name.

`schema` makes the tables, `database` holds the connection, and each of the other
modules one part of the tables.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jarvis_trio.models import Run, RunStatus, ScheduledTask
from jarvis_trio.store.database import Database
from jarvis_trio.store.meta import Notes
from jarvis_trio.store.queue import TaskQueue
from jarvis_trio.store.runs import RunTable
from jarvis_trio.store.tasks import TaskTable
from jarvis_trio.store.troubles import TroubleTable

# A part that few commands need is imported with its first use: 3 ms of each `list` otherwise.
if TYPE_CHECKING:
    from jarvis_trio.store.assistant import AssistantTables
    from jarvis_trio.store.machines import MachineTable
    from jarvis_trio.store.outbox import Outbox
    from jarvis_trio.store.requests import RequestTable


class MemoryStore(Database):
    """The assistant's `memory.db`: its tables as they are, and ours beside them.

    Safe to call from several threads and, through SQLite's lock, from several
    processes. A context manager that closes itself.

    Each part has the statements of a few tables: `tasks`, their `queue`, `runs`, `troubles`, the
    `outbox`, `requests`, `machines`, `notes` and the `assistant`'s own tables. A transaction
    holds for all of them.

    Args and errors as of `Database`.
    """

    @cached_property
    def tasks(self) -> TaskTable:
        return TaskTable(self)

    @cached_property
    def queue(self) -> TaskQueue:
        return TaskQueue(self)

    @cached_property
    def runs(self) -> RunTable:
        return RunTable(self)

    @cached_property
    def troubles(self) -> TroubleTable:
        return TroubleTable(self)

    @cached_property
    def outbox(self) -> Outbox:
        from jarvis_trio.store.outbox import Outbox  # noqa: PLC0415  # see above

        return Outbox(self)

    @cached_property
    def requests(self) -> RequestTable:
        from jarvis_trio.store.requests import RequestTable  # noqa: PLC0415  # see above

        return RequestTable(self)

    @cached_property
    def machines(self) -> MachineTable:
        from jarvis_trio.store.machines import MachineTable  # noqa: PLC0415  # see above

        return MachineTable(self)

    @cached_property
    def notes(self) -> Notes:
        return Notes(self)

    @cached_property
    def assistant(self) -> AssistantTables:
        from jarvis_trio.store.assistant import AssistantTables  # noqa: PLC0415  # see above

        return AssistantTables(self)

    def load_all(self) -> None:
        """Import the parts that are imported at need: a daemon can outlive its program's files."""
        _ = self.outbox, self.requests, self.machines, self.assistant

    # What other programs call on the store itself.

    def store_scheduled_task(self, task: ScheduledTask) -> ScheduledTask:
        """As `TaskTable.store_scheduled_task`."""
        return self.tasks.store_scheduled_task(task)

    def get_scheduled_task(self, task_id: int) -> ScheduledTask | None:
        """As `TaskTable.get_scheduled_task`."""
        return self.tasks.get_scheduled_task(task_id)

    def get_scheduled_task_by_name(self, name: str) -> ScheduledTask | None:
        """As `TaskTable.get_scheduled_task_by_name`."""
        return self.tasks.get_scheduled_task_by_name(name)

    def list_scheduled_tasks(self, enabled_only: bool = False) -> list[ScheduledTask]:
        """As `TaskTable.list_scheduled_tasks`."""
        return self.tasks.list_scheduled_tasks(enabled_only)

    def get_due_tasks(self, now: datetime | str | None = None) -> list[ScheduledTask]:
        """As `TaskTable.get_due_tasks`."""
        return self.tasks.get_due_tasks(now)

    def update_scheduled_task(self, task_id: int, **changes: Any) -> ScheduledTask | None:
        """As `TaskTable.update_scheduled_task`."""
        return self.tasks.update_scheduled_task(task_id, **changes)

    def delete_scheduled_task(self, task_id: int) -> bool:
        """As `TaskTable.delete_scheduled_task`."""
        return self.tasks.delete_scheduled_task(task_id)

    def list_runs(
        self,
        *,
        task: str | None = None,
        status: RunStatus | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """As `RunTable.list_runs`, for handlers."""
        return self.runs.list_runs(task=task, status=status, since=since, limit=limit)


__all__ = ["MemoryStore"]
