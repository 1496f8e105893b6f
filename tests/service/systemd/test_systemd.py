"""The systemd unit's life: collaboration tests against `fake_systemctl`; each wait is on a clock of its own."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import ServiceError, SystemdError
from jarvis_trio.service.programs import run_program
from jarvis_trio.service.state import Standing
from jarvis_trio.service.steps import Step, perform
from jarvis_trio.service.systemd.checks import check
from jarvis_trio.service.systemd.operations import (
    install_steps,
    restart_steps,
    rollback_steps,
    status,
    stop_steps,
    uninstall_steps,
)
from jarvis_trio.service.systemd.systemctl import Systemctl
from jarvis_trio.service.systemd.unit import UNIT, Unit, arguments_of, render
from jarvis_trio.service.waiting import Patience
from tests.support import fake_systemctl
from tests.support.failing_steps import assert_each_failure_is_taken_back

PROJECT = Path(__file__).parents[3]
Operation = Callable[[Unit, Systemctl], list[Step]]


class World:
    """A home folder, a systemd of the user, and a clock."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True)
        (home / "memory.db").touch()
        settings = {
            "MEMORY_DB_PATH": str(home / "memory.db"),
            "DAEMON_LOG_FILE": str(home / "jarvis-daemon.log"),
            "SCHEDULER_HANDLER_TIMEOUT_SECONDS": "300",
        }
        self.unit = Unit(
            home=home,
            python=Path(sys.executable),
            working_directory=PROJECT,
            settings=settings,
            environment={"JARVIS_DATA_DIR": str(home)},
            config_home=home / ".config",
        )
        self.state: dict[str, Any] = deepcopy(fake_systemctl.EMPTY) | {"folder": str(self.unit.folder)}
        self.said: list[str] = []
        self.now = 0.0
        self.broken = -1
        self.late = False

    @property
    def systemctl(self) -> Systemctl:
        return Systemctl("systemctl", os.getuid(), self.run, Patience(self.sleep, lambda: self.now, self.said.append))

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        if argv[0] not in ("systemctl", "loginctl", "journalctl"):
            return run_program(argv, env=env, cwd=cwd)
        self.broken -= 1
        if self.broken == -1:
            if self.late:
                fake_systemctl.answer(self.state, list(argv))
            return subprocess.CompletedProcess(argv, 1, "", "injected")
        return subprocess.CompletedProcess(argv, *fake_systemctl.answer(self.state, list(argv)))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def do(self, operation: Operation) -> None:
        perform(operation(self.unit, self.systemctl), self.said.append)

    def write_unit(self, text: str, *, running: bool = True) -> None:
        """A unit that a person copied there by hand."""
        self.unit.folder.mkdir(parents=True, exist_ok=True)
        self.unit.file.write_text(text)
        self.unit.file.chmod(0o644)
        fake_systemctl.answer(self.state, ["systemctl", "daemon-reload"])
        for verb in ("enable", "start") if running else ():
            fake_systemctl.answer(self.state, ["systemctl", verb])

    def snapshot(self) -> dict[str, Any]:
        """Every file, what systemd has read, and how the unit stands."""
        files = {str(path): path.read_bytes() for path in sorted(self.unit.home.rglob("*")) if path.is_file()}
        active = self.state["active"] if self.state["active"] != "deactivating" else "inactive"
        return {"files": files, "active": active, "enabled": self.state["enabled"], "read": dict(self.state["read"])}


def make_world(home: Path, *, installed: bool = False, by_hand: bool = False) -> World:
    world = World(home)
    if by_hand:
        world.write_unit("[Service]\nExecStart=/usr/bin/true\n")
    if installed:
        world.do(install_steps)
        world.unit = replace(world.unit, environment={"JARVIS_HISTORY_DAYS": "7"})
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


