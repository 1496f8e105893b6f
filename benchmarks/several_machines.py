"""`python -m benchmarks.several_machines [--quick]`: several machines on a PostgreSQL server of its own.

The server is PostgreSQL as Debian ships it, with its usual settings (fsync, synchronous commits), on
loopback; a relay in between makes round trips longer. Beside it stands one file, in the same minutes.
It prints the rows of the table in docs/performance.md. The load of the machine stands above them.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import psycopg
import trio

from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.assembly import LEAD
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask, require_id
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.opening import open_store
from tests.support.postgres_server import PostgresServer

CHECKOUT = Path(__file__).parents[1]
HISTORY_ROWS = 1_000_000
HANDLER = "alert_eval"
"""Without alert rules it reads one empty table: the least that a task of a real daemon does."""


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.several_machines", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds")
    quick = parser.parse_args().quick
    server = PostgresServer(["shared_preload_libraries=pg_stat_statements"])
    folder = Path(tempfile.mkdtemp(prefix="jarvis-machines-"))
    try:
        print(f"{datetime.now(UTC):%d %B %Y}, {os.cpu_count()} processors, {platform.python_version()}, {_load()}\n")
        print("| what | one file | PostgreSQL |\n|---|---|---|")
        for name, file, shared in measure(server, folder, quick):
            print(f"| {name} | {file} | {shared} |", flush=True)
        print(f"\n{_load()} at the end")
    finally:
        server.stop()
        shutil.rmtree(folder)


def measure(server: PostgresServer, folder: Path, quick: bool) -> Iterator[tuple[str, str, str]]:
    """Each row: what, of one file, of the server."""
    count = 10 if quick else 60
    ours = _late_words(lateness(folder, "", count))
    yield "a due task, lateness at p50 and p90", ours, _late_words(lateness(folder, server.new_database(), count))
    for milliseconds in (1, 20):
        with relay(server.port, milliseconds / 2000) as port:
            address = server.new_database().replace(f":{server.port}/", f":{port}/")
            yield f"the same, {milliseconds} ms of round trip", "", _late_words(lateness(folder, address, count))

    seconds = 20 if quick else 120
    statements, commits = idle(server, folder, seconds)
    yield "an idle daemon, statements a minute", "", f"{statements:.0f}, of which {commits:.0f} write"

    tasks = 200 if quick else 2000
    alone = f"{throughput(folder, '', 1, tasks):.0f}"
    for daemons in (1, 3):
        rate = throughput(folder, server.new_database(), daemons, tasks)
        yield f"runs a second, of {_counted(daemons, 'daemon')}", alone if daemons == 1 else "", f"{rate:.0f}"

    rows = HISTORY_ROWS // 100 if quick else HISTORY_ROWS
    address = server.new_database()
    fill_history(folder, address, rows)
    for command in ("list", "status", "history"):
        yield f"`{command}`, {rows:,} runs in the history", "", f"{_command_seconds(folder, address, command):.2f} s"


def lateness(folder: Path, address: str, count: int) -> list[float]:
    """Milliseconds by which each of `count` tasks starts after its instant, one a second."""
    late_ms: list[float] = []

    def note(task: ScheduledTask, context: HandlerContext) -> None:
        late_ms.append((store.clock.now() - context.scheduled_for).total_seconds() * 1000)

    def stop_when_done(_: datetime) -> None:
        if len(late_ms) >= count:
            daemon.shutdown()

    with _store(_new(folder), address) as store:
        # By then the engine has read the new tasks, which takes seconds at 20 ms of round trip.
        start = store.clock.now() + timedelta(seconds=30 if address else 2)
        with store.transaction():
            for number in range(count):
                _add(store, f"note {number}", "note", start + timedelta(seconds=number), {"run_at": ""})
        engine = SchedulerEngine(store, handlers={"note": note}, lead=LEAD)
        daemon = JarvisDaemon(store, engine=engine, on_tick=stop_when_done)
        trio.run(daemon.run)
    return late_ms


def idle(server: PostgresServer, folder: Path, seconds: float) -> tuple[float, float]:
    """Statements that a daemon with ten tasks sends in a minute while none is due, and how many of them write."""
    address, data = server.new_database(), _new(folder)
    with _store(data, address) as store:
        for number in range(10):
            _add(store, str(number), HANDLER, store.clock.now() + timedelta(days=1), {"days": 1})
    with psycopg.connect(server.address, autocommit=True) as session:
        session.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        with daemons(data, address, 1):
            time.sleep(10)
            session.execute("SELECT pg_stat_statements_reset()")
            time.sleep(seconds)
            row = session.execute(
                "SELECT sum(calls), coalesce(sum(calls) FILTER (WHERE query ~* '^(INSERT|UPDATE|DELETE)'), 0)"
                " FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = %s",
                (address.rpartition("/")[2],),
            ).fetchone()
    assert row is not None
    return float(row[0] or 0) * 60 / seconds, float(row[1]) * 60 / seconds


def throughput(folder: Path, address: str, number: int, count: int) -> float:
    """Runs a second while `count` tasks are due at once, from the first start to the last end."""
    data = _new(folder)
    with _store(data, address) as store:
        due_at = store.clock.now() + timedelta(seconds=15)
        with store.transaction():
            for task in range(count):
                _add(store, str(task), HANDLER, due_at, {"hours": 1})
        with daemons(data, address, number):
            while len(store.runs.list_runs(status=RunStatus.EXECUTED, limit=count)) < count:
                time.sleep(0.5)
        runs = store.runs.list_runs(limit=count)
    ended = max(run.finished_at for run in runs if run.finished_at is not None)
    return count / (ended - min(run.started_at for run in runs)).total_seconds()


def fill_history(folder: Path, address: str, rows: int) -> None:
    """Ten tasks, and `rows` runs of them."""
    with _store(_new(folder), address) as store:
        for number in range(10):
            _add(store, f"task {number}", HANDLER, store.clock.now() + timedelta(days=1), {"days": 1})
        first = require_id(store.list_scheduled_tasks()[0])
    with psycopg.connect(address, autocommit=True) as session:
        session.execute(
            "INSERT INTO task_runs (task_id, task_name, scheduled_for, attempt, started_at, finished_at, status, owner)"
            " SELECT %s + n %% 10, 'task ' || n %% 10, at, 1, at, at, 'executed', 'laptop/1:1@x' FROM (SELECT n,"
            " to_char(now() AT TIME ZONE 'UTC' - n * interval '1 minute', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS at"
            " FROM generate_series(1, %s) n) made",
            (first, rows),
        )
        session.execute("ANALYZE")


def _command_seconds(folder: Path, address: str, command: str) -> float:
    """The median of five calls, an interpreter's start and its imports included."""
    arguments, environment = [sys.executable, "-m", "jarvis_trio", command], _environment(_new(folder), address)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(arguments, env=environment, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return median(times)


@contextmanager
def daemons(data: Path, address: str, number: int) -> Iterator[None]:
    """Several daemons, each with a data folder of its own if they share a server."""
    started = []
    for machine in range(number):
        folder = data if not address else data / f"machine{machine}"
        folder.mkdir(mode=0o700, exist_ok=True)
        environment = _environment(folder, address) | {"JARVIS_MACHINE": f"machine{machine}"}
        arguments = [sys.executable, "-m", "jarvis_trio", "run"]
        started.append(subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL))
    try:
        yield
    finally:
        for daemon in started:
            daemon.terminate()
        for daemon in started:
            daemon.wait(timeout=60)


