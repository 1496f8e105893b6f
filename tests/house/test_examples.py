"""End-to-end tests of `examples/`: its handlers by their registered names, its command, and the package."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jarvis_trio.errors import HandlerTimeoutError
from jarvis_trio.handlers.approvals import Approvals
from jarvis_trio.handlers.custom import Custom
from jarvis_trio.handlers.registry import ENTRY_POINTS, installed
from jarvis_trio.models import Handler, Outcome, RunStatus
from jarvis_trio.notation.instants import utc_text
from jarvis_trio.testing import Simulation
from jarvis_trio.trial import try_handler
from tests.support.cli_world import Program
from tests.support.core_fakes import FakeClock
from tests.support.handler_calls import a_context, a_task

EXAMPLES = Path(__file__).parents[2] / "examples"
REGISTERED = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())["project"]["entry-points"][ENTRY_POINTS]
SLOT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LINE = f"{utc_text(SLOT)} "


@pytest.fixture
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Handler]]:
    """The handlers, found by their entry points, which are taken from the project's own file."""
    metadata = tmp_path / "site" / "jarvis_trio_examples-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: jarvis-trio-examples\nVersion: 1.0\n")
    entries = [f"{name} = {target}" for name, target in REGISTERED.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINTS}]", *entries]))
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(metadata.parent)
    yield installed()
    for module in [name for name in sys.modules if name.startswith("jarvis_trio_examples")]:
        del sys.modules[module]


def result(outcome: Outcome) -> Any:
    """What a run that went well has to say."""
    assert outcome.status is RunStatus.EXECUTED, outcome
    return json.loads(outcome.result or "null")


def test_disk_space_measures_a_disk(handlers: Mapping[str, Handler], tmp_path: Path) -> None:
    measured = result(try_handler(handlers["disk_space"], {"path": str(tmp_path), "least_free_percent": 0}))
    disk = shutil.disk_usage(tmp_path)
    assert measured["path"] == str(tmp_path)
    assert measured["free_percent"] == pytest.approx(100 * disk.free / disk.total, abs=5)


def test_disk_space_that_runs_out_is_an_error_with_its_measurements(
    handlers: Mapping[str, Handler], tmp_path: Path
) -> None:
    outcome = try_handler(handlers["disk_space"], {"path": str(tmp_path), "least_free_percent": 100.1})
    assert outcome.status is RunStatus.ERROR
    assert outcome.reason is not None
    assert outcome.reason.endswith(f"% of the disk of {tmp_path} is free")
    assert "free_gigabytes" in json.loads(outcome.result or "")


def test_disk_space_names_a_path_that_is_not_there(handlers: Mapping[str, Handler]) -> None:
    outcome = try_handler(handlers["disk_space"], {"path": "/no/such/place"})
    assert outcome.reason == "cannot look at '/no/such/place': No such file or directory; give the task another path"


SALES = """date,region,amount
2026-03-06,north,1000
2026-03-07,north,0.10
2026-03-07,north,0.20
2026-03-07,south,5
2026-03-08,south,99
"""


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    file = tmp_path / "sales.csv"
    file.write_text(SALES)
    return file


def test_csv_report_adds_up_the_day_before_its_slot_in_the_tasks_zone(
    handlers: Mapping[str, Handler], sales: Path
) -> None:
    with Simulation("2026-03-08T12:00", zone="America/Denver") as simulation:
        config = {"file": str(sales), "by": "region"}
        # 20:00 in Denver on the 8th is the 9th in UTC.
        simulation.add("report", cron="0 20 * * *", handler=handlers["csv_report"], config=config)
        simulation.run(hours=12)
        [run] = simulation.history("report")
    assert json.loads(run.result or "") == {"day": "2026-03-07", "totals": {"north": "0.30", "south": "5"}}


