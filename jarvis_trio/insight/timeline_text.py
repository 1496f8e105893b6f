"""A timeline as text: the higher a block, the longer the task ran; marks show failures. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

from jarvis_trio.insight.timeline import BY_WEIGHT, GONE_WRONG, Lane, Timeline
from jarvis_trio.models import RunStatus
from jarvis_trio.notation.text import cells, counted, fitting, printable

Segment = tuple[str, str]
"""A piece of a line, and its rich style."""

_BLOCKS = "▁▂▃▄▅▆▇█"
_AHEAD = "·"
_NOW = "│"
_MARKS = {
    RunStatus.ERROR: "✗",
    RunStatus.TIMEOUT: "T",
    RunStatus.INTERRUPTED: "!",
    RunStatus.MISSED: "○",
    RunStatus.SKIPPED: "◇",
    RunStatus.RUNNING: "»",
}
# Nearly everybody can tell blue from red; the marks say the same without colour.
_STYLES = {
    RunStatus.EXECUTED: "bright_blue",
    RunStatus.RUNNING: "cyan",
    RunStatus.MISSED: "yellow",
    RunStatus.SKIPPED: "yellow",
}
_FAILED_STYLE = "bold red"
_LABEL_WIDTH = 5
_LONGEST_NAME = 24
_WIDE = 100
_COUNT_WIDTH = 22
_LEAST_WIDTH = 40
_GREATEST_WIDTH = 240


def chart_lines(timeline: Timeline, width: int) -> Iterator[list[Segment]]:
    """The lines of the chart, each at most `width` columns (at least 40), in segments."""
    width = min(max(width, _LEAST_WIDTH), _GREATEST_WIDTH)
    names = min(max((cells(printable(lane.task)) for lane in timeline.lanes), default=0), _LONGEST_NAME, width // 4)
    counts = _COUNT_WIDTH if width >= _WIDE else 0
    grid = _Grid(timeline, width - names - 2 - counts)
    yield [(" " * (names + 2), ""), (grid.axis(), "dim")]
    for lane in timeline.lanes:
        name = fitting(printable(lane.task), names)
        name += " " * (names + 2 - cells(name))
        yield [(name, "bold"), *grid.segments(lane), *_count(lane, counts)]
    yield []
    yield from _legend(timeline, width)


class _Grid:
    """The columns of the chart: some for the past, one for the present, the rest for the future."""

    def __init__(self, timeline: Timeline, columns: int) -> None:
        self._timeline = timeline
        self._columns = columns - 1
        self._unit = (timeline.end - timeline.start) / self._columns
        self._now = self._column(timeline.now)

    def _column(self, instant: datetime) -> int:
        return min(max((instant - self._timeline.start) // self._unit, 0), self._columns - 1)

    def _past(self, instant: datetime) -> int:
        return min(self._column(instant), self._now - 1)

    def axis(self) -> str:
        line = [" "] * (self._columns + 1 + _LABEL_WIDTH)
        for instant, label in self._timeline.ticks(self._unit * (_LABEL_WIDTH + 3)):
            column = self._column(instant) + (instant >= self._timeline.now)
            if column + _LABEL_WIDTH <= self._columns + 1:
                line[column : column + len(label)] = label
        return "".join(line).rstrip()

    def segments(self, lane: Lane) -> Iterator[Segment]:
        drawn = self._ahead(lane) | self._blocks(lane) | self._marks(lane)
        cells = [drawn.get(column, (" ", "")) for column in range(self._columns)]
        cells.insert(self._now, (_NOW, "dim"))
        for style, alike in groupby(cells, key=lambda cell: cell[1]):
            yield "".join(text for text, _ in alike), style

    def _ahead(self, lane: Lane) -> dict[int, Segment]:
        return {max(self._column(slot), self._now): (_AHEAD, "dim") for slot in lane.ahead}

    def _blocks(self, lane: Lane) -> dict[int, Segment]:
        busy: dict[int, timedelta] = defaultdict(timedelta)
        worst: dict[int, RunStatus] = {}
        for bar in lane.bars:
            for column in range(self._past(bar.start), self._past(bar.end) + 1):
                left = self._timeline.start + column * self._unit
                busy[column] += max(min(bar.end, left + self._unit) - max(bar.start, left), timedelta())
                worst[column] = _worse(worst.get(column), bar.status)
        return {column: (_block(time / self._unit), _style(worst[column])) for column, time in busy.items()}

    def _marks(self, lane: Lane) -> dict[int, Segment]:
        worst: dict[int, RunStatus] = {}
        for bar in lane.bars:
            if bar.status in _MARKS:
                column = self._past(bar.end if bar.status is RunStatus.RUNNING else bar.start)
                worst[column] = _worse(worst.get(column), bar.status)
        return {column: (_MARKS[status], _style(status)) for column, status in worst.items()}


def _worse(one: RunStatus | None, other: RunStatus) -> RunStatus:
    return other if one is None else min(one, other, key=BY_WEIGHT.index)


def _block(share: float) -> str:
    return _BLOCKS[min(max(round(share * len(_BLOCKS)), 1), len(_BLOCKS)) - 1]


def _style(status: RunStatus) -> str:
    return _STYLES.get(status, _FAILED_STYLE)


def _count(lane: Lane, width: int) -> Iterator[Segment]:
    if width:
        failed = sum(bar.status in GONE_WRONG for bar in lane.bars)
        yield f"  {counted(len(lane.bars), 'run')}", "dim"
        if failed:
            yield f", {failed:,} failed", _FAILED_STYLE


def _legend(timeline: Timeline, width: int) -> Iterator[list[Segment]]:
    seen = {bar.status for lane in timeline.lanes for bar in lane.bars}
    marks = [(_MARKS[status], str(status), _style(status)) for status in BY_WEIGHT if status in seen & _MARKS.keys()]
    ran = ("▁▄█", "ran, the higher the longer", _style(RunStatus.EXECUTED))
    line: list[Segment] = []
    for mark, words, style in (ran, *marks, (_NOW, "now", "dim"), (_AHEAD, "to come", "dim")):
        entry = [(mark, style), (f" {words}  ", "")]
        if sum(len(text) for text, _ in (*line, *entry)) > width:
            yield line
            line = []
        line += entry
    yield line
