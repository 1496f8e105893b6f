"""Two hundred cron expressions, in the dialect that all parsers share: weekdays by name, at most one day field."""

from __future__ import annotations

from collections.abc import Iterator

_DAYS = (
    "* * *", "* * MON-FRI", "* * SUN", "* * TUE,THU", "{d} * *",
    "{d},{e} * *", "31 * *", "{d} {m} *", "29 2 *", "1-7 */{n} *",
)  # fmt: skip
_TIMES = (
    "* *", "*/{n} *", "{i} *", "{i},{j} *", "{i} */{n}", "{i} {h}", "{i} 8-{k}", "*/{n} 9-{k}",
    "{i},{j} {h},{k}", "{i}-{j} {h}", "0 23", "0 {h}", "30 2", "*/20 0-{h}/2", "59 {h}", "{i} 12",
    "*/5 {h}", "{i} {h}-23/3", "0,30 *", "{j} {h}",
)  # fmt: skip


def _expressions(first: int, count: int) -> Iterator[str]:
    """Every time with every day, each with other numbers, so that few have a field in common."""
    for number in range(first, first + count):
        time, day = _TIMES[number % len(_TIMES)], _DAYS[number // len(_TIMES) % len(_DAYS)]
        i = number * 7 % 29
        yield f"{time} {day}".format(
            n=number % 5 + 2,
            i=i,
            j=i + number % 23 + 1,
            h=number % 17,
            k=number % 5 + 18,
            d=number % 27 + 1,
            e=number % 3 + 28,
            m=number % 11 + 2,
        )


EXPRESSIONS = list(_expressions(0, 200))
WARM_UP = list(_expressions(1000, 40))
START = "2026-05-11T10:17:23"
ZONE = "America/Denver"
