"""The verdict on an arena: was a slot lost, did an attempt run twice, did a task overlap itself?

It reads what the daemons left (the database, by SQL of its own), what the commands
traced, what was done to them, and what was asked of them (`spec.json`). Nothing here is
imported from the program. `python -m tests.laws.torture.checker FOLDER` judges a kept folder.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from tests.support.chronos import findings

SECOND = 1_000_000
"""Instants are counted in microseconds since 1970."""

SETTLED = 10 * SECOND
"""What ended so shortly before the end may still have its retry before it."""

LATENESS_ALLOWED = 2 * SECOND
"""How late a good task may start while only the bad tasks beside it make trouble."""

TOLERANCE_SECONDS = 300
"""How late a run may start under fire: the lock is held for a minute, and the daemon is seldom left alone."""

_ENDED_BADLY = ("timeout", "interrupted", "missed", "skipped")
_Slot = tuple[str, int]


@dataclass
class Verdict:
    """What was counted, and what is wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        verdict = f"{len(self.violations)} VIOLATIONS" if self.violations else "nothing lost, nothing twice"
        return "\n  ".join([f"{verdict} ({counted})", *self.violations[:20]])


@dataclass(frozen=True)
class Traced:
    """What one attempt's command wrote down: its deeds in order, and when it started (seconds since 1970)."""

    deeds: tuple[str, ...]
    started: int | None


class Evidence:
    """What is left of an arena in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self.tasks: dict[str, dict[str, Any]] = self.spec["tasks"]
        self.events: list[dict[str, Any]] = _lines_of_json(folder / "events.jsonl")

    def rows(self, sql: str) -> list[sqlite3.Row]:
        connection = sqlite3.connect(self.folder / "data" / "memory.db")
        try:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def happened(self, what: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == what]

    @cached_property
    def slots(self) -> dict[_Slot, list[sqlite3.Row]]:
        """The rows of each slot of a schedule, by attempt; slots in order."""
        found = self.rows("SELECT * FROM task_runs WHERE trigger = 'schedule' ORDER BY scheduled_for, attempt")
        slots = defaultdict(list)
        for row in found:
            slots[row["task_name"], microseconds(row["scheduled_for"])].append(row)
        return slots

    @cached_property
    def trace(self) -> list[tuple[str, int, int, int, str, str]]:
        """Task, slot, attempt, PID, deed and time, as the commands wrote them, in that order."""
        lines = (self.folder / "trace.log").read_text().splitlines()
        return [
            (task, microseconds(slot), int(attempt), int(pid), deed, at)
            for task, slot, attempt, pid, deed, at in map(str.split, lines)
        ]

    @property
    def end(self) -> int:
        """When the last daemon was told to stop."""
        return int(self.happened("last stop")[-1]["at"] * SECOND)


def check(folder: Path) -> Verdict:
    """Judge the arena whose evidence is in `folder`."""
    evidence, verdict = Evidence(folder), Verdict()
    jumps = evidence.spec.get("clock_jumps", False)
    for rule in RULES if not jumps else [rule for rule in RULES if rule not in FOR_STEADY_CLOCKS]:
        name = rule.__name__.strip("_").replace("_", " ")
        verdict.violations += [f"{name}: {violation}" for violation in rule(evidence)]
    _count(evidence, verdict.counts)
    return verdict


def _the_database_is_whole(evidence: Evidence) -> Iterator[str]:
    answer = evidence.rows("PRAGMA integrity_check")[0][0]
    if answer != "ok":
        yield answer
    for row in evidence.rows("SELECT * FROM task_runs WHERE status = 'running' OR live = 1"):
        yield f"still running: {_text(row)}"


def _no_slot_is_lost(evidence: Evidence) -> Iterator[str]:
    for name, task in evidence.tasks.items():
        if task["has_handler"]:
            yield from _gaps(name, task, [slot for owner, slot in evidence.slots if owner == name], evidence)


def _gaps(name: str, task: dict[str, Any], slots: list[int], evidence: Evidence) -> Iterator[str]:
    """The grid first, first + step, ...: each slot has a row, or is counted by the next row's `collapsed`."""
    due, step = task["first"], task["step"]
    for slot in sorted(slots):
        before, off = divmod(slot - due, step or 1)
        collapsed = evidence.slots[name, slot][0]["collapsed"]
        if off or before < 0 or (step is None and before):
            yield f"{name}: {_time(slot)} is no slot of it; {_time(due)} comes next"
        elif collapsed != before:
            yield f"{name}: {before} slots before {_time(slot)} have no row, and it accounts for {collapsed}"
        if step is None:
            return
        due = slot + step
    if due < evidence.end - LATENESS_ALLOWED:
        yield f"{name}: no row for {_time(due)} and after, though the daemon ran until {_time(evidence.end)}"


