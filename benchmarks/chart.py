"""Draws a comparison as bars in SVG: medians, the spread of the rounds as a line through the end, names at the left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmarks.results import Comparison, Series

_WIDTH, _LEFT, _RIGHT = 760, 250, 110
_TOP, _ROW, _BAR = 44, 30, 18
_LOGARITHMIC_FROM = 30  # times the smallest: beyond that its bar would not be seen
_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } .dim { fill: #57606a }
.ours { fill: #1a7f64 } .theirs { fill: #8c959f } .spread { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .dim { fill: #9198a1 } .spread { stroke: #e6edf3 } }
</style>"""


def draw(comparison: Comparison) -> str:
    """The chart as a whole SVG file. Where the values are far apart the scale is logarithmic, and the title says so."""
    scale = _Scale(comparison.series)
    height = _TOP + _ROW * len(comparison.series) + 8
    title = f"{comparison.title}, {comparison.unit}{', logarithmic' if scale.logarithmic else ''}"
    bars = [_bar(series, number, scale) for number, series in enumerate(comparison.series)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            _STYLE,
            f'<text class="title" x="12" y="24">{escape(title)}</text>',
            *bars,
            "</svg>\n",
        ]
    )


class _Scale:
    def __init__(self, series: Sequence[Series]) -> None:
        values = [abs(value) for each in series for value in each.values if value]
        self._high = max(values, default=1.0)
        self._low = min(values, default=1.0)
        self.logarithmic = self._high / self._low > _LOGARITHMIC_FROM

    def length(self, value: float) -> float:
        """How long the bar of a value is."""
        share = max(value, 0) / self._high
        if self.logarithmic and value > 0:
            # The smallest value gets a tenth of the width, so that its bar is still seen.
            share = 0.1 + 0.9 * math.log(value / self._low) / math.log(self._high / self._low)
        return share * (_WIDTH - _LEFT - _RIGHT)


def _bar(series: Series, number: int, scale: _Scale) -> str:
    top = _TOP + _ROW * number
    middle = top + _BAR / 2
    end = _LEFT + scale.length(series.median)
    low, high = (_LEFT + scale.length(value) for value in (min(series.values), max(series.values)))
    kind = "ours" if number == 0 else "theirs"
    return "\n".join(
        [
            f'<text x="{_LEFT - 10}" y="{middle + 4.5}" text-anchor="end">{escape(series.name)}</text>',
            f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{end - _LEFT:.1f}" height="{_BAR}" rx="2"/>',
            f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            f'<text class="dim" x="{max(end, high) + 8:.1f}" y="{middle + 4.5}">{figure(series.median)}</text>',
        ]
    )


def figure(value: float) -> str:
    """A number with three digits that count: `0.0312`, `7.25`, `1,240`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    places = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{places}f}"
