"""`jarvis-trio forecast`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import groupby, islice
from typing import TYPE_CHECKING

import click

from jarvis_trio.cli.output import Amount, console, json_option, say
from jarvis_trio.cli.session import complete_task, pass_looking_session
from jarvis_trio.desk import looks, views
from jarvis_trio.desk.session import Session
from jarvis_trio.foreground.telling import note
from jarvis_trio.insight.forecast import Upcoming
from jarvis_trio.notation.instants import as_utc
from jarvis_trio.notation.text import counted, date_words, fitting, moment_words, printable, time_words
from jarvis_trio.schedules.clock_changes import clock_changes

if TYPE_CHECKING:
    from rich.console import Console

_MOST_LINES_A_DAY = 4
_LONGEST_NAME = 32
_BATCH = 1000
_MOST_AS_JSON = 1_000_000
"""Nine years of a task that runs every five minutes."""


@click.command("forecast")
@click.argument("name", required=False, shell_complete=complete_task)
@click.option("--from", "start", metavar="TIME", help="From when: 2026-12-01T09:00, tomorrow 9:00. [default: now]")
@click.option(
    "--days", metavar="N", type=click.IntRange(1, 36_600), default=7, show_default=True, help="How many days from then."
)
@click.option(
    "--limit",
    metavar="N",
    type=Amount(min=1),
    help=f"Stop after the first N times; by default after none, with --json after {_MOST_AS_JSON:,}.",
)
@json_option
@pass_looking_session
def forecast_command(
    session: Session,
    /,
    name: str | None,
    start: str | None,
    days: int,
    limit: int | None,
    as_json: bool,
) -> None:
    """Say what will run when, in order.

    A task that is due often is one line for the whole day; --json has each of its
    times. Times are the machine's, and in JSON those of the task's zone.

    \b
    Example:
      jarvis-trio forecast
      jarvis-trio forecast backup --from 2027-03-14 --days 30 --json
    """
    zone = session.zone()
    found = looks.outlook(session, name, start, days)
    limit = limit or (_MOST_AS_JSON if as_json else None)
    slots = islice(found.slots, limit)
    if as_json:
        _print_stream(views.upcoming_view(slot) for slot in slots)
    elif not _print_days(slots, zone):
        say(f"Nothing runs in {counted(days, 'day')} from {moment_words(found.start, zone)}.")
    if limit is not None and next(found.slots, None) is not None:
        note(f"stopped after {counted(limit, 'time')}; --limit N shows more")
    if as_json:
        return
    for task, reason in found.left_out.items():
        say(f"{task} is left out: {reason}")


def _print_stream(objects: Iterable[object]) -> None:
    """Print a JSON array while its objects are computed.

    Ten years of many tasks do not have to fit in memory.
    """
    lines = (json.dumps(item) for item in objects)
    opening = "["
    while batch := list(islice(lines, _BATCH)):
        click.echo(opening + "\n  " + ",\n  ".join(batch), nl=False)
        opening = ","
    click.echo("[]" if opening == "[" else "\n]")


def _print_days(slots: Iterable[Upcoming], zone: tzinfo) -> bool:
    """Print the slots, grouped by day. Returns whether there were any."""
    target, found = console(), False
    for day, of_day in groupby(slots, key=lambda slot: slot.at.astimezone(zone).date()):
        found = True
        _print_day(target, day, list(of_day), zone)
    return found


def _print_day(target: Console, day: date, slots: list[Upcoming], zone: tzinfo) -> None:
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415  # 40 ms, which `--json` need not pay
    from rich.text import Text  # noqa: PLC0415  # as above

    midnight = as_utc(datetime.combine(day, time()), zone)
    changes = clock_changes(zone, midnight, midnight + timedelta(days=1))
    jumps = "".join(f" (the clock goes from {c.before:%H:%M} to {c.after:%H:%M})" for c in changes)
    target.print(date_words(day) + jumps, style="bold")
    lines = list(_lines(slots, zone, named=bool(changes)))
    at_width, name_width = (max(cell_len(line[column]) for line in lines) for column in (0, 1))
    for at, name, remark in lines:
        padded = set_cell_size(name, name_width)
        line = Text.assemble("  ", (at.ljust(at_width), "cyan"), "  ", padded, "  ", (remark, "dim"))
        line.rstrip()
        target.print(line, no_wrap=True, overflow="ellipsis")
    target.print()


def _lines(slots: list[Upcoming], zone: tzinfo, *, named: bool) -> Iterator[tuple[str, str, str]]:
    """Time, task and remark of each slot.

    If a task has many slots, they share the line of the first.
    """
    count = Counter(slot.task for slot in slots)
    last = {slot.task: slot.at for slot in slots}
    for slot in slots:
        remark = ""
        if count[slot.task] > _MOST_LINES_A_DAY:
            if slot.task not in last:
                continue
            more, until = counted(count[slot.task] - 1, "time"), _local_time(last.pop(slot.task), zone, named)
            remark = f"and {more} more until {until}"
        elif slot.at.astimezone(slot.zone).utcoffset() != slot.at.astimezone(zone).utcoffset():
            remark = f"{time_words(slot.at, slot.zone)} in {slot.zone}"
        yield _local_time(slot.at, zone, named), fitting(printable(slot.task), _LONGEST_NAME), remark


def _local_time(instant: datetime, zone: tzinfo, named: bool) -> str:
    return time_words(instant, zone) + (f" {instant.astimezone(zone):%Z}" if named else "")
