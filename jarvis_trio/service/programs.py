"""Running the system's own programs, such as `launchctl` and `systemctl`."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

ANSWER_LIMIT_SECONDS = 60.0
IN_PROGRESS = 36  # EINPROGRESS on macOS, and what bootout ends with while it still works


class Runner(Protocol):
    """Runs a program to its end. `env` replaces the whole environment; None hands on our own."""

    def __call__(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]: ...


def run_program(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `argv` with empty stdin and captured output, for at most a minute.

    A program that takes longer is killed and ends with code 36, "in progress".
    """
    try:
        return subprocess.run(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        says = f"no answer within {ANSWER_LIMIT_SECONDS:.0f} s"
        return subprocess.CompletedProcess(argv, IN_PROGRESS, "", says)
