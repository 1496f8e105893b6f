"""What `launchctl` says and how long it is waited for: collaboration tests against `fake_launchctl`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import ServiceError
from jarvis_trio.service.launchd.launchctl import SETTLE_SECONDS
from jarvis_trio.service.launchd.operations import install_steps, uninstall_steps
from jarvis_trio.service.launchd.plist import LABEL, OLD_LABELS
from jarvis_trio.service.steps import perform
from tests.support.launchd_world import BYSTANDERS, GUI, OURS, World, answering, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def test_a_daemon_that_cannot_start_is_told_with_its_last_words(world: World) -> None:
    world.state.update(crashes=[LABEL])
    world.agent.logs.mkdir(parents=True)
    world.agent.standard_error.write_text("earlier\nMemory DB not found\x1b[2J at /x\n\n")
    with pytest.raises(ServiceError, match="does not stay up") as caught:
        world.do(install_steps)
    assert "last exit code 1" in str(caught.value)
    assert "Memory DB not found\\\\x1b[2J at /x" in str(caught.value)
    assert str(world.agent.standard_error) in str(caught.value)


def test_a_daemon_that_restarts_again_and_again_does_not_count_as_running(world: World) -> None:
    pids = iter(range(5000, 6000))

    def restarting(argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if argv[-1] != OURS:
            return world.run(argv)
        return subprocess.CompletedProcess(argv, 0, f"\tstate = running\n\tpid = {next(pids)}\n", "")

    with pytest.raises(ServiceError, match="does not stay up"):
        replace(world.launchctl, run=restarting).wait_until_running(GUI, LABEL)


def test_a_daemon_that_runs_for_a_moment_only_does_not_count_as_running(world: World) -> None:
    states = iter([*["running\n\tpid = 7"] * 3, *["spawn scheduled\n\tlast exit code = 1"] * 100])

    def dying(argv: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 0, f"\tstate = {next(states)}\n", "")

    with pytest.raises(ServiceError, match=r"does not stay up \(state spawn scheduled, last exit code 1\)"):
        replace(world.launchctl, run=dying).wait_until_running(GUI, LABEL)


def test_a_daemon_runs_when_it_is_the_same_process_for_a_while(world: World) -> None:
    world.state.update(starting_prints=4)
    world.do(install_steps)
    assert world.now >= SETTLE_SECONDS


def test_a_service_that_never_goes_is_waited_for_as_long_as_it_may_take_and_no_longer(tmp_path: Path) -> None:
    """Ours may take ExitTimeOut, 360 s, to end its tick; launchd kills it then."""
    world = make_world(tmp_path / "home", installed=True)
    launchctl = replace(world.launchctl, run=answering("\tstate = SIGTERMed\n"))
    started = world.now
    with pytest.raises(ServiceError, match="is still there 370 s after bootout"):
        perform(uninstall_steps(world.agent, launchctl), world.said.append)
    assert 740 <= world.now - started < 800  # once more while it is taken back
    progress = [line for line in world.said if line.startswith(f"    waiting for {LABEL} to stop: ")]
    assert 60 < len(progress) < 200
    assert progress[0].endswith(" s of at most 370 s")


@pytest.mark.parametrize("code", [5, 37])
def test_bootstrap_is_tried_again_while_launchd_says_that_it_is_too_early(world: World, code: int) -> None:
    world.state.update(faults=[{"verb": "bootstrap", "label": LABEL, "code": code, "times": 12}])
    world.do(install_steps)
    assert world.state["services"][OURS]["state"] == "running"
    assert len(world.calls("bootstrap")) == len(OLD_LABELS) + len(BYSTANDERS) + 13
    assert any(line.startswith("    waiting for launchd to accept") for line in world.said)


def test_the_patience_with_bootstrap_ends(world: World) -> None:
    world.state.update(faults=[{"verb": "bootstrap", "label": LABEL, "code": 5, "times": -1}])
    before = world.snapshot()
    with pytest.raises(ServiceError, match=r"launchctl bootstrap gui/\d+ .* ended with 5: .*Input/output error"):
        world.do(install_steps)
    assert world.snapshot() == before
    assert world.now < 60


@pytest.mark.parametrize("code", [3, 113])
def test_a_service_that_went_by_itself_is_as_good_as_booted_out(tmp_path: Path, code: int) -> None:
    world = make_world(tmp_path / "home", installed=True)
    world.state.update(faults=[{"verb": "bootout", "label": LABEL, "code": code, "late": True}], going_prints=0)
    world.do(uninstall_steps)
    assert not world.agent.plist.exists()


def test_what_print_says_of_nested_things_is_not_taken_for_the_services_own(world: World) -> None:
    run = answering(
        "x = {\n\tpath = /a b/c.plist\n\tstate = SIGTERMed\n\tpid = 12\n\tendpoints = {\n\t\tstate = running\n\t}\n}\n"
    )
    service = replace(world.launchctl, run=run).find(GUI, LABEL)
    assert service is not None
    assert (service.path, service.pid, service.running) == (Path("/a b/c.plist"), 12, False)


@pytest.mark.parametrize(
    ("word", "disabled"), [("disabled", True), ("true", True), ("enabled", False), ("false", False)]
)
def test_it_reads_both_spellings_of_disabled(world: World, word: str, disabled: bool) -> None:
    run = answering(f'disabled services = {{\n\t"{LABEL}" => {word}\n\t"{LABEL}2" => true\n}}\n')
    assert replace(world.launchctl, run=run).is_disabled(GUI, LABEL) is disabled
