"""A test of this Mac: a throw-away agent is loaded, ticks, and is stopped as launchd stops agents.

Its label, folder and logs are its own, so the real agent and its data are not touched. Each check
is a line of the report. The first check that fails ends the test; what was made is removed whatever
happens, and the last check says whether anything is left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from jarvis_trio.errors import ServiceError
from jarvis_trio.service.launchd.launchctl import Launchctl, Service
from jarvis_trio.service.launchd.operations import last_words
from jarvis_trio.service.launchd.plist import Agent, render

LABEL = "com.chg.jarvis-selftest"
TICK_LIMIT_SECONDS = 30.0
STOP_LIMIT_SECONDS = 60.0
LOG_LINES = 30


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report: what was tried, whether it was so, and what was seen."""

    what: str
    passed: bool
    seen: str


def selftest_agent(agent: Agent, folder: Path) -> Agent:
    """The throw-away agent: the same program, with all that it writes below `folder`."""
    settings = {
        **{name: value for name, value in agent.settings.items() if name != "JARVIS_DATABASE_URL"},
        "JARVIS_DATA_DIR": str(folder),
        "MEMORY_DB_PATH": str(folder / "memory.db"),
        "DAEMON_LOG_FILE": str(folder / "jarvis-daemon.log"),
        "WEBHOOK_INBOX_DIR": str(folder / "webhook-inbox"),
        "DAEMON_TICK_INTERVAL_SECONDS": "2",
    }
    own = {"JARVIS_SETTINGS": os.devnull, **settings}
    return replace(agent, label=LABEL, settings=settings, environment=own, arguments=(), logs_folder=folder / "logs")


def run_selftest(agent: Agent, launchctl: Launchctl, prepare: Callable[[Path], object]) -> Iterator[Check]:
    """Do the checks in order.

    Args:
        agent: what `selftest_agent` made; its folder must not exist yet.
        prepare: makes the database at the path that it is given, with a task that is due at once.
    """
    folder = agent.log.parent
    plist = folder / f"{agent.label}.plist"
    pids: list[int] = []
    try:
        yield from _live(agent, launchctl, plist, prepare, pids)
    except (ServiceError, OSError, KeyboardInterrupt) as error:
        yield Check("the step after that", False, str(error) or "interrupted")
        yield Check("last words", False, last_words(agent.standard_error))
        yield from (Check("log", False, line) for line in _log(agent)[-LOG_LINES:])
    finally:
        left = _clean_up(agent, launchctl, folder, pids)
    yield Check("nothing is left", not left, ", ".join(left) or "no label, no process, no file")


def _live(
    agent: Agent, launchctl: Launchctl, plist: Path, prepare: Callable[[Path], object], pids: list[int]
) -> Iterator[Check]:
    if launchctl.find_all(agent.label):
        raise ServiceError(f"{agent.label} is loaded already", fix="wait until another self-test has ended")
    yield _made(agent, launchctl, plist, prepare)

    started = launchctl.patience.monotonic()
    service = _loaded(agent, launchctl, plist)
    pid = service.pid if service else None
    pids += [pid] if pid else []
    yield Check("launchd loads it, and it stays up", pid is not None, f"PID {pid}, in {launchctl.domain}")

    if not launchctl.patience.until(lambda: _says(agent, "Task 'selftest': executed"), TICK_LIMIT_SECONDS, "a tick"):
        raise ServiceError(f"no tick within {TICK_LIMIT_SECONDS:.0f} s")
    yield Check("it ticks", True, f"{launchctl.patience.monotonic() - started:.1f} s after it was loaded")

    if service is None:
        raise ServiceError("launchd does not know it")
    yield _stopped(launchctl, service)
    yield from _last_checks(agent)


def _made(agent: Agent, launchctl: Launchctl, plist: Path, prepare: Callable[[Path], object]) -> Check:
    agent.logs.mkdir(parents=True)
    prepare(Path(agent.settings["MEMORY_DB_PATH"]))
    plist.write_bytes(render(agent, background=launchctl.in_background))
    plist.chmod(0o644)
    return Check("a folder, a database and a property list", True, str(plist))


def _loaded(agent: Agent, launchctl: Launchctl, plist: Path) -> Service | None:
    launchctl.bootstrap(launchctl.domain, plist)
    launchctl.wait_until_running(launchctl.domain, agent.label)
    return launchctl.find(launchctl.domain, agent.label)


def _stopped(launchctl: Launchctl, service: Service) -> Check:
    since = launchctl.patience.monotonic()
    launchctl.bootout(service)
    launchctl.wait_until_gone(service, STOP_LIMIT_SECONDS)
    return Check("launchd stops it", True, f"{launchctl.patience.monotonic() - since:.1f} s after bootout")


def _last_checks(agent: Agent) -> Iterator[Check]:
    """How it ended, and what launchd wrote about it."""
    ending = next((line for line in reversed(_log(agent)) if "Stopped by " in line), "no such line")
    yield Check("it ended by itself, and not by SIGKILL", "Stopped by SIGTERM" in ending, ending)

    said = (_text(agent.standard_error) + _text(agent.standard_output)).strip()
    empty = _logs_exist(agent) and not said
    yield Check("launchd's own logs are there and empty", empty, said[:500] or "empty")


def _clean_up(agent: Agent, launchctl: Launchctl, folder: Path, pids: list[int]) -> list[str]:
    """Remove what the test made; returns what could not be removed."""
    left = []
    try:
        for service in launchctl.find_all(agent.label):
            pids += [service.pid] if service.pid else []
            launchctl.bootout(service)
            launchctl.wait_until_gone(service, STOP_LIMIT_SECONDS)
    except (ServiceError, OSError) as error:
        left.append(f"{agent.label} ({error})")
    left += [f"process {pid}" for pid in dict.fromkeys(pids) if _alive(pid, launchctl)]
    shutil.rmtree(folder, ignore_errors=True)
    return left + ([str(folder)] if folder.exists() else [])


def _alive(pid: int, launchctl: Launchctl) -> bool:
    """Whether a process is there and is not a zombie, as `ps` tells it on every system."""
    done = launchctl.run(["ps", "-o", "stat=", "-p", str(pid)])
    return done.returncode == 0 and not done.stdout.strip().startswith("Z")


def report(checks: list[Check], about: list[str], home: Path) -> str:
    """The text to paste into an issue; the home folder stands as `~`, so that it names nobody."""
    lines = ["jarvis-trio launchd selftest", *(f"  {line}" for line in about)]
    lines += [f"{'ok    ' if check.passed else 'FAILED'}  {check.what}: {check.seen}" for check in checks]
    failed = sum(not check.passed for check in checks)
    lines.append("Everything works." if not failed else f"{failed} of {len(checks)} checks failed.")
    return "\n".join(lines).replace(str(home), "~") + "\n"


def about_launchd(launchctl: Launchctl) -> list[str]:
    """What the report says of the Mac: its version and the domain."""
    version = "unknown"
    with suppress(OSError):
        done: subprocess.CompletedProcess[str] = launchctl.run(["sw_vers", "-productVersion"])
        version = done.stdout.strip() or version
    session = "no GUI session" if launchctl.in_background else "a GUI session"
    return [f"macOS {version}", f"domain {launchctl.domain}, {session}"]


def _says(agent: Agent, words: str) -> bool:
    return any(words in line for line in _log(agent))


def _log(agent: Agent) -> list[str]:
    return _text(agent.log).splitlines()


def _logs_exist(agent: Agent) -> bool:
    return agent.standard_error.exists() and agent.standard_output.exists()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
