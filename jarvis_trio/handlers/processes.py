"""Runs a program to its end, or ends it: the program and every process that came of it.

Nothing of a command outlives it, as in a systemd service (systemd.kill(5),
`KillMode=control-group`). What a command left behind would run beside the task's next run.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Event
from typing import Self

import psutil

from jarvis_trio.handlers.family import Family, is_alive
from jarvis_trio.handlers.patience import PATIENCE, Patience
from jarvis_trio.handlers.starts import start_error
from jarvis_trio.handlers.streams import Streams
from jarvis_trio.process.children import Child
from jarvis_trio.process.identity import current_owner
from jarvis_trio.process.offspring import MARKER
from jarvis_trio.process.stamp import Stamp, stamped

_KEPT_BYTES = 6 * 1024
"""Kept of the beginning, and of the end, of each output for the history."""

_MOST_JSON_CHARACTERS = 28_000
"""The limit that lets both outputs fit, as JSON in ASCII, into the result.

A Cyrillic letter takes six characters.
"""

_LOOK_SECONDS = 0.25
"""How often a running command is looked at, beside the moments when it writes."""

_POLL_SECONDS = 0.05
"""The same for one that has closed both of its outputs."""

_SURVIVORS_SECONDS = 1.0
"""How often it is looked whether survivors are gone."""

_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended.

    Attributes:
        exit_code: negative for a signal; None if nobody knows, because other code in this process
            reaped the command.
        in_time: whether it ended by itself.
        stopped: whether it was ended before its time limit, because it was cancelled.
        stdout: the beginning and the end of what it wrote there, as text.
        stderr: the same of the other output.
        ended: how many processes had to be ended. They are those the command left behind; if it did
            not end by itself, they are the command and its descendants.
        survivors: those that even SIGKILL did not end in time.
    """

    exit_code: int | None
    in_time: bool
    stopped: bool
    stdout: str
    stderr: str
    ended: int
    survivors: tuple[psutil.Process, ...]

    def until_gone(self) -> None:
        """Wait until nothing of it is alive, however long that takes."""
        while any(is_alive(process) for process in self.survivors):
            time.sleep(_SURVIVORS_SECONDS)
        for process in self.survivors:
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)

    def without(self, secrets: Iterable[str]) -> Self:
        """The same, with asterisks in place of each secret that an output holds whole.

        The history and the messages get this copy. Short secrets stay: they would garble the text.
        """
        stdout, stderr = self.stdout, self.stderr
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                stdout, stderr = stdout.replace(secret, "***"), stderr.replace(secret, "***")
        return replace(self, stdout=stdout, stderr=stderr)


def run_command(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str,
    timeout: timedelta,
    cancelled: Event,
    mark: str = "",
    output: Callable[[bytes], object] = lambda _: None,
    umask: int = -1,
    patience: Patience = PATIENCE,
) -> Completed:
    """Run a program without a shell, in a session of its own and with an empty stdin.

    Args:
        arguments: the program's absolute path, and its arguments.
        environment: all of its environment; only `JARVIS_RUN` is added.
        folder: its working directory.
        timeout: after this it is ended, with all its descendants.
        cancelled: the same as soon as this is set.
        mark: what `processes_of` finds it by, such as the run's number.
        output: is given both outputs in the order in which they were written, as they come.
        umask: its mask for new files; -1 is this process's own.
        patience: how long its processes have to end.

    Raises HandlerError if it cannot be started.
    """
    owner = current_owner()
    marker, stamp = f"{owner}/{mark}/{os.urandom(8).hex()}", _stamp_of_run(owner, mark)
    family = Family(marker, stamp)
    excerpts = (_Excerpt(), _Excerpt())
    deadline = time.monotonic() + timeout.total_seconds()

    with Streams([_both(excerpt.add, output) for excerpt in excerpts]) as streams:
        with stamped(stamp):
            process = _start(arguments, {**environment, MARKER: marker}, folder, streams, umask)
        family.begin(process.pid)
        command = Child(process)
        in_time = stopped = False
        try:
            in_time = _wait(command, streams, deadline, cancelled)
            stopped = not in_time and time.monotonic() < deadline
        finally:
            survivors = family.end(streams.pump, patience, ended_by_itself=in_time)
        if not command.reap():
            command.abandon()
        streams.drain()

    stdout, stderr = (excerpt.text() for excerpt in excerpts)
    return Completed(command.exit_code, in_time, stopped, stdout, stderr, len(family.ended), survivors)


