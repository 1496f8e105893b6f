"""Judges a history of runs by its times alone, in the manner of Jepsen's test of Chronos.

A target is a nominal time at which a run was due. It is met by a run of its own that
started in `[target, target + tolerance]`. Jepsen's checker asks that every target old
enough is met, and ignores surplus runs; this one also asks that every run meets a
target, so that a double run is found whatever slot it claims to be.

It knows nothing of the program: numbers go in, so one unit (seconds since 1970, say)
serves all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with a history: targets that no run met, runs that met no target."""

    unmet: list[float]
    surplus: list[float]

    def __bool__(self) -> bool:
        return bool(self.unmet or self.surplus)


def findings(
    required: Iterable[float], starts: Iterable[float], tolerance: float, *, allowed: Iterable[float] = ()
) -> Findings:
    """Judge one task's history.

    Args:
        required: targets that a run has to meet.
        starts: when runs started.
        tolerance: how late a run may start.
        allowed: further targets, which a run may meet (those too young to have ended, say).

    Each half is decided by itself: can all required targets have a run of their own, and
    can all runs have a target of their own? If both can, one assignment does both at once
    (Mendelsohn and Dulmage, 1958: in a bipartite graph, what can be covered on each side by
    itself can be covered on both together). So no solver is needed, as Jepsen's is.
    """
    demanded, runs = sorted(required), sorted(starts)
    unmet, _ = _first_come(demanded, runs, tolerance)
    _, surplus = _first_come(sorted([*demanded, *allowed]), runs, tolerance)
    return Findings(unmet, surplus)


def _first_come(targets: list[float], starts: list[float], tolerance: float) -> tuple[list[float], list[float]]:
    """Give each target the first free run in its window; returns the targets and the runs left over.

    All windows are equally long, so they end in the order in which they begin. A run that
    suits the earliest free target can be swapped into that place in any other assignment
    without harm to the rest: first come, first served leaves over as few as can be.
    """
    unmet: list[float] = []
    surplus: list[float] = []
    waiting = iter(targets)
    target = next(waiting, None)
    for start in starts:
        while target is not None and start > target + tolerance:
            unmet.append(target)
            target = next(waiting, None)
        if target is None or start < target:
            surplus.append(start)
        else:
            target = next(waiting, None)
    if target is not None:
        unmet += [target, *waiting]
    return unmet, surplus
