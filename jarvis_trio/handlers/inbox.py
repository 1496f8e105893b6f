"""The inbox's files: taking them, reading them with care, moving them away.

Guarantees:
- Nothing that was not read ends in `processed/`. A file is first moved to `.taken/`; that
  rename is atomic, and whatever a sender does with the file's name afterwards is about
  another file.
- Nothing waits forever: what is not a plain file is never opened.
- Nothing leaves the inbox: its folders are opened once, without following a link, and every
  name is looked up in the folder that was opened.

This code assumes that the inbox and its folders are on one file system, and that nobody else
moves files out of `.taken/`. Files that a dead process left there come first at the next poll.

1. A sender replaces `a.json` between listing and taking: the newer file is taken.
2. A sender still writes when its file is taken: the file changes while it is read, or is
   younger than the settling time; it stays in `.taken/` until a later poll.
3. A sender puts a link to `/etc` in the place of `failed/`: the poll refuses to run.
4. The assistant's own program takes in the same inbox: both hold `.ingest.lock` meanwhile.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from jarvis_trio.notation.text import printable

LARGEST_FILE_BYTES = 1024 * 1024
"""Larger files are refused unread."""

_INBOX, _TAKEN, _PROCESSED, _FAILED = "", ".taken", "processed", "failed"
_ASSISTANTS_LOCK = ".ingest.lock"
_LONGEST_NAME_BYTES = 255  # NAME_MAX of the file systems of Linux and macOS: limits.h(0p)
_REASON = ".reason.txt"
_TROUBLES_KEPT = 5
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

IsSettled = Callable[[os.stat_result], bool]


class RefusedFileError(Exception):
    """A file can never become an event, for this reason. It does not leave the handler."""


class TakenFile(NamedTuple):
    """A file in `.taken/`, as it was when it was found."""

    name: str
    status: os.stat_result


class ReadFile(NamedTuple):
    """What was in a file, and what tells that very file, in that state, from all others."""

    content: bytes
    identity: bytes


@contextmanager
def open_inbox(folder: Path, is_settled: IsSettled) -> Iterator[Inbox]:
    """The inbox, locked; folders of it that are missing are made with mode 0700.

    Raises BlockingIOError while another poll, or the assistant's own program, works there;
    OSError if the inbox cannot be used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as to_close:
        # The inbox itself may be a link: the user's settings name it.
        folders = {_INBOX: _opened(folder, os.O_RDONLY | os.O_DIRECTORY, to_close)}
        for name in (_TAKEN, _PROCESSED, _FAILED):
            folders[name] = _open_below(folders[_INBOX], name, to_close)
        # Ours is a folder, which nobody replaces; the assistant's is a file that it may delete.
        fcntl.flock(folders[_TAKEN], fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(_open_assistants_lock(folders[_INBOX], to_close), fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Inbox(folder, folders, is_settled)


def _opened(path: str | Path, flags: int, to_close: ExitStack, folder: int | None = None) -> int:
    descriptor = os.open(path, flags, 0o600, dir_fd=folder)
    to_close.callback(os.close, descriptor)
    return descriptor


def _open_below(inbox: int, name: str, to_close: ExitStack) -> int:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=inbox)
    try:
        return _opened(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, to_close, inbox)
    except NotADirectoryError as error:
        raise NotADirectoryError(error.errno, "a link or a file is in the place of this folder", name) from None


def _open_assistants_lock(inbox: int, to_close: ExitStack) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    return _opened(_ASSISTANTS_LOCK, flags, to_close, inbox)


class Inbox:
    """The folder that senders drop files into, with `.taken/`, `processed/` and `failed/` below it.

    `key` names it. `troubles` are the first few files that could be neither read nor moved,
    with the reason. Its methods raise OSError for what is not a single file's fault.
    """

    def __init__(self, folder: Path, folders: Mapping[str, int], is_settled: IsSettled) -> None:
        self.key = os.fsencode(os.path.realpath(folder))
        self.troubles: list[str] = []
        self._folders = folders
        self._is_settled = is_settled
        self._left_over = [TakenFile(name, self._status(_TAKEN, name)) for name in sorted(self._names(_TAKEN))]
        self._identities = {file.name: _identity(*file) for file in self._left_over}

    @property
    def at_hand(self) -> set[bytes]:
        """The identities of the files that are not moved away yet."""
        return set(self._identities.values())

    def take(self, most: int) -> Iterator[TakenFile]:
        """Files in the order of their names, as the assistant takes them.

        First what a dead process left in `.taken/`, then at most `most` files of the inbox,
        each moved there if it is settled.
        """
        yield from self._left_over
        for name in heapq.nsmallest(most, self._names(_INBOX)):
            try:
                status = self._status(_INBOX, name)
                if not self._is_settled(status):
                    continue
                file = TakenFile(self._move(TakenFile(name, status), _INBOX, _TAKEN), status)
            except FileNotFoundError:  # its sender has taken it back
                continue
            except OSError as error:
                self._note(name, error)
                continue
            yield file

    def read(self, name: str) -> ReadFile | None:
        """What is in a taken file; None if it has to wait.

        Only a plain file is opened, and nothing that could make this wait. Raises
        RefusedFileError.
        """
        try:
            before = self._status(_TAKEN, name)
            _check_kind(before)
            if not self._is_settled(before):
                return None
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
            descriptor = os.open(name, flags, dir_fd=self._folders[_TAKEN])
            with open(descriptor, "rb") as file:
                content = file.read(LARGEST_FILE_BYTES + 1)
                after = os.fstat(descriptor)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise RefusedFileError(f"it cannot be read: {error.strerror}") from None
        except OSError as error:
            self._note(name, error)
            return None

        identity = self._identities[name] = _identity(name, before)
        if _identity(name, after) != identity or len(content) != after.st_size:  # it is being written
            return None
        return ReadFile(content, identity)

    def sync(self) -> None:
        """Sync the moves into and out of `.taken/` to the disk.

        Without that a power cut could undo them later.
        """
        os.fsync(self._folders[_TAKEN])

    def accept(self, file: TakenFile) -> None:
        """Move a taken file to `processed/`."""
        self._move(file, _TAKEN, _PROCESSED)
        del self._identities[file.name]

    def refuse(self, file: TakenFile, reason: str) -> None:
        """Move a taken file to `failed/`, and put the reason beside it."""
        target = self._free_name(file, _FAILED, _REASON)
        note, failed = _fitting(target, _REASON), self._folders[_FAILED]
        with open(note, "x", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600, dir_fd=failed)) as text:
            try:
                text.write(f"{printable(file.name)}: {printable(reason)}\n")
                text.flush()
                self._rename(file.name, _TAKEN, target, _FAILED)
            except OSError:  # a full disk, say: neither half a reason stays nor one without its file
                os.unlink(note, dir_fd=failed)
                raise
        self._identities.pop(file.name, None)

    def count_left(self) -> int:
        """How many files are there for a later poll."""
        return sum(1 for _ in chain(self._names(_INBOX), self._names(_TAKEN)))

    def _names(self, folder: str) -> Iterator[str]:
        with os.scandir(self._folders[folder]) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    yield entry.name

    def _status(self, folder: str, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._folders[folder], follow_symlinks=False)

    def _is_there(self, folder: str, name: str) -> bool:
        try:
            self._status(folder, name)
        except FileNotFoundError:
            return False
        return True

    def _move(self, file: TakenFile, source: str, target: str) -> str:
        name = self._free_name(file, target)
        self._rename(file.name, source, name, target)
        return name

    def _rename(self, name: str, source: str, new_name: str, target: str) -> None:
        os.rename(name, new_name, src_dir_fd=self._folders[source], dst_dir_fd=self._folders[target])

    def _free_name(self, file: TakenFile, folder: str, *beside: str) -> str:
        """A name for the file that is free there, also with each suffix of `beside`.

        It is the file's own name, or that name with a number. The numbers begin at the file's time.
        Numbers from 1 were rejected: if a sender always uses one name, every move would look at all
        earlier files.
        """
        stem, extension = os.path.splitext(file.name)
        numbers = count(file.status.st_mtime_ns)
        numbered = (_fitting(stem, f".{number}{extension}", spare=len(_REASON)) for number in numbers)
        return next(
            name
            for name in chain([file.name], numbered)
            if not any(self._is_there(folder, _fitting(name, suffix)) for suffix in ("", *beside))
        )

    def _note(self, name: str, error: OSError) -> None:
        if len(self.troubles) < _TROUBLES_KEPT:
            self.troubles.append(f"{printable(name)}: {error.strerror}")


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise RefusedFileError(f"it is {kind}, not a plain file")
    if status.st_nlink > 1:
        raise RefusedFileError("it has other names (hard links), so it may be anybody's file; copy it instead")
    if status.st_size > LARGEST_FILE_BYTES:
        raise RefusedFileError(f"it has {status.st_size:,} bytes; at most {LARGEST_FILE_BYTES:,} are taken")


def _identity(name: str, status: os.stat_result) -> bytes:
    return f"{status.st_ino}:{status.st_mtime_ns}:{status.st_size}:".encode() + os.fsencode(name)


def _fitting(stem: str, suffix: str, spare: int = 0) -> str:
    """The name `stem` plus `suffix`; the stem is cut to leave room for `spare` more bytes."""
    while len(os.fsencode(stem + suffix)) > _LONGEST_NAME_BYTES - spare:
        stem = stem[:-1]
    return stem + suffix
