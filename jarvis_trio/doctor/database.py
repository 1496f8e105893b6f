"""Checks of the database file, which is only read."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jarvis_trio.doctor.findings import Finding, problem, warning
from jarvis_trio.notation.text import counted, size_words
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.files import second_name
from jarvis_trio.store.sqlite import SqliteFile

_LARGE_WAL_BYTES = 100_000_000
RESTORE = "stop the daemon and restore a backup; docs/operations.md tells how"


def check_database(store: MemoryStore) -> Iterator[Finding]:
    """What is in the file, and how large it is."""
    if not isinstance(store.connection, SqliteFile):
        tasks = counted(store.tasks.count_scheduled_tasks(), "task")
        yield Finding("database", f"{store.location}: schema {store.notes.note('schema_version')}, {tasks}")
        return
    path = store.path
    log = _size(Path(f"{path.resolve()}-wal"))
    schema = store.notes.note("schema_version")
    tables = f"schema {schema}" if schema else "without our tables yet: `run` adds them, and makes a copy first"
    tasks = counted(store.tasks.count_scheduled_tasks(), "task")
    yield Finding("database", f"{path}: {size_words(_size(path))}, log {size_words(log)}, {tables}, {tasks}")
    if (refused := second_name(path)) is not None:
        yield problem("database", refused.says, refused.fix)
    if (broken := store.connection.beyond_repair()) is not None:
        yield problem("database", broken.says, broken.fix)
    yield from _check_lookalike(store, store.connection)
    if log > _LARGE_WAL_BYTES:
        fix = "end the program that has it open for reading all the time: see `open in`"
        yield warning("database", f"its log has grown to {size_words(log)}", fix)


def _check_lookalike(store: MemoryStore, file: SqliteFile) -> Iterator[Finding]:
    """Whether the tasks are in another table: a program that changed theirs has died half-way."""
    name = None if store.tasks.count_scheduled_tasks() else file.lookalike()
    quoted = f'"{(name or "").replace(chr(34), chr(34) * 2)}"'
    if name is None or not (count := int(file.execute(f"SELECT count(*) FROM {quoted}").rows[0][0])):
        return
    says = f"the table scheduled_tasks is empty, and the table {name} has its columns and {counted(count, 'row')}"
    statements = f"BEGIN; DROP TABLE scheduled_tasks; ALTER TABLE {quoted} RENAME TO scheduled_tasks; COMMIT"
    command = f"sqlite3 {shlex.quote(str(store.path))} {shlex.quote(statements)}"
    yield problem("tasks", says, f"if these are your tasks, let them have their name again: {command}")


def check_integrity(store: MemoryStore) -> Iterator[Finding]:
    """Whether the file is whole (SQLite's `integrity_check`): about a second for 100 MB."""
    damage = store.find_damage()
    if damage is None:
        yield Finding("integrity", "the database is whole")
    else:
        yield problem("integrity", f"the database is damaged: {damage}", RESTORE)


@dataclass(frozen=True, slots=True)
class _User:
    """Another process that has the database open, and all files that it has open."""

    pid: int
    name: str
    files: frozenset[str]


def check_users(path: Path, lock_file: Path) -> Iterator[Finding]:
    """Which other programs have the file open, as far as the system tells.

    A daemon among them whose lock is not `lock_file` has another data folder.
    """
    users = _users(path)
    if users is None:
        yield Finding("open in", "unknown: the system does not tell")
        return
    each = [f"{user.name} (PID {user.pid})" for user in users]
    yield Finding("open in", ", ".join(each) if each else "no other program of yours")
    for user in users:
        yield from _check_folder(user, lock_file)


def _check_folder(user: _User, lock_file: Path) -> Iterator[Finding]:
    """Whether a user of the database is a daemon with another data folder than ours."""
    locks = [Path(file) for file in user.files if Path(file).name == lock_file.name]
    for folder in (lock.parent for lock in locks if lock != lock_file.resolve()):
        says = f"a daemon with another data folder, {folder}, runs the tasks of this database (PID {user.pid})"
        fix = f"give all the same JARVIS_DATA_DIR, or stop that one: kill {user.pid}"
        yield warning("daemon", f"{says}: its approvals, secrets and log are not those of {lock_file.parent}", fix)


def _users(path: Path) -> list[_User] | None:
    import psutil  # noqa: PLC0415  # 20 ms of import, for this alone

    place, asked, users = str(path.resolve()), 0, []
    for process in psutil.process_iter():
        try:
            files = frozenset(file.path for file in process.open_files())
            name = process.name()
        except (psutil.Error, OSError):  # another user's, or gone by now
            continue
        asked += 1
        if process.pid != os.getpid() and place in files:
            users.append(_User(process.pid, name, files))
    return users if asked else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
