"""What is decided if machines share the database: who runs a slot, what a cut-off follows, where a message goes.

On a file, since the decisions are the same there. What a server adds is in `test_machines`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.deliveries import AlertChannel
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.runner import run_inline
from jarvis_trio.models import Claim, Handler, Outcome, RunStatus, TroubleKind
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import FirstLetter
from jarvis_trio.store.places import Here
from tests.support.core_fakes import START, Channel, FakeClock, Notes, a_task, fail, history, tick

MINUTE = timedelta(minutes=1)
LAPTOP = Here("laptop", ("mac",))
CUT_OFF = Outcome(RunStatus.INTERRUPTED, reason="laptop was cut off", cut_off=True)


class Fleet(Peers):
    """This machine, and others that have the handlers `theirs`; the next run ends as `ends_as` says."""

    def __init__(self, *theirs: str) -> None:
        super().__init__("here", lambda owner: False, lambda owner: ())
        self.theirs = theirs
        self.asked: set[tuple[str, str | None]] = set()
        self.ends_as: Outcome | None = None
        self.shares = True

    @property
    def may_share(self) -> bool:
        return self.shares

    def others_have(self, handler_type: str, place: str | None) -> bool:
        self.asked.add((handler_type, place))
        return handler_type in self.theirs

    def end(self, claim: Claim, outcome: Outcome) -> Outcome:
        ended, self.ends_as = self.ends_as or outcome, None
        return ended


@pytest.fixture
def fleet() -> Fleet:
    return Fleet("brief")


@pytest.fixture
def laptop(path: Path, empty_database: Path, clock: FakeClock) -> Iterator[MemoryStore]:
    """The database as the laptop sees it, which is one of the machines with the label `mac`."""
    shutil.copy(empty_database, path)
    with MemoryStore(path, clock=clock, machine=LAPTOP) as laptop:
        yield laptop


def engine_of(laptop: MemoryStore, fleet: Fleet, handler: Handler | None = None) -> SchedulerEngine:
    notices = Notices(laptop, laptop.clock, Channel(), AlertChannel("email"))
    return SchedulerEngine(
        laptop, handlers={"note": handler or Notes()}, peers=fleet, runner=run_inline, notices=notices
    )


def test_a_slot_is_left_to_the_machine_that_has_its_handler(laptop: MemoryStore, fleet: Fleet) -> None:
    engine = engine_of(laptop, fleet)
    task = laptop.store_scheduled_task(a_task(at=START.isoformat(), handler="brief", policy={"on": "mac"}))
    assert tick(engine) == []
    assert (history(laptop), laptop.troubles.list_troubles()) == ([], [])
    assert laptop.queue.queued_slot(task.id or 0) == START
    assert engine.next_due_at() == START + MINUTE, "it is looked at again after a while"
    assert fleet.asked == {("brief", "mac")}


def test_who_may_not_share_runs_what_is_for_this_machine_alone(laptop: MemoryStore, fleet: Fleet) -> None:
    engine = engine_of(laptop, fleet)
    for name, policy in (("anyones", None), ("of macs", {"on": "mac"}), ("mine", {"on": "laptop"})):
        laptop.store_scheduled_task(a_task(name, at=START.isoformat(), policy=policy))
    fleet.shares = False
    assert tick(engine) == [("mine", "executed")]
    fleet.shares = True
    assert sorted(tick(engine)) == [("anyones", "executed"), ("of macs", "executed")]


def test_a_slot_whose_handler_no_machine_has_is_skipped(laptop: MemoryStore, fleet: Fleet) -> None:
    laptop.store_scheduled_task(a_task(at=START.isoformat(), handler="gone"))
    assert tick(engine_of(laptop, fleet)) == [("job", "skipped")]
    assert ("gone", None) in fleet.asked


def test_a_run_that_was_cut_off_is_interrupted_and_its_slot_runs_again(laptop: MemoryStore, fleet: Fleet) -> None:
    fleet.ends_as = CUT_OFF
    engine = engine_of(laptop, fleet)
    laptop.store_scheduled_task(a_task(at=START.isoformat()))
    assert tick(engine) == [("job", "interrupted"), ("job", "executed")]
    assert history(laptop) == [(START, 1, "interrupted"), (START, 2, "executed")]
    assert laptop.runs.list_runs()[1].reason == "laptop was cut off; its slot runs again"


def test_the_end_of_a_run_that_was_cut_off_is_told_once_though_it_is_written_twice(
    laptop: MemoryStore, fleet: Fleet
) -> None:
    """The transaction in which it is written first is undone by the next claim."""
    fleet.ends_as = CUT_OFF
    engine = engine_of(laptop, fleet)
    laptop.store_scheduled_task(a_task(at=START.isoformat()))
    laptop.write(
        "CREATE TRIGGER theirs BEFORE INSERT ON task_runs WHEN NEW.attempt = 2"
        " BEGIN SELECT RAISE(ROLLBACK, 'mine'); END"
    )
    tick(engine)
    assert [run.reason for run in laptop.runs.list_runs()] == ["laptop was cut off; its slot runs again"]


def test_a_run_that_was_cut_off_is_not_run_again_if_its_task_says_so(laptop: MemoryStore, fleet: Fleet) -> None:
    fleet.ends_as = CUT_OFF
    engine = engine_of(laptop, fleet)
    laptop.store_scheduled_task(a_task(at=START.isoformat(), policy={"on_interrupt": "skip"}))
    engine.evaluate_due_tasks()
    assert laptop.runs.list_runs()[0].reason == "laptop was cut off"
    assert [(trouble.kind, trouble.reason) for trouble in laptop.troubles.list_troubles()] == [
        (TroubleKind.FAILING, "laptop was cut off")
    ]
    assert tick(engine) == []


def test_a_run_that_was_cut_off_is_not_run_again_if_its_task_was_paused(laptop: MemoryStore, fleet: Fleet) -> None:
    engine = engine_of(laptop, fleet, lambda task, context: bool(laptop.update_scheduled_task(1, enabled=False)))
    laptop.store_scheduled_task(a_task(at=START.isoformat()))
    fleet.ends_as = CUT_OFF
    engine.evaluate_due_tasks()
    assert [(run.attempt, run.reason) for run in laptop.runs.list_runs()] == [(1, "laptop was cut off")]
    assert laptop.troubles.list_troubles() == []


def test_a_run_by_hand_that_was_cut_off_is_not_run_again(laptop: MemoryStore, fleet: Fleet) -> None:
    engine = engine_of(laptop, fleet)
    laptop.store_scheduled_task(a_task())
    assert tick(engine) == []
    fleet.ends_as = CUT_OFF
    assert engine.run_now("job")["error"] == "laptop was cut off"
    assert laptop.runs.list_runs()[0].reason == "laptop was cut off"
    assert engine.next_due_at() == START + 5 * MINUTE


@pytest.mark.law(3)
def test_a_run_that_was_cut_off_and_taken_for_dead_runs_again_once(laptop: MemoryStore, fleet: Fleet) -> None:
    def be_taken_for_dead(*_: object) -> None:
        (run,) = laptop.runs.list_runs()
        assert laptop.runs.interrupt_run(run, "it was given up", START)
        fleet.ends_as = CUT_OFF

    engine = engine_of(laptop, fleet, be_taken_for_dead)
    laptop.store_scheduled_task(a_task(at=START.isoformat()))
    engine.evaluate_due_tasks()
    assert [(run.attempt, run.reason) for run in laptop.runs.list_runs()] == [(1, "it was given up")]
    assert engine.next_due_at() is None


@pytest.mark.parametrize(
    ("policy", "place"),
    [({"on": "mac"}, "mac"), ({"on": "laptop"}, "laptop"), ({"on": "desk"}, None), ({"on": "any"}, None), ({}, None)],
    ids=str,
)
def test_a_message_goes_from_the_machine_of_its_task_or_from_anywhere_if_that_is_another_one(
    laptop: MemoryStore, clock: FakeClock, policy: dict[str, str], place: str | None
) -> None:
    task = laptop.store_scheduled_task(a_task(policy=policy))
    Notices(laptop, clock, Channel(), AlertChannel("email")).trouble(task, TroubleKind.FAILING, "no net", START)
    letter = laptop.outbox.take_letter(FirstLetter("email", False, START), START, START + MINUTE)
    assert letter is not None
    assert letter.place == place


@pytest.mark.law(4)
def test_a_message_about_a_policy_that_makes_no_sense_goes_from_anywhere(laptop: MemoryStore, clock: FakeClock) -> None:
    task = replace(laptop.store_scheduled_task(a_task()), policy="rubbish")
    Notices(laptop, clock, Channel(), AlertChannel("email")).trouble(task, TroubleKind.SET_ASIDE, "rubbish", START)
    letter = laptop.outbox.take_letter(FirstLetter("email", False, START), START, START + MINUTE)
    assert letter is not None
    assert letter.place is None


def test_a_run_keeps_the_place_that_its_task_had_when_it_began(laptop: MemoryStore, fleet: Fleet) -> None:
    laptop.store_scheduled_task(a_task(at=START.isoformat(), policy={"on": "mac", "retries": 1}))
    engine = engine_of(laptop, fleet, fail)
    engine.evaluate_due_tasks()
    laptop.update_scheduled_task(1, policy='{"on": "laptop"}')
    assert [run.place for run in laptop.runs.list_runs()] == ["mac"]


@pytest.mark.law(4)
def test_a_task_whose_policy_makes_no_sense_is_set_aside_also_if_its_handler_is_not_here(
    laptop: MemoryStore, fleet: Fleet
) -> None:
    laptop.store_scheduled_task(replace(a_task(handler="brief"), policy="rubbish"))
    assert tick(engine_of(laptop, fleet)) == []
    assert [trouble.kind for trouble in laptop.troubles.list_troubles()] == [TroubleKind.SET_ASIDE]
