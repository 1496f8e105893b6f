"""Law 2 beside commands that have become root (sudo does so), as an ordinary user sees them.

Such a user can neither end such a process nor read its environment. The tests need root to make one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_world import base_environment, eventually
from tests.support.processes import lives

SETPRIV = shutil.which("setpriv")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.thorough,  # seven seconds each: a command has those to end
    pytest.mark.law(2),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a program that becomes root"),
    pytest.mark.skipif(SETPRIV is None, reason="needs setpriv"),
]
NOBODY = 65534

# Each writes the PID of what is root, and cannot be ended, into $1.
STAYS = 'echo $$ > "$1"; exec sleep 600'
HIDES = """
(setsid env -i /bin/sh -c 'echo $$ > "$1"; : > "$1.hidden"; exec sleep 600' - "$1" > /dev/null 2>&1 &)
until test -e "$1.hidden"; do sleep 0.05; done
"""
WAYS = {"stays": STAYS, "hides": HIDES, "hides and goes on": f"{HIDES}exec sleep 20"}


class Person:
    """An ordinary user with a data folder, and a program there that makes its words run as root."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        self.become_root = home / "become-root"
        self.written = home / "pid"
        self.environment = base_environment() | {
            "HOME": str(home),
            "JARVIS_DATA_DIR": str(self.data),
            "DAEMON_TICK_INTERVAL_SECONDS": "1",
        }
        self._daemons: list[subprocess.Popen[bytes]] = []

    def popen(self, *words: str, **streams: Any) -> subprocess.Popen[bytes]:
        # Not by Popen's own `user`: setpriv may start an interpreter that lies in root's home.
        person = [str(SETPRIV), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return subprocess.Popen([*person, *words], env=self.environment, cwd=self.home, **streams)

    def __call__(self, *words: str) -> str:
        process = self.popen(sys.executable, "-m", "jarvis_trio", *words, stdout=subprocess.PIPE)
        out, _ = process.communicate(timeout=180)
        assert process.returncode == 0, words
        return out.decode()

    def daemon(self) -> subprocess.Popen[bytes]:
        process = self.popen(sys.executable, "-m", "jarvis_trio", "run", stderr=subprocess.DEVNULL)
        self._daemons.append(process)
        return process

    def add(self, way: str, limit: str) -> None:
        words = [str(self.become_root), "--reuid=0", "--clear-groups", "/bin/sh", "-c", WAYS[way], "-"]
        self("add", "rootish", "--every", "1s", "--timeout", limit, "--", *words, str(self.written))
        self("allow", "--task", "rootish")

    def runs(self) -> list[dict[str, Any]]:
        """Those of the task, the oldest first."""
        return list(reversed(json.loads(self("history", "rootish", "--limit", "200", "--json"))))

    def root_process(self) -> int:
        """The PID of what has become root; the file goes, so that another one would show."""
        pid = int(eventually(lambda: self.written.exists() and self.written.read_text()))
        self.written.unlink()
        return pid

    def log(self) -> str:
        return (self.data / "jarvis-daemon.log").read_text()

    def end(self) -> None:
        for daemon in self._daemons:
            daemon.kill()
            daemon.wait()
        with suppress(FileNotFoundError):
            os.kill(int(self.written.read_text()), signal.SIGKILL)


@pytest.fixture
def person() -> Iterator[Person]:
    home = Path(tempfile.mkdtemp(prefix="jarvis-root-"))  # pytest's own folders are closed to other users
    os.chown(home, NOBODY, NOBODY)
    person = Person(home)
    assert SETPRIV is not None
    shutil.copy(SETPRIV, person.become_root)
    person.become_root.chmod(0o4755)
    try:
        for needs, words in (
            ("an interpreter and a checkout that others may read", (sys.executable, "-c", "import jarvis_trio, trio")),
            ("setuid programs in the temporary folder", (str(person.become_root), "--reuid=0", "true")),
        ):
            if person.popen(*words, stderr=subprocess.DEVNULL).wait() != 0:
                pytest.skip(f"needs {needs}")
        person("init")
        yield person
        person.end()
    finally:
        shutil.rmtree(home)


@pytest.mark.parametrize("way", WAYS)
def test_law_2_what_became_root_is_named_and_holds_its_task(person: Person, way: str) -> None:
    person.add(way, limit="2s")
    person.daemon()
    pid = person.root_process()
    try:
        first = eventually(
            lambda: next((run for run in person.runs() if run["status"] in ("timeout", "executed")), None)
        )
        assert str(pid) in (first["reason"] or "") + str(first["result"])
        assert re.search(
            rf"could not be ended \(stuck in the kernel, or another user's\): PID .*\b{pid}\b", person.log()
        )

        eventually(lambda: person.runs()[-1]["scheduled_for"] > first["finished_at"])
        later = [run["status"] for run in person.runs() if run["scheduled_for"] > first["scheduled_for"]]
        assert set(later) == {"skipped"}
        assert lives(pid)
        assert not person.written.exists()
    finally:
        os.kill(pid, signal.SIGKILL)
    os.kill(person.root_process(), signal.SIGKILL)  # the next one


@pytest.mark.parametrize("way", ["stays", "hides and goes on"])
def test_law_2_what_became_root_and_outlives_its_daemon_holds_its_task(person: Person, way: str) -> None:
    person.add(way, limit="10m")
    first = person.daemon()
    pid = person.root_process()
    try:
        first.kill()
        first.wait()
        person.daemon()
        eventually(lambda: f"PID {pid}, which process {first.pid} left, cannot be ended" in person.log())
        assert {run["status"] for run in person.runs()} <= {"running", "skipped"}
        assert not person.written.exists()
    finally:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: any(run["attempt"] == 2 for run in person.runs()))
    os.kill(person.root_process(), signal.SIGKILL)
