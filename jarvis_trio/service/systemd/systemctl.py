"""`systemctl --user`, verb by verb, with `loginctl` and `journalctl` beside it.

Every stop and start is asked for with `--no-block` and then waited for, so that a stop may take as
long as the longest handler, and the user sees that it goes on. `show` prints properties, which are
an API, unlike the text of `status`. Sources: systemctl(1), org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jarvis_trio.errors import SystemdError
from jarvis_trio.notation.text import printable
from jarvis_trio.service.programs import Runner
from jarvis_trio.service.state import exit_words
from jarvis_trio.service.systemd.unit import UNIT
from jarvis_trio.service.waiting import Patience

PROPERTIES = "LoadState,ActiveState,SubState,MainPID,UnitFileState,ExecMainCode,ExecMainStatus"
_BY_SIGNAL = ("2", "3")  # CLD_KILLED and CLD_DUMPED, as in waitid(2): the status is a signal then
START_LIMIT_SECONDS = 20.0
SETTLE_SECONDS = 2.0  # a daemon that cannot start is gone well before that
STOP_MARGIN_SECONDS = 10.0

NO_MANAGER = (
    "log in as the user itself, at the screen or by ssh: su and sudo bring no systemd of the user, "
    "and a container has none"
)


@dataclass(frozen=True, slots=True)
class Held:
    """The unit as systemd holds it.

    `last_exit` is the exit code of its last main process, or the signal that killed it; None if
    systemd does not tell.
    """

    loaded: bool
    active: str
    sub: str
    pid: int | None
    enabled: bool
    last_exit: str | None

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.active == "active" and self.sub == "running"

    @property
    def stopped(self) -> bool:
        """Whether it has no process and systemd will not start one by itself."""
        return self.active in ("inactive", "failed")


@dataclass(frozen=True)
class Systemctl:
    """The program `systemctl` for one user. `patience` bounds every wait and reports it."""

    program: str
    uid: int
    run: Runner
    patience: Patience

    def show(self) -> Held:
        """The unit's properties. Raises SystemdError if the user has no systemd to ask."""
        done = self._call("show", UNIT, f"--property={PROPERTIES}")
        values = _properties(done.stdout)
        if done.returncode != 0 or "ActiveState" not in values:
            raise SystemdError(f"systemctl --user does not answer: {_said(done)}", fix=NO_MANAGER)
        pid = values.get("MainPID", "")
        return Held(
            loaded=values.get("LoadState") == "loaded",
            active=values["ActiveState"],
            sub=values.get("SubState", ""),
            pid=int(pid) if pid.isdecimal() and pid != "0" else None,
            enabled=values.get("UnitFileState") == "enabled",
            last_exit=_last_exit(values),
        )

    def daemon_reload(self) -> None:
        """Have systemd read the unit files again."""
        self._require(self._call("daemon-reload"))

    def enable(self) -> None:
        """Start the unit at login, or at boot with linger."""
        self._require(self._call("enable", UNIT))

    def disable(self) -> None:
        """Start it no longer by itself."""
        self._require(self._call("disable", UNIT))

    def start(self) -> None:
        """Begin to start it; a start limit that it may have run into is forgotten."""
        self._call("reset-failed", UNIT)
        self._require(self._call("start", "--no-block", UNIT))

    def stop(self, limit_seconds: float) -> None:
        """Stop it, and wait until its process is gone: at most `limit_seconds` and a margin."""
        self._require(self._call("stop", "--no-block", UNIT))
        limit = limit_seconds + STOP_MARGIN_SECONDS
        if not self.patience.until(lambda: self.show().stopped, limit, f"{UNIT} to stop"):
            raise SystemdError(f"{UNIT} still runs {limit:.0f} s after stop", fix=f"see systemctl --user status {UNIT}")

    def wait_until_running(self) -> None:
        """Wait until it has run as one process for long enough to have started well."""
        monotonic = self.patience.monotonic
        seen: Held | None = None
        since = monotonic()

        def is_settled() -> bool:
            nonlocal seen, since
            before, seen = seen, self.show()
            if not seen.running or before is None or before.pid != seen.pid:
                since = monotonic()
                return False
            return monotonic() - since >= SETTLE_SECONDS

        if not self.patience.until(is_settled, START_LIMIT_SECONDS, f"{UNIT} to run"):
            ending = f"{seen.active}{exit_words(seen.last_exit)}" if seen else "systemd does not know it"
            raise SystemdError(f"{UNIT} does not stay up ({ending}); its last words: {self.last_words()}")

    def last_words(self) -> str:
        """The last line that the daemon itself wrote to the journal."""
        done = self.run(["journalctl", "--user", "--unit", UNIT, "--lines=20", "--output=cat", "--no-pager"])
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        ours = [line for line in lines if not line.startswith((UNIT, "Started ", "Stopped ", "Stopping "))]
        return repr(printable((ours or lines or ["none in the journal"])[-1][:200]))

    def lingers(self) -> bool | None:
        """Whether the user's units run without a login; None if loginctl does not tell."""
        try:
            done = self.run(["loginctl", "show-user", str(self.uid), "--property=Linger"])
        except OSError:
            return None
        answer = _properties(done.stdout).get("Linger")
        return None if done.returncode != 0 or answer is None else answer == "yes"

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run([self.program, "--user", *arguments])

    def _require(self, done: subprocess.CompletedProcess[str]) -> None:
        if done.returncode != 0:
            raise SystemdError(f"systemctl {' '.join(done.args[1:])} ended with {done.returncode}: {_said(done)}")


@dataclass(frozen=True)
class DrySystemctl(Systemctl):
    """The same for a dry run: it changes nothing, so no systemd need answer.

    If none does, `tell` is told so once, and the unit counts as one that runs if its `file` is
    there.
    """

    file: Path
    tell: Callable[[str], object]

    def show(self) -> Held:
        """The unit's properties, or what its file lets one expect."""
        try:
            return super().show()
        except SystemdError as error:
            return self._expected(str(error))

    @lru_cache(maxsize=1)  # noqa: B019  # one dry run a process
    def _expected(self, why: str) -> Held:
        self.tell(f"nothing could be done now: {why}")
        there = self.file.is_file()
        active, sub = ("active", "running") if there else ("inactive", "dead")
        return Held(loaded=there, active=active, sub=sub, pid=None, enabled=there, last_exit=None)


def _last_exit(values: Mapping[str, str]) -> str | None:
    status = values.get("ExecMainStatus")
    return f"killed by signal {status}" if values.get("ExecMainCode") in _BY_SIGNAL else status or None


def _properties(text: str) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return printable(" ".join((done.stderr or done.stdout).split()))
