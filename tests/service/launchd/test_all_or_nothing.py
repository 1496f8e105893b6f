"""Whatever fails, afterwards all is as it was: collaboration tests against `fake_launchctl`."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from jarvis_trio.errors import ServiceError
from jarvis_trio.service.launchd.operations import install_steps, rollback_steps, uninstall_steps
from jarvis_trio.service.launchd.plist import LABEL, OLD_LABELS
from jarvis_trio.service.steps import Step, Undo, perform
from tests.support.failing_steps import assert_each_failure_is_taken_back
from tests.support.launchd_world import BYSTANDERS, GUI, Operation, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


SCENES = [
    pytest.param(install_steps, False, id="first install"),
    pytest.param(install_steps, True, id="update"),
    pytest.param(uninstall_steps, True, id="uninstall"),
    pytest.param(rollback_steps, True, id="rollback"),
]


@pytest.mark.parametrize("failure", [OSError(28, "No space left"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("late", [False, True], ids=["before its work", "after its work"])
@pytest.mark.parametrize(("operation", "installed"), SCENES)
def test_a_step_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, operation: Operation, installed: bool, late: bool, failure: BaseException
) -> None:
    def make(home: Path) -> tuple[World, list[Step]]:
        world = make_world(home, installed=installed)
        return world, operation(world.agent, world.launchctl)

    assert_each_failure_is_taken_back(make, tmp_path, failure, late=late)


@pytest.mark.parametrize("late", [False, True], ids=["without its effect", "after its effect"])
@pytest.mark.parametrize(("operation", "installed"), SCENES)
def test_whichever_launchctl_call_fails_everything_is_done_or_nothing(
    tmp_path: Path, operation: Operation, installed: bool, late: bool
) -> None:
    done = make_world(tmp_path / "done", installed=installed)
    done.do(operation)
    failures = 0
    for number in range(200):
        world = make_world(tmp_path / f"home-{number}", installed=installed)
        before = world.snapshot()
        breaking = _BreakingRunner(world, number, late)
        launchctl = replace(world.launchctl, run=breaking)
        try:
            perform(operation(world.agent, launchctl), world.said.append)
        except ServiceError:
            failures += 1
            assert world.snapshot() == before, breaking.broken
        else:
            assert world.state["services"].keys() == done.state["services"].keys(), breaking.broken
        if not breaking.broken:
            break
    assert failures > 3


class _BreakingRunner:
    """Lets one call of many end with 1."""

    def __init__(self, world: World, number: int, late: bool) -> None:
        self._world, self._left, self._late = world, number, late
        self.broken: list[str] = []

    def __call__(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        self._left -= 1
        if self._left != -1:
            return self._world.run(argv, env=env, cwd=cwd)
        self.broken = list(argv)
        if self._late:
            self._world.run(argv, env=env, cwd=cwd)
        return subprocess.CompletedProcess(argv, 1, "", "injected")


def test_what_cannot_be_taken_back_is_told_and_the_rest_is_taken_back(world: World) -> None:
    label = OLD_LABELS[1]
    world.state.update(
        crashes=[LABEL],
        faults=[{"verb": "bootstrap", "label": label, "code": 5, "times": -1}],
    )
    by_hand = f"do by hand what could not be taken back: launchctl bootstrap {GUI} .*{label}"
    with pytest.raises(ServiceError, match=by_hand):
        world.do(install_steps)
    assert {target.split("/")[2] for target in world.state["services"]} == {*OLD_LABELS, *BYSTANDERS} - {label}


def test_an_agent_that_launchd_does_not_let_go_of_is_not_taken_for_lost(world: World) -> None:
    world.state.update(faults=[{"verb": "bootout", "label": OLD_LABELS[1], "code": 1, "times": -1}])
    before = world.snapshot()
    with pytest.raises(ServiceError, match=r"bootout .* ended with 1: .*all that was done before has been taken back"):
        world.do(install_steps)
    assert world.snapshot() == before


def test_a_label_that_was_disabled_is_disabled_again(world: World) -> None:
    world.state.update(disabled=[LABEL], crashes=[LABEL])
    before = world.snapshot()
    with pytest.raises(ServiceError):
        world.do(install_steps)
    assert world.snapshot() == before


def test_a_second_ctrl_c_does_not_end_the_taking_back() -> None:
    taken_back: list[str] = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    def do(undo: Undo) -> None:
        undo.add("first", lambda: taken_back.append("first"))
        undo.add("second", interrupted)
        raise KeyboardInterrupt

    with pytest.raises(ServiceError, match=r"^interrupted; do by hand .*: second \(interrupted\)$"):
        perform([Step("work", do)], lambda line: None)
    assert taken_back == ["first"]


def test_a_plist_that_was_a_link_is_a_link_again(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", installed=True)
    world.agent.plist.rename(world.home / "ours.plist")
    world.agent.plist.symlink_to(world.home / "ours.plist")
    before = world.snapshot()
    world.state.update(crashes=[LABEL])
    with pytest.raises(ServiceError):
        world.do(install_steps)
    assert world.snapshot() == before | {"disabled": []}
