"""Unit tests: the runs of the last hours and what is ahead, as data and as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len

from jarvis_trio.insight.timeline import Timeline, timeline
from jarvis_trio.insight.timeline_text import chart_lines
from jarvis_trio.models import Outcome, RunStatus, ScheduledTask
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import FakeClock

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db", clock=FakeClock(NOW)) as store:
        yield store


def add(store: MemoryStore, name: str, hours: float = 1000, **columns: object) -> ScheduledTask:
    """A task that runs every `hours` hours, first in `hours` hours from now."""
    task = ScheduledTask(
        name=name,
        schedule_type="interval",
        schedule_config=json.dumps({"hours": hours}),
        handler_type="note",
        next_run_at=(NOW + timedelta(hours=hours)).isoformat(),
        **columns,  # type: ignore[arg-type]  # columns of any type
    )
    return store.store_scheduled_task(task)


def ran(
    store: MemoryStore, task: ScheduledTask, start: datetime, took: timedelta, status: RunStatus = RunStatus.EXECUTED
) -> None:
    claim = store.runs.claim_run(task, start, 1, started_at=start, owner="test")
    assert claim is not None
    if status is not RunStatus.RUNNING:
        store.runs.finish_run(claim, Outcome(status), start + took)


def rows(chart: Timeline, width: int = 80) -> dict[str, str]:
    """The chart's lanes as text, by the first word of the line."""
    lines = ["".join(text for text, _ in segments) for segments in chart_lines(chart, width)]
    return {line.split()[0]: line for line in lines if line.split()}


def test_the_chart_looks_ahead_a_quarter_of_the_time_that_it_looks_back(store: MemoryStore) -> None:
    add(store, "beat", 2)
    chart = timeline(store, DAY, NOW)
    assert (chart.start, chart.now, chart.end) == (NOW - DAY, NOW, NOW + DAY / 4)
    assert chart.lanes[0].ahead == (NOW + 2 * HOUR, NOW + 4 * HOUR)


def test_enabled_tasks_and_tasks_with_runs_have_lanes_in_order_of_their_names(store: MemoryStore) -> None:
    add(store, "b")
    add(store, "paused", enabled=False)
    ran(store, add(store, "a was paused", enabled=False), NOW - HOUR, HOUR / 2)
    gone = add(store, "c is gone")
    ran(store, gone, NOW - HOUR, HOUR / 2)
    assert gone.id is not None
    store.delete_scheduled_task(gone.id)
    assert [lane.task for lane in timeline(store, DAY, NOW).lanes] == ["a was paused", "b", "c is gone"]


def test_runs_that_reach_into_the_chart_are_in_it(store: MemoryStore) -> None:
    task = add(store, "backup")
    ran(store, task, NOW - DAY - 2 * HOUR, HOUR)
    ran(store, task, NOW - DAY - HOUR / 2, HOUR)
    ran(store, task, NOW - HOUR, HOUR / 2)
    long = add(store, "long")
    ran(store, long, NOW - 5 * DAY, DAY, RunStatus.RUNNING)
    lanes = {lane.task: lane for lane in timeline(store, DAY, NOW).lanes}
    assert [bar.start for bar in lanes["backup"].bars] == [NOW - DAY - HOUR / 2, NOW - HOUR]
    assert [(bar.start, bar.end) for bar in lanes["long"].bars] == [(NOW - 5 * DAY, NOW)]


def test_a_slot_that_never_ran_stands_at_its_nominal_time(store: MemoryStore) -> None:
    task = add(store, "backup")
    store.runs.record_unrun(task, NOW - 9 * HOUR, RunStatus.MISSED, "9h late", at=NOW - HOUR)
    [bar] = timeline(store, DAY, NOW).lanes[0].bars
    assert (bar.start, bar.end) == (NOW - 9 * HOUR, NOW - 9 * HOUR)


def test_the_axis_has_round_local_times_and_dates_at_midnight(store: MemoryStore) -> None:
    store.clock.machine_zone = ZoneInfo("America/Denver")  # type: ignore[attr-defined]  # the fake clock
    ticks = list(timeline(store, DAY, NOW).ticks(timedelta(hours=5)))
    assert [label for _, label in ticks] == ["06:00", "12:00", "18:00", "03-02", "06:00"]
    assert ticks[0][0] == datetime(2026, 3, 1, 13, 0, tzinfo=UTC)


def test_the_axis_leaves_out_a_time_that_the_clock_skips(store: MemoryStore) -> None:
    store.clock.machine_zone = ZoneInfo("America/Denver")  # type: ignore[attr-defined]  # the fake clock
    chart = timeline(store, timedelta(hours=6), datetime(2026, 3, 8, 12, 0, tzinfo=UTC))
    labels = [label for _, label in chart.ticks(HOUR)]
    assert labels == ["23:00", "03-08", "01:00", "03:00", "04:00", "05:00", "06:00", "07:00"]


@pytest.mark.parametrize("width", [40, 80, 120, 200, 500])
def test_no_line_is_wider_than_the_terminal(store: MemoryStore, width: int) -> None:
    task = add(store, "a task with a name that is far too long for any chart", 1)
    with store.transaction():
        for hour in range(1, 24):
            ran(store, task, NOW - hour * HOUR, HOUR / 3, list(RunStatus)[1:][hour % 6])
    lines = list(chart_lines(timeline(store, DAY, NOW), width))
    assert max(sum(len(text) for text, _ in segments) for segments in lines) <= width


