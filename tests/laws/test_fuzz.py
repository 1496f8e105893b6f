"""Whatever rows, rules, files and settings hold, the engine lives, and the good task beside them is on time (law 4)."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jarvis_trio.errors import SettingError
from jarvis_trio.handlers.alert_eval import AlertEval
from jarvis_trio.handlers.webhook_poll import WebhookPoll
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask
from jarvis_trio.settings import TABLE, read_settings
from jarvis_trio.testing import Simulation
from tests.support.examples import with_many_examples

START = datetime(2026, 3, 8, 8, 30, tzinfo=UTC)
"""Half an hour before the clocks of Denver are set on."""

MINUTES = 10
EVERY = timedelta(minutes=2)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
odd_numbers: st.SearchStrategy[Any] = st.sampled_from(
    [0, -1, 1, 60, 10**9, 10**400, 1e300, 1e-12, float("nan"), float("inf"), True, None, "5", []]
)
# No number is an interval of microseconds: twenty runs a second are too many for a simulation to end soon.
far_times = ["0001-01-01T00:00:00", "1900-01-01T00:00:00", "9999-12-31T12:00:00+00:00", "9999-12-31T23:59:59.999999"]
times = st.sampled_from([*far_times, "2026-03-08T02:30:00", "soon", ""])
expressions = st.one_of(st.sampled_from(["* * * * *", "30 2 * * *", "0 0 30 2 *", "@yearly", "*/0 * * * *"]), text)
cells = st.one_of(st.none(), text, st.binary(max_size=8), st.integers(-(2**63), 2**63 - 1), st.floats(), times)
names = st.sampled_from(["every-day", "US/Eastern", "../../etc/passwd", "", "Europe", "\0", "no/such"])


def json_texts(values: st.SearchStrategy[Any], *keys: str) -> st.SearchStrategy[str]:
    """JSON objects with some of these keys, as text; NaN and infinities as JavaScript writes them."""
    return st.dictionaries(st.sampled_from(keys), values, max_size=len(keys)).map(json.dumps)


schedules = st.one_of(
    json_texts(odd_numbers, "seconds", "minutes", "hours", "days"),
    json_texts(expressions, "expression"),
    json_texts(st.one_of(times, text), "run_at"),
    st.just("[" * 100_000),
    cells,
)
policies = st.one_of(
    json_texts(odd_numbers, "retries", "retry_delay_seconds", "timeout_seconds"),
    json_texts(odd_numbers, "misfire_grace_seconds", "alert_after_seconds"),
    json_texts(names, "timezone", "on_interrupt"),
    cells,
)
VALID = {
    "schedule_type": "interval",
    "schedule_config": '{"minutes": 1}',
    "handler_type": "bad",
    "enabled": 1,
}
spoilt: dict[str, st.SearchStrategy[Any]] = {
    "name": st.one_of(cells, st.just("good")),
    "schedule_type": st.one_of(st.sampled_from(["interval", "cron", "once"]), cells),
    "schedule_config": schedules,
    "handler_type": st.one_of(st.sampled_from(["good", "nobody's"]), cells),
    "next_run_at": st.one_of(times, cells),
    "policy": policies,
    "enabled": cells,
} | dict.fromkeys(
    ("handler_config", "delivery_channel", "delivery_config", "last_run_at", "last_result", "updated_at"), cells
)
spoilt_cells = st.sampled_from(sorted(spoilt)).flatmap(lambda column: st.tuples(st.just(column), spoilt[column]))
tasks = st.lists(spoilt_cells, min_size=1, max_size=4).map(lambda spoilt: VALID | dict(spoilt))
misdeeds = st.sampled_from(
    [
        SystemExit(0),
        KeyboardInterrupt(),
        RecursionError(),
        MemoryError(),
        ValueError("\ud800 has no bytes"),
        {"status": "error", "error": "\ud800"},
        {("a", "tuple"): object()},
        float("nan"),
        b"\xff",
        "\ud800",
        "x" * 200_000,
    ]
)


class FailedTicks(logging.Handler):
    """What the daemon says of ticks that failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


