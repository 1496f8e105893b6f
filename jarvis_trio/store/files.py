"""The database's file on the disk: what may be used, by which name, and a copy of it."""

from __future__ import annotations

import errno
import itertools
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote_from_bytes

from jarvis_trio.errors import StoreError, StoreMissingError
from jarvis_trio.permission import permission_fix

MAKE_IT = "make it with: jarvis-trio init"


def second_name(path: Path) -> StoreError | None:
    """What is wrong with a file that has a second name, or None.

    A single file that is mounted into a container has one too: its log stays outside.
    """
    links = path.stat().st_nlink
    if links > 1:
        return several_names(path, links)
    if _is_mount_point(path.resolve()):
        says = f"the database {path} is mounted here as a single file: its log stays on the other side"
        return StoreError(says, fix="mount the folder that it lies in")
    return None


def several_names(path: Path, links: int) -> StoreError:
    """The refusal of a file that has hard links: each name has a log of its own."""
    says = f"the database {path} has {links} names (hard links): programs that open it by two of them lose writes"
    return StoreError(says, fix=f"find the other name with `find / -xdev -samefile {path}`, and remove it")


def used_by_two_names(path: Path) -> StoreError:
    """The refusal of a file that another program has open by another name."""
    says = f"the database {path} is open by another name as well, with another log: each would overwrite the other"
    return StoreError(says, fix=f"see who has it open with `fuser -v {path}`, and have all use one name")


def open_without_index(path: Path) -> StoreError:
    says = f"the index of the database {path} was deleted (its -shm file) while another program has it open"
    return StoreError(
        says, fix=f"end every program that has it open (`fuser -v {path}`), or wait for the daemon's tick"
    )


def _is_mount_point(path: Path) -> bool:
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except OSError:  # not Linux, where only the device tells
        return path.stat().st_dev != path.parent.stat().st_dev
    name = re.sub(r"[\s\\]", lambda found: f"\\{ord(found[0]):03o}", str(path))  # proc(5), mountinfo
    return any(line.split(" ", 5)[4] == name for line in mounts.splitlines())


def log_of(path: Path) -> Path:
    """Where SQLite keeps the write-ahead log of a database."""
    return Path(f"{path.resolve()}-wal")  # SQLite follows a link to the file


def index_of(path: Path) -> Path:
    return Path(f"{path.resolve()}-shm")


def identity(path: Path | str) -> tuple[int, int] | None:
    """The device and the inode of a file; None if it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def require_file(path: Path, fix: str = MAKE_IT) -> None:
    """Raises StoreMissingError if nothing is there, and StoreError if its folder cannot be used."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        raise StoreMissingError(f"Memory DB not found at {path}", fix=fix) from None
    except OSError as error:  # `init` would fail as well
        says = f"cannot use the database {path}: {error.strerror}"
        fix = permission_fix(path, error, "let MEMORY_DB_PATH name a file in a folder that you may open")
        raise StoreError(says, fix=fix) from None


def create_private(path: Path) -> None:
    """Make the file with mode 0600 if it is missing."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def check_usable(path: Path, access: int) -> None:
    """Refuse what is not a plain file, or may not be used as the database.

    A file that is there is not opened: to close any descriptor of it would drop the locks of this
    process's other connections (sqlite.org/howtocorrupt.html, 2.2).
    """
    if not path.is_file():
        raise OSError(errno.EINVAL, "it is not a plain file")
    if not os.access(path, access):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def fix_of(path: Path, error: OSError) -> str:
    """What to do about a file that `check_usable` refuses; empty if its reason says enough."""
    return permission_fix(path, error, "give the right MEMORY_DB_PATH" if error.errno == errno.EINVAL else "")


def read_only_uri(path: Path) -> str:
    """How to open the file so that nothing on the disk changes (sqlite.org/uri.html).

    A reader of a database in WAL mode makes the log and its index if they are missing, and may
    not remove them. They are missing if no program has the file open; then nothing changes under
    us, and `immutable` does without them.
    """
    place = path.resolve()
    unused = not os.path.lexists(log_of(path)) and _is_in_wal_mode(place)
    return f"{file_uri(place)}?mode=ro{'&immutable=1' if unused else ''}"


def file_uri(path: Path) -> str:
    """An absolute path as a URI.

    `Path.as_uri` was rejected: in Python 3.14 it imports an HTTP client.
    """
    return "file://" + quote_from_bytes(os.fsencode(path))


def _is_in_wal_mode(path: Path) -> bool:
    # To be asked only if there is no log: then no connection of this process has locks to lose.
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"  # sqlite.org/fileformat2.html, 1.3: write and read version


def back_up(connection: sqlite3.Connection, path: Path, is_wanted: Callable[[], bool] = lambda: True) -> Path | None:
    """A consistent copy of the file beside it, mode 0600, while others may have it open.

    It has its name only once it is whole: a process that is killed before leaves a file that is
    called unfinished, and nobody restores half a database. `is_wanted` is asked when it is whole;
    None if it says no.
    """
    unfinished = _new_file_beside(path, "unfinished-")
    try:
        connection.execute("VACUUM INTO ?", (str(unfinished),))
        return _named(unfinished, path) if is_wanted() else None
    finally:
        unfinished.unlink(missing_ok=True)


def _named(unfinished: Path, path: Path) -> Path:
    for number in itertools.count(1):
        copy = _beside(path, str(number))
        try:
            os.link(unfinished, copy)
        except FileExistsError:
            continue
        except OSError:  # a disk that knows no links, such as exFAT
            copy = _new_file_beside(path)
            unfinished.replace(copy)
        return copy
    raise AssertionError("numbers do not end")


def _new_file_beside(path: Path, word: str = "") -> Path:
    for number in itertools.count(1):
        copy = _beside(path, f"{word}{number}")
        try:
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"cannot make a copy of the database, {copy}: {error.strerror}") from None
        return copy
    raise AssertionError("numbers do not end")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.before-jarvis-trio-{ending}")
