"""The inbox's files: taking them, reading them with care, moving them away.

A file is first moved to `.taken/`. That rename is atomic: from then on whatever a sender
does with the file's name in the inbox is about another file, so nothing that was not read
can end in `processed/`. What a process that died has left in `.taken/` comes first at the
next poll.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from jarvis_trio.text import printable

LARGEST_FILE_BYTES = 1024 * 1024
"""Larger files are refused unread."""

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
    """The inbox, and what is missing of its folders made, mode 0700.

    Raises BlockingIOError while another poll is at work there, OSError where it cannot be used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for below in (".taken", "processed", "failed"):
        (folder / below).mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / ".taken", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Inbox(folder, lock, is_settled)
    finally:
        os.close(lock)


class Inbox:
    """The folder that senders drop files into, with `.taken/`, `processed/` and `failed/` below it.

    `key` names it; `troubles` are the first few files that could be neither read nor
    moved, with the reason.
    Its methods raise OSError for what is no single file's fault.
    """

    def __init__(self, folder: Path, taken: int, is_settled: IsSettled) -> None:
        self.key = os.fsencode(os.path.realpath(folder))
        self.troubles: list[str] = []
        self._folder = str(folder)
        self._taken_descriptor = taken
        self._is_settled = is_settled
        self._left_over = [TakenFile(each.name, each.stat(follow_symlinks=False)) for each in self._entries(".taken")]
        self._identities = {file.name: _identity(*file) for file in self._left_over}

    @property
    def at_hand(self) -> set[bytes]:
        """The identities of the files that are not moved away yet."""
        return set(self._identities.values())

    def take(self) -> Iterator[TakenFile]:
        """What was left in `.taken/`, then each settled file of the inbox, moved there."""
        yield from self._left_over
        for entry in self._entries(""):
            try:
                status = entry.stat(follow_symlinks=False)
                if not self._is_settled(status):
                    continue
                file = TakenFile(self._move(TakenFile(entry.name, status), "", ".taken"), status)
            except FileNotFoundError:  # its sender has taken it back
                continue
            except OSError as error:
                self._note(entry.name, error)
                continue
            yield file

    def read(self, name: str) -> ReadFile | None:
        """What is in a taken file; None where it is to wait.

        Nothing but a plain file is opened, and nothing that could make this wait. Raises
        RefusedFileError.
        """
        path = self._path(".taken", name)
        try:
            before = os.lstat(path)
            _check_kind(before)
            if not self._is_settled(before):
                return None
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
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
        """Bring what was moved into and out of `.taken/` to the disk, lest a power cut undo it later."""
        os.fsync(self._taken_descriptor)

    def accept(self, file: TakenFile) -> None:
        """Move a taken file to `processed/`."""
        self._move(file, ".taken", "processed")
        del self._identities[file.name]

    def refuse(self, file: TakenFile, reason: str) -> None:
        """Move a taken file to `failed/`, and put the reason beside it."""
        target = self._free_name(file, "failed", _REASON)
        note = self._path("failed", _fitting(target, _REASON))
        with open(note, "x", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as text:
            try:
                text.write(f"{printable(file.name)}: {printable(reason)}\n")
                text.flush()
                self._rename(file.name, ".taken", target, "failed")
            except OSError:  # a full disk, say: neither half a reason nor one without its file stays
                os.unlink(note)
                raise
        self._identities.pop(file.name, None)

    def count_left(self) -> int:
        """How many files are there for a later poll."""
        return sum(1 for _ in chain(self._entries(""), self._entries(".taken")))

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self._path(folder, "")) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    yield entry

    def _move(self, file: TakenFile, source: str, target: str) -> str:
        name = self._free_name(file, target)
        self._rename(file.name, source, name, target)
        return name

    def _rename(self, name: str, source: str, new_name: str, target: str) -> None:
        os.rename(self._path(source, name), self._path(target, new_name))

    def _free_name(self, file: TakenFile, folder: str, *beside: str) -> str:
        """A name for the file that is free there, also with each suffix of `beside`: its own, or one with a number.

        The numbers begin at its time: from 1, a sender that always uses one name would
        make every move look at all that came before.
        """
        stem, extension = os.path.splitext(file.name)
        numbers = count(file.status.st_mtime_ns)
        numbered = (_fitting(stem, f".{number}{extension}", spare=len(_REASON)) for number in numbers)
        return next(
            name
            for name in chain([file.name], numbered)
            if not any(os.path.lexists(self._path(folder, _fitting(name, suffix))) for suffix in ("", *beside))
        )

    def _path(self, folder: str, name: str) -> str:
        return f"{self._folder}/{folder}/{name}"

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
    """`stem` and `suffix`, of the stem as many characters as a file's name has room for, with `spare` bytes left."""
    while len(os.fsencode(stem + suffix)) > _LONGEST_NAME_BYTES - spare:
        stem = stem[:-1]
    return stem + suffix