# The unit file.


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("folder", ["plain", "a b $HOME %h é"])
def test_systemd_accepts_the_unit_and_reads_what_was_meant(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir()
    python = place / "python"
    python.symlink_to("/bin/sh")
    world = World(tmp_path / "home")
    unit = replace(
        world.unit,
        python=python,
        working_directory=place,
        environment={"MEMORY_DB_PATH": str(place / 'me"mo\\ry.db')},
        arguments=("run", "--app-dir", str(place / 'a "b" \\ c')),
    )
    file = tmp_path / UNIT
    file.write_text(render(unit))
    tmp_path.chmod(0o700)
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = ["systemd-analyze", "--user", "verify", str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    # It also tells of the machine's own units, which mind a long path of the runtime folder, say.
    told = [line for line in done.stderr.splitlines() if "jarvis" in line.partition(":")[0]]
    assert (done.returncode, done.stdout, told) == (0, "", [])
    assert arguments_of(file.read_text()) == unit.arguments


@pytest.mark.parametrize("name", ["line\nbreak", "bell\x07", "undecodable \udcff"])
def test_a_value_that_a_unit_cannot_hold_is_refused_in_one_line(world: World, name: str) -> None:
    with pytest.raises(SystemdError, match="the unit cannot be written") as caught:
        render(replace(world.unit, working_directory=Path("/home") / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ['a "b"', "it's", "back\\slash"])
def test_a_program_that_systemd_would_not_start_is_refused(world: World, folder: str) -> None:
    with pytest.raises(SystemdError, match="systemd starts no program whose path holds a quote or a backslash"):
        render(replace(world.unit, python=Path("/opt") / folder / "python"))


def test_a_tick_has_time_to_finish(world: World) -> None:
    assert "TimeoutStopSec=360\n" in render(world.unit)
    assert "TimeoutStopSec=3660\n" in render(replace(world.unit, longest_timeout_seconds=3600))
    assert "KillMode=mixed\n" in render(world.unit)


def test_the_unit_for_people_says_the_same() -> None:
    """It is copied by hand, with a place of its own in it."""
    kept = {"ExecStart", "WorkingDirectory", "Environment"}

    def lines(text: str) -> set[str]:
        plain = {line for line in text.splitlines() if "=" in line and not line.startswith("#")}
        return {line for line in plain if line.split("=")[0] not in kept}

    world = Unit(
        home=Path("/"),
        python=Path("/p"),
        working_directory=Path("/"),
        settings={"SCHEDULER_HANDLER_TIMEOUT_SECONDS": "300"},
        config_home=Path("/c"),
    )
    assert lines(render(world)) == lines((PROJECT / "launchd" / UNIT).read_text())


# Installing.


def test_install_writes_enables_and_starts_the_unit(world: World) -> None:
    world.do(install_steps)
    assert world.unit.file.read_text() == render(world.unit) == world.state["read"][UNIT]
    assert stat.S_IMODE(world.unit.file.stat().st_mode) == 0o644
    assert (world.state["active"], world.state["enabled"]) == ("active", True)


def test_an_update_stops_the_old_one_first_and_waits_for_its_tick(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", installed=True)
    world.state.update(stopping_shows=30)
    before = world.state["pid"]
    world.do(install_steps)
    assert world.state["pid"] != before
    assert any(line.startswith(f"    waiting for {UNIT} to stop") for line in world.said)
    assert "JARVIS_HISTORY_DAYS=7" in world.state["read"][UNIT]


def test_a_daemon_that_cannot_start_is_told_with_its_last_words(world: World) -> None:
    world.state.update(crashes=True, journal=f"Started {UNIT}.\nMemory DB not found at /x\x1b[2J\n{UNIT}: Failed\n")
    before = world.snapshot()
    with pytest.raises(ServiceError, match=r"does not stay up \(activating, last exit code 1\)") as caught:
        world.do(install_steps)
    assert "Memory DB not found" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert world.snapshot() == before


SCENES = [
    pytest.param(install_steps, False, False, id="first install"),
    pytest.param(install_steps, False, True, id="install over another's"),
    pytest.param(install_steps, True, False, id="update"),
    pytest.param(uninstall_steps, True, False, id="uninstall"),
    pytest.param(rollback_steps, True, True, id="rollback"),
    pytest.param(restart_steps, True, False, id="restart"),
]


@pytest.mark.parametrize("failure", [OSError(28, "No space left"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("late", [False, True], ids=["before its work", "after its work"])
@pytest.mark.parametrize(("operation", "installed", "by_hand"), SCENES)
def test_a_step_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, operation: Operation, installed: bool, by_hand: bool, late: bool, failure: BaseException
) -> None:
    def make(home: Path) -> tuple[World, list[Step]]:
        world = make_world(home, installed=installed, by_hand=by_hand)
        return world, operation(world.unit, world.systemctl)

    assert_each_failure_is_taken_back(make, tmp_path, failure, late=late)


@pytest.mark.parametrize("late", [False, True], ids=["without its effect", "after its effect"])
@pytest.mark.parametrize(("operation", "installed", "by_hand"), SCENES)
def test_whichever_call_fails_everything_is_done_or_nothing(
    tmp_path: Path, operation: Operation, installed: bool, by_hand: bool, late: bool
) -> None:
    failures = 0
    for number in range(100):
        world = make_world(tmp_path / f"home-{number}", installed=installed, by_hand=by_hand)
        before = world.snapshot()
        world.broken, world.late = number, late
        try:
            world.do(operation)
        except ServiceError:
            failures += 1
            assert world.snapshot() == before, number
        if world.broken >= 0:
            break
    assert failures > 2


# Removing, and going back.


def test_uninstall_leaves_nothing(world: World) -> None:
    world.do(install_steps)
    world.do(uninstall_steps)
    assert not world.unit.file.exists()
    assert (world.state["active"], world.state["enabled"], world.state["read"]) == ("inactive", False, {})
    assert uninstall_steps(world.unit, world.systemctl) == []


def test_a_unit_that_a_person_wrote_is_kept_and_brought_back_as_it_was(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", by_hand=True)
    before = world.snapshot()
    world.do(install_steps)
    assert status(world.unit, world.systemctl).replaced
    world.do(rollback_steps)
    assert world.snapshot() == before
    assert rollback_steps(world.unit, world.systemctl) == []


def test_uninstall_leaves_another_programs_unit_alone(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", by_hand=True)
    before = world.snapshot()
    world.do(uninstall_steps)
    assert world.snapshot() == before


def test_stop_and_restart(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", installed=True)
    world.do(stop_steps)
    assert world.state["active"] == "inactive"
    assert stop_steps(world.unit, world.systemctl) == []
    world.do(restart_steps)
    assert world.state["active"] == "active"


def test_restart_of_nothing_says_how_to_install(world: World) -> None:
    with pytest.raises(SystemdError, match="is not installed; jarvis-trio service install"):
        restart_steps(world.unit, world.systemctl)


# Checks and status.


def test_the_checks_pass_where_all_is_well(world: World) -> None:
    before = world.snapshot()
    check(world.unit, world.systemctl)
    assert world.snapshot() == before


def test_a_missing_database_is_refused_unless_a_server_has_it(world: World) -> None:
    (world.unit.home / "memory.db").unlink()
    with pytest.raises(ServiceError, match="Memory DB not found at"):
        check(world.unit, world.systemctl)
    shared = {**world.unit.settings, "JARVIS_DATABASE_URL": "postgresql://jarvis@homeserver/jarvis"}
    check(replace(world.unit, settings=shared), world.systemctl)


def test_a_unit_that_a_person_garbled_has_no_arguments(world: World) -> None:
    garbled = render(world.unit).replace("-m jarvis_trio", '-m jarvis_trio "open')
    assert arguments_of(garbled) is None
    world.unit.folder.mkdir(parents=True)
    world.unit.file.write_text(garbled)
    assert status(world.unit, world.systemctl).up_to_date is False


def test_without_a_systemd_of_the_user_it_says_how_to_get_one(world: World) -> None:
    world.state.update(manager=False)
    with pytest.raises(SystemdError, match=r"does not answer: Failed to connect to bus.*; log in as the user itself"):
        check(world.unit, world.systemctl)


def test_a_drop_in_that_would_take_over_is_refused(world: World) -> None:
    world.unit.drop_ins.mkdir(parents=True)
    (world.unit.drop_ins / "place.conf").write_text("[Service]\nExecStart=\nExecStart=/old/python -m jarvis_trio\n")
    with pytest.raises(SystemdError, match=r"place\.conf sets ExecStart, .*systemctl --user revert"):
        check(world.unit, world.systemctl)
    (world.unit.drop_ins / "place.conf").write_text("[Service]\nNice=5\n")
    check(world.unit, world.systemctl)


def test_status_tells_each_standing(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    assert status(world.unit, world.systemctl).standing is Standing.NOT_INSTALLED
    world.do(install_steps)
    seen = status(world.unit, world.systemctl)
    assert (seen.standing, seen.pid, seen.lingers) == (Standing.RUNNING, world.state["pid"], False)
    world.unit = replace(world.unit, environment={})
    assert status(world.unit, world.systemctl).standing is Standing.OUTDATED
    world.do(stop_steps)
    assert status(world.unit, world.systemctl).says == f"{UNIT} does not run (inactive), last exit code 0"
