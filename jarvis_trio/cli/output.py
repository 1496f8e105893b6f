"""What commands print: lines, JSON, and tables, without colours if nobody sees them.

Only here is rich used, and it is imported when a table is drawn.
"""

from __future__ import annotations

import codecs
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import parse_stamp
from jarvis_trio.notation.text import UNPRINTABLE, moment_words, printable, shortened, without_escapes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

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

HIGHEST = 2**63 - 1
"""The highest number that a database knows."""

_Item = TypeVar("_Item")
_MOST_INDENTED = 1000
_NARROWEST = 20
_USUAL = 80
_WIDE = 120
_LONGEST_CELL = 500  # --json has all of it


class Amount(click.IntRange):
    """How much to show: more than there can be is all of it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that was typed, at most HIGHEST."""
        return min(int(super().convert(value, param, ctx)), HIGHEST)


class Cell(NamedTuple):
    """A text in a table, with rich's style for it."""

    text: str
    style: str = ""


class Fit(Enum):
    """What a column does if there is not enough room."""

    KEEP = "keep its width"
    FOLD = "go on in the next line"
    CUT = "end in an ellipsis"


class Column(NamedTuple):
    """A column of a table: its heading, how it fits, and whether it needs much room to be shown."""

    heading: str
    fit: Fit = Fit.KEEP
    only_wide: bool = False


def say(text: str) -> None:
    """Print one line."""
    click.echo(printable(text))


def stamp(text: str | None, zone: tzinfo, otherwise: str = "") -> str:
    """A time of a row in `zone`, for people; one that nobody can read as it is."""
    try:
        return moment_words(parse_stamp(text, zone), zone) if text else otherwise
    except ScheduleError:
        return str(text)


def say_text(text: str) -> None:
    """Print the lines of a text, indented."""
    for line in text.splitlines():
        say(f"  {line.expandtabs()}")


def print_live(pieces: Iterable[bytes]) -> bool:
    """Print what a run writes, as it comes, and end its last line. Returns whether it wrote.

    It is a text everywhere, without escape sequences and with replacements for other bytes,
    since the command goes on with words of its own; `output` prints bytes. A line is not awaited:
    the dots of a progress show at once. A piece may end inside of a character or of an escape
    sequence.
    """
    decoder, rest, last = codecs.getincrementaldecoder("utf-8")("replace"), "", ""
    for piece in itertools.chain(pieces, [b""]):
        text, rest = without_escapes(rest + decoder.decode(piece, final=not piece))
        last = text or last
        if sys.stdout.isatty():
            text = "\n".join(UNPRINTABLE.sub("", line.expandtabs()) for line in text.split("\n"))
        click.echo(text, nl=False)

    if last and not last.endswith("\n"):
        click.echo()
    return bool(last)


def print_json(value: Any) -> None:
    """Print JSON in ASCII, so that no character of a name can act on the terminal.

    Of a long list each element is one line: to indent it takes six times as long.
    """
    if isinstance(value, list) and len(value) > _MOST_INDENTED:
        click.echo("[" + ",\n".join(map(json.dumps, value)) + "]")
    else:
        click.echo(json.dumps(value, indent=2))


def console() -> Console:
    """The console that draws tables, as wide as the terminal or as `COLUMNS` says.

    Into a pipe the width has no limit. A terminal that does not know its width says 0, and rich
    would then draw nothing: it counts as a usual one.
    """
    from rich.console import Console  # noqa: PLC0415  # 40 ms, which `--json` need not pay

    unlimited = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    target = Console(width=10_000 if unlimited else None, markup=False, emoji=False, highlight=False)
    if target.width < _NARROWEST:
        target.width = _USUAL
    return target


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], width: int) -> Table:
    """A table without lines, for a console of that width. Texts are shown as they are."""
    from rich.table import Table  # noqa: PLC0415  # as above

    shown = [number for number, column in enumerate(columns) if width >= _WIDE or not column.only_wide]
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for number in shown:
        drawn.add_column(columns[number].heading, no_wrap=columns[number].fit is Fit.KEEP, overflow="fold")
    for row in rows:
        drawn.add_row(*(_text(row[number], columns[number].fit) for number in shown))
    return drawn


def _text(cell: Cell, fit: Fit = Fit.FOLD) -> Text:
    from rich.text import Text  # noqa: PLC0415  # as above

    # If the column may wrap but its texts may not, rich narrows the column and cuts them.
    cut = fit is Fit.CUT
    text = shortened(printable(cell.text), _LONGEST_CELL)
    return Text(text, cell.style, no_wrap=cut, overflow="ellipsis" if cut else None)


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Draw a table on stdout."""
    draw(table(columns, rows, console().width))


def print_list(
    found: Sequence[_Item],
    *,
    view: Callable[[_Item], object],
    columns: Sequence[Column],
    row: Callable[[_Item], Sequence[Cell]],
    nothing: str,
    as_json: bool,
) -> None:
    """Print what was found: as JSON, or as a table; `nothing` is said if there is nothing."""
    if as_json:
        print_json([view(item) for item in found])
    elif found:
        print_table(columns, map(row, found))
    else:
        say(nothing)


def draw(drawing: Table) -> None:
    """Print what is drawn, without the blanks by which rich fills the last column."""
    target = console()
    with target.capture() as drawn:
        target.print(drawing)
    for line in drawn.get().splitlines():
        print(line.rstrip())


def pairs(rows: Iterable[tuple[str, Cell]]) -> Table:
    """Headings with what is to be said to each."""
    from rich.table import Table  # noqa: PLC0415  # as above

    drawn = Table.grid(padding=(0, 2, 0, 0))
    for heading, cell in rows:
        drawn.add_row(_text(Cell(heading, "bold")), _text(cell))
    return drawn


def say_wrapped(text: str, style: str = "") -> None:
    """Print a text over as many lines as the terminal needs, none of which ends in a blank."""
    from rich.text import Text  # noqa: PLC0415  # as above

    target = console()
    for line in Text(text, style).wrap(target, target.width):
        line.rstrip()
        target.print(line)
