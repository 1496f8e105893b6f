"""The only reader of the wall clock and of the machine's zone (laws 5 and 6).

Everything else is handed a `Clock`. So a year can be simulated with another one:
`jarvis_trio.testing` derives its clock from trio's.
"""

from __future__ import annotations

import os
import time
import zlib
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

LOCALTIME = Path("/etc/localtime")
"""A link to the rules of the machine's zone, or a copy of them."""


class Clock(Protocol):
    """What the program needs to know about time."""

    def now(self) -> datetime:
        """The present instant, aware and in UTC."""

    def zone(self) -> tzinfo:
        """The machine's zone as it is set now, not as it was at the start."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations only."""


class SystemClock:
    """The machine's own clock.

    `TZ` is read once, when the clock is made. Nobody outside can change it in a running process,
    and a handler that changes it must not move the zone of all other tasks (law 4).
    """

    def __init__(self) -> None:
        self._zone_name = os.environ.get("TZ", "")

    def now(self) -> datetime:
        return datetime.now(UTC)

    def zone(self) -> tzinfo:
        return machine_zone(self._zone_name)

    def monotonic(self) -> float:
        return time.monotonic()


class ForeignZoneClock:
    """Another clock, in the zone of another process: a daemon's, which may run with another `TZ`.

    Args:
        clock: tells the time.
        zone_name: asked once, when a zone is first needed: the name of the zone that counts, or
            None for the clock's own.
    """

    def __init__(self, clock: Clock, zone_name: Callable[[], str | None]) -> None:
        self._clock = clock
        self._ask = zone_name
        self._name: str | None = None
        self._asked = False

    def now(self) -> datetime:
        return self._clock.now()

    def zone(self) -> tzinfo:
        if not self._asked:
            self._asked = True  # first, since to ask may need a zone
            self._name = self._ask()
        return self._clock.zone() if self._name is None else machine_zone(self._name)

    def monotonic(self) -> float:
        return self._clock.monotonic()


class SharedClock:
    """The clock of a database that several machines share, carried on by this machine's steady one.

    A machine whose own clock is wrong would run tasks early or late, and think that the clock
    was set back whenever another one has run something. `correct` is told what the server says,
    at each write; in between only seconds are counted, those of a suspended machine too.
    """

    def __init__(self) -> None:
        self._zone: tzinfo = UTC
        self._base = (datetime.now(UTC), steady_seconds())

    def now(self) -> datetime:
        instant, seconds = self._base
        return instant + timedelta(seconds=steady_seconds() - seconds)

    def zone(self) -> tzinfo:
        return self._zone

    def monotonic(self) -> float:
        return steady_seconds()

    def correct(self, instant: datetime) -> None:
        """The server says that it is `instant` now (aware UTC)."""
        self._base = (instant, steady_seconds())

    def machine_ahead(self) -> timedelta:
        """How far this machine's own clock is ahead of it; negative if it is behind."""
        return datetime.now(UTC) - self.now()

    def set_zone(self, zone: tzinfo) -> None:
        """Read tasks without a zone of their own in `zone` from now on: one for all machines."""
        self._zone = zone


def steady_seconds() -> float:
    """Seconds that never run backwards and go on while the machine is suspended.

    macOS counts them in CLOCK_MONOTONIC, Linux in CLOCK_BOOTTIME alone.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def machine_zone(name: str = "", localtime: Path = LOCALTIME) -> tzinfo:
    """The zone `name`, as in `TZ`, or else the one that `localtime` names at this moment.

    `datetime.astimezone()` cannot do this: the C library reads the zone once and keeps it, and it
    gives one offset instead of rules. The package tzlocal was considered and rejected: it raises if
    `/etc/timezone` contradicts `/etc/localtime`, and a daemon has to go on.
    """
    if name and (zone := _zone_named(name.removeprefix(":"))) is not None:
        return zone
    return _zone_of_localtime(localtime)


def _zone_named(name: str) -> tzinfo | None:
    try:
        if name.startswith("/"):
            return _zone_in_file(Path(name))
        return named_zone(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None


def _zone_of_localtime(localtime: Path) -> tzinfo:
    # macOS and Linux both keep a link into a folder named "zoneinfo". The link's own text is
    # enough: realpath costs ten times as much, and each run asks several times.
    try:
        key = os.readlink(localtime).partition("/zoneinfo/")[2]
    except OSError:  # a plain file, or none
        key = ""
    if key and (zone := _zone_named(key)) is not None:
        return zone
    try:
        return _zone_in_file(localtime)
    except (ValueError, OSError):
        return UTC


def _zone_in_file(path: Path) -> tzinfo:
    status = path.stat()
    return _zone_in_version(path, status.st_ino, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _zone_in_version(path: Path, inode: int, modified: int, size: int) -> tzinfo:
    """One object for each version of the file: two of one version would look like a change."""
    with path.open("rb") as file:
        return ZoneInfo.from_file(file, key=str(path))


def named_zone(name: str) -> ZoneInfo:
    """The zone `name` by the rules that are on the disk now.

    ZoneInfo keeps the rules that it has read for the life of the process; here they are read
    again if their file has changed. Raises as ZoneInfo does for a name that it does not know.
    """
    version = zone_version(name)
    if _versions.setdefault(name, version) != version:
        _versions[name] = version
        ZoneInfo.clear_cache(only_keys=(name,))
    return ZoneInfo(name)


Version = tuple[str, int, int, int] | None
"""A file of rules as it is now: its path, and what changes when it is exchanged or written."""

_versions: dict[str, Version] = {}
_files: dict[tuple[tuple[str, ...], str], str] = {}


def zone_version(name: str) -> Version:
    """Which file has the rules of a zone, by its name or its file's path, and which state of it.

    None if they are in no file, but in the package tzdata. Costs one stat(2).
    """
    place = (zoneinfo.TZPATH, name)
    path = _files.get(place) or _find_rules(*place)
    try:
        status = os.stat(path)
    except OSError:
        _files.pop(place, None)
        return None
    return path, status.st_ino, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=1024)
def zone_rules(version: Version) -> str:
    """A text that tells the rules in a file from all others; empty if they are in no file."""
    try:
        return "" if version is None else f"{zlib.crc32(Path(version[0]).read_bytes()):08x}"
    except OSError:
        return ""


def same_rules(one: str, other: str) -> bool:
    """Whether two zones, by their names, have the same rules, as `UTC` and `Etc/UTC` have."""
    return one == other or _rules_on_record(one) == _rules_on_record(other) != b""


def _rules_on_record(name: str) -> bytes:
    """The rules of a zone, from a file or the package tzdata; empty if neither has them."""
    from importlib import resources  # noqa: PLC0415  # 5 ms at each start, and nearly all machines have the files

    try:
        version = zone_version(name)
        if version is not None:
            return Path(version[0]).read_bytes()
        return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    except (ImportError, OSError, ValueError):
        return b""


def _find_rules(folders: tuple[str, ...], name: str) -> str:
    """Where ZoneInfo finds the rules of a zone (docs.python.org, library/zoneinfo)."""
    for folder in folders:
        path = os.path.join(folder, name)  # the name itself if it is a path
        if os.path.isfile(path):
            _files[folders, name] = path
            return path
    return name