class World:
    """A simulation in which a good task runs beside whatever else there is."""

    def __init__(self, zone: str = "UTC") -> None:
        self.folder = TemporaryDirectory()
        self.simulation = Simulation(START, zone=zone, folder=Path(self.folder.name))
        self.simulation.add("good", every=EVERY)
        self.failed_ticks = FailedTicks()

    def __enter__(self) -> World:
        logging.getLogger("jarvis_trio.daemon.loop").addHandler(self.failed_ticks)
        logging.getLogger("jarvis_trio").propagate = False  # pytest would keep every line of every example
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("jarvis_trio").propagate = True
        logging.getLogger("jarvis_trio.daemon.loop").removeHandler(self.failed_ticks)
        self.simulation.__exit__()
        self.folder.cleanup()

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """Add a row as another program may; what the table itself refuses is left out."""
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        with closing(sqlite3.connect(self.simulation.store.path, isolation_level=None)) as other:
            other.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", list(row.values()))

    def change(self, name: str, column: str, value: object) -> None:
        """Change a row as another program may."""
        with closing(sqlite3.connect(self.simulation.store.path, isolation_level=None)) as other:
            other.execute(f"UPDATE OR IGNORE scheduled_tasks SET {column} = ? WHERE name = ?", (value, name))

    def the_good_task_is_on_time(self) -> None:
        assert self.failed_ticks.said == []
        runs = [run for run in self.simulation.history("good") if run.task_id == 1]
        slots = [START + number * EVERY for number in range(1, MINUTES // 2 + 1)]
        assert [(run.started_at, run.status) for run in runs] == [(slot, RunStatus.EXECUTED) for slot in slots]


ROWS_AND_HANDLERS: dict[str, st.SearchStrategy[Any]] = {
    "rows": st.lists(tasks, min_size=1, max_size=4),
    "changes": st.lists(spoilt_cells, max_size=3),
    "misdeed": misdeeds,
    "zone": st.sampled_from(["UTC", "America/Denver", "Pacific/Kiritimati", "Pacific/Pago_Pago"]),
}


@pytest.mark.law(4)
@pytest.mark.slow
@settings(max_examples=12)
@given(**ROWS_AND_HANDLERS)
@example([VALID | {"next_run_at": "0002-01-01T00:00:00"}], [], None, "Pacific/Pago_Pago")  # a year earlier in UTC
def test_no_row_and_no_handler_makes_the_good_task_late(
    rows: list[dict[str, Any]], changes: list[tuple[str, Any]], misdeed: Any, zone: str
) -> None:
    def misbehave(task: ScheduledTask, context: HandlerContext) -> Any:
        if isinstance(misdeed, BaseException):
            raise misdeed
        return misdeed

    with World(zone) as world:
        world.simulation.handlers["bad"] = misbehave
        for number, row in enumerate(rows):
            world.insert("scheduled_tasks", {"name": f"row-{number}"} | row)
        world.simulation.run(minutes=MINUTES / 2)
        for column, value in changes:
            world.change("row-0", column, value)
        world.simulation.run(minutes=MINUTES / 2, seconds=1)
        world.the_good_task_is_on_time()
        assert not [run for run in world.simulation.history() if run.status is RunStatus.RUNNING]


test_no_row_and_no_handler_of_many_makes_the_good_task_late = with_many_examples(
    test_no_row_and_no_handler_makes_the_good_task_late, 60, ROWS_AND_HANDLERS
)


rule_rows = st.fixed_dictionaries(
    {
        "name": text,
        "alert_type": st.one_of(
            st.sampled_from(["overdue_delegation", "pending_decision", "upcoming_deadline", "stale_backup"]), cells
        ),
        "condition": st.one_of(
            json_texts(odd_numbers, "days_overdue", "days_stale", "within_days", "max_age_hours"), cells
        ),
        "last_triggered_at": st.one_of(times, cells),
    }
)
delegations = st.fixed_dictionaries({"task": text, "due_date": st.one_of(times, cells), "status": st.just("active")})
decisions = st.fixed_dictionaries({"title": text, "created_at": st.one_of(times, cells)})


RULES: dict[str, st.SearchStrategy[Any]] = {
    "rules": st.lists(rule_rows, max_size=4),
    "delegations": st.lists(delegations, max_size=2),
    "decisions": st.lists(decisions, max_size=2),
}


@pytest.mark.law(4)
@settings(max_examples=6)
@given(**RULES)
def test_no_rule_keeps_the_good_rule_from_being_told(
    rules: list[dict[str, Any]], delegations: list[dict[str, Any]], decisions: list[dict[str, Any]]
) -> None:
    told: list[str] = []
    with World() as world:
        for table, rows in (("alert_rules", rules), ("delegations", delegations), ("decisions", decisions)):
            for row in rows:
                world.insert(table, row)
        world.insert("alert_rules", {"name": "the good rule", "alert_type": "stale_backup", "condition": "{}"})
        world.simulation.add("alerts", every="1m", handler=AlertEval(lambda title, _: told.append(title)))
        world.simulation.run(minutes=MINUTES, seconds=1)
        world.the_good_task_is_on_time()
    assert told.count("Alert: the good rule") == 1


test_no_rule_of_many_keeps_the_good_rule_from_being_told = with_many_examples(
    test_no_rule_keeps_the_good_rule_from_being_told, 40, RULES
)


file_names = st.binary(min_size=1, max_size=60).map(lambda name: name.translate(None, b"/\0") + b".json")
contents = st.one_of(
    st.binary(max_size=40),
    json_texts(st.one_of(text, st.none(), st.lists(text)), "source", "event_type", "payload").map(str.encode),
    st.sampled_from([b"[" * 50_000, b'{"source": NaN}', b'{"source": "a", "source": 1}', b"\xff\xfe", b'"\\ud800"']),
)
GOOD_FILE = b'{"source": "good", "event_type": "test", "payload": 1}'


FILES: dict[str, st.SearchStrategy[Any]] = {
    "files": st.dictionaries(file_names, contents, max_size=5),
    "good": st.integers(1, 3),
}


@pytest.mark.law(4)
@settings(max_examples=6)
@given(**FILES)
def test_no_file_keeps_the_good_file_from_becoming_one_event(files: dict[bytes, bytes], good: int) -> None:
    with World() as world:
        inbox = Path(world.folder.name) / "inbox"
        inbox.mkdir()
        dropped = files | {f"good-{number}.json".encode(): GOOD_FILE for number in range(good)}
        for name, content in dropped.items():
            path = os.path.join(os.fsencode(inbox), name)
            with open(path, "wb") as file:
                file.write(content)
            os.utime(path, (0, 0))
        world.simulation.add("inbox", every="1m", handler=WebhookPoll(inbox))
        world.simulation.run(minutes=MINUTES, seconds=1)
        world.the_good_task_is_on_time()
        events = [row[0] for row in world.simulation.store.read("SELECT source FROM webhook_events")]
        assert events.count("good") >= good
        processed, failed = (os.listdir(inbox / folder) for folder in ("processed", "failed"))
        reasons = [name for name in failed if name.endswith(".reason.txt")]
        hidden = [name for name in dropped if name.startswith(b".")]
        assert len(processed) == len(events)
        assert len(processed) + len(reasons) + len(hidden) == len(dropped)


test_no_file_of_many_keeps_the_good_file_from_becoming_one_event = with_many_examples(
    test_no_file_keeps_the_good_file_from_becoming_one_event, 40, FILES
)


@given(st.dictionaries(st.sampled_from([setting.variable for setting in TABLE.values()]), text))
def test_settings_are_understood_or_refused_in_one_line_that_names_the_variable(environment: dict[str, str]) -> None:
    refused = _refusal_of(environment)
    assert refused is None or any(variable in refused for variable in environment)
    assert "\n" not in (refused or "")


def _refusal_of(environment: dict[str, str]) -> str | None:
    try:
        read_settings(environment, Path("/nowhere"))
    except SettingError as error:
        return str(error)
    return None
