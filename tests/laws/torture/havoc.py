"""What is done to an arena, by threads at random moments.

Kills, stops, locks, a full disk, garbage, files, logs that are moved, clocks that jump, and a second name of the
database.
"""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil

from tests.laws.torture.arena import Arena, Program
from tests.laws.torture.disk import SmallDisk

PATIENCE_SECONDS = 240
"""How long a daemon that was asked to stop may finish what runs.

A lock is held for a minute at the most, and the next one can come before all that waits was written.
"""

LONG_LOCK_SECONDS = 60

_KINDS = ("interval", "cron", "once", "", "monthly")
_BAD_SCHEDULES = ("", "{", "[]", b"\xff", "\0\x1b[2J", '{"hours": 0}', '{"days": NaN}', '{"expression": "61 * * * *"}')
_BAD_POLICIES = (None, "{", b"\xff")
_BAD_TIMES = (None, 7, "soon")
_JUMPS = [timedelta(0), timedelta(seconds=20), timedelta(minutes=7), timedelta(hours=2), timedelta(days=3)]
"""By how much a clock is wrong, this way or that."""

_NAMES = {"hard link": os.link, "symbolic link": os.symlink}
_STOPS = ([signal.SIGTERM], [signal.SIGHUP, signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM])


class Havoc:
    """Tortures one arena, in threads of its own, until it is told to stop.

    `failures` tells where it could not go on.

    Args:
        arena: what is tortured.
        seed: of all its random choices.
        kills: whether daemons are killed and stopped; otherwise they are only asked to stop.
        disk: the arena's own small disk, if it has one.
        locks_long: whether the database's lock is held for a minute each time, not for seconds.
    """

    def __init__(
        self,
        arena: Arena,
        seed: str,
        *,
        kills: bool,
        disk: SmallDisk | None = None,
        locks_long: bool = False,
    ) -> None:
        self._arena = arena
        self._seed = seed
        self._disk = disk
        self._locks_long = locks_long
        self._over = threading.Event()
        self.failures: list[str] = []
        roles = [self._kill_a_daemon if kills else self.stop_a_daemon, self._locks, self._garbage]
        roles += [self._inbox, self._move_the_log, self._second_name]
        roles += [self._set_the_clock] if arena.clock is not None else []
        roles += [self._bystanders] if kills else []
        roles += [self._full_disk] if disk is not None else []
        self._threads = [threading.Thread(target=self._play, args=[role]) for role in roles]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the havoc and leave the arena in peace."""
        self._over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        if self._arena.clock is not None:
            self._arena.clock.set(timedelta(0))

    def _play(self, role: Callable[[random.Random], None]) -> None:
        chance = random.Random(f"{self._seed} {role.__name__}")
        try:
            while not self._over.is_set():
                role(chance)
        except Exception:  # noqa: BLE001  # a fault of the torture itself must not pass for survival
            self.failures.append(f"the torture itself failed: {traceback.format_exc()}")
            self._over.set()

    def _kill_a_daemon(self, chance: random.Random) -> None:
        """One life of a daemon, which seldom ends well."""
        daemon = self._arena.start("run")
        end = chance.choices([self._kill, self._freeze, self._ask, self._let_live], [85, 5, 7, 3])[0]
        if chance.random() < 0.8:
            daemon.wait_until_started(PATIENCE_SECONDS)
        end(daemon, chance)
        daemon.forget()

    def stop_a_daemon(self, chance: random.Random) -> None:
        """One life of a daemon that is asked to stop at a random moment of a busy tick."""
        daemon = self._arena.start("run")
        self._ask(daemon, chance)
        daemon.forget()

    def _kill(self, daemon: Program, chance: random.Random, within_seconds: float = 0.5) -> None:
        self._over.wait(chance.uniform(0, within_seconds))
        self._kill_now(daemon, "daemon")

    def _freeze(self, daemon: Program, chance: random.Random) -> None:
        self._over.wait(chance.uniform(0, 0.5))
        daemon.process.send_signal(signal.SIGSTOP)
        self._arena.record("freeze", pid=daemon.process.pid)
        self._over.wait(chance.uniform(0.1, 2))
        if chance.random() < 0.5:
            daemon.process.send_signal(signal.SIGCONT)
        self._kill(daemon, chance)

    def _let_live(self, daemon: Program, chance: random.Random) -> None:
        self._kill(daemon, chance, within_seconds=5)

    def _ask(self, daemon: Program, chance: random.Random) -> None:
        if not daemon.wait_until_started(PATIENCE_SECONDS):
            self._note_exit(daemon)
            return
        self._over.wait(chance.uniform(0, 0.4))
        for number in chance.choices(_STOPS, [8, 1, 1])[0]:
            daemon.process.send_signal(number)
        stop(self._arena, daemon)

    def _kill_now(self, program: Program, what: str) -> None:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()
            self._arena.record(f"{what} killed", pid=program.process.pid)
        elif what == "daemon":
            self._note_exit(program)

    def _note_exit(self, daemon: Program) -> None:
        said = daemon.said().splitlines()
        self._arena.record("exit", pid=daemon.process.pid, code=daemon.process.wait(), said=said[-1] if said else "")

    def _bystanders(self, chance: random.Random) -> None:
        """A `tick` or a `run-now` beside the daemon, killed or not."""
        command = chance.choice([["tick"], ["run-now", "every-second"], ["run-now", "busy"], ["run-now", "every-3s"]])
        program = self._arena.start(*command)
        with suppress(subprocess.TimeoutExpired):
            program.process.wait(chance.uniform(0.1, 0.8))
        if chance.random() < 0.7:
            self._kill_now(program, command[0])
        program.process.wait()
        self._arena.record(command[0])
        program.forget()
        self._over.wait(chance.uniform(0, 0.5))

    def _locks(self, chance: random.Random) -> None:
        """Another program that holds the write lock."""
        self._over.wait(chance.uniform(2, 12))
        seconds = LONG_LOCK_SECONDS if self._locks_long else chance.uniform(0.2, 3)
        with suppress(sqlite3.OperationalError), self._arena.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._arena.record("lock held", seconds=seconds)
            self._over.wait(seconds)

    def _garbage(self, chance: random.Random) -> None:
        """A row that cannot be scheduled, as another program may write it."""
        self._over.wait(chance.uniform(1, 6))
        name = f"garbage-{chance.randrange(10**9)}"
        row = (name, *map(chance.choice, (_KINDS, _BAD_SCHEDULES, _BAD_POLICIES, _BAD_TIMES)))
        with suppress(sqlite3.OperationalError):
            with self._arena.connected() as connection:
                connection.execute(
                    "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, policy,"
                    " next_run_at) VALUES (?, ?, ?, 'custom', ?, ?)",
                    row,
                )
            self._arena.record("garbage", name=name)

    def _inbox(self, chance: random.Random) -> None:
        """A file dropped into the inbox, as another program should: written beside it, and moved."""
        self._over.wait(chance.uniform(0.1, 1))
        name = f"file-{chance.randrange(10**9)}"
        made = self._arena.data / f"{name}.json"
        with suppress(OSError):  # the disk is full
            made.write_text(json.dumps({"source": name, "event_type": "torture", "payload": {}}))
            os.utime(made, (time.time() - 60,) * 2)
            made.rename(self._arena.data / "webhook-inbox" / made.name)
            self._arena.record("dropped", name=name)

    def _move_the_log(self, chance: random.Random) -> None:
        """As logrotate does, or somebody who makes room."""
        self._over.wait(chance.uniform(0.5, 4))
        log = self._arena.data / "jarvis-daemon.log"
        with suppress(OSError):
            if chance.random() < 0.5:
                log.rename(log.with_suffix(".moved"))
            else:
                log.unlink()
            self._arena.record("log moved")

    def _second_name(self, chance: random.Random) -> None:
        """Somebody who has the database by another name: a hard link, a mount, or a link that leads to it."""
        self._over.wait(chance.uniform(2, 15))
        other = self._arena.data / f"names-{chance.randrange(10**9)}" / "memory.db"
        other.parent.mkdir()
        kind = chance.choice([*_NAMES, *(["mount"] if _can_mount() else [])])
        try:
            with suppress(OSError):  # the disk is full
                self._tick_by(other, kind)
        finally:
            shutil.rmtree(other.parent)

    def _tick_by(self, other: Path, kind: str) -> None:
        behind: list[str] = []
        if kind == "mount":
            other.touch()
            script = 'mount --bind "$1" "$2"; shift 2; exec "$@"'
            behind = ["unshare", "--mount", "sh", "-ec", script, "sh", str(self._arena.database), str(other)]
        else:
            _NAMES[kind](self._arena.database, other)
        program = self._arena.start("tick", behind=behind, MEMORY_DB_PATH=str(other))
        code = program.process.wait()
        self._arena.record("second name", kind=kind, code=code, said=program.said()[-500:])
        program.forget()

    def _set_the_clock(self, chance: random.Random) -> None:
        self._over.wait(chance.uniform(0.5, 8))
        assert self._arena.clock is not None
        ahead = chance.choice(_JUMPS) * chance.choice([-1, 1, 1])
        self._arena.clock.set(ahead)
        self._arena.record("clock set", ahead=ahead.total_seconds())

    def _full_disk(self, chance: random.Random) -> None:
        self._over.wait(chance.uniform(1, 8))
        assert self._disk is not None
        with self._disk.filled():
            self._arena.record("disk filled")
            self._over.wait(chance.uniform(0.3, 3))
        self._arena.record("disk freed")


@functools.cache
def _can_mount() -> bool:
    """Whether a process here may have mounts of its own."""
    try:
        return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def stop(arena: Arena, daemon: Program) -> None:
    """Wait for a daemon that was asked to stop, and note its exit code."""
    code: int | None = None
    with suppress(subprocess.TimeoutExpired):
        code = daemon.process.wait(PATIENCE_SECONDS)
    daemon.process.kill()
    arena.record("term", pid=daemon.process.pid, code=code)


def calm_down(arena: Arena, catch_up_seconds: float = 5, calm_seconds: float = 10) -> None:
    """Let one daemon catch up and go on in peace; then stop it, and note what it leaves behind."""
    daemon = arena.start("run")
    daemon.wait_until_started(PATIENCE_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not arena.is_caught_up() and time.monotonic() < deadline:  # on a loaded machine that takes a while
        time.sleep(0.05)
    time.sleep(catch_up_seconds)
    arena.record("calm")
    time.sleep(calm_seconds)
    arena.record("last stop")
    daemon.process.terminate()
    stop(arena, daemon)
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if str(arena.folder) in command:
            arena.record("left behind", pid=process.pid, command=command)
            process.kill()