def test_csv_report_that_starts_days_late_means_the_day_of_its_slot(
    handlers: Mapping[str, Handler], sales: Path
) -> None:
    with Simulation("2026-03-07T12:00") as simulation:
        config = {"file": str(sales), "by": "region"}
        simulation.add("report", at="2026-03-08T06:00", handler=handlers["csv_report"], config=config)
        simulation.suspend(days=5)
        simulation.run(minutes=1)
        [run] = simulation.history("report")
    assert run.started_at.day == 12
    assert json.loads(run.result or "")["day"] == "2026-03-07"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "no 'file' in the handler_config or among the columns; add it"),
        ({"by": "country"}, "no 'country' in the handler_config or among the columns; add it"),
        ({"by": "region", "file": "/no/such.csv"}, "FileNotFoundError: [Errno 2] No such file or directory"),
    ],
)
def test_csv_report_says_what_is_missing(
    handlers: Mapping[str, Handler], sales: Path, config: dict[str, str], reason: str
) -> None:
    given = {"file": str(sales), **config} if config else {}
    outcome = try_handler(handlers["csv_report"], given, scheduled_for=datetime(2026, 3, 8, 12))  # noqa: DTZ001  # local
    assert outcome.status is RunStatus.ERROR
    assert str(outcome.reason).startswith(reason)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "2025").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "2025/c.jpg"):
        (folder / name).write_bytes(name.encode() * 1000)
    return folder


class TickingClock(FakeClock):
    """Goes on by a step each time that it is read."""

    def __init__(self, start: datetime, step: timedelta) -> None:
        super().__init__(start)
        self._step = step

    def now(self) -> datetime:
        self.instant += self._step
        return self.instant


@pytest.fixture
def check(handlers: Mapping[str, Handler], photos: Path) -> Callable[..., Outcome]:
    return lambda **options: try_handler(handlers["checksums"], {"folder": str(photos)}, **options)


def test_checksums_reads_every_file(check: Callable[..., Outcome]) -> None:
    assert result(check()) == {"read": 3, "left": 0, "damaged": []}


def test_checksums_finds_a_file_that_changed_though_its_time_did_not(
    check: Callable[..., Outcome], photos: Path
) -> None:
    check()
    status = (photos / "b.jpg").stat()
    (photos / "b.jpg").write_bytes(b"rotten")
    os.utime(photos / "b.jpg", ns=(status.st_atime_ns, status.st_mtime_ns))
    outcome = check()
    assert (outcome.status, outcome.reason) == (RunStatus.ERROR, "damaged: b.jpg")


def test_checksums_takes_a_file_that_was_written_as_it_is(check: Callable[..., Outcome], photos: Path) -> None:
    check()
    (photos / "b.jpg").write_bytes(b"edited")
    os.utime(photos / "b.jpg", ns=(0, 0))
    assert result(check())["damaged"] == []


def test_checksums_begins_no_file_shortly_before_its_deadline(check: Callable[..., Outcome]) -> None:
    assert result(check(timeout=timedelta(seconds=4))) == {"read": 0, "left": 3, "damaged": []}


def test_checksums_goes_on_where_it_ended(handlers: Mapping[str, Handler], photos: Path) -> None:
    for start, found in ((SLOT, {"read": 2, "left": 1}), (SLOT + timedelta(hours=1), {"read": 2, "left": 1})):
        # At each look three seconds have passed, and five before the deadline of 12 no file is begun.
        store = SimpleNamespace(clock=TickingClock(start, timedelta(seconds=3)))
        context = a_context(store, now=start, timeout=timedelta(seconds=12))
        assert handlers["checksums"](a_task({"folder": str(photos)}), context) == {**found, "damaged": []}
    checked = {name: seen[0] for name, seen in json.loads((photos / ".checksums.json").read_text()).items()}
    later = utc_text(SLOT + timedelta(hours=1))
    assert checked == {"2025/c.jpg": later, "a.jpg": utc_text(SLOT), "b.jpg": later}


def test_checksums_stops_when_it_is_cancelled(handlers: Mapping[str, Handler], photos: Path) -> None:
    context = a_context(SimpleNamespace(clock=FakeClock(SLOT)), now=SLOT)
    context.cancelled.set()
    with pytest.raises(HandlerTimeoutError, match=r"^stopped in the midst of c\.jpg$"):
        handlers["checksums"](a_task({"folder": str(photos)}), context)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE notes (text)")
        database.execute("INSERT INTO notes VALUES ('remember')")
    return path


@pytest.fixture
def back_up(handlers: Mapping[str, Handler], notes: Path, tmp_path: Path) -> Callable[..., Outcome]:
    config = {"database": str(notes), "folder": str(tmp_path / "copies"), "keep": 2}
    return lambda **options: try_handler(handlers["sqlite_backup"], config, **options)


