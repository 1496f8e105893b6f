"""Three machines, killed, cut off and restarted for a while, and what the torture would find."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jarvis_trio.models import Run, RunStatus
from tests.laws.torture.machines import EVERY, check, torture
from tests.support.core_fakes import START
from tests.support.fleet import why_no_links
from tests.support.postgres_server import why_not


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.law(2)
@pytest.mark.law(3)
def test_three_machines_start_nothing_twice_whatever_dies() -> None:
    if (why := why_not() or why_no_links()) is not None:
        pytest.skip(why)
    assert torture(20, seed=20) == []


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (["begins job 9:00 1", "runs job 9:00 1", "begins job 9:00 2"], 0),
        (["begins job 9:00 1", "begins job 9:00 1"], 1),
        (["begins job 9:00 1", "begins job 9:00 2", "runs job 9:00 1"], 1),
        (["begins job 9:00 2", "begins other 9:00 1"], 0),
    ],
)
def test_it_finds_what_is_begun_twice_or_runs_beside_the_next_attempt(said: list[str], found: int) -> None:
    assert len(check([], said)) == found


@pytest.mark.parametrize(("collapsed", "found"), [(0, 1), (1, 0), (2, 1)])
def test_it_finds_slots_without_a_row(collapsed: int, found: int) -> None:
    def run(slots: int, collapsed: int = 0) -> Run:
        at = START + slots * EVERY
        return Run(slots, 1, "job", at, 1, at + timedelta(seconds=1), RunStatus.EXECUTED, collapsed=collapsed)

    assert len(check([run(0), run(1), run(3, collapsed)], [])) == found
