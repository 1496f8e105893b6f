"""All SQL lives in this folder; `MemoryStore` is its one public name.

`schema` makes the tables, `database` holds the connection, and each of the other
modules one part of the tables.
"""

from jarvis_trio.store.assistant import AssistantTables
from jarvis_trio.store.machines import MachineTable
from jarvis_trio.store.meta import Notes
from jarvis_trio.store.outbox import Outbox
from jarvis_trio.store.queue import TaskQueue
from jarvis_trio.store.requests import RequestTable
from jarvis_trio.store.runs import RunTable
from jarvis_trio.store.tasks import TaskTable
from jarvis_trio.store.troubles import TroubleTable


class MemoryStore(
    TaskTable, TaskQueue, RunTable, TroubleTable, Outbox, RequestTable, AssistantTables, Notes, MachineTable
):
    """The assistant's `memory.db`: its tables as they are, and ours beside them.

    Safe to call from several threads and, through SQLite's lock, from several
    processes. A context manager that closes itself.
    """


__all__ = ["MemoryStore"]
