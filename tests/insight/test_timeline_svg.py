"""Unit tests: the timeline as an SVG picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element, fromstring

import pytest

from jarvis_trio.insight.timeline import Bar, Lane, Timeline
from jarvis_trio.insight.timeline_svg import chart_svg
from jarvis_trio.models import Run, RunStatus

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SVG = "{http://www.w3.org/2000/svg}"


def bar(start: datetime, took: timedelta, status: RunStatus = RunStatus.EXECUTED, **columns: str) -> Bar:
    run = Run(1, 1, columns.pop("name", "backup"), start, 1, start, status, start + took, **columns)  # type: ignore[arg-type]  # text columns
    return Bar(start, start + took, run)


def picture(*lanes: Lane) -> Element:
    return fromstring(chart_svg(Timeline(NOW - 24 * HOUR, NOW, NOW + 6 * HOUR, UTC, lanes)))


def lane(*bars: Bar, ahead: tuple[datetime, ...] = (), name: str = "backup") -> Lane:
    return Lane(name, bars, ahead)


def rectangles(root: Element) -> list[Element]:
    """The bars, without those of the legend."""
    return [found for item in items(root) for found in item.findall(f"{SVG}rect[@class='bar']")]


def items(root: Element) -> list[Element]:
    return root.findall(f".//{SVG}g[@role='listitem']")


def titles(root: Element) -> list[str | None]:
    return [item.findtext(f"{SVG}title") for item in items(root)]


def test_it_says_what_it_shows_to_those_who_do_not_see_it() -> None:
    root = picture(lane(bar(NOW - HOUR, HOUR / 2), bar(NOW - 3 * HOUR, HOUR, RunStatus.ERROR)))
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "title description"
    assert root.findtext(f"{SVG}title[@id='title']") == "Runs of the scheduled tasks"
    assert root.findtext(f"{SVG}desc[@id='description']") == (
        "1 task, 2 runs, 1 failed, from Sun 2026-03-01 12:00 UTC to Mon 2026-03-02 12:00 UTC"
    )


def test_it_is_light_and_dark_and_refers_to_nothing_else() -> None:
    text = chart_svg(Timeline(NOW - HOUR, NOW, NOW + HOUR, UTC, (lane(bar(NOW - HOUR, HOUR)),)))
    assert "@media (prefers-color-scheme: dark)" in text
    for unwanted in ("<script", "href", "url(", "@import"):
        assert unwanted not in text


def test_durations_are_to_scale() -> None:
    long, short = rectangles(picture(lane(bar(NOW - 20 * HOUR, 8 * HOUR), bar(NOW - 10 * HOUR, 4 * HOUR))))
    assert float(long.get("width", "")) == pytest.approx(2 * float(short.get("width", "")), abs=0.2)
    assert float(short.get("x", "")) - float(long.get("x", "")) == pytest.approx(
        float(long.get("width", "")) * 10 / 8, abs=0.2
    )


def test_a_run_of_no_time_is_seen() -> None:
    [drawn] = rectangles(picture(lane(bar(NOW - HOUR, timedelta()))))
    assert float(drawn.get("width", "")) == 2


def test_a_run_that_began_before_the_chart_begins_with_it() -> None:
    early, whole = (
        rectangles(picture(lane(bar(NOW - hours * HOUR, (hours - 20) * HOUR))))[0].attrib for hours in (30, 24)
    )
    assert early == whole


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.EXECUTED])
def test_what_is_not_well_has_a_shape_of_its_own(status: RunStatus) -> None:
    [item] = items(picture(lane(bar(NOW - 2 * HOUR, HOUR, status))))
    [mark] = item.findall(f"{SVG}path[@class='mark']")
    others = {
        path.get("d")
        for other in RunStatus
        if other not in (status, RunStatus.EXECUTED)
        for path in items(picture(lane(bar(NOW - 2 * HOUR, HOUR, other))))[0].findall(f"{SVG}path[@class='mark']")
    }
    assert mark.get("d") not in others


def test_failures_are_drawn_over_what_went_well() -> None:
    root = picture(lane(bar(NOW - 2 * HOUR, HOUR, RunStatus.ERROR), bar(NOW - 2 * HOUR, HOUR)))
    assert [item.get("class") for item in items(root)] == ["executed", "failed"]


def test_each_bar_says_what_it_stands_for() -> None:
    failed = bar(NOW - HOUR, HOUR, RunStatus.ERROR, reason="no room")
    root = picture(lane(bar(NOW - 2 * HOUR, timedelta(seconds=90)), failed))
    assert titles(root) == [
        "backup: executed, Mon 2026-03-02 10:00 UTC, took 1 minute and 30 seconds",
        "backup: error, Mon 2026-03-02 11:00 UTC: no room",
    ]


def test_runs_that_are_not_a_pixel_apart_are_drawn_as_one() -> None:
    bars = [bar(NOW - 10 * HOUR + timedelta(seconds=second), timedelta()) for second in range(60)]
    root = picture(lane(*bars, bar(NOW - HOUR, timedelta())))
    assert titles(root)[0] == ("backup: 60 runs executed, from Mon 2026-03-02 02:00 UTC to Mon 2026-03-02 02:00:59 UTC")
    assert len(titles(root)) == 2


def test_what_is_ahead_is_drawn_and_thinned_where_it_is_dense() -> None:
    def strokes(*ahead: datetime) -> int:
        lanes = picture(lane(ahead=ahead)).findall(f"{SVG}g[@role='list']")
        return len(lanes[0].findall(f"{SVG}path[@class='ahead']"))

    assert strokes(NOW + HOUR, NOW + 2 * HOUR) == 2
    assert 10 < strokes(*(NOW + timedelta(seconds=10 * step) for step in range(2000))) < 100


def test_any_text_is_escaped_and_drawable() -> None:
    name = "<b>&\"'\x00\x1b[31m\ud800\uffff]]> -- " + "n" * 300
    root = picture(lane(bar(NOW - HOUR, HOUR, RunStatus.ERROR, name=name, reason="<script>\x07"), name=name))
    assert root.find(f".//{SVG}b") is None
    [title] = titles(root)
    assert title is not None
    assert title.startswith(r"""<b>&"'\x00\x1b[31m\ud800""")
    assert title.endswith(r"<script>\x07")


def test_a_chart_of_nothing_is_a_picture() -> None:
    assert picture().findtext(f"{SVG}desc[@id='description']", "").startswith("0 tasks, 0 runs")
