"""What the cron parsers of six packages say is next, and how long each takes."""

# ruff: noqa: PLC0415
# mypy: disable-error-code="import-not-found,import-untyped"
# Each adapter imports its package, since no environment has them all.

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from protocol import answer

Parse = Callable[[str, datetime], Any]
Next = Callable[[Any, datetime], datetime]


def jarvis_trio() -> tuple[Parse, Next]:
    """Ours."""
    from jarvis_trio.schedules.cron import CronExpression

    return lambda text, _: CronExpression(text), lambda parsed, after: parsed.next_time(after)


def cronsim() -> tuple[Parse, Next]:
    """cronsim: an iterator that starts at an instant."""
    from cronsim import CronSim

    return CronSim, lambda parsed, _: next(parsed)


def croniter() -> tuple[Parse, Next]:
    """croniter: an iterator that starts at an instant."""
    from croniter import croniter as Croniter

    return Croniter, lambda parsed, _: parsed.get_next(datetime)


def croniter_rs() -> tuple[Parse, Next]:
    """croniter's interface in Rust. It drops the zone without a word, so it is put back."""
    from croniter_rs import croniter as Croniter

    return Croniter, lambda parsed, after: parsed.get_next(datetime).replace(tzinfo=after.tzinfo)


def apscheduler() -> tuple[Parse, Next]:
    """APScheduler 3's trigger. It takes an instant that matches, so it is asked a microsecond later."""
    from apscheduler.triggers.cron import CronTrigger

    microsecond = timedelta(microseconds=1)
    return (
        lambda text, start: CronTrigger.from_crontab(text, start.tzinfo),
        lambda parsed, after: parsed.get_next_fire_time(None, after + microsecond),
    )


def cronstable() -> tuple[Parse, Next]:
    """cronstable: seconds until the next one, of which an instant is made, as for the others."""
    from cronstable.cronexpr import CronTab

    def next_time(parsed: Any, after: datetime) -> datetime:
        utc = after.astimezone(ZoneInfo("UTC")) + timedelta(seconds=parsed.next(after))
        return utc.astimezone(after.tzinfo)

    return lambda text, _: CronTab(text), next_time


ADAPTERS = {
    adapter.__name__: adapter for adapter in (jarvis_trio, cronsim, croniter, croniter_rs, apscheduler, cronstable)
}


def measure(package: str, warm_up: list[str], expressions: list[str], start: str, zone: str) -> list[dict[str, Any]]:
    """For each expression: microseconds to parse it and find the next time, then for each of four more, and that time.

    The process has seen the expressions of `warm_up` before, and none of the others.
    """
    parse, next_of = ADAPTERS[package]()
    gc.disable()  # as timeit does: a collection falls on whichever expression is at hand
    after = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    for text in warm_up:
        measure_one(parse, next_of, text, after)
    return [measure_one(parse, next_of, text, after) for text in expressions]


def measure_one(parse: Parse, next_of: Next, text: str, after: datetime, more: int = 4) -> dict[str, Any]:
    """One expression."""
    began = time.perf_counter()
    parsed = parse(text, after)
    first = at = next_of(parsed, after)
    parsed_at = time.perf_counter()
    for _ in range(more):
        at = next_of(parsed, at)
    ended = time.perf_counter()
    return {
        "cold_us": (parsed_at - began) * 1e6,
        "warm_us": (ended - parsed_at) / more * 1e6,
        "next": first.isoformat(),
    }


if __name__ == "__main__":
    answer({"measure": measure})