def test_lanes_begin_in_one_column_whatever_characters_the_names_have(store: MemoryStore) -> None:
    for name in ("backup", "日本語の仕事", "日本語の仕事" * 9, "cafe\u0301", "🎉 party"):
        add(store, name)
    lines = ["".join(text for text, _ in segments) for segments in chart_lines(timeline(store, DAY, NOW), 80)]
    columns = {cell_len(line[: line.index("│")]) for line in lines[1:6]}
    assert len(columns) == 1
    assert max(map(cell_len, lines)) <= 80


def test_durations_are_to_scale(store: MemoryStore) -> None:
    task = add(store, "backup")
    ran(store, task, NOW - 20 * HOUR, 8 * HOUR)
    ran(store, task, NOW - 10 * HOUR, 4 * HOUR)
    ran(store, task, NOW - HOUR, timedelta(seconds=1))
    line = rows(timeline(store, DAY, NOW))["backup"]
    long, short = (part for part in line.replace("▁", " ").split() if "█" in part)
    assert len(long) == pytest.approx(2 * len(short), abs=2)
    assert line.count("▁") >= 1  # the second is there too


def test_a_block_is_as_high_as_the_share_of_the_time_that_the_task_ran(store: MemoryStore) -> None:
    half, little = add(store, "half"), add(store, "little")
    with store.transaction():
        for minute in range(4, 24 * 60, 4):
            ran(store, half, NOW - timedelta(minutes=minute), timedelta(minutes=2))
            ran(store, little, NOW - timedelta(minutes=minute), timedelta(seconds=5))
    lanes = rows(timeline(store, DAY, NOW))
    assert lanes["half"].count("▄") + lanes["half"].count("▅") > 50
    assert lanes["little"].count("▁") > 50


@pytest.mark.parametrize(
    ("status", "mark"),
    [
        (RunStatus.ERROR, "✗"),
        (RunStatus.TIMEOUT, "T"),
        (RunStatus.INTERRUPTED, "!"),
        (RunStatus.RUNNING, "»"),
    ],
)
def test_what_is_not_well_has_a_mark_and_the_legend_says_which(
    store: MemoryStore, status: RunStatus, mark: str
) -> None:
    ran(store, add(store, "backup"), NOW - 2 * HOUR, HOUR, status)
    chart = timeline(store, DAY, NOW)
    assert mark in rows(chart)["backup"]
    assert f"{mark} {status}" in "".join(text for line in chart_lines(chart, 80) for text, _ in line)


def test_what_runs_is_drawn_up_to_now_and_not_beyond(store: MemoryStore) -> None:
    ran(store, add(store, "backup"), NOW - 2 * HOUR, HOUR, RunStatus.RUNNING)
    assert "█»│" in rows(timeline(store, DAY, NOW))["backup"]


def test_where_marks_meet_the_worst_is_shown(store: MemoryStore) -> None:
    task = add(store, "backup")
    store.runs.record_unrun(task, NOW - 5 * HOUR, RunStatus.SKIPPED, "still running", at=NOW)
    ran(store, task, NOW - 5 * HOUR + timedelta(seconds=1), timedelta(seconds=1), RunStatus.ERROR)
    store.runs.record_unrun(task, NOW - 5 * HOUR + timedelta(seconds=2), RunStatus.MISSED, "late", at=NOW)
    assert "".join(rows(timeline(store, DAY, NOW))["backup"].split()) == "backup✗│"


def test_what_never_ran_has_a_mark(store: MemoryStore) -> None:
    task = add(store, "backup")
    store.runs.record_unrun(task, NOW - 9 * HOUR, RunStatus.MISSED, "late", at=NOW)
    store.runs.record_unrun(task, NOW - 5 * HOUR, RunStatus.SKIPPED, "still running", at=NOW)
    assert "".join(rows(timeline(store, DAY, NOW))["backup"].split()) == "backup○◇│"


def test_a_failure_is_seen_among_many_runs_that_went_well(store: MemoryStore) -> None:
    task = add(store, "poll")
    with store.transaction():
        for minute in range(1, 24 * 60, 5):
            status = RunStatus.ERROR if minute == 601 else RunStatus.EXECUTED
            ran(store, task, NOW - timedelta(minutes=minute), timedelta(seconds=1), status)
    chart = timeline(store, DAY, NOW)
    assert rows(chart)["poll"].count("✗") == 1
    assert "288 runs, 1 failed" in rows(chart, 120)["poll"]


def test_what_is_ahead_is_drawn_right_of_now(store: MemoryStore) -> None:
    ran(store, add(store, "beat", 1), NOW - HOUR, HOUR)
    past, ahead = rows(timeline(store, DAY, NOW))["beat"].split("│")
    assert "█" in past
    assert "·" not in past
    assert ahead.count("·") == 5
    assert "█" not in ahead


def test_a_name_cannot_act_on_the_terminal(store: MemoryStore) -> None:
    add(store, "evil\x1b[2J")
    assert r"evil\x1b[2J" in rows(timeline(store, DAY, NOW))


def test_without_tasks_there_is_still_a_chart(store: MemoryStore) -> None:
    assert "now" in "".join(text for line in chart_lines(timeline(store, DAY, NOW), 80) for text, _ in line)


def test_a_run_in_which_the_clock_was_set_back_is_a_point(store: MemoryStore) -> None:
    ran(store, add(store, "odd"), NOW - HOUR, timedelta(hours=-3))
    (lane,) = timeline(store, DAY, NOW).lanes
    assert [(bar.start, bar.end) for bar in lane.bars] == [(NOW - HOUR, NOW - HOUR)]
