"""Moving in: `import --crontab` and `import --plist` show what they read before they change it."""

from __future__ import annotations

import errno
import getpass
import sys
from collections.abc import Iterable
from pathlib import Path

from jarvis_trio.cli.output import say
from jarvis_trio.desk.moving import Move, plan_move
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.foreground.telling import note
from jarvis_trio.moving.crontab import read_crontab
from jarvis_trio.moving.entry import Entry
from jarvis_trio.moving.plist import read_plist
from jarvis_trio.notation.text import printable
from jarvis_trio.permission import permission_fix
from jarvis_trio.reading import read_file, read_whole

_STDIN = "-"
_OF_THE_SYSTEM = ("/etc/crontab", "/etc/cron.d/")
"""Here each line names a user before its command."""

_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)

_STAYING = frozenset(["com.chg.imessage-daemon", "com.chg.jarvis-backup", "com.chg.jarvis-daemon"])
"""Agents that are never touched, and our own."""


def plan_crontab(session: Session, name: str) -> Move:
    """What the crontab changes. Raises TaskError if it cannot be read."""
    data = content_of(name)
    user = getpass.getuser() if str(Path(name).absolute()).startswith(_OF_THE_SYSTEM) else None
    move = plan_move(session, read_crontab(data.decode("utf-8", "surrogateescape"), user))
    if move.plan.changes:
        note("the crontab stays as it is: take these lines out with `crontab -e`, or both run them")
    if name == _STDIN:
        _ask_at_the_terminal()
    return move


def plan_plists(session: Session, names: Iterable[str]) -> Move:
    """What the property lists change. Raises TaskError if one cannot be read."""
    move = plan_move(session, [read_plist(content_of(name), Path(name).name, _STAYING) for name in names])
    if move.plan.changes:
        note("the agents stay as they are: end them with `launchctl bootout gui/$(id -u)/LABEL`, or both run")
    return move


def content_of(name: str) -> bytes:
    """The content of a file that a person names; `-` is what comes in. Raises TaskError."""
    try:
        return read_whole(sys.stdin.buffer) if name == _STDIN else read_file(name)
    except OSError as error:
        fix = permission_fix(name, error, "give a file that is there" if error.errno in _NO_FILE else "")
        raise TaskError(f"{name} cannot be read: {error.strerror}", fix=fix) from None


def say_entries(entries: Iterable[Entry]) -> None:
    """Print what each entry becomes, or why it becomes nothing; each note once."""
    told: set[str] = set()
    for entry in entries:
        say(printable(f"{entry.place}: {entry.text}"))
        if entry.why:
            say(f"    not taken over: {printable(entry.why)}")
        else:
            say(f"    becomes {' and '.join(printable(task.name) for task in entry.tasks)}")
        for remark in entry.notes:
            if remark not in told:
                say(f"    note: {printable(remark)}")
        told.update(entry.notes)


def _ask_at_the_terminal() -> None:
    """Read answers from the terminal, if there is one, once the pipe on stdin is read."""
    if sys.stdin.isatty() or not sys.stdout.isatty():
        return
    try:
        sys.stdin = Path("/dev/tty").open()  # noqa: SIM115  # stays open: it is the program's input from now on
    except OSError:  # no terminal, as in a cron job
        return