@dataclass(frozen=True, slots=True)
class Hunted:
    """What came of a hunt for the processes of one that is gone.

    Attributes:
        ended: how many were told to end.
        survivors: those that even SIGKILL did not end in time.
    """

    ended: int
    survivors: tuple[psutil.Process, ...]


def end_orphans(owner: str, patience: Patience = PATIENCE) -> Hunted:
    """End what a process that is gone has left of its commands.

    `owner` is what `current_owner` said in that process.
    """
    family = Family(f"{owner}/", Stamp.of(owner))
    survivors = family.end(time.sleep, patience)
    return Hunted(len(family.ended), survivors)


def mark_of(process: psutil.Process, owner: str) -> str | None:
    """The mark that a process of that owner runs with; None if that cannot be seen."""
    with suppress(psutil.Error, OSError):
        whole = process.environ().get(MARKER, "")
        if whole.startswith(f"{owner}/"):
            return whole.removeprefix(f"{owner}/").partition("/")[0]
    stamp = Stamp.at(process.pid)
    if stamp is None or not stamp.run or not Stamp.of(owner).covers(stamp):
        return None
    return str(stamp.run)


def end_run(owner: str, mark: str, patience: Patience = PATIENCE) -> int:
    """End what runs with that mark for that owner, from another process.

    Returns how many processes were ended.
    """
    family = Family(f"{owner}/{mark}/", _stamp_of_run(owner, mark))
    family.end(time.sleep, patience)
    return len(family.ended)


def end_descendants() -> int:
    """End what descends from this process, such as what a Python handler forked.

    Returns how many processes were ended.
    """
    family = Family("")
    family.begin_here()
    family.end(time.sleep, PATIENCE)
    return len(family.ended)


def processes_of(owner: str, mark: str) -> list[int]:
    """The PIDs of what runs with that mark for that owner, in order."""
    family = Family(f"{owner}/{mark}/", _stamp_of_run(owner, mark))
    return [process.pid for process in family.living()]


def _stamp_of_run(owner: str, mark: str) -> Stamp | None:
    """The stamp of one run; None if its mark is not a number, since the owner's covers too much."""
    stamp = Stamp.of(owner, mark)
    return stamp if stamp.run else None


def _both(first: Callable[[bytes], object], second: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def take(chunk: bytes) -> None:
        first(chunk)
        second(chunk)

    return take


def _start(
    arguments: Sequence[str], environment: Mapping[str, str], folder: str, streams: Streams, umask: int
) -> subprocess.Popen[bytes]:
    stdout, stderr = streams.writers
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=folder,
            start_new_session=True,
            umask=umask,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL, or a character that has no bytes
        raise start_error(arguments[0], folder, error) from None
    finally:
        streams.started()


def _wait(command: Child, streams: Streams, deadline: float, cancelled: Event) -> bool:
    """Wait for the command, but not for what holds its output after it.

    Returns whether the command ended by itself.
    """
    while not command.has_ended():
        left = deadline - time.monotonic()
        if left <= 0 or cancelled.is_set():
            return False
        if streams.are_open():
            streams.pump(min(left, _LOOK_SECONDS))
        else:
            cancelled.wait(min(left, _POLL_SECONDS))
    return True


class _Excerpt:
    """The beginning and the end of what was written, and how much was in between."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._length = 0

    def add(self, chunk: bytes) -> None:
        """Take in what was written next."""
        self._length += len(chunk)
        room = _KEPT_BYTES - len(self._head)
        self._head += chunk[:room]
        self._tail = (self._tail + chunk[room:])[-_KEPT_BYTES:]

    def text(self) -> str:
        """As text, with a line that counts what was cut. What is long as JSON is cut more."""
        text = _text(self._head, self._tail, self._length)
        size = len(json.dumps(text))
        if size <= _MOST_JSON_CHARACTERS:
            return text

        whole = self._head + self._tail
        kept = len(whole) * _MOST_JSON_CHARACTERS // size // 2
        return _text(whole[:kept], whole[-kept:], self._length)


def _text(head: bytes, tail: bytes, length: int) -> str:
    cut = length - len(head) - len(tail)
    gap = f"\n[... {cut:,} bytes cut ...]\n".encode() if cut else b""
    return (head + gap + tail).decode("utf-8", "replace")
