"""The targets of log lines: a rotated file, or a stream. Each has a writing thread of its own.

Guarantees:

- `Sink.put` never waits: not for a disk, nor for a terminal that somebody stopped with Ctrl-S,
  nor for a pager that reads no further. So neither a tick nor a signal does.
- Lines that find the queue full are dropped and counted; the count is written as soon as
  something can be.
- A log file that is renamed or deleted (logrotate) is opened again for the next line.
- What cannot be written raises nothing, and is complained about once.

This code assumes that a write may hang forever. Nobody joins a writing thread without a limit.

`logging.handlers.QueueListener` was considered and rejected: its `stop` waits for its thread
without a limit, and its queue has no count of what it dropped.
"""

from __future__ import annotations

import errno
import os
import queue
import select
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

BYTES_PER_FILE = 5_000_000
OLD_FILES = 5
MOST_LINES_WAITING = 10_000


class Target(Protocol):
    """Something that texts are written to. A call may take any time; it raises nothing."""

    def write(self, text: str) -> None:
        """Write a text that ends with a line end."""

    def write_apart(self, text: str) -> None:
        """Write it although our descriptors may be closed, or others. May raise OSError."""

    def close(self) -> None:
        """Write nothing more."""


class Sink:
    """Takes texts without waiting, and writes them to a target in a thread of its own.

    Args:
        target: gets the texts, one after the other.
        dropped: what to write about a number of texts that were dropped.
        most: how many texts may wait.
    """

    def __init__(self, target: Target, dropped: Callable[[int], str], most: int = MOST_LINES_WAITING) -> None:
        self._target = target
        self._dropped = dropped
        self._most = most
        self._lost = 0
        # A signal handler may even interrupt `put` with another `put` (Python's documentation of
        # queue).
        self._texts: queue.SimpleQueue[str | threading.Event | None] = queue.SimpleQueue()
        self._has_thread = True
        try:
            threading.Thread(target=self._serve, name="log", daemon=True).start()
        except RuntimeError:  # no thread for a moment: better a log that may wait than none
            self._write_directly()
        os.register_at_fork(after_in_child=self._write_directly)

    def put(self, text: str) -> None:
        """Have a text written soon, or drop it if too many wait."""
        if not self._has_thread:
            self._target.write(text)
        elif self._texts.qsize() >= self._most:
            self._lost += 1
        else:
            self._texts.put(text)

    def write_apart(self, text: str) -> None:
        """Write a text at once, although our descriptors may be closed, or others."""
        with suppress(OSError, ValueError):
            self._target.write_apart(text)

    def drain(self, seconds: float) -> bool:
        """Wait until what was put so far is written, at most that long. Returns whether it is."""
        if not self._has_thread:
            return True
        written = threading.Event()
        self._texts.put(written)
        return written.wait(seconds)

    def close(self, seconds: float) -> None:
        """Write what was put so far, and nothing else; wait for that at most that long."""
        self.drain(seconds)
        self._texts.put(None)

    def _serve(self) -> None:
        while (item := self._texts.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            self._target.write(item)
            if lost := self._lost:
                self._lost -= lost
                self._target.write(self._dropped(lost))
        self._target.close()

    def _write_directly(self) -> None:
        """Write without the queue, which nobody would empty in a forked process.

        Only the thread that forked goes on there (fork(2)).
        """
        self._has_thread = False


class StreamTarget:
    """A stream, such as stderr. What it does not take is lost.

    It is written by a descriptor of our own: if code of a task closes the stream's, the next file
    or socket that is opened gets that number, and must not get our lines.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor: int | None = None
        self._is: tuple[int, int] | None = None
        with suppress(OSError, ValueError):  # a stream of Python alone, or a closed one
            self._descriptor = os.dup(stream.fileno())
            self._is = _what_it_is(self._descriptor)

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # closed, or its reader has gone
            if self._descriptor is None:
                self._stream.write(text)
            else:
                _write_all(self._descriptor, text.encode("utf-8", "backslashreplace"))

    def write_apart(self, text: str) -> None:
        """Write by the stream's own descriptor, if that is still what it was."""
        if _what_it_is(self._stream.fileno()) == self._is:
            _write_all(self._stream.fileno(), text.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Write nothing more. The stream itself belongs to others."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class LogFile:
    """A file that only its owner may read, and that is rotated.

    Args:
        path: where it is. Its folder must exist.
        complain: is told, once, what cannot be written.
        bytes_per_file: beyond this it becomes `path.1`, and so on up to `path.OLD_FILES`.

    Raises OSError if it cannot be opened, or if it is not a regular file: a FIFO would wait for
    its reader.
    """

    def __init__(self, path: Path, complain: Callable[[str], object], bytes_per_file: int) -> None:
        self._path = path
        self._complain = complain
        self._bytes_per_file = bytes_per_file
        self._has_complained = False
        self._is_cut = False
        self._descriptor = _opened(path)

    def write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        try:
            self._open_again_if_moved()
            self._rotate_if_full(len(data))
            _write_all(self._descriptor, b"\n" * self._is_cut + data)
            self._is_cut = False
        except OSError as error:
            self._is_cut = True
            if not self._has_complained:
                self._has_complained = True
                self._complain(f"cannot write to the log {self._path}: {error}\n")

    def write_apart(self, text: str) -> None:
        """Write by a descriptor that is opened for this text."""
        descriptor = _opened(self._path)
        _write_all(descriptor, text.encode("utf-8", "backslashreplace"))
        os.close(descriptor)

    def close(self) -> None:
        """Write nothing more."""
        os.close(self._descriptor)

    def _open_again_if_moved(self) -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._path), os.fstat(self._descriptor)):
                return
        with suppress(FileNotFoundError):  # the folder is gone: whoever removed it does not want it back
            self._replace(_opened(self._path))

    def _rotate_if_full(self, more: int) -> None:
        size = os.fstat(self._descriptor).st_size
        if size == 0 or size + more <= self._bytes_per_file:
            return
        for number in range(OLD_FILES, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(self._numbered(number - 1), self._numbered(number))
        self._replace(_opened(self._path))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _replace(self, descriptor: int) -> None:
        before, self._descriptor = self._descriptor, descriptor
        os.close(before)


def _opened(path: Path) -> int:
    # NONBLOCK, since to open a FIFO would wait for its reader; without one it fails with ENXIO.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise _not_regular() if error.errno == errno.ENXIO else error from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular()
    return descriptor


def _what_it_is(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # another program made our terminal non-blocking
            select.select([], [descriptor], [])


def _not_regular() -> OSError:
    return OSError(errno.EINVAL, "Not a regular file")
