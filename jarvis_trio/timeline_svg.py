"""A timeline as an SVG picture: accessible, light or dark as the reader's system is, and safe to publish. Pure.

The tree is built with the standard library's ElementTree, which escapes all text. No
script, no font and no image is referred to. Each status has a shape of its own and a
colour of Okabe and Ito's palette, which colour-blind people tell apart. Each bar tells
in its title what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from jarvis_trio.models import RunStatus
from jarvis_trio.text import printable
from jarvis_trio.timeline import BY_WEIGHT, FAILED, Bar, Lane, Timeline
from jarvis_trio.words import counted, duration_words, moment_words, shortened

_WIDTH = 960
_LEFT = 170
_RIGHT = 24
_TOP = 64
_LANE = 28
_BAR = 12
_BOTTOM = 56
_TICK_GAP = 64
_LONGEST_NAME = 22

# Drawn around (0, 0).
_SHAPES = {
    RunStatus.ERROR: "M-5,-5 L5,5 M-5,5 L5,-5",
    RunStatus.TIMEOUT: "M-5,-6 H5 L-5,6 H5 Z",
    RunStatus.INTERRUPTED: "M0,-7 V2 M0,5 V7",
    RunStatus.MISSED: "M-5,0 A5,5 0 1 0 5,0 A5,5 0 1 0 -5,0 Z",
    RunStatus.SKIPPED: "M0,-6 L6,0 L0,6 L-6,0 Z",
    RunStatus.RUNNING: "M-3,-6 L3,0 L-3,6",
}
_COLOURS = {  # light, dark
    "paper": ("#ffffff", "#0d1117"),
    "stripe": ("#f4f6f8", "#161b22"),
    "ink": ("#1f2328", "#e6edf3"),
    "faint": ("#57606a", "#9da7b1"),
    "line": ("#d0d7de", "#30363d"),
    "executed": ("#0072b2", "#56b4e9"),
    "running": ("#009e73", "#2fc79a"),
    "failed": ("#c44900", "#ff8c42"),
    "unrun": ("#8a6d00", "#f0c239"),
}
_GROUPS = {RunStatus.EXECUTED: "executed", RunStatus.RUNNING: "running"} | dict.fromkeys(FAILED, "failed")


def chart_svg(timeline: Timeline) -> str:
    """The chart as the text of an SVG file."""
    return _Picture(timeline).text()


class _Picture:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._unit = (timeline.end - timeline.start) / (_WIDTH - _LEFT - _RIGHT)
        self._bottom = _TOP + _LANE * len(timeline.lanes)
        size = {"width": str(_WIDTH), "height": str(self._bottom + _BOTTOM)}
        self._root = Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {_WIDTH} {self._bottom + _BOTTOM}",
                **size,
                "role": "img",
                "aria-labelledby": "title description",
            },
        )
        SubElement(self._root, "title", {"id": "title"}).text = "Runs of the scheduled tasks"
        SubElement(self._root, "desc", {"id": "description"}).text = self._summary()
        SubElement(self._root, "style").text = _style_sheet()
        SubElement(self._root, "rect", {**size, "class": "paper"})

    def text(self) -> str:
        self._heading()
        for number, lane in enumerate(self._timeline.lanes):
            self._ground(lane, _TOP + _LANE * number, striped=number % 2 == 0)
        self._axis()
        for number, lane in enumerate(self._timeline.lanes):
            self._lane(lane, _TOP + _LANE * (number + 0.5))
        self._legend()
        indent(self._root)
        return tostring(self._root, encoding="unicode") + "\n"

    def _summary(self) -> str:
        bars = [bar for lane in self._timeline.lanes for bar in lane.bars]
        failed = sum(bar.status in FAILED for bar in bars)
        span = f"from {self._when(self._timeline.start)} to {self._when(self._timeline.now)}"
        return f"{counted(len(self._timeline.lanes), 'task')}, {counted(len(bars), 'run')}, {failed:,} failed, {span}"

    def _when(self, instant: datetime) -> str:
        return moment_words(instant.replace(microsecond=0), self._timeline.zone)

    def _x(self, instant: datetime) -> float:
        return round(_LEFT + (instant - self._timeline.start) / self._unit, 1)

    def _write(self, text: str, x: float, y: float, **attributes: str) -> Element:
        element = SubElement(self._root, "text", {"x": str(x), "y": str(y), **attributes})
        element.text = _drawable(text)
        return element

    def _heading(self) -> None:
        self._write("Runs of the scheduled tasks", 16, 24, **{"class": "heading"})
        self._write(self._summary(), 16, 42, **{"class": "faint"})

    def _axis(self) -> None:
        for instant, label in self._timeline.ticks(self._unit * _TICK_GAP):
            x = self._x(instant)
            self._line(x, "tick")
            self._write(label, x, self._bottom + 16, **{"class": "faint", "text-anchor": "middle"})
        x = self._x(self._timeline.now)
        self._line(x, "now")
        self._write("now", x, _TOP - 6, **{"class": "faint", "text-anchor": "middle"})

    def _line(self, x: float, kind: str) -> None:
        ends = {"x1": str(x), "x2": str(x), "y1": str(_TOP), "y2": str(self._bottom)}
        SubElement(self._root, "line", {**ends, "class": kind})

    def _ground(self, lane: Lane, top: float, *, striped: bool) -> None:
        if striped:
            place = {"x": "0", "y": str(top), "width": str(_WIDTH), "height": str(_LANE)}
            SubElement(self._root, "rect", {**place, "class": "stripe"})
        name = _drawable(lane.task)
        SubElement(self._write(shortened(name, _LONGEST_NAME), 16, top + _LANE / 2 + 4), "title").text = name

    def _lane(self, lane: Lane, middle: float) -> None:
        group = SubElement(self._root, "g", {"role": "list", "aria-label": _drawable(lane.task)})
        for slot in self._thinned(lane.ahead):
            SubElement(group, "path", {"class": "ahead", "d": f"M{self._x(slot)},{middle - 4} v8"})
        bars = sorted(lane.bars, key=lambda bar: -BY_WEIGHT.index(bar.status))  # what failed is drawn last, on top
        for status, same in groupby(bars, key=lambda bar: bar.status):
            for merged in self._merged(list(same)):
                self._bar(group, merged, status, middle)

    def _thinned(self, slots: Sequence[datetime]) -> Iterator[datetime]:
        """The slots, without those that would be drawn over another."""
        drawn = None
        for slot in slots:
            if drawn is None or slot - drawn >= 3 * self._unit:
                yield slot
                drawn = slot

    def _merged(self, bars: Sequence[Bar]) -> Iterator[list[Bar]]:
        """The bars, those together that are not a pixel apart."""
        together: list[Bar] = []
        for bar in bars:
            if together and bar.start - together[-1].end >= self._unit:
                yield together
                together = []
            together.append(bar)
        if together:
            yield together

    def _bar(self, parent: Element, bars: Sequence[Bar], status: RunStatus, middle: float) -> None:
        kind = _GROUPS.get(status, "unrun")
        group = SubElement(parent, "g", {"role": "listitem", "class": kind})
        SubElement(group, "title").text = self._describe(bars)
        left = max(self._x(bars[0].start), _LEFT)
        width = round(max(self._x(bars[-1].end) - left, 2), 1)
        if kind != "unrun":
            place = {"x": str(left), "y": str(middle - _BAR / 2), "width": str(width), "height": str(_BAR), "rx": "1"}
            SubElement(group, "rect", {**place, "class": "bar"})
        if status in _SHAPES:
            x = left + width if status is RunStatus.RUNNING else left
            _shape(group, status, x, middle)

    def _describe(self, bars: Sequence[Bar]) -> str:
        run = bars[0].run
        if len(bars) > 1:
            span = f"from {self._when(bars[0].start)} to {self._when(bars[-1].end)}"
            return _drawable(f"{run.task_name}: {counted(len(bars), 'run')} {run.status}, {span}")
        took = duration_words(bars[0].end - bars[0].start)
        detail = f": {run.reason}" if run.reason else f", took {took}"
        return _drawable(f"{run.task_name}: {run.status}, {self._when(bars[0].start)}{detail}")

    def _legend(self) -> None:
        seen = {bar.status for lane in self._timeline.lanes for bar in lane.bars}
        x, y = 16.0, self._bottom + 40
        for status in reversed([status for status in BY_WEIGHT if status in seen]):
            group = SubElement(self._root, "g", {"class": _GROUPS.get(status, "unrun")})
            if status is RunStatus.EXECUTED:
                place = {"x": str(x), "y": str(y - 10), "width": "10", "height": str(_BAR), "rx": "1"}
                SubElement(group, "rect", {**place, "class": "bar"})
            else:
                _shape(group, status, x + 6, y - 4)
            self._write(status, x + 18, y, **{"class": "faint"})
            x += 34 + 7 * len(status)
        SubElement(self._root, "path", {"class": "ahead", "d": f"M{x + 4},{y - 8} v8"})
        self._write("to come", x + 12, y, **{"class": "faint"})


def _shape(parent: Element, status: RunStatus, x: float, y: float) -> None:
    for layer in ("halo", "mark"):  # the halo sets it off from a bar beneath
        SubElement(parent, "path", {"class": layer, "d": _SHAPES[status], "transform": f"translate({x} {y})"})


def _drawable(text: str) -> str:
    """The text as XML 1.0 can hold it: without controls, and without the two code points that are no characters."""
    return printable(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


def _style_sheet() -> str:
    fixed = (
        "text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }\n"
        ".heading { font-size: 16px; font-weight: 600; }\n"
        "text.faint { font-size: 12px; }\n"
        ".mark, .halo, .ahead, .tick, .now { fill: none; stroke-width: 2; }\n"
        ".halo { stroke-width: 6; }\n"
        ".failed .bar { opacity: 0.45; }\n"
        ".tick { stroke-width: 1; }\n"
        ".now { stroke-dasharray: 4 3; }\n"
    )
    dark = _colours(1).replace("\n", "\n  ")
    return f"\n{fixed}{_colours(0)}\n@media (prefers-color-scheme: dark) {{\n  {dark}\n}}\n"


def _colours(scheme: int) -> str:
    """The rules of one scheme: 0 is light, 1 is dark."""
    colour = {name: pair[scheme] for name, pair in _COLOURS.items()}
    rules = [
        f".paper {{ fill: {colour['paper']}; }}",
        f".stripe {{ fill: {colour['stripe']}; }}",
        f"text {{ fill: {colour['ink']}; }}",
        f"text.faint {{ fill: {colour['faint']}; }}",
        f".halo {{ stroke: {colour['paper']}; }}",
        f".tick {{ stroke: {colour['line']}; }}",
        f".now {{ stroke: {colour['ink']}; }}",
        f".ahead {{ stroke: {colour['faint']}; }}",
    ]
    for kind in ("executed", "running", "failed", "unrun"):
        rules += [f".{kind} .bar {{ fill: {colour[kind]}; }}", f".{kind} .mark {{ stroke: {colour[kind]}; }}"]
    return "\n".join(rules)
