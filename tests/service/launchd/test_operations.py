"""The launchd agent's life: collaboration tests against `fake_launchctl`."""

from __future__ import annotations

import os
import plistlib
import stat
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import LaunchdError
from jarvis_trio.service.launchd.operations import install_steps, rollback_steps, status, uninstall_steps
from jarvis_trio.service.launchd.plist import (
    LABEL,
    OLD_LABELS,
    SCHEDULER_LABEL,
    is_ours,
    property_list,
    read_plist,
    render,
)
from jarvis_trio.service.launchd.replaced import RECORD_NAME
from jarvis_trio.service.steps import perform
from tests.support.launchd_world import BYSTANDERS, GUI, OURS, USER, Operation, Snapshot, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


# Installing


def test_install_loads_ours_and_retires_the_old_agents(world: World) -> None:
    world.do(install_steps)
    loaded = {target.split("/")[2] for target in world.state["services"]}
    assert loaded == {LABEL, *BYSTANDERS}
    assert world.state["services"][OURS]["state"] == "running"
    assert plistlib.loads(world.agent.plist.read_bytes()) == property_list(world.agent)
    assert stat.S_IMODE(world.agent.plist.stat().st_mode) == 0o644


def test_the_old_plists_are_kept_outside_of_launch_agents(world: World) -> None:
    before = {label: (world.agent.launch_agents / f"{label}.plist").read_bytes() for label in OLD_LABELS}
    world.do(install_steps)
    assert {label: (world.agent.replaced / f"{label}.plist").read_bytes() for label in OLD_LABELS} == before
    assert not any((world.agent.launch_agents / f"{label}.plist").exists() for label in OLD_LABELS)
    assert not world.agent.replaced.is_relative_to(world.agent.launch_agents)


@pytest.mark.parametrize("operation", [install_steps, rollback_steps, uninstall_steps])
def test_the_two_agents_that_stay_are_not_even_asked_about(world: World, operation: Operation) -> None:
    world.do(install_steps)
    world.do(operation)
    asked = [call for call in world.state["calls"] if any(label in " ".join(call) for label in BYSTANDERS)]
    assert {call[0] for call in asked} == {"bootstrap"}  # the fixture's own
    assert len(asked) == len(BYSTANDERS)


def test_a_service_is_loaded_again_only_when_its_label_is_gone(world: World) -> None:
    """bootout is asynchronous: launchctl answers 0 and the label stays until the process has ended."""
    world.do(install_steps)
    world.state.update(going_prints=8)
    world.do(install_steps)
    calls = [" ".join(call) for call in world.state["calls"]]
    bootout = len(calls) - 1 - calls[::-1].index(f"bootout {OURS}")
    bootstrap = len(calls) - 1 - calls[::-1].index(f"bootstrap {GUI} {world.agent.plist}")
    assert calls[bootout + 1 : bootstrap].count(f"print {OURS}") == 9
    assert calls.count(f"bootstrap {GUI} {world.agent.plist}") == 2


