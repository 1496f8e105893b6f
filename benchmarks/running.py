"""Runs programs in processes of their own, and says what they cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.environments import CHECKOUT, HERE, Environment

PATIENCE_SECONDS = 900
END_SECONDS = 180
"""A process that has not ended this many seconds after somebody began to wait for its end is killed."""

_PROGRAMS = HERE / "programs"


class BenchmarkError(Exception):
    """A program failed, so that there is nothing to measure."""


def command_of(environment: Environment, program: str, verb: str, arguments: Mapping[str, Any]) -> list[str]:
    """The words that have one of our programs do something."""
    return [environment.python, str(_PROGRAMS / f"{program}.py"), verb, json.dumps(arguments)]


def ask(environment: Environment, program: str, verb: str, **arguments: Any) -> Any:
    """What a program answers. Raises BenchmarkError with the last line of its complaint."""
    command = command_of(environment, program, verb, arguments)
    try:
        env = environ(environment)
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{program} {verb} was given up after {PATIENCE_SECONDS} s") from None
    if done.returncode:
        raise BenchmarkError(f"{program} {verb}: {done.stderr.strip().rpartition(chr(10))[2]}")
    return json.loads(done.stdout.splitlines()[-1])


def ask_in_folder(environment: Environment, program: str, verb: str, **arguments: Any) -> Any:
    """What a program answers that needs an empty folder."""
    with temporary_folder() as folder:
        return ask(environment, program, verb, folder=str(folder), **arguments)


def environ(environment: Environment = Environment.OWN, **settings: str) -> dict[str, str]:
    """The environment of a program: this one with `jarvis_trio` importable and no settings of ours but those given."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("JARVIS_", "DAEMON_", "MEMORY_"))}
    return kept | {"PYTHONPATH": environment.package_path} | settings


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder in the checkout: /tmp is memory on many machines, where a commit costs nothing."""
    parent = CHECKOUT / "build"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="bench-") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds until a process ended, and the CPU seconds of its whole life, user and system."""

    seconds: float
    cpu_seconds: float


class Process:
    """A process that was just started, and whose output can be read line by line."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], terminal: int = subprocess.PIPE) -> None:
        self.started_at = time.perf_counter()
        self._popen = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=terminal, stderr=subprocess.STDOUT, text=True
        )
        self._command = " ".join(command)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    def cpu_seconds(self) -> float:
        """What its threads have used of the processor so far, those that have ended too. Linux only.

        It is the process's own clock, in nanoseconds: clock_getcpuclockid(3).
        """
        return time.clock_gettime(~self.pid << 3 | 2)

    def wait_until(self, condition: Callable[[], bool]) -> float:
        """Seconds from the start until the condition holds, looked at each half millisecond."""
        while not condition():
            if self._popen.poll() is not None:
                raise BenchmarkError(f"{self._command} ended: {self._output()}")
            time.sleep(0.0005)
        return time.perf_counter() - self.started_at

    def wait_for_line(self) -> float:
        """Seconds from the start until it has written a line."""
        assert self._popen.stdout is not None
        if not self._popen.stdout.readline():
            raise BenchmarkError(f"{self._command} ended without a line")
        return time.perf_counter() - self.started_at

    def answer(self) -> Any:
        """Wait for its end; what it told in its last line. Raises BenchmarkError if it failed."""
        assert self._popen.stdout is not None
        with self._popen.stdout as stream:
            last = stream.read().strip().rpartition("\n")[2]
        if self._popen.wait():
            raise BenchmarkError(f"{self._command[:200]}: {last}")
        return json.loads(last)

    def kill(self) -> None:
        """End it whatever it does, if it still runs."""
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()

    def end(self) -> Cost:
        """Wait for its end; the seconds count from its start. Raises BenchmarkError if it failed."""
        timer = threading.Timer(END_SECONDS, self._popen.kill)
        timer.daemon = True
        timer.start()
        _, status, usage = os.wait4(self._popen.pid, 0)
        timer.cancel()
        seconds = time.perf_counter() - self.started_at
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        output = self._output()
        if self._popen.returncode not in (0, -signal.SIGTERM):
            raise BenchmarkError(f"{self._command} exited {self._popen.returncode}: {output}")
        return Cost(seconds, usage.ru_utime + usage.ru_stime)

    def stop(self) -> Cost:
        """Send SIGTERM and wait for its end; the seconds count from the signal."""
        if self._popen.poll() is not None:
            raise BenchmarkError(f"{self._command} ended by itself: {self._output()}")
        asked_at = time.perf_counter() - self.started_at
        self._popen.send_signal(signal.SIGTERM)
        cost = self.end()
        return replace(cost, seconds=cost.seconds - asked_at)

    def _output(self) -> str:
        if self._popen.stdout is None:
            return ""
        with self._popen.stdout as stream:
            return stream.read().strip().rpartition("\n")[2]
