"""`launchctl`, verb by verb: what its codes mean, and waiting for what it only begins.

We rely on its exit codes, and read of `print`, whose text is declared to be no API, only the few
words that nothing else tells. Sources: launchctl(1); `launchctl error NUMBER` for the codes.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jarvis_trio.errors import LaunchdError
from jarvis_trio.notation.text import printable
from jarvis_trio.service.launchd.plist import LABEL, OLD_LABELS, SCHEDULER_LABEL
from jarvis_trio.service.programs import Runner
from jarvis_trio.service.waiting import Patience

# macOS's numbers, written out: the errno module of Linux, on which most tests run, has others.
NOT_LOADED = frozenset({3, 112, 113, 125})  # no such process, domain or service; a domain this session lacks
BOOTOUT_BEGUN = frozenset({0, 36, 37})  # done; in progress; in progress already
BOOTSTRAP_TOO_EARLY = frozenset({5, 37})  # launchd still lets go of the label, for about 5 s after a bootout

BOOTSTRAP_LIMIT_SECONDS = 15.0
START_LIMIT_SECONDS = 20.0
SETTLE_SECONDS = 2.0  # a daemon that cannot start is gone well before that

_FIELD = re.compile(r"^\s*(path|state|pid|last exit code) = (.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Service:
    """A label that launchd holds, as `launchctl print` shows it.

    `path` is the plist it was loaded from. A service on its way out has the state `SIGTERMed`;
    its process may be alive, and its label is still taken.
    """

    domain: str
    label: str
    path: Path | None = None
    state: str | None = None
    pid: int | None = None
    last_exit: str | None = None

    @property
    def target(self) -> str:
        """What launchctl calls it."""
        return f"{self.domain}/{self.label}"

    @property
    def running(self) -> bool:
        """Whether it has a process; also if `print` does not say so in the words that we know."""
        return self.state in ("running", None)


@dataclass(frozen=True)
class Launchctl:
    """The program `launchctl` for one user. `patience` bounds every wait and reports it."""

    program: str
    uid: int
    run: Runner
    patience: Patience

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """The user's domains, the one to load into first: `user/UID` alone without a GUI session.

        An agent found in `gui/UID` proves the session as well: a mistake here would leave the old
        agents running. `launchctl managername` was rejected: over SSH it says Background, also
        while the session exists.
        """
        gui, user = f"gui/{self.uid}", f"user/{self.uid}"
        signs = (gui, *(f"{gui}/{label}" for label in (LABEL, *OLD_LABELS, SCHEDULER_LABEL)))
        return (gui, user) if any(self._call("print", sign).returncode == 0 for sign in signs) else (user,)

    @property
    def domain(self) -> str:
        """The domain to load agents into."""
        return self.domains[0]

    @property
    def in_background(self) -> bool:
        """Whether there is no GUI session."""
        return self.domain.startswith("user/")

    def find_all(self, label: str) -> list[Service]:
        """`label` in each domain that holds it: one loaded over SSH stays when someone logs in."""
        return [service for domain in self.domains if (service := self.find(domain, label)) is not None]

    def find(self, domain: str, label: str) -> Service | None:
        """What launchd holds as `label` in `domain`; None if it holds nothing."""
        done = self._call("print", f"{domain}/{label}")
        if done.returncode in NOT_LOADED:
            return None
        self._require(done)
        fields: dict[str, str] = {}
        for name, value in _FIELD.findall(done.stdout):
            fields.setdefault(name, value)  # what is nested comes later, and has states of its own
        pid, path = fields.get("pid", ""), fields.get("path")
        return Service(
            domain,
            label,
            path=Path(path) if path else None,
            state=fields.get("state"),
            pid=int(pid) if pid.isdecimal() else None,
            last_exit=fields.get("last exit code"),
        )

    def bootout(self, service: Service) -> None:
        """Ask launchd to stop the service and forget it, which goes on after this returns."""
        self._require(self._call("bootout", service.target), BOOTOUT_BEGUN | NOT_LOADED)

    def wait_until_gone(self, service: Service, limit_seconds: float) -> None:
        """Wait until `print` no longer knows the label: before that it cannot be loaded again."""

        def is_gone() -> bool:
            return self.find(service.domain, service.label) is None

        if not self.patience.until(is_gone, limit_seconds, f"{service.label} to stop"):
            raise LaunchdError(
                f"{service.target} is still there {limit_seconds:.0f} s after bootout",
                fix=f"see launchctl print {service.target}",
            )

    def bootstrap(self, domain: str, plist: Path) -> None:
        """Load `plist` into `domain`, again and again while launchd says that it is too early.

        The same code 5 stands for a bad plist, a disabled label and one that is loaded already,
        so the wait is short.
        """
        answers: list[subprocess.CompletedProcess[str]] = []

        def is_decided() -> bool:
            answers.append(self._call("bootstrap", domain, str(plist)))
            return answers[-1].returncode not in BOOTSTRAP_TOO_EARLY

        self.patience.until(is_decided, BOOTSTRAP_LIMIT_SECONDS, f"launchd to accept {plist.name}")
        self._require(answers[-1])

    def wait_until_running(self, domain: str, label: str) -> None:
        """Wait until the service has run as one process for long enough to have started well."""
        monotonic = self.patience.monotonic
        seen: Service | None = None
        since = monotonic()

        def is_settled() -> bool:
            nonlocal seen, since
            before, seen = seen, self.find(domain, label)
            if seen is None or not seen.running or before is None or before.pid != seen.pid:
                since = monotonic()
                return False
            return monotonic() - since >= SETTLE_SECONDS

        if not self.patience.until(is_settled, START_LIMIT_SECONDS, f"{label} to run"):
            raise LaunchdError(f"{domain}/{label} does not stay up ({_ending(seen)})")

    def is_disabled(self, domain: str, label: str) -> bool:
        """Whether `label` is disabled: a mark that outlives the plist. macOS 12 and older write
        `true`.
        """
        done = self._call("print-disabled", domain)
        return re.search(rf'^\s*"{re.escape(label)}" => (disabled|true)\s*$', done.stdout, re.MULTILINE) is not None

    def enable(self, domain: str, label: str) -> None:
        """Take the mark away."""
        self._require(self._call("enable", f"{domain}/{label}"))

    def disable(self, domain: str, label: str) -> None:
        """Put the mark back, as it was found."""
        self._require(self._call("disable", f"{domain}/{label}"))

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run([self.program, *arguments])

    def _require(self, done: subprocess.CompletedProcess[str], allowed: frozenset[int] = frozenset({0})) -> None:
        if done.returncode not in allowed:
            said = printable(" ".join((done.stderr or done.stdout).split()))
            raise LaunchdError(f"launchctl {' '.join(done.args[1:])} ended with {done.returncode}: {said}")


def _ending(service: Service | None) -> str:
    if service is None:
        return "launchd does not know it"
    return f"state {service.state or 'unknown'}, last exit code {service.last_exit or 'unknown'}"
