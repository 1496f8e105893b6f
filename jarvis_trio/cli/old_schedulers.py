"""Moving in: `import --crontab` and `import --plist` show what they read before they change it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable
from pathlib import Path

from jarvis_trio.cli.output import note, say
from jarvis_trio.desk.exchange import Import
from jarvis_trio.desk.moving import plan_move
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.moving.crontab import read_crontab
from jarvis_trio.moving.entry import Entry
from jarvis_trio.moving.plist import read_plist
from jarvis_trio.notation.text import printable

_STDIN = "-"
_OF_THE_SYSTEM = ("/etc/crontab", "/etc/cron.d/")
"""Here each line names a user before its command."""

_STAYING = frozenset(["com.chg.imessage-daemon", "com.chg.jarvis-backup", "com.chg.jarvis-daemon"])
"""Agents that are never touched, and our own."""


def plan_crontab(session: Session, name: str) -> Import:
    """Plan what the crontab changes, and print each of its lines.

    Raises TaskError if it cannot be read.
    """
    data = sys.stdin.buffer.read() if name == _STDIN else _content(name)
    user = getpass.getuser() if str(Path(name).absolute()).startswith(_OF_THE_SYSTEM) else None
    plan = _told(session, read_crontab(data.decode("utf-8", "surrogateescape"), user))
    if plan.changes:
        note("the crontab stays as it is: take these lines out with `crontab -e`, or both run them")
    if name == _STDIN:
        _ask_at_the_terminal()
    return plan


def plan_plists(session: Session, names: Iterable[str]) -> Import:
    """What the property lists change, told one by one. Raises TaskError if one cannot be read."""
    plan = _told(session, [read_plist(_content(name), Path(name).name, _STAYING) for name in names])
    if plan.changes:
        note("the agents stay as they are: end them with `launchctl bootout gui/$(id -u)/LABEL`, or both run")
    return plan


def _content(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise TaskError(f"{name} cannot be read: {error.strerror}") from None


def _told(session: Session, entries: list[Entry]) -> Import:
    move = plan_move(session, entries)
    told: set[str] = set()
    for entry in move.entries:
        say(printable(f"{entry.place}: {entry.text}"))
        if entry.why:
            say(f"    not taken over: {printable(entry.why)}")
        else:
            say(f"    becomes {' and '.join(printable(task.name) for task in entry.tasks)}")
        for remark in entry.notes:
            if remark not in told:
                say(f"    note: {printable(remark)}")
        told.update(entry.notes)
    return move.plan


def _ask_at_the_terminal() -> None:
    """Read answers from the terminal, if there is one, once the pipe on stdin is read."""
    if sys.stdin.isatty() or not sys.stdout.isatty():
        return
    try:
        sys.stdin = Path("/dev/tty").open()  # noqa: SIM115  # stays open: it is the program's input from now on
    except OSError:  # no terminal, as in a cron job
        return
