"""Faults of the system itself, one class of calls at a time: strace makes them fail on the way of a tick.

Afterwards, with the system well again, every slot has come to its end once and the database is whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from jarvis_trio.process.lock import holder
from tests.support.cli_world import Program, eventually, execute

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

TASKS = 4
FAULTS = {
    "no thread and no process": "clone3,clone,fork,vfork:error=EAGAIN",
    "no descriptor": "openat:error=EMFILE",
    "no disk for the log of changes": "pwrite64,write:error=ENOSPC",
    "a disk that fails to sync": "fsync,fdatasync:error=EIO",
    "no lock": "fcntl:error=ENOLCK",
    "an interrupted read": "pread64:error=EINTR",
    "no memory map": "mmap:error=ENOMEM",
    "no pipe": "pipe2:error=EMFILE",
    "no lock of a whole file": "flock:error=ENOLCK",
    "a folder that cannot be listed": "getdents64:error=EIO",
    "a file that cannot be looked at": "newfstatat,statx:error=EIO",
    "a link that cannot be read": "readlink,readlinkat:error=EACCES",
    "no memory for a program": "execve:error=ENOMEM",
    "a child that somebody else has reaped": "wait4,waitid:error=ECHILD",
    "a signal that may not be sent": "kill:error=EPERM",
    "a file that cannot be cut": "ftruncate:error=EIO",
    "a file that cannot be removed": "unlink,unlinkat:error=EIO",
    "an interrupted wait": "epoll_wait,epoll_pwait,poll,ppoll,clock_nanosleep:error=EINTR",
}


MOMENTS = {
    # strace counts the calls of each thread by itself, and a thread starts few others.
    "no thread and no process": ("1+2", "2+2"),
    # SQLite waits long for a lock that cannot be had, so that one fails once.
    "no lock": ("40",),
    # The interpreter itself looks at files and lists folders until here.
    "a file that cannot be looked at": ("2000+97", "2500+13"),
    "a folder that cannot be listed": ("60+2",),
    "a link that cannot be read": ("20+3",),
    # The first is the program itself.
    "no memory for a program": ("2+1", "3+2"),
    "a child that somebody else has reaped": ("1+1", "2+3"),
    "a signal that may not be sent": ("1+1",),
    "a file that cannot be cut": ("1+1",),
    "a file that cannot be removed": ("1+1",),
    "no lock of a whole file": ("1+1",),
    "an interrupted wait": ("1+2",),
}
"""Which calls fail, as strace writes it: the first one, and the step to the next."""


@pytest.fixture
def home(program: Program, tmp_path: Path) -> Program:
    """A set-up with some overdue tasks, each of which writes a line into `trace`."""
    program("init")
    program("allow", "sh")
    for number in range(TASKS):
        command = ["sh", "-c", f"echo {number} >> {tmp_path}/trace"]
        assert program("add", f"task-{number}", "--every", "30d", "--", *command).code == 0
    execute(
        program.data / "memory.db",
        "UPDATE scheduled_tasks SET next_run_at = '2026-01-01T00:00:00' WHERE name LIKE 'task-%'",
    )
    (tmp_path / "trace").touch()
    return program


def can_inject(fault: str) -> bool:
    words = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={fault}:when=60000", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.law(2)
@pytest.mark.law(3)
@pytest.mark.parametrize(
    ("name", "when"),
    [
        pytest.param(name, when, marks=[] if (name, when) == ("no descriptor", "40+9") else [pytest.mark.thorough])
        for name in FAULTS
        for when in MOMENTS.get(name, ("40+9", "120+5"))
    ],
)
def test_a_tick_whose_system_calls_fail_loses_nothing(home: Program, tmp_path: Path, name: str, when: str) -> None:
    fault = FAULTS[name]
    if not can_inject(fault):
        pytest.skip("strace may not inject that here")
    words = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        f"trace={fault.partition(':')[0]}",
        "-e",
        f"inject={fault}:when={when}",
    ]
    subprocess.run(
        [*words, sys.executable, "-m", "jarvis_trio", "tick"],
        env=home.environment,
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    for _ in range(2):
        done = home("tick")
        assert done.code == 0, done
    (answer,) = execute(home.data / "memory.db", "PRAGMA integrity_check")
    assert answer == ("ok",)
    runs = json.loads(home("history", "--limit", "100", "--json").out)
    ends = Counter((run["task"], run["status"]) for run in runs if run["task"].startswith("task-"))
    assert not [end for end in ends if end[1] == "running"]
    assert {task for task, _ in ends} == {f"task-{number}" for number in range(TASKS)}
    lines = Counter((tmp_path / "trace").read_text().split())
    executed = {task.removeprefix("task-"): count for (task, status), count in ends.items() if status == "executed"}
    assert all(lines[number] >= count for number, count in executed.items())
    assert all(count == 1 for count in executed.values())


@pytest.mark.thorough
@pytest.mark.law(1)
@pytest.mark.law(4)
def test_a_daemon_without_threads_now_and_then_lives_on_and_ends_when_asked(home: Program, tmp_path: Path) -> None:
    fault = FAULTS["no thread and no process"]
    if not can_inject(fault):
        pytest.skip("strace may not inject that here")
    home("add", "good", "--every", "1s", "--", "sh", "-c", "exit 0")
    words = ["strace", "-f", "-o", "/dev/null", "-e", "trace=clone3,clone", "-e", f"inject={fault}:when=4+2"]
    command = [*words, sys.executable, "-m", "jarvis_trio", "run"]
    environment = home.environment | {"DAEMON_TICK_INTERVAL_SECONDS": "1"}
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as daemon:
        ran = ("history", "good", "--status", "executed", "--json")
        eventually(lambda: len(json.loads(home(*ran).out)) >= 2)
        found = holder(home.data / "jarvis-daemon.lock")
        assert found is not None
        os.kill(found.pid or 0, signal.SIGTERM)
        _, log = daemon.communicate(timeout=180)
    assert daemon.returncode == 0, log
    assert re.search("no thread could be started|can.t start new thread|Resource temporarily unavailable", log), log