def _every_slot_comes_to_its_end(evidence: Evidence) -> Iterator[str]:
    for (name, slot), rows in evidence.slots.items():
        if name not in evidence.tasks:
            continue
        what, task = f"{name} at {_time(slot)}", evidence.tasks[name]
        if [row["attempt"] for row in rows] != list(range(1, len(rows) + 1)):
            yield f"{what}: attempts {[row['attempt'] for row in rows]}"
        for row in rows[:-1]:
            if not _is_tried_again(row, task):
                yield f"{what}: tried again after {_text(row)}"
        last = rows[-1]
        if _is_tried_again(last, task) and microseconds(last["finished_at"]) < evidence.end - SETTLED:
            yield f"{what}: not tried again after {_text(last)}"


def _is_tried_again(row: sqlite3.Row, task: dict[str, Any]) -> bool:
    if row["status"] == "interrupted":
        return bool(task["policy"].get("on_interrupt", "retry") == "retry" and row["attempt"] < 3)
    return row["status"] in ("error", "timeout") and row["attempt"] <= task["policy"].get("retries", 0)


def _each_bad_end_has_a_reason(evidence: Evidence) -> Iterator[str]:
    for row in evidence.rows("SELECT * FROM task_runs"):
        if row["status"] in _ENDED_BADLY and not (row["reason"] or "").strip():
            yield _text(row)


def _no_attempt_runs_twice(evidence: Evidence) -> Iterator[str]:
    started = Counter((task, slot, attempt) for task, slot, attempt, _, deed, _ in evidence.trace if deed == "start")
    for (task, slot, attempt), times in started.items():
        if times > 1:
            yield f"{task} at {_time(slot)}, attempt {attempt}: started {times} times"


def _no_task_overlaps_itself(evidence: Evidence) -> Iterator[str]:
    """Once an attempt has begun to write, no other attempt of its task writes: each is one block of the trace."""
    by_task = defaultdict(list)
    for task, slot, attempt, pid, _, _ in evidence.trace:
        by_task[task].append((slot, attempt, pid))
    for task, attempts in by_task.items():
        blocks = Counter(attempt for attempt, _ in groupby(attempts))
        for (slot, attempt, pid), count in blocks.items():
            if count > 1:
                yield f"{task} at {_time(slot)}, attempt {attempt} (PID {pid}) went on beside another"


def _rows_and_deeds_agree(evidence: Evidence) -> Iterator[str]:
    """What ran was claimed, what is said to have ended did, what is said not to have run did not."""
    traced = _attempts(evidence)
    rows = evidence.rows("SELECT * FROM task_runs")
    known = {(row["task_name"], microseconds(row["scheduled_for"]), row["attempt"]): row for row in rows}
    for attempt in traced.keys() - known.keys():
        yield f"{attempt[0]} at {_time(attempt[1])}, attempt {attempt[2]} ran without a claim"
    for attempt, row in known.items():
        if not evidence.tasks.get(attempt[0], {}).get("traced"):
            continue
        deeds = traced[attempt].deeds if attempt in traced else ()
        ended, status = "end" in deeds, row["status"]
        refused = status == "error" and not deeds and row["reason"]
        if (status in ("executed", "error") and not ended and not refused) or (status == "timeout" and ended):
            yield f"{_text(row)}, but its command did {' '.join(deeds) or 'nothing'}"
        if status in ("missed", "skipped") and deeds:
            yield f"{_text(row)}, but its command ran"


