"""A home folder with agents in it, a launchd that holds them, and a clock: what the launchd tests share.

`launchctl` is `fake_launchctl`, called in this process; each wait is on a clock that moves only
when somebody sleeps. Tests of the commands get the same by `fake_launchd`.
"""

from __future__ import annotations

import os
import plistlib
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.service.launchd.launchctl import Launchctl
from jarvis_trio.service.launchd.operations import install_steps
from jarvis_trio.service.launchd.plist import LABEL, OLD_LABELS, Agent
from jarvis_trio.service.programs import run_program
from jarvis_trio.service.steps import Step, perform
from jarvis_trio.service.waiting import Patience
from tests.support import fake_launchctl

PROJECT = Path(__file__).parents[2]
UID = os.getuid()
GUI, USER = f"gui/{UID}", f"user/{UID}"
OURS = f"{GUI}/{LABEL}"
BYSTANDERS = ("com.chg.imessage-daemon", "com.chg.jarvis-backup")
Operation = Callable[[Agent, Launchctl], list[Step]]
Snapshot = dict[str, Any]


class FakeTime:
    """Stands for the module `time`: nobody waits."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


def fake_launchd(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Put a launchd before the commands that never starts anything; returns the file of its state.

    `launchctl` is on PATH, as a program; the commands' own calls of it are answered in this
    process, at once.
    """
    state = folder / "launchd.json"
    fake_launchctl.install(folder / "bin")
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("FAKE_LAUNCHCTL_STATE", str(state))

    def run(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if Path(argv[0]).name != "launchctl":
            return run_program(argv, **options)
        return subprocess.CompletedProcess(argv, *fake_launchctl.answer_from(state, list(argv[1:])))

    monkeypatch.setattr("jarvis_trio.cli.services.run_program", run)
    monkeypatch.setattr("jarvis_trio.cli.services.time", FakeTime())
    return state


def real_launchctl(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the commands call the program on PATH, and wait in earnest."""
    monkeypatch.setattr("jarvis_trio.cli.services.run_program", run_program)
    monkeypatch.setattr("jarvis_trio.cli.services.time", time)


class World:
    """A home folder, a launchd in it, and a clock."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True)
        data = home / "jarvis/data"
        data.mkdir(parents=True)
        (data / "memory.db").touch()
        self.home = home
        self.state: dict[str, Any] = deepcopy(fake_launchctl.EMPTY)
        self.said: list[str] = []
        self.now = 0.0
        settings = {
            "JARVIS_DATA_DIR": str(data),
            "MEMORY_DB_PATH": str(data / "memory.db"),
            "DAEMON_LOG_FILE": str(data / "jarvis-daemon.log"),
            "SCHEDULER_HANDLER_TIMEOUT_SECONDS": "300",
        }
        self.agent = Agent(
            home=home,
            python=Path(sys.executable),
            working_directory=PROJECT,
            settings=settings,
            environment=settings,
        )

    @property
    def launchctl(self) -> Launchctl:
        """As a command finds it: one that has asked nothing yet."""
        return Launchctl("launchctl", UID, self.run, Patience(self.sleep, lambda: self.now, self.said.append))

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        if argv[0] != "launchctl":
            return run_program(argv, env=env, cwd=cwd)
        return subprocess.CompletedProcess(argv, *fake_launchctl.answer(self.state, list(argv[1:])))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def calls(self, verb: str) -> list[str]:
        return [" ".join(call[1:]) for call in self.state["calls"] if call[0] == verb]

    def add_agent(self, label: str, *, loaded: bool = True) -> Path:
        """An agent of another program: a timer with its plist in LaunchAgents."""
        plist = self.agent.launch_agents / f"{label}.plist"
        plist.parent.mkdir(parents=True, exist_ok=True)
        plist.write_bytes(plistlib.dumps({"Label": label, "ProgramArguments": ["/usr/bin/true"], "StartInterval": 300}))
        plist.chmod(0o644)
        if loaded:
            self.load(GUI, plist)
        return plist

    def load(self, domain: str, plist: Path) -> None:
        assert fake_launchctl.answer(self.state, ["bootstrap", domain, str(plist)])[0] == 0

    def do(self, operation: Operation) -> None:
        perform(operation(self.agent, self.launchctl), self.said.append)

    def snapshot(self) -> Snapshot:
        """Every file and folder, and what launchd holds."""
        files = {str(path.relative_to(self.home)): _seen(path) for path in sorted(self.home.rglob("*"))}
        loaded = {target: service["path"] for target, service in self.state["services"].items()}
        return {"files": files, "loaded": loaded, "disabled": sorted(self.state["disabled"])}


def _seen(path: Path) -> tuple[int, object]:
    content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return stat.S_IMODE(path.lstat().st_mode), content


def make_world(home: Path, *, installed: bool = False) -> World:
    """The three old agents and the two that stay; where `installed`, an earlier one of ours as well."""
    world = World(home)
    for label in (*OLD_LABELS, *BYSTANDERS):
        world.add_agent(label)
    if installed:
        world.do(install_steps)
        more = {**world.agent.environment, "DAEMON_MAX_CONCURRENT_TASKS": "9"}
        world.agent = replace(world.agent, settings=more, environment=more)
    return world


def answering(text: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A `launchctl` that answers each question with `text`."""
    return lambda argv, **_: subprocess.CompletedProcess(argv, 0, text, "")
