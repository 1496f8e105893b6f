"""A timeline as an SVG picture: accessible, light or dark like the reader's system, safe. Pure.

The standard library's ElementTree builds the tree and escapes all text. The picture refers to no
script, font or image. Each status has a shape of its own and a colour of Okabe and Ito's palette,
which colour-blind people tell apart. The title of each bar says what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from jarvis_trio.insight.timeline import BY_WEIGHT, GONE_WRONG, Bar, Lane, Timeline
from jarvis_trio.models import UNRUN, RunStatus
from jarvis_trio.notation.text import counted, duration_words, fitting, moment_words, printable

_TITLE = "Runs of the scheduled tasks"
_WIDTH = 960
_MARGIN = 16
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
_KINDS = {
    RunStatus.EXECUTED: "executed",
    RunStatus.RUNNING: "running",
    **dict.fromkeys(GONE_WRONG, "failed"),
    **dict.fromkeys(UNRUN, "unrun"),
}


def chart_svg(timeline: Timeline) -> str:
    """The chart as the text of an SVG file."""
    return _Picture(timeline).text()


class _Picture:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._unit = (timeline.end - timeline.start) / (_WIDTH - _LEFT - _RIGHT)
        self._bottom = _TOP + _LANE * len(timeline.lanes)
        height = self._bottom + _BOTTOM
        self._root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {_WIDTH} {height}"})
        self._root.attrib |= {"width": str(_WIDTH), "height": str(height)}
        self._root.attrib |= {"role": "img", "aria-labelledby": "title description"}
        _add(self._root, "title", _TITLE, id="title")
        _add(self._root, "desc", self._summary(), id="description")
        SubElement(self._root, "style").text = _style_sheet()
        _add(self._root, "rect", kind="paper", width=_WIDTH, height=height)

    def text(self) -> str:
        _add(self._root, "text", _TITLE, kind="heading", x=_MARGIN, y=24)
        _add(self._root, "text", self._summary(), kind="faint", x=_MARGIN, y=42)
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
        failed = sum(bar.status in GONE_WRONG for bar in bars)
        span = f"from {self._when(self._timeline.start)} to {self._when(self._timeline.now)}"
        return f"{counted(len(self._timeline.lanes), 'task')}, {counted(len(bars), 'run')}, {failed:,} failed, {span}"

    def _when(self, instant: datetime) -> str:
        return moment_words(instant, self._timeline.zone)

    def _x(self, instant: datetime) -> float:
        return _LEFT + (instant - self._timeline.start) / self._unit

    def _ground(self, lane: Lane, top: float, *, striped: bool) -> None:
        if striped:
            _add(self._root, "rect", kind="stripe", y=top, width=_WIDTH, height=_LANE)
        label = _add(self._root, "text", x=_MARGIN, y=top + _LANE / 2 + 4)
        label.text = fitting(_drawable(lane.task), _LONGEST_NAME)
        _add(label, "title", lane.task)

    def _axis(self) -> None:
        for instant, label in self._timeline.ticks(self._unit * _TICK_GAP):
            x = self._x(instant)
            self._upright(x, "tick")
            _add(self._root, "text", label, kind="faint middle", x=x, y=self._bottom + 16)
        x = self._x(self._timeline.now)
        self._upright(x, "now")
        _add(self._root, "text", "now", kind="faint middle", x=x, y=_TOP - 6)

    def _upright(self, x: float, kind: str) -> None:
        _add(self._root, "line", kind=kind, x1=x, x2=x, y1=_TOP, y2=self._bottom)

    def _lane(self, lane: Lane, middle: float) -> None:
        group = SubElement(self._root, "g", {"role": "list", "aria-label": _drawable(lane.task)})
        for slot in self._thinned(lane.ahead):
            _stroke(group, self._x(slot), middle)
        # What failed is drawn last, on top.
        bars = sorted(lane.bars, key=lambda bar: -BY_WEIGHT.index(bar.status))
        for _, same in groupby(bars, key=lambda bar: bar.status):
            for merged in self._merged(same):
                self._bar(group, merged, middle)

    def _thinned(self, slots: Sequence[datetime]) -> Iterator[datetime]:
        """The slots, without those that would be drawn over another."""
        drawn = None
        for slot in slots:
            if drawn is None or slot - drawn >= 3 * self._unit:
                yield slot
                drawn = slot

    def _merged(self, bars: Iterable[Bar]) -> Iterator[list[Bar]]:
        """The bars (at least one), grouped if they are less than a pixel apart."""
        together: list[Bar] = []
        for bar in bars:
            if together and bar.start - together[-1].end >= self._unit:
                yield together
                together = []
            together.append(bar)
        yield together

    def _bar(self, parent: Element, bars: Sequence[Bar], middle: float) -> None:
        status = bars[0].status
        group = _add(parent, "g", kind=_KINDS[status], role="listitem")
        _add(group, "title", self._describe(bars))
        left = max(self._x(bars[0].start), _LEFT)
        width = max(self._x(bars[-1].end) - left, 2)
        if status not in UNRUN:
            _add(group, "rect", kind="bar", x=left, y=middle - _BAR / 2, width=width, height=_BAR, rx=1)
        _shape(group, status, left + width if status is RunStatus.RUNNING else left, middle)

    def _describe(self, bars: Sequence[Bar]) -> str:
        run, start = bars[0].run, self._when(bars[0].start)
        if len(bars) > 1:
            return f"{run.task_name}: {len(bars):,} runs {run.status}, from {start} to {self._when(bars[-1].end)}"
        detail = f": {run.reason}" if run.reason else f", took {duration_words(bars[0].end - bars[0].start)}"
        return f"{run.task_name}: {run.status}, {start}{detail}"

    def _legend(self) -> None:
        seen = {bar.status for lane in self._timeline.lanes for bar in lane.bars}
        x, y = float(_MARGIN), self._bottom + 40
        for status in reversed([status for status in BY_WEIGHT if status in seen]):
            group = _add(self._root, "g", kind=_KINDS[status])
            if status is RunStatus.EXECUTED:
                _add(group, "rect", kind="bar", x=x, y=y - 10, width=10, height=_BAR, rx=1)
            _shape(group, status, x + 6, y - 4)
            _add(self._root, "text", status, kind="faint", x=x + 18, y=y)
            x += 34 + 7 * len(status)
        _stroke(self._root, x + 4, y - 4)
        _add(self._root, "text", "to come", kind="faint", x=x + 12, y=y)


def _add(parent: Element, tag: str, text: str | None = None, *, kind: str = "", **attributes: str | float) -> Element:
    """A new element; `kind` is its class, numbers are rounded to a tenth of a pixel."""
    element = SubElement(parent, tag, {"class": kind} if kind else {})
    for name, value in attributes.items():
        element.set(name, value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0"))
    element.text = None if text is None else _drawable(text)
    return element


def _stroke(parent: Element, x: float, middle: float) -> None:
    _add(parent, "path", kind="ahead", d=f"M{x:.1f},{middle - 4:.1f} v8")


def _shape(parent: Element, status: RunStatus, x: float, y: float) -> None:
    if status in _SHAPES:
        for layer in ("halo", "mark"):  # the halo sets it off from a bar beneath
            _add(parent, "path", kind=layer, d=_SHAPES[status], transform=f"translate({x:.1f} {y:.1f})")


def _drawable(text: str) -> str:
    """The text as XML 1.0 can hold it: without controls and two noncharacters."""
    return printable(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


def _style_sheet() -> str:
    fixed = (
        "text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }\n"
        ".heading { font-size: 16px; font-weight: 600; }\n"
        "text.faint { font-size: 12px; }\n"
        "text.middle { text-anchor: middle; }\n"
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
