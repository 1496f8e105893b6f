"""The first process of a container, with a PID namespace of its own where that is allowed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.support.cli_world import Program, eventually

UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


def _may_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not _may_unshare(), reason="no PID namespace can be made here")]


@pytest.fixture
def container(program: Program) -> Iterator[subprocess.Popen[str]]:
    """A daemon that is PID 1, and whose command leaves an orphan at each run."""
    program("init")
    program("allow", "sh")
    program("add", "litter", "--every", "1s", "--", "sh", "-c", "(sh -c 'exit 0' &) ; exec true")
    words = [*UNSHARE, sys.executable, "-m", "jarvis_trio", "run"]
    with subprocess.Popen(words, env=program.environment, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def zombies(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


@pytest.mark.thorough
def test_as_the_first_process_it_reaps_orphans_and_hands_sigterm_on(
    program: Program, container: subprocess.Popen[str]
) -> None:
    eventually(lambda: len(json.loads(program("history", "litter", "--status", "executed", "--json").out)) >= 3)
    eventually(lambda: not zombies(container))
    (first,) = psutil.Process(container.pid).children()
    first.send_signal(signal.SIGTERM)
    _, log = container.communicate(timeout=180)
    assert container.returncode == 0, log
    assert "Stopped by SIGTERM" in log