def _attempts(evidence: Evidence) -> dict[tuple[str, int, int], Traced]:
    deeds = defaultdict(list)
    times: dict[tuple[str, int, int], int] = {}
    for task, slot, attempt, _, deed, at in evidence.trace:
        deeds[task, slot, attempt].append(deed)
        if deed == "start":
            times[task, slot, attempt] = int(at)
    return {attempt: Traced(tuple(done), times.get(attempt)) for attempt, done in deeds.items()}


def _each_run_has_a_target_of_its_own(evidence: Evidence) -> Iterator[str]:
    """By times alone, whatever slot a run was told: see `tests.chronos`."""
    starts = defaultdict(list)
    for (task, _, _), traced in _attempts(evidence).items():
        if traced.started is not None:
            starts[task].append(traced.started)
    required: dict[str, list[float]] = defaultdict(list)
    allowed: dict[str, list[float]] = defaultdict(list)
    for row in evidence.rows("SELECT * FROM task_runs WHERE status NOT IN ('missed', 'skipped')"):
        sure = row["status"] == "executed"
        # Commands tell full seconds, and a run asked for by hand has fractions.
        (required if sure else allowed)[row["task_name"]].append(microseconds(row["scheduled_for"]) // SECOND)
    for task in starts.keys() | {name for name, task in evidence.tasks.items() if task["traced"]}:
        found = findings(required[task], starts[task], TOLERANCE_SECONDS, allowed=allowed[task])
        if found:
            yield f"{task}: no run for {found.unmet[:3]}, nothing asked for {found.surplus[:3]}"


def _sigterm_lets_what_runs_finish(evidence: Evidence) -> Iterator[str]:
    stopped = {event["pid"]: event["code"] for event in evidence.happened("term")}
    for pid, code in stopped.items():
        if code != 0:
            yield f"PID {pid} exited with {code}"
    # What cannot be written at the very end, since the disk is full, is all that may be lost: the slot runs again.
    forgiven = {event["pid"] for event in evidence.happened("term") if _disk_was_full(evidence, event["at"])}
    for row in evidence.rows("SELECT * FROM task_runs WHERE status = 'interrupted'"):
        if int(row["owner"].partition(":")[0]) in stopped.keys() - forgiven:
            yield f"its process was only asked to stop: {_text(row)}"


def _disk_was_full(evidence: Evidence, at: float) -> bool:
    changes = [event for event in evidence.events if event["event"] in ("disk filled", "disk freed")]
    before = [event["event"] for event in changes if event["at"] < at]
    return before[-1:] == ["disk filled"]


def _what_ends_by_itself_says_why(evidence: Evidence) -> Iterator[str]:
    for event in evidence.happened("exit"):
        if event["code"] != 1 or not event["said"]:
            yield f"PID {event['pid']} exited with {event['code']}: {event['said']!r}"


def _nothing_is_left_alive(evidence: Evidence) -> Iterator[str]:
    for event in evidence.happened("left behind"):
        yield f"PID {event['pid']}: {event['command']}"


def _what_waits_for_its_handler_is_told_once(evidence: Evidence) -> Iterator[str]:
    """One row stands for all slots, and the task's next run stays as it is."""
    told = Counter(row["task_name"] for row in evidence.rows("SELECT task_name FROM task_runs"))
    for name, task in evidence.tasks.items():
        if not task["has_handler"] and told[name] != 1:
            yield f"{name}: {told[name]} rows"


def _bad_rows_are_set_aside_once(evidence: Evidence) -> Iterator[str]:
    """A row says why, and the trouble; the task's own row stays as its writer left it."""
    told = Counter(row["task_name"] for row in evidence.rows("SELECT * FROM task_runs WHERE status = 'skipped'"))
    aside = evidence.rows(
        "SELECT name FROM scheduled_tasks t JOIN task_troubles r ON r.task_id = t.id"
        " WHERE t.enabled = 1 AND r.kind = 'set aside'"
    )
    names = {row["name"] for row in aside}
    for event in evidence.happened("garbage"):
        name = event["name"]
        if told[name] != 1 or name not in names:
            yield f"{name}: {told[name]} rows say why; in trouble and enabled: {name in names}"


def _each_inbox_file_is_one_event(evidence: Evidence) -> Iterator[str]:
    taken = Counter(row["source"] for row in evidence.rows("SELECT source FROM webhook_events"))
    for event in evidence.happened("dropped"):
        if taken[event["name"]] != 1:
            yield f"{event['name']}: {taken[event['name']]} events"


def _good_tasks_are_on_time_in_the_calm(evidence: Evidence) -> Iterator[str]:
    since = int(evidence.happened("calm")[-1]["at"] * SECOND)
    for (name, slot), rows in evidence.slots.items():
        if slot < since or slot > evidence.end - LATENESS_ALLOWED or not evidence.tasks.get(name, {}).get("good"):
            continue
        late = microseconds(rows[0]["started_at"]) - slot
        if late > LATENESS_ALLOWED or rows[0]["status"] != "executed":
            yield f"{name} at {_time(slot)}: {rows[0]['status']}, {late / SECOND:.1f} s late"


def _good_tasks_go_on_in_the_calm(evidence: Evidence) -> Iterator[str]:
    """No pause is longer than a step, by the clock that nobody sets; a slot that nobody thinks of has no row."""
    since = int(evidence.happened("calm")[-1]["at"])
    end = evidence.end // SECOND
    for name, task in evidence.tasks.items():
        if not (task["good"] and task["step"] and task["step"] <= 3 * SECOND):
            continue
        starts = [int(at) for owner, *_, deed, at in evidence.trace if owner == name and deed == "start"]
        times = [since, *sorted(at for at in starts if since < at < end), end]
        longest = max(later - earlier for earlier, later in pairwise(times))
        if longest > (task["step"] + LATENESS_ALLOWED) // SECOND + 1:
            yield f"{name}: no run for {longest} s"


def _a_second_name_is_refused(evidence: Evidence) -> Iterator[str]:
    """A symbolic link leads to the same log; a hard link and a mounted file do not."""
    for event in evidence.happened("second name"):
        if event["kind"] != "symbolic link" and (event["code"] != 1 or not event["said"]):
            yield f"{event['kind']}: exit code {event['code']}: {event['said']!r}"


RULES = (
    _the_database_is_whole,
    _no_slot_is_lost,
    _every_slot_comes_to_its_end,
    _each_bad_end_has_a_reason,
    _no_attempt_runs_twice,
    _no_task_overlaps_itself,
    _rows_and_deeds_agree,
    _each_run_has_a_target_of_its_own,
    _sigterm_lets_what_runs_finish,
    _what_ends_by_itself_says_why,
    _nothing_is_left_alive,
    _what_waits_for_its_handler_is_told_once,
    _bad_rows_are_set_aside_once,
    _each_inbox_file_is_one_event,
    _good_tasks_are_on_time_in_the_calm,
    _good_tasks_go_on_in_the_calm,
    _a_second_name_is_refused,
)
FOR_STEADY_CLOCKS = (_no_slot_is_lost, _each_run_has_a_target_of_its_own)
"""They count slots and times, which a clock that jumps leaves out, and reaches again."""


def _count(evidence: Evidence, counts: Counter[str]) -> None:
    counts.update(event["event"] for event in evidence.events)
    for row in evidence.rows("SELECT status, count(*), sum(collapsed) FROM task_runs GROUP BY status"):
        counts[row[0]] += row[1]
        counts["slots collapsed"] += row[2]
    counts["slots"] += len(evidence.slots)
    counts["traced deeds"] += len(evidence.trace)


def microseconds(text: str) -> int:
    """Since 1970, of ISO 8601 text with an offset; exactly."""
    since = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def _time(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant // SECOND, UTC):%H:%M:%S}.{instant % SECOND:06}"


def _text(row: sqlite3.Row) -> str:
    return f"{row['task_name']} at {row['scheduled_for']}, attempt {row['attempt']}: {row['status']} ({row['reason']})"


def _lines_of_json(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


if __name__ == "__main__":
    verdict = check(Path(sys.argv[1]))
    print(verdict)
    sys.exit(bool(verdict.violations))
