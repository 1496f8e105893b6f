"""Unit tests: the one reader of the wall clock and of the machine's zone (laws 5 and 6)."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tzdata

from jarvis_trio.clock import SystemClock, machine_zone, same_rules

BERLIN = ZoneInfo("Europe/Berlin")
WINTER, SUMMER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def zone_file() -> Path:
    """A compiled zone file, as `/etc/localtime` is one."""
    return Path(tzdata.__file__).parent / "zoneinfo/Europe/Berlin"


@pytest.fixture
def localtime(tmp_path: Path) -> Path:
    """A stand-in for `/etc/localtime`."""
    return tmp_path / "localtime"


def is_berlin(zone: object) -> bool:
    offsets = [instant.astimezone(zone).utcoffset() for instant in (WINTER, SUMMER)]  # type: ignore[arg-type]  # a tzinfo
    return offsets == [timedelta(hours=1), timedelta(hours=2)]


@pytest.mark.law(5)
def test_now_is_aware_utc_and_the_present() -> None:
    before, now, after = time.time(), SystemClock().now(), time.time()
    assert now.tzinfo is UTC
    assert before - 1e-3 <= now.timestamp() <= after + 1e-3


def test_monotonic_does_not_run_backwards() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.law(5)
@pytest.mark.parametrize("name", ["Europe/Berlin", ":Europe/Berlin"])
def test_tz_names_the_zone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", name)
    assert SystemClock().zone() == BERLIN


@pytest.mark.law(4)
def test_a_handler_that_sets_tz_moves_no_other_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    clock = SystemClock()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert clock.zone() == BERLIN
    assert SystemClock().zone() == ZoneInfo("Asia/Tokyo")


@pytest.mark.law(5)
def test_a_relinked_localtime_is_noticed(localtime: Path, tmp_path: Path, zone_file: Path) -> None:
    os.symlink(zone_file, localtime)
    assert machine_zone(localtime=localtime) == BERLIN
    localtime.unlink()
    os.symlink(zone_file.parents[1] / "Asia/Tokyo", localtime)
    assert machine_zone(localtime=localtime) == ZoneInfo("Asia/Tokyo")


def test_a_localtime_that_is_a_plain_copy_is_read(localtime: Path, zone_file: Path) -> None:
    localtime.write_bytes(zone_file.read_bytes())
    assert is_berlin(machine_zone(localtime=localtime))


@pytest.mark.law(5)
def test_a_zone_from_a_file_equals_itself_so_that_no_change_is_seen(localtime: Path, zone_file: Path) -> None:
    localtime.write_bytes(zone_file.read_bytes())
    assert machine_zone(localtime=localtime) == machine_zone(localtime=localtime)


@pytest.mark.law(5)
def test_another_plain_copy_is_another_zone(localtime: Path, zone_file: Path) -> None:
    localtime.write_bytes(zone_file.read_bytes())
    before = machine_zone(localtime=localtime)
    localtime.unlink()
    localtime.write_bytes((zone_file.parents[1] / "Asia/Tokyo").read_bytes())
    assert machine_zone(localtime=localtime) != before


@pytest.mark.law(5)
def test_tz_may_be_a_file(zone_file: Path, localtime: Path) -> None:
    assert is_berlin(machine_zone(str(zone_file), localtime))
    assert machine_zone(str(zone_file), localtime) == machine_zone(str(zone_file), localtime)


@pytest.mark.law(4)
@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "/nowhere", "/", "/etc/passwd", "Europe"])
def test_a_tz_that_makes_no_sense_falls_back_to_localtime(name: str, localtime: Path, zone_file: Path) -> None:
    os.symlink(zone_file, localtime)
    assert machine_zone(name, localtime) == BERLIN


@pytest.mark.law(4)
def test_without_any_zone_it_is_utc(localtime: Path) -> None:
    assert WINTER.astimezone(machine_zone(localtime=localtime)).utcoffset() == timedelta(0)


@pytest.mark.law(4)
def test_a_broken_localtime_is_utc(localtime: Path) -> None:
    localtime.write_bytes(b"no zone")
    assert WINTER.astimezone(machine_zone(localtime=localtime)).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("UTC", "Etc/UTC", True),
        ("Europe/Berlin", "Europe/Berlin", True),
        ("Europe/Berlin", "Asia/Tokyo", False),
        ("No/Zone", "No/Zone", True),
        ("No/Zone", "Nor/This", False),
        ("../../etc/passwd", "UTC", False),
        ("a\0b", "UTC", False),
    ],
)
def test_zones_are_the_same_by_their_rules_and_not_by_their_names(one: str, other: str, same: bool) -> None:
    assert same_rules(one, other) is same


def test_a_zone_in_a_file_is_the_same_as_its_name(zone_file: Path) -> None:
    assert same_rules(str(zone_file), "Europe/Berlin")