def test_installing_again_updates_the_plist_and_keeps_what_was_replaced(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", installed=True)
    kept = {path: path.read_bytes() for path in world.agent.replaced.iterdir()}
    world.do(install_steps)
    assert read_plist(world.agent.plist)["EnvironmentVariables"]["DAEMON_MAX_CONCURRENT_TASKS"] == "9"
    assert world.state["services"][OURS]["state"] == "running"
    assert {path: path.read_bytes() for path in world.agent.replaced.iterdir()} == kept


def test_an_old_agent_that_comes_back_is_replaced_again_beside_the_kept_one(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", installed=True)
    world.add_agent(OLD_LABELS[0]).write_bytes(b"<!-- another -->" + render(world.agent))
    world.do(install_steps)
    kept = sorted(path.name for path in world.agent.replaced.glob(f"{OLD_LABELS[0]}*"))
    assert kept == [f"{OLD_LABELS[0]}.2.plist", f"{OLD_LABELS[0]}.plist"]


def test_what_another_program_wrote_under_our_label_is_kept(world: World) -> None:
    """The existing assistant has a daemon of the same name."""
    theirs = world.add_agent(LABEL).read_bytes()
    world.do(install_steps)
    assert world.state["services"][OURS]["state"] == "running"
    assert (world.agent.replaced / f"{LABEL}.plist").read_bytes() == theirs


def test_a_label_that_was_disabled_is_enabled_first(world: World) -> None:
    world.state.update(disabled=[LABEL])
    world.do(install_steps)
    assert world.state["services"][OURS]["state"] == "running"
    assert world.state["disabled"] == []


def test_without_a_gui_session_it_is_loaded_into_the_users_domain(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    world.state.update(gui=False)
    world.do(install_steps)
    assert list(world.state["services"]) == [f"{USER}/{LABEL}"]
    assert read_plist(world.agent.plist)["LimitLoadToSessionType"] == "Background"


def test_one_that_was_loaded_over_ssh_is_replaced_when_there_is_a_gui_session(tmp_path: Path) -> None:
    """Two of them would fight for the lock for ever."""
    world = World(tmp_path / "home")
    world.state.update(gui=False)
    world.do(install_steps)
    world.state.update(gui=True)
    world.do(install_steps)
    assert list(world.state["services"]) == [OURS]


def test_an_old_agent_whose_plist_lies_elsewhere_is_stopped_and_its_plist_left_there(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    elsewhere = world.home / "chief-of-staff.plist"
    world.add_agent(OLD_LABELS[0], loaded=False).rename(elsewhere)
    world.load(GUI, elsewhere)
    world.do(install_steps)
    assert list(world.state["services"]) == [OURS]
    assert elsewhere.exists()
    world.do(rollback_steps)
    assert {target: service["path"] for target, service in world.state["services"].items()} == {
        f"{GUI}/{OLD_LABELS[0]}": str(elsewhere)
    }


def test_an_old_agent_in_launch_agents_under_another_name_does_not_return_at_login(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    renamed = world.agent.launch_agents / "scheduler.plist"
    world.add_agent(OLD_LABELS[0], loaded=False).rename(renamed)
    world.load(GUI, renamed)
    before = world.snapshot()["loaded"]
    world.do(install_steps)
    assert [path.name for path in world.agent.launch_agents.iterdir()] == [f"{LABEL}.plist"]
    world.do(rollback_steps)
    assert renamed.exists()
    assert world.snapshot()["loaded"] == before


def test_an_old_agent_with_no_plist_is_stopped_and_the_plan_says_that_it_cannot_return(world: World) -> None:
    world.state["services"][f"{GUI}/{OLD_LABELS[0]}"]["path"] = ""
    (world.agent.launch_agents / f"{OLD_LABELS[0]}.plist").unlink()
    steps = install_steps(world.agent, world.launchctl)
    assert [step.says for step in steps if "nothing can load it again" in step.says] == [
        f"launchctl bootout {GUI}/{OLD_LABELS[0]} (its plist is gone: nothing can load it again)"
    ]
    perform(steps, world.said.append)
    assert f"{GUI}/{OLD_LABELS[0]}" not in world.state["services"]


def test_a_link_in_launch_agents_is_kept_and_brought_back_as_a_link(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    plist = world.add_agent(OLD_LABELS[0], loaded=False)
    plist.rename(world.home / "real.plist")
    plist.symlink_to("../../real.plist")
    world.load(GUI, plist)
    world.do(install_steps)
    assert (world.agent.replaced / plist.name).is_symlink()
    world.do(rollback_steps)
    assert os.readlink(plist) == "../../real.plist"


# Removing, and going back


def test_uninstall_removes_ours_and_leaves_the_old_ones_out(world: World) -> None:
    world.do(install_steps)
    world.do(uninstall_steps)
    assert {target.split("/")[2] for target in world.state["services"]} == set(BYSTANDERS)
    assert not world.agent.plist.exists()
    assert not world.calls("disable")


def test_uninstall_has_nothing_to_do_where_nothing_is_installed(world: World) -> None:
    assert uninstall_steps(world.agent, world.launchctl) == []


def test_rollback_brings_everything_back_as_it_was(world: World) -> None:
    (world.agent.launch_agents / f"{OLD_LABELS[1]}.plist").chmod(0o600)
    before = world.snapshot()
    world.do(install_steps)
    world.do(rollback_steps)
    after = world.snapshot()
    assert after["loaded"] == before["loaded"]
    assert _below(after, "Library/LaunchAgents") == _below(before, "Library/LaunchAgents")
    assert list(world.agent.replaced.iterdir()) == []


def test_rollback_does_not_load_what_was_not_loaded(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    world.add_agent(OLD_LABELS[0], loaded=False)
    before = world.snapshot()["loaded"]
    world.do(install_steps)
    world.do(rollback_steps)
    assert world.snapshot()["loaded"] == before == {}
    assert (world.agent.launch_agents / f"{OLD_LABELS[0]}.plist").exists()


def test_rollback_works_after_uninstall_and_after_a_second_install(world: World) -> None:
    before = world.snapshot()["loaded"]
    world.do(install_steps)
    world.do(install_steps)
    world.do(uninstall_steps)
    world.do(rollback_steps)
    assert world.snapshot()["loaded"] == before


def test_a_second_rollback_has_nothing_to_do(world: World) -> None:
    world.do(install_steps)
    world.do(rollback_steps)
    assert rollback_steps(world.agent, world.launchctl) == []


def test_rollback_leaves_an_agent_that_came_anew(world: World) -> None:
    world.do(install_steps)
    anew = world.add_agent(OLD_LABELS[0])
    anew.write_bytes(anew.read_bytes() + b"<!-- anew -->")
    world.do(rollback_steps)
    assert f"{GUI}/{OLD_LABELS[0]}" in world.state["services"]
    assert anew.read_bytes().endswith(b"<!-- anew -->")
    assert (world.agent.replaced / anew.name).exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"com.chg.inbox-monitor": {"surprise": 1}}', "\udcff"])
def test_a_record_that_cannot_be_read_is_an_error_and_nothing_is_done(world: World, text: str) -> None:
    world.do(install_steps)
    record = world.agent.replaced / RECORD_NAME
    record.write_bytes(text.encode(errors="surrogateescape"))
    before = world.snapshot()
    with pytest.raises(LaunchdError, match=r"cannot read .*replaced\.json"):
        world.do(rollback_steps)
    assert world.snapshot() == before


def test_a_record_that_is_no_file_is_an_error_with_its_fix(world: World) -> None:
    (world.agent.replaced / RECORD_NAME).mkdir(parents=True)
    for look in (rollback_steps, status):
        with pytest.raises(LaunchdError, match=r"cannot read .*replaced\.json .*directory.*; put it right"):
            look(world.agent, world.launchctl)


def test_rollback_brings_back_the_assistants_own_daemon_and_scheduler(world: World) -> None:
    """It had a daemon under our label, and for a day one under another."""
    for label in (LABEL, SCHEDULER_LABEL):
        world.add_agent(label)
    before = world.snapshot()
    world.do(install_steps)
    assert is_ours(read_plist(world.agent.plist))
    world.do(rollback_steps)
    after = world.snapshot()
    assert after["loaded"] == before["loaded"]
    assert _below(after, "Library/LaunchAgents") == _below(before, "Library/LaunchAgents")


def test_uninstall_leaves_another_programs_agent_under_our_label(world: World) -> None:
    world.add_agent(LABEL)
    before = world.snapshot()
    world.do(uninstall_steps)
    assert world.snapshot() == before
    assert status(world.agent, world.launchctl).old_agents_loaded == (*OLD_LABELS, LABEL)


def test_rollback_says_which_old_agent_could_never_start(world: World) -> None:
    gone = world.add_agent(OLD_LABELS[0], loaded=False)
    gone.write_bytes(plistlib.dumps({"Label": OLD_LABELS[0], "ProgramArguments": ["/gone/python", "/gone/run.py"]}))
    world.do(install_steps)
    why = "its program /gone/python does not exist or cannot be run"
    assert status(world.agent, world.launchctl).never_start == {OLD_LABELS[0]: why}
    steps = rollback_steps(world.agent, world.launchctl)
    assert [step.says for step in steps if "can never start" in step.says] == [
        f"launchctl bootstrap {GUI} {gone} (it can never start: {why})"
    ]


# Status


def test_status_of_nothing(world: World) -> None:
    seen = status(world.agent, world.launchctl)
    assert (seen.loaded, seen.running, seen.installed, seen.up_to_date) == (False, False, False, None)
    assert seen.old_agents_loaded == OLD_LABELS
    assert seen.replaced == ()


def test_status_of_a_running_daemon(world: World) -> None:
    world.do(install_steps)
    seen = status(world.agent, world.launchctl)
    assert (seen.loaded, seen.running, seen.installed, seen.up_to_date) == (True, True, True, True)
    assert seen.pid == world.state["services"][OURS]["pid"]
    assert seen.old_agents_loaded == ()
    assert set(seen.replaced) == set(OLD_LABELS)


def test_status_says_when_the_plist_is_not_what_install_would_write(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", installed=True)  # with a setting that changed since
    assert status(world.agent, world.launchctl).up_to_date is False


def _below(snapshot: Snapshot, folder: str) -> dict[str, Any]:
    return {path: seen for path, seen in snapshot["files"].items() if path.startswith(folder)}