def test_sqlite_backup_copies_what_is_in_the_database(back_up: Callable[..., Outcome]) -> None:
    made = result(back_up(scheduled_for=SLOT))
    assert Path(made["copy"]).name == "notes-20260302T090000Z.db"
    with closing(sqlite3.connect(made["copy"])) as copy:
        assert copy.execute("SELECT text FROM notes").fetchall() == [("remember",)]


def test_sqlite_backup_makes_one_copy_of_two_attempts_at_a_slot(
    back_up: Callable[..., Outcome], tmp_path: Path
) -> None:
    first, second = (result(back_up(scheduled_for=SLOT, attempt=attempt)) for attempt in (1, 2))
    assert first == second
    assert len(list((tmp_path / "copies").iterdir())) == 1


def test_sqlite_backup_keeps_the_newest_copies(back_up: Callable[..., Outcome], tmp_path: Path) -> None:
    for days in range(4):
        back_up(scheduled_for=SLOT + timedelta(days=days))
    kept = sorted(path.name for path in (tmp_path / "copies").iterdir())
    assert kept == ["notes-20260304T090000Z.db", "notes-20260305T090000Z.db"]


def test_sqlite_backup_makes_no_database_where_there_is_none(back_up: Callable[..., Outcome], notes: Path) -> None:
    notes.unlink()
    assert back_up().reason == f"there is no database {notes}; give the task another"
    assert not notes.exists()


def test_sqlite_backup_leaves_no_half_copy_when_it_is_cancelled(
    handlers: Mapping[str, Handler], notes: Path, tmp_path: Path
) -> None:
    context = a_context(now=SLOT)
    context.cancelled.set()
    with pytest.raises(HandlerTimeoutError):
        handlers["sqlite_backup"](a_task({"database": str(notes), "folder": str(tmp_path / "copies")}), context)
    assert not list((tmp_path / "copies").glob("*.db"))


@pytest.fixture
def ledger(tmp_path: Path) -> Callable[[int], str]:
    """Runs the command as the daemon does; returns what is in its ledger then."""
    # A copy: in a checkout the file may be one that a group can write, which nobody should approve.
    command = Path(shutil.copy(EXAMPLES / "ledger.sh", tmp_path))
    command.chmod(0o755)
    approvals = Approvals(tmp_path / "approved.json")
    approvals.allow(command)
    custom, file = Custom(approvals), tmp_path / "ledger.txt"

    def run(attempt: int) -> str:
        done = custom(a_task({"command": [str(command), str(file)]}), a_context(now=SLOT, attempt=attempt))
        assert done["status"] == "ok", done
        return file.read_text()

    return run


def test_the_ledger_gets_a_line_for_the_slot(ledger: Callable[[int], str]) -> None:
    written = ledger(1)
    assert written.startswith(LINE)
    assert written.endswith(" KiB free\n")


def test_the_ledger_gets_one_line_however_often_the_slot_is_tried(ledger: Callable[[int], str]) -> None:
    assert ledger(1) == ledger(2) == ledger(3)


def test_the_ledger_gets_the_line_that_a_dead_attempt_did_not_write(
    ledger: Callable[[int], str], tmp_path: Path
) -> None:
    (tmp_path / "ledger.txt").touch()
    assert ledger(2).startswith(LINE)


def test_the_readme_names_each_example() -> None:
    text = (EXAMPLES / "README.md").read_text()
    assert [name for name in (*REGISTERED, "ledger.sh") if f"[`{name}`]" not in text] == []


@pytest.mark.thorough
@pytest.mark.slow
def test_the_package_is_installed_and_a_task_runs_its_handler(tmp_path: Path, program: Program) -> None:
    # What the project's file asks for; the development requirements have it.
    pytest.importorskip("setuptools", "77")
    source = shutil.copytree(EXAMPLES, tmp_path / "examples")  # building leaves folders behind
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    target = str(tmp_path / "site")
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, source], check=True)
    program.environment["PYTHONPATH"] += os.pathsep + target
    assert program("init").code == 0
    config = json.dumps({"path": str(tmp_path), "least_free_percent": 0})
    added = program("add", "disk", "--every", "1h", "--handler", "disk_space", "--config", config)
    assert added.code == 0, added
    ran = json.loads(program("run-now", "disk", "--json").out)
    assert ran["status"] == "executed"
    assert ran["result"]["path"] == str(tmp_path)
