"""Checks of what the program stands on: interpreter, packages, clock, zone, room on the disk."""

from __future__ import annotations

import os
import shlex
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jarvis_trio import __version__
from jarvis_trio.clock import machine_zone
from jarvis_trio.doctor.findings import Finding, problem, warning
from jarvis_trio.notation.text import duration_words, moment_words, size_words
from jarvis_trio.process.disk import ENOUGH_BYTES, room_at

_PACKAGES = ("trio", "click", "rich", "psutil", "tomli-w", "tzdata")
_EXTRAS = {"mcp": "AI assistants", "textual": "watch", "apprise": "its channels", "psycopg": "several machines"}
_CLOCK_SLACK = timedelta(minutes=2)


def check_program(packages: Iterable[str] = _PACKAGES) -> Iterator[Finding]:
    """Which program this is, and whether what it needs is installed."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("program", f"jarvis-trio {__version__}, Python {python} ({sys.executable})")
    present = [f"SQLite {sqlite3.sqlite_version}"]
    for name in packages:
        try:
            present.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            fix = f"{shlex.quote(sys.executable)} -m pip install {name}"
            yield problem("packages", f"{name} is not installed for {sys.executable}", fix)
    yield Finding("packages", ", ".join(present))


def check_watch(reason: str | None) -> Iterator[Finding]:
    """Whether the daemon can see other programs' changes at once; `reason` says why not."""
    if reason is None:
        yield Finding("changes", "what other programs change is seen at once")
    else:
        says = f"what other programs change is seen at the next tick only: {reason}"
        yield warning("changes", says, "end what watches many files, or raise that limit")


def check_extras(extras: Mapping[str, str] = _EXTRAS) -> Iterator[Finding]:
    """Which extras are installed, by package, and what the others would add."""
    present, missing = [], []
    for package, use in extras.items():
        try:
            present.append(f"{package} {version(package)} ({use})")
        except PackageNotFoundError:
            missing.append(f"{package} ({use})")
    says = ", ".join(present) or "none is installed"
    yield Finding("extras", says + (f"; not installed: {', '.join(missing)}" if missing else ""))


def check_clock(now: datetime, zone: tzinfo, newest: datetime | None) -> Iterator[Finding]:
    """What the clock says, and whether it was set back.

    Args:
        now: the present instant, aware UTC.
        newest: the latest instant on record, aware UTC; None without one.
    """
    reads = f"{moment_words(now, zone)}, zone {zone}"
    if newest is None or newest <= now + _CLOCK_SLACK:
        yield Finding("clock", reads)
        return
    ahead = f"{moment_words(newest, zone)} is on record: it was set back by {duration_words(newest - now)}"
    yield problem("clock", f"{reads}; but {ahead}", "set the machine's clock, best by network time (NTP)")


def check_zone(environment: Mapping[str, str], zone: tzinfo) -> Iterator[Finding]:
    """Whether `TZ`, if it is set, names a zone or the file of one; `zone` is the one in force."""
    name = environment.get("TZ", "").removeprefix(":")
    if name and str(machine_zone(name)) not in (name, os.path.normpath(name)):
        fix = "set TZ to a name like Europe/Berlin (POSIX's own form, such as JST-9, is not read), or unset it"
        yield problem("clock", f"TZ is {name!r}, which names no zone; {zone} is used instead", fix)


def check_disk(folder: Path, enough: int = ENOUGH_BYTES) -> Iterator[Finding]:
    """Whether the disk of the database has room."""
    room = room_at(folder)
    says = f"{size_words(room.free_bytes)} are free at {folder}"
    if room.is_short(enough):
        yield problem("disk", f"only {says}", "make room: what cannot be recorded does not run")
    else:
        yield Finding("disk", says)
