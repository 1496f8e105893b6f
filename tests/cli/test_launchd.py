"""`jarvis-trio launchd ...`: collaboration tests, with a `launchctl` that is a program on PATH."""

from __future__ import annotations

import json
import plistlib
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jarvis_trio.cli.commands.launchd import launchd
from jarvis_trio.errors import LaunchdError, ServiceError
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.service.launchd.plist import LABEL, OLD_LABELS, SEARCH_PATH
from jarvis_trio.settings import read_settings
from tests.support import fake_launchctl
from tests.support.launchd_world import GUI, OURS, PROJECT, fake_launchd, real_launchctl

COMMANDS = ["render", "install", "uninstall", "rollback", "status"]


class Mac(CommandSession):
    """A home folder with the three old agents in it, and what the commands are given."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state_file = home.parent / "launchd.json"
        self.agents = home / "Library/LaunchAgents"
        self.agents.mkdir(parents=True)
        (home / "data").mkdir()
        (home / "data/memory.db").touch()
        super().__init__({"JARVIS_DATA_DIR": str(home / "data"), "DAEMON_TICK_INTERVAL_SECONDS": "60"})
        self.settings = read_settings(self.environment, home)

    # The real ones read a `config` that was imported long before, and the database.

    def use_application(self, folder: Path) -> None:
        self.settings = read_settings({}, folder / "data")

    def longest_timeout_seconds(self) -> float:
        return 1799.5

    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(launchd, arguments, obj=self)

    def do(self, *arguments: str) -> str:
        result = self.call(*arguments)
        if result.exception is not None:
            raise result.exception
        return result.output

    def add_old_agents(self) -> None:
        services = {}
        for label in OLD_LABELS:
            plist = self.agents / f"{label}.plist"
            plist.write_bytes(plistlib.dumps({"Label": label, "Program": "/usr/bin/true", "StartInterval": 300}))
            services[f"{GUI}/{label}"] = {"path": str(plist), "state": "not running", "pid": None, "left": 0}
        self.state_file.write_text(json.dumps({"services": services}))

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.state_file.read_text())
        return fake_launchctl.EMPTY | state

    def snapshot(self) -> tuple[dict[str, bytes], list[str]]:
        files = {str(path): path.read_bytes() for path in self.home.rglob("*") if path.is_file()}
        return files, sorted(self.state["services"])


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mac:
    mac = Mac(tmp_path / "home")
    mac.add_old_agents()
    assert fake_launchd(monkeypatch, tmp_path) == mac.state_file
    monkeypatch.setenv("HOME", str(mac.home))
    return mac


def test_render_prints_the_property_list_with_the_settings_in_force(mac: Mac) -> None:
    agent = plistlib.loads(mac.do("render").encode())
    assert agent["ProgramArguments"] == [sys.executable, "-m", "jarvis_trio"]
    assert agent["WorkingDirectory"] == str(PROJECT)
    assert agent["EnvironmentVariables"] == {"PATH": SEARCH_PATH, **mac.environment}
    assert agent["ExitTimeOut"] == 1860
    assert agent["StandardErrorPath"] == str(mac.home / "Library/Logs/Jarvis/launchd-stderr.log")


def test_render_json_prints_json_alone(mac: Mac) -> None:
    assert json.loads(mac.do("render", "--json")) == plistlib.loads(mac.do("render").encode())


def test_an_application_brings_its_own_settings(mac: Mac, tmp_path: Path) -> None:
    arguments = ["--app-dir", str(tmp_path), "--engine", "scheduler.engine:SchedulerEngine", "--store", "m.s:Store"]
    agent = json.loads(mac.do("render", "--json", *arguments))
    assert agent["ProgramArguments"] == [sys.executable, "-m", "jarvis_trio", "run", *arguments]
    assert agent["EnvironmentVariables"] == {"PATH": SEARCH_PATH}  # they are in its `config`, not in our shell


def test_status_compares_with_the_application_that_is_installed(mac: Mac, tmp_path: Path) -> None:
    options = ["--app-dir", str(tmp_path / "an app"), "--engine", "s.e:Engine", "--store", "m.s:Store"]
    (tmp_path / "an app/data").mkdir(parents=True)
    rendered, plist = mac.do("render", *options), mac.agents / f"{LABEL}.plist"
    plist.write_text(rendered)
    assert json.loads(mac.do("status", "--json"))["up_to_date"] is True
    plist.write_text(rendered.replace("/usr/sbin:/sbin</string>", "/usr/sbin</string>"))
    assert f"to update it: {shlex.join(['jarvis-trio', 'launchd', 'install', *options])}\n" in mac.do("status")


def test_half_of_an_application_is_wrong_usage(mac: Mac, tmp_path: Path) -> None:
    result = mac.call("render", "--app-dir", str(tmp_path), "--engine", "scheduler.engine:SchedulerEngine")
    assert result.exit_code == 2
    assert "--engine and --store go together" in result.output


def test_an_assistants_daemon_under_our_label_is_not_said_to_be_absent_and_loaded(mac: Mac) -> None:
    plist = mac.agents / f"{LABEL}.plist"
    plist.write_bytes(plistlib.dumps({"Label": LABEL, "Program": "/usr/bin/true", "KeepAlive": True}))
    service = {"path": str(plist), "state": "running", "pid": 7, "left": 0}
    mac.state_file.write_text(json.dumps({"services": {OURS: service}}))
    said = mac.do("status")
    assert said.startswith(f"{LABEL}: is not installed; the assistant's own daemon has that label\n")
    assert f"\n{LABEL}: is loaded, and would run everything twice; to retire it: " in said
    assert "not there" not in said


def test_a_dry_run_prints_every_step_and_does_none(mac: Mac) -> None:
    before = mac.snapshot()
    said = mac.do("install", "--dry-run")
    assert mac.snapshot() == before
    assert {call[0] for call in mac.state["calls"]} == {"print"}
    steps = [line.strip().removeprefix("launchctl ").split(" ")[0] for line in said.splitlines()[1:]]
    assert steps == ["make", "make", "note", *["bootout", "move"] * 3, "write", "enable", "bootstrap", "wait"]
    assert all(f"launchctl bootout {GUI}/{label}\n" in said for label in OLD_LABELS)


@pytest.mark.slow
def test_install_status_and_rollback_as_a_person_types_them(mac: Mac) -> None:
    before = mac.snapshot()
    said = mac.do("install")
    assert f"\n[13/13] wait until it runs\n    waiting for {LABEL} to run: " in said
    assert f"\n{LABEL} runs in {GUI}. Its log: ~/data/jarvis-daemon.log\n" in said
    assert list(mac.state["services"]) == [OURS]

    seen = json.loads(mac.do("status", "--json"))
    assert (seen["running"], seen["up_to_date"], seen["old_agents_loaded"]) == (True, True, [])
    assert f"{LABEL}: runs as process {seen['pid']}, in {GUI}\n" in mac.do("status")

    mac.do("rollback")
    assert mac.snapshot() == before
    assert mac.do("rollback") == "Nothing to do.\n"


@pytest.mark.slow
@pytest.mark.thorough
def test_the_property_list_starts_a_daemon_that_says_nothing_to_launchd(tmp_path: Path) -> None:
    """As launchd does it: with the environment of the plist and its own name for the agent, and nothing else."""
    environment = {"HOME": str(tmp_path), "JARVIS_DATA_DIR": str(tmp_path / "data"), "PATH": SEARCH_PATH}
    program = [sys.executable, "-m", "jarvis_trio"]
    subprocess.run([*program, "init"], env=environment, cwd=PROJECT, check=True, capture_output=True)
    rendered = subprocess.check_output([*program, "launchd", "render"], env=environment, cwd=PROJECT)
    agent = plistlib.loads(rendered)
    log = tmp_path / "data/jarvis-daemon.log"
    with subprocess.Popen(
        agent["ProgramArguments"],
        env={"HOME": str(tmp_path), "XPC_SERVICE_NAME": LABEL, **agent["EnvironmentVariables"]},
        cwd=agent["WorkingDirectory"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as daemon:
        deadline = time.monotonic() + 30
        while not (log.exists() and ": executed" in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        daemon.terminate()
        said, _ = daemon.communicate(timeout=180)
    assert (daemon.returncode, said) == (0, b"")
    assert ": executed" in log.read_text()


@pytest.mark.slow
def test_without_launchctl_the_program_exits_1_with_one_line(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "JARVIS_DATA_DIR": str(tmp_path), "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "jarvis_trio", "launchd", "status"]
    done = subprocess.run(command, env=environment, cwd=PROJECT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.slow
def test_rollback_says_which_old_agent_could_never_start(mac: Mac) -> None:
    listed = {"Label": OLD_LABELS[1], "ProgramArguments": ["/gone/python", "evaluate.py"]}
    (mac.agents / f"{OLD_LABELS[1]}.plist").write_bytes(plistlib.dumps(listed))
    mac.do("install")
    why = "its program /gone/python does not exist or cannot be run"
    assert f"  {OLD_LABELS[1]} could never start: {why}\n" in mac.do("status")
    assert f"{OLD_LABELS[1]} could never start, before or now: {why}\n" in mac.do("rollback")


def test_status_says_what_is_wrong_and_the_fix(mac: Mac) -> None:
    said = mac.do("status")
    assert f"{LABEL}: is not loaded, in {GUI}\n" in said
    for label in OLD_LABELS:
        assert f"{label}: is loaded, and would run everything twice; to retire it: jarvis-trio launchd install" in said


def test_an_install_that_fails_ends_in_one_line_and_changes_nothing(mac: Mac) -> None:
    mac.state_file.write_text(json.dumps(mac.state | {"faults": [{"verb": "bootstrap", "label": LABEL, "code": 125}]}))
    before = mac.snapshot()
    result = mac.call("install")
    assert isinstance(result.exception, ServiceError)
    assert str(result.exception).endswith("125: unknown; all that was done before has been taken back")
    assert mac.snapshot() == before


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "render"])
def test_without_launchctl_it_says_how_to_use_systemd(
    mac: Mac, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(LaunchdError, match=r"launchd is macOS's; on Linux .* jarvis-trio service install") as caught:
        mac.do(command)
    assert "\n" not in str(caught.value)


def test_render_needs_no_launchctl(mac: Mac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert plistlib.loads(mac.do("render").encode())["Label"] == LABEL


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example(mac: Mac, command: str) -> None:
    assert f"jarvis-trio launchd {command}" in mac.do(command, "--help")


# The self-test.


def selftest(mac: Mac, **state: object) -> Result:
    """Run it against a launchd that really starts programs."""
    mac.state_file.write_text(json.dumps(mac.state | {"spawns": True} | state))
    return mac.call("selftest")


@pytest.mark.thorough
@pytest.mark.slow
def test_the_selftest_sees_an_agent_live_and_end_and_leaves_nothing(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    real_launchctl(monkeypatch)
    before = mac.snapshot()
    result = selftest(mac)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split("  ")[0].strip() for line in lines if line.startswith(("ok", "FAILED"))] == ["ok"] * 7
    assert "Stopped by SIGTERM" in result.output
    assert str(mac.home) not in result.output
    assert lines[-1] == "Everything works."
    assert mac.snapshot() == before


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"faults": [{"verb": "bootstrap", "label": "selftest", "code": 125}]}, "launchctl bootstrap"),
        ({"crashes": ["com.chg.jarvis-selftest"]}, "does not stay up"),
        ({"faults": [{"verb": "bootout", "label": "selftest", "code": 1}]}, "launchctl bootout"),
    ],
)
def test_the_selftest_tells_what_failed_and_leaves_nothing(
    mac: Mac, state: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_launchctl(monkeypatch)
    before = mac.snapshot()
    result = selftest(mac, **state)
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("FAILED  the step after that")]
    assert says in line
    assert "ok      nothing is left: no label, no process, no file" in result.output
    assert mac.snapshot() == before


@pytest.mark.thorough
@pytest.mark.slow
def test_the_selftest_tells_what_it_could_not_remove(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    real_launchctl(monkeypatch)
    faults = [{"verb": "bootout", "label": "selftest", "code": 1, "times": 2, "late": True}]
    result = selftest(mac, faults=faults)
    assert result.exit_code == 1
    assert "FAILED  nothing is left: com.chg.jarvis-selftest (launchctl bootout" in result.output
