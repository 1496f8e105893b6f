"""Runs a program to its end, or ends it: it, and every process that came of it.

Nothing of a command outlives it, as systemd has it for a service (systemd.kill(5),
`KillMode=control-group`): what it left behind would run beside the task's next run.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from typing import Self

import psutil

from jarvis_trio.errors import HandlerError
from jarvis_trio.process.identity import current_owner
from jarvis_trio.text import printable

MARKER = "JARVIS_RUN"
"""The environment variable by which the processes of a run are known, wherever they went."""

TERM_GRACE = timedelta(seconds=5)
"""How long processes have to end after SIGTERM, before SIGKILL."""

KILL_GRACE = timedelta(seconds=2)
"""How long they have to be gone after SIGKILL; only what hangs in the kernel needs longer."""

_KEPT_BYTES = 6 * 1024
"""Kept of the beginning, and of the end, of each output: so both fit, as JSON, into what is kept of a result."""

_CHUNK_BYTES = 64 * 1024
"""What a pipe holds (pipe(7)), so that one read empties it."""

_LOOK_SECONDS = 0.25
"""How often a running command is looked at, beside the moments when it writes or closes its output."""

_POLL_SECONDS = 0.05
"""How often processes that are to end are looked at."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended.

    `exit_code` is negative for a signal. `ended` counts the processes that had to be
    ended: what the command left behind, or, at its time limit, it and its descendants.
    `survivors` are the PIDs of those that not even SIGKILL ended in time.
    """

    exit_code: int | None
    in_time: bool
    stdout: str
    stderr: str
    ended: int
    survivors: tuple[int, ...]


def run_command(
    arguments: Sequence[str], *, environment: Mapping[str, str], folder: str, timeout: timedelta, cancelled: Event
) -> Completed:
    """Run a program without a shell, in a session of its own and with an empty stdin.

    Args:
        arguments: the program's absolute path, and what it is given.
        environment: all that it gets, but for `JARVIS_RUN`, which is added.
        folder: its working directory.
        timeout: after this it is ended, with all its descendants.
        cancelled: the same as soon as this is set.

    Raises HandlerError where it cannot be started.
    """
    family = _Family(f"{current_owner()}/{os.urandom(8).hex()}", strangers=psutil.pids())
    deadline = time.monotonic() + timeout.total_seconds()
    with _start(arguments, {**environment, MARKER: family.marker}, folder) as process, _Outputs(process) as outputs:
        try:
            in_time = _wait(process, outputs, deadline, cancelled)
        finally:
            family.adopt(process)
            survivors = family.end(outputs.pump)
        outputs.pump(0)
    return Completed(process.returncode, in_time, *outputs.texts(), len(family.ended), survivors)


def end_orphans(owner: str) -> int:
    """End what a process that is gone has left of its commands.

    `owner` is what `current_owner` said in that process. Returns how many were ended.
    """
    family = _Family(f"{owner}/", strangers=[os.getpid()])
    family.end(time.sleep)
    return len(family.ended)


def _start(arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL, or a character that has no bytes
        hint = "; a script must begin with a line such as #!/bin/sh" if _is_no_format(error) else ""
        raise HandlerError(f"{printable(arguments[0])} cannot be started: {printable(str(error))}{hint}") from None


def _is_no_format(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOEXEC


def _wait(process: subprocess.Popen[bytes], outputs: _Outputs, deadline: float, cancelled: Event) -> bool:
    """Wait for the command, but not for what holds its output after it. Returns whether it ended in time."""
    while process.poll() is None:
        left = deadline - time.monotonic()
        if left <= 0 or cancelled.is_set():
            return False
        if outputs.are_open():
            outputs.pump(min(left, _LOOK_SECONDS))
        else:
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(left, _LOOK_SECONDS))
    return True


class _Outputs:
    """Both outputs of a process, read as they come, so that it never waits and memory stays flat."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._excerpts = (_Excerpt(), _Excerpt())
        self._selector = selectors.DefaultSelector()
        for pipe, excerpt in zip((process.stdout, process.stderr), self._excerpts, strict=True):
            assert pipe is not None
            self._selector.register(pipe, selectors.EVENT_READ, excerpt)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def are_open(self) -> bool:
        return bool(self._selector.get_map())

    def pump(self, seconds: float) -> None:
        """Read what is there, once, after waiting for it for at most `seconds`."""
        for key, _ in self._selector.select(seconds):
            if chunk := os.read(key.fd, _CHUNK_BYTES):
                key.data.add(chunk)
            else:
                self._selector.unregister(key.fileobj)

    def texts(self) -> tuple[str, str]:
        stdout, stderr = self._excerpts
        return stdout.text(), stderr.text()


class _Excerpt:
    """The beginning and the end of what was written, and how much was in between."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._length = 0

    def add(self, chunk: bytes) -> None:
        self._length += len(chunk)
        room = _KEPT_BYTES - len(self._head)
        self._head += chunk[:room]
        self._tail = (self._tail + chunk[room:])[-_KEPT_BYTES:]

    def text(self) -> str:
        cut = self._length - len(self._head) - len(self._tail)
        gap = f"\n[... {cut:,} bytes cut ...]\n".encode() if cut else b""
        return (self._head + gap + self._tail).decode("utf-8", "replace")


class _Family:
    """The processes that came of a command: those in its session, and those that bear its marker.

    What changed its session and its environment is found only while its parents live,
    since the kernel then forgets where it came from. Processes are compared by number and
    start time, so a number that is used again does no harm.

    Args:
        marker: how the value of `MARKER` begins in their environment.
        strangers: PIDs that are not looked into, since they were there before.
    """

    def __init__(self, marker: str, strangers: Sequence[int]) -> None:
        self.marker = marker
        self.ended: set[psutil.Process] = set()
        self._strangers = frozenset(strangers)
        self._members: set[psutil.Process] = set()
        self._session: int | None = None

    def adopt(self, process: subprocess.Popen[bytes]) -> None:
        """Take in the command itself, and all its descendants if it still runs."""
        self._session = process.pid
        if process.poll() is None:
            with suppress(psutil.Error):
                leader = psutil.Process(process.pid)
                self._members = {leader, *leader.children(recursive=True)}

    def end(self, pause: Callable[[float], object]) -> tuple[int, ...]:
        """SIGTERM, a time of grace, then SIGKILL. Returns the PIDs of those that live on.

        `pause` is called with the seconds for which nothing is to be done.
        """
        for number, grace in ((signal.SIGTERM, TERM_GRACE), (signal.SIGKILL, KILL_GRACE)):
            deadline = time.monotonic() + grace.total_seconds()
            told: set[psutil.Process] = set()
            while (living := self._living()) and time.monotonic() < deadline:
                # Parents, whose numbers are lower, first: a shell whose command has ended goes on to the next one.
                for process in sorted(living - told, key=lambda process: process.pid):
                    with suppress(psutil.Error):
                        process.send_signal(number)
                told |= living
                self.ended |= living
                pause(_POLL_SECONDS)
        return tuple(sorted(process.pid for process in self._living()))

    def _living(self) -> set[psutil.Process]:
        self._members.update(self._found())
        return {process for process in self._members if _is_alive(process)}

    def _found(self) -> Iterator[psutil.Process]:
        for pid in psutil.pids():
            with suppress(psutil.Error, OSError):
                if os.getsid(pid) == self._session or (pid not in self._strangers and self._is_marked(pid)):
                    yield psutil.Process(pid)

    def _is_marked(self, pid: int) -> bool:
        return psutil.Process(pid).environ().get(MARKER, "").startswith(self.marker)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