@contextmanager
def relay(port: int, delay_seconds: float) -> Iterator[int]:
    """A port that leads to another one, with a delay in each direction."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", port))
            for source, target in ((near, far), (far, near)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=_pass_on, args=(source, target, delay_seconds), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


def _pass_on(source: socket.socket, target: socket.socket, delay_seconds: float) -> None:
    """One message at a time, as the protocol of the server has it: question and answer."""
    try:
        while data := source.recv(1 << 16):
            time.sleep(delay_seconds)
            target.sendall(data)
    except OSError:
        pass
    finally:
        target.close()


def _store(folder: Path, address: str) -> MemoryStore:
    return open_store(folder / "memory.db", address, machine="bench" if address else None)


def _add(store: MemoryStore, name: str, handler: str, due_at: datetime, schedule: dict[str, object]) -> None:
    kind = "once" if "run_at" in schedule else "interval"
    config = {"run_at": due_at.isoformat()} if kind == "once" else schedule
    text = str(config).replace("'", '"')
    store.store_scheduled_task(
        ScheduledTask(
            name=name,
            schedule_type=kind,
            schedule_config=text,
            handler_type=handler,
            next_run_at=due_at.isoformat(),
        )
    )


def _environment(folder: Path, address: str) -> dict[str, str]:
    shared = {"JARVIS_DATABASE_URL": address, "JARVIS_MACHINE": "bench"} if address else {}
    ours = {"JARVIS_DATA_DIR": str(folder), "JARVIS_SETTINGS": os.devnull, "PYTHONPATH": str(CHECKOUT)}
    return os.environ | ours | shared


def _new(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _late_words(late_ms: list[float]) -> str:
    deciles = quantiles(late_ms, n=10)
    return f"{median(late_ms):.1f} ms, {deciles[8]:.1f} ms"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}"


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
