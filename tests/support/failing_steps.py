"""Steps that fail, for the tests of what installs a service: afterwards all is as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from jarvis_trio.errors import ServiceError
from jarvis_trio.service.steps import Step, Undo, perform


class World(Protocol):
    """A home folder with a service manager."""

    said: list[str]

    def snapshot(self) -> Any:
        """All that a step can change."""


def assert_each_failure_is_taken_back(
    make: Callable[[Path], tuple[World, list[Step]]], folder: Path, failure: BaseException, *, late: bool
) -> None:
    """Let each step of an operation fail in a world of its own, before or after its work.

    Args:
        make: makes a world in a folder, and the operation's steps there.
        folder: the folder for these.
        failure: what the step raises.
        late: whether it does its work first.
    """
    count = position = 0
    while position <= count:
        world, steps = make(folder / f"home-{position}")
        count = len(steps) - 1
        before = world.snapshot()
        steps[position] = _failing(steps[position], failure, late)
        with pytest.raises(ServiceError, match="all that was done before has been taken back"):
            perform(steps, world.said.append)
        assert world.snapshot() == before, steps[position].says
        position += 1
    assert count >= 1


def _failing(step: Step, failure: BaseException, late: bool) -> Step:
    def do(undo: Undo) -> None:
        if late:
            step.do(undo)
        raise failure

    return Step(step.says, do)
