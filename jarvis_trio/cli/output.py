"""What commands print: lines, JSON, and tables whose colours vanish where nobody sees them.

Only here is rich used, and it is imported when a table is drawn. Relative times are
made here too: humanize was left, since it has no short forms (`in 4 min`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from jarvis_trio.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

STYLES = {
    "executed": "green",
    "running": "cyan",
    "error": "bold red",
    "timeout": "bold red",
    "interrupted": "red",
    "missed": "yellow",
    "skipped": "yellow",
}
"""How a run's status is shown; the word is always there too."""

_WIDE = 120
_UNITS = (("y", 31_557_600), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class Cell(NamedTuple):
    """A text in a table, with rich's style for it."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """A column of a table: its heading, and whether it is shown only where there is much room."""

    heading: str
    only_wide: bool = False
    one_line: bool = True


def say(text: str) -> None:
    """Print one line."""
    click.echo(printable(text))


def note(text: str) -> None:
    """Print one line on stderr, where it is in nobody's data."""
    click.echo(f"note: {printable(text)}", err=True)


def print_json(value: Any) -> None:
    """Print JSON in ASCII, so that no character of a name can act on the terminal."""
    click.echo(json.dumps(value, indent=2))


def console() -> Console:
    """Where tables are drawn: as wide as the terminal, or as `COLUMNS` says; without limit into a pipe."""
    from rich.console import Console  # noqa: PLC0415  # 40 ms, which `--json` need not pay

    unlimited = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=10_000 if unlimited else None, markup=False, emoji=False, highlight=False)


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], width: int) -> Table:
    """A table without lines, for a console of that width. Texts are shown as they are, on one line."""
    from rich.table import Table  # noqa: PLC0415  # as above
    from rich.text import Text  # noqa: PLC0415  # as above

    shown = [number for number, column in enumerate(columns) if width >= _WIDE or not column.only_wide]
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for number in shown:
        drawn.add_column(columns[number].heading, no_wrap=columns[number].one_line, overflow="ellipsis")
    for row in rows:
        drawn.add_row(*(Text(printable(row[number].text), row[number].style) for number in shown))
    return drawn


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Draw a table on stdout."""
    target = console()
    target.print(table(columns, rows, target.width))


def relative(instant: datetime, now: datetime) -> str:
    """How far an instant is from now, in its largest unit: `in 4 min`, `2 h ago`."""
    distance = short(abs(instant - now))
    return f"in {distance}" if instant > now else f"{distance} ago"


def short(duration: timedelta) -> str:
    """A duration in its largest unit, rounded down: `4 min`, `2 h`."""
    seconds = duration // timedelta(seconds=1)
    return next((f"{seconds // size} {unit}" for unit, size in _UNITS if seconds >= size), "0 s")


def clock_time(instant: datetime, zone: tzinfo) -> str:
    """An instant for people: local, to the second, with the weekday."""
    return f"{instant.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}"
