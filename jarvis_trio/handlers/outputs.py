"""What runs wrote: one file for each run, as it came, in `runs/` of the data folder.

A file is plain text, complete at each moment, and at most `LIMIT_BYTES` long. Beyond that its
beginning and its end are kept, and a line between them counts what was cut. It is written without
a buffer of ours, so the output survives a daemon that dies. A full disk costs output and never a
run. What was lost is counted, in the file as soon as there is room again and in `trouble`.

Ring buffers inside the file were rejected: nobody could read it with `tail`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from jarvis_trio.notation.text import counted

LIMIT_BYTES = 10 * 1024 * 1024
"""How much of a run's output is kept."""

_SUFFIX = ".log"
_CUT = re.compile(rb"\n\[\.\.\. ([\d,]+) bytes cut \.\.\.\]\n")


class Outputs:
    """The folder of the outputs.

    Args:
        folder: made, mode 0700, with the first output.
        limit_bytes: how much of each is kept.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit = limit_bytes

    def path(self, run_id: int) -> Path:
        """Where the output of a run is, if it has any."""
        return self._folder / f"{run_id}{_SUFFIX}"

    def is_kept(self, run_id: int) -> bool:
        """Whether something of a run's output is kept. Raises OSError if that cannot be seen."""
        try:
            self.path(run_id).lstat()  # Path.exists() hides a closed folder since Python 3.14
        except FileNotFoundError:
            return False
        return True

    def create(self, run_id: int) -> OutputFile:
        """A new and empty output; one that is there already, of a run in another database, goes."""
        return OutputFile(self.path(run_id), self._limit)

    def follow(self, run_id: int, is_over: Callable[[], bool], pause: Callable[[], object]) -> Iterator[bytes]:
        """What the run wrote, then what it writes, in pieces, until `is_over`.

        `pause` is called between looks.

        Raises OSError if there is something that cannot be read.
        """
        position, over = 0, False
        while not over:
            over = is_over()  # asked first: what came before the end is read after it
            piece, position = self._read(run_id, position)
            if piece:
                yield piece
            elif not over:
                pause()

    def _read(self, run_id: int, position: int) -> tuple[bytes, int]:
        """What was written after a position, and the position after it.

        Both positions count what was cut meanwhile.
        """
        try:
            with _opened(self.path(run_id)) as file:
                cut, line_bytes = _cut_in(file, _kept_bytes(self._limit))
                start = position
                if cut and position >= _kept_bytes(self._limit):
                    start = max(position - cut + line_bytes, _kept_bytes(self._limit))
                file.seek(start)
                piece = file.read()
                return piece, start + len(piece) + cut - line_bytes
        except FileNotFoundError:
            return b"", position

    def end(self, run_id: int, most_bytes: int) -> bytes:
        """The last `most_bytes` of a run's output; nothing if there are none that can be read."""
        with suppress(OSError), _opened(self.path(run_id)) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most_bytes))
            return file.read(most_bytes)
        return b""

    def sweep(self, kept: Callable[[], Container[int]]) -> int:
        """Delete the outputs of the runs that are not `kept`. Returns how many went.

        The folder is read before `kept` is asked: a run that starts meanwhile is not in either.
        """
        numbers, gone = self._numbers(), 0
        known = kept() if numbers else ()
        for number in numbers:
            if number not in known:
                with suppress(OSError):  # what cannot be deleted now goes another day, and holds up no other
                    self.path(number).unlink(missing_ok=True)
                    gone += 1
        return gone

    def _numbers(self) -> list[int]:
        """The numbers of the runs that have an output."""
        with suppress(OSError):
            stems = [name.removesuffix(_SUFFIX) for name in os.listdir(self._folder) if name.endswith(_SUFFIX)]
            return [int(stem) for stem in stems if stem.isdecimal()]
        return []


class OutputFile:
    """The output of one run, while it is written; a context manager.

    Nothing here raises: an output that cannot be written is lost, and told.

    Args:
        path: the file; None keeps nothing.
        limit_bytes: how much of it is kept.
    """

    def __init__(self, path: Path | None, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit = limit_bytes
        self._size = 0
        self._cut = 0
        self._lost = 0
        self._lost_since_told = 0
        self._why = ""
        self._descriptor: int | None = None
        if path is not None:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._descriptor = _create(path)
            except OSError as error:
                self._why = error.strerror or str(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tell_loss()
        self._close()

    @property
    def trouble(self) -> str | None:
        """What was lost and why, if something was."""
        were = "was" if self._lost == 1 else "were"
        return f"{counted(self._lost, 'byte')} of its output {were} lost: {self._why}" if self._lost else None

    def write(self, chunk: bytes) -> None:
        """Add to the end."""
        if self._path is None:
            return
        step = _kept_bytes(self._limit)
        for start in range(0, len(chunk), step):
            self._tell_loss()
            self._append(chunk[start : start + step])

    def _append(self, chunk: bytes) -> None:
        try:
            if self._path is not None and self._size + len(chunk) > self._limit:
                self._shorten(self._path)
            while chunk and self._descriptor is not None:
                written = os.write(self._descriptor, chunk)
                self._size += written
                chunk = chunk[written:]
        except OSError as error:
            self._why = error.strerror or str(error)
        self._lost += len(chunk)
        self._lost_since_told += len(chunk)

    def _tell_loss(self) -> None:
        """Write a line for what is missing, once something can be written again."""
        line = f"\n[... {counted(self._lost_since_told, 'byte')} lost: {self._why} ...]\n".encode()
        if not self._lost_since_told or self._descriptor is None:
            return
        with suppress(OSError):
            written = os.write(self._descriptor, line)
            self._size += written
            if written == len(line):
                self._lost_since_told = 0

    def _shorten(self, path: Path) -> None:
        """Leave out the middle. Raises OSError, and then the file is as it was."""
        kept = _kept_bytes(self._limit)
        with _opened(path) as file:
            _, line_bytes = _cut_in(file, kept) if self._cut else (0, 0)
            file.seek(0)
            head = file.read(kept)
            file.seek(self._size - kept)
            tail = file.read()
        cut = self._cut + self._size - len(head) - len(tail) - line_bytes
        content = head + f"\n[... {cut:,} bytes cut ...]\n".encode() + tail
        descriptor = _replace(path, content)
        self._close()
        self._descriptor, self._size, self._cut = descriptor, len(content), cut

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _kept_bytes(limit_bytes: int) -> int:
    """How much of the beginning, and at least of the end, is kept beyond the limit."""
    return limit_bytes // 4


def _cut_in(file: BinaryIO, kept: int) -> tuple[int, int]:
    """How many bytes were cut from the file, and the length of the line that says so.

    Both are zero if nothing was cut.
    """
    file.seek(kept)
    found = _CUT.match(file.read(64))
    return (int(found[1].replace(b",", b"")), len(found[0])) if found else (0, 0)


def _opened(path: Path) -> BinaryIO:
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK))


def _create(path: Path) -> int:
    with suppress(FileNotFoundError):
        path.unlink()  # not truncated: somebody may still read another run's
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _replace(path: Path, content: bytes) -> int:
    """Put `content` in place of the file, as a whole or not at all.

    Returns a descriptor that writes after it.
    """
    new = path.with_name(path.name + ".new")
    descriptor = _create(new)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.replace(new, path)
    except OSError:
        os.close(descriptor)
        new.unlink(missing_ok=True)
        raise
    return descriptor
