"""`jarvis-trio logs`."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import BinaryIO

import click

from jarvis_trio.cli.output import Amount, console, json_option, print_json
from jarvis_trio.cli.session import complete_task
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.telling import note
from jarvis_trio.notation.text import printable
from jarvis_trio.permission import permission_fix

_POLL_SECONDS = 0.25
_LEVEL = re.compile(r'\S+ \S+ (WARN|ERROR|FATAL) |.*"level": "(WARNING|ERROR|CRITICAL)"')
_STYLES = {"WARN": "yellow", "WARNING": "yellow"}


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Show new lines as they come, until Ctrl-C.")
@click.option("--task", metavar="NAME", shell_complete=complete_task, help="Show only the lines about this task.")
@click.option(
    "--lines",
    "-n",
    type=Amount(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="Show the last N lines.",
)
@json_option
@click.pass_obj
def logs(session: Session, /, follow: bool, task: str | None, lines: int, as_json: bool) -> None:
    """Show the last lines of the log.

    It is the daemon's own log, with the files that were rotated away.

    \b
    Example:
      jarvis-trio logs
      jarvis-trio logs -f --task backup
    """
    if follow and as_json:
        raise click.UsageError("--json prints once; leave out --follow")
    path = session.settings.log_file
    try:
        with _Log(path) as log:
            shown = _last(log, task, lines)
            print_json(shown) if as_json else _print(shown)
            if not shown and task is not None and lines:
                note(f"the log says nothing of {task!r}")
            if follow:
                _print(_about(task, log.follow()))
    except KeyboardInterrupt:
        pass  # how a person ends it
    except FileNotFoundError:
        raise JarvisError(f"there is no log yet at {path}", fix="the daemon writes it: jarvis-trio run") from None
    except OSError as error:
        if error.filename is None:  # what is printed cannot be written
            raise
        fix = permission_fix(path, error, "let DAEMON_LOG_FILE name a regular file")
        raise JarvisError(f"cannot read the log {path}: {error.strerror}", fix=fix) from None


class _Log:
    """The log, read line by line; it may be rotated while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = b""

    def __enter__(self) -> _Log:
        self._file = _opened(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def new_lines(self) -> Iterator[str]:
        """The lines that have come since the last call."""
        # Ask this first: the writer is done with a file that was moved, so the rest can be read.
        moved = self._was_moved()
        if os.fstat(self._file.fileno()).st_size < self._file.tell():  # emptied by hand
            self._file.seek(0)
            self._unfinished = b""
        *whole, self._unfinished = (self._unfinished + self._file.read()).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
        if moved:
            self._file.close()
            self._file = _opened(self._path)
            yield from self.new_lines()

    def follow(self) -> Iterator[str]:
        """The lines to come; never ends."""
        while True:
            yield from self.new_lines()
            time.sleep(_POLL_SECONDS)

    def older_files(self) -> Iterator[list[str]]:
        """The lines of the files that were rotated away, the newest file first."""
        places = (self._path.with_name(f"{self._path.name}.{number}") for number in count(1))
        for place in takewhile(Path.exists, places):
            yield place.read_bytes().decode(errors="replace").removesuffix("\n").split("\n")

    def _was_moved(self) -> bool:
        try:
            return not os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except FileNotFoundError:  # it will come
            return False


def _opened(path: Path) -> BinaryIO:
    """The file. Raises OSError; JarvisError for a FIFO or a device: neither keeps anything."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would hold up the command
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        says = f"cannot read the log {path}: it is not a plain file, so nothing is kept in it"
        raise JarvisError(says, fix="name a file in DAEMON_LOG_FILE")
    return os.fdopen(descriptor, "rb")


def _last(log: _Log, task: str | None, number: int) -> list[str]:
    found = list(deque(_about(task, log.new_lines()), number))
    older = log.older_files()
    while len(found) < number and (lines := next(older, None)) is not None:
        found = [*deque(_about(task, lines), number - len(found)), *found]
    return found


def _about(task: str | None, lines: Iterable[str]) -> Iterator[str]:
    """The lines about a task, each with the indented lines below it; all if `task` is None."""
    wanted = False
    for line in lines:
        if not line.startswith(" "):
            wanted = task is None or _tells_of(task, line)
        if wanted:
            yield line


def _tells_of(task: str, line: str) -> bool:
    """A line of JSON says it in a field; in every line names of tasks are quoted."""
    if line.startswith("{"):
        try:
            event = json.loads(line)
        except ValueError:
            return False
        return bool(event.get("task") == task or repr(task) in str(event.get("message")))
    return printable(repr(task)) in line


def _print(lines: Iterable[str]) -> None:
    from rich.text import Text  # noqa: PLC0415  # 40 ms, only if something is drawn

    target = console()
    for line in lines:
        level = _LEVEL.match(line)
        style = _STYLES.get(level[1] or level[2], "bold red") if level else ""
        target.print(Text(printable(line), style), soft_wrap=True)
