"""What a task did on a day, or will do: asked of histories that the real daemon wrote, simulated.

In America/Denver; on 8 March 2026 02:00 MST becomes 03:00 MDT there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from jarvis_trio.insight.answers import Verdict
from jarvis_trio.insight.days import DayExplanation, explain_day
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.testing import Simulation


@pytest.fixture
def world() -> Iterator[Simulation]:
    with Simulation("2026-03-06T00:00", zone="America/Denver") as simulation:
        yield simulation


def ask(world: Simulation, name: str, day: str) -> DayExplanation:
    task = world.store.tasks.require_task(name)
    return explain_day(world.store, task, date.fromisoformat(day), world.clock.now(), daemon_runs=True)


def fail_at_three(task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
    failed = context.scheduled_for.astimezone(context.zone).hour == 3
    return {"status": "error", "error": "the disk is full"} if failed else {"status": "ok"}


def test_a_day_that_is_over_counts_how_its_slots_ended(world: Simulation) -> None:
    world.add("hourly", cron="0 * * * *", handler=fail_at_three)
    world.run(days=2)
    found = ask(world, "hourly", "2026-03-07")
    assert found.answer == "hourly has 24 slots on Sat 2026-03-07: 23 executed and 1 error."
    assert (len(found.slots), found.left_out) == (12, 12)
    [failed] = [slot for slot in found.slots if "failed" in slot.sentence]
    assert failed.sentence == "ran at Sat 2026-03-07 03:00 MST; it failed: the disk is full"


def test_a_day_in_the_middle_says_what_is_to_come(world: Simulation) -> None:
    world.add("thrice", cron="0 8,12,20 * * *")
    world.run(hours=13)
    found = ask(world, "thrice", "2026-03-06")
    assert found.answer == "thrice has 3 slots on Fri 2026-03-06: 2 executed and 1 to come."
    assert [slot.verdict for slot in found.slots] == [Verdict.RAN, Verdict.RAN, Verdict.WILL_RUN]
    assert found.counts == {"executed": 2, "to come": 1}


def test_a_day_without_a_slot_says_why(world: Simulation) -> None:
    world.add("work", cron="0 9 * * MON-FRI")
    world.add("planning", cron="0 9 * * FRI#2")
    world.add("call", at="2026-03-09T10:00")
    assert ask(world, "work", "2026-03-07").answer == (
        "work has no slot on Sat 2026-03-07: the weekday is Saturday, not MON-FRI."
    )
    assert ask(world, "planning", "2026-03-06").answer == (
        "planning has no slot on Fri 2026-03-06: the weekday is the first Friday, not FRI#2."
    )
    assert ask(world, "call", "2026-03-07").answer == (
        "call has no slot on Sat 2026-03-07: it runs once, at Mon 2026-03-09 10:00 MDT."
    )


def test_the_day_on_which_the_clock_changes_has_the_slots_that_it_has(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.add("wild", cron="*/30 2 * * *")
    [slot] = ask(world, "backup", "2026-03-08").slots
    assert slot.sentence.endswith("02:30 does not exist that day, so it runs right after, at 03:00")
    assert ask(world, "wild", "2026-03-08").answer.endswith("the clock skips its times that day.")


def test_an_interval_has_its_slots_before_and_after_the_next_one(world: Simulation) -> None:
    world.add("poll", every="5h")
    world.run(hours=12)
    found = ask(world, "poll", "2026-03-06")
    assert found.answer == "poll has 4 slots on Fri 2026-03-06: 2 executed and 2 to come."
    assert ask(world, "poll", "2026-03-05").answer.startswith("poll has no slot on Thu 2026-03-05: its first slot is")


def test_many_slots_are_counted_and_those_that_went_wrong_are_told(world: Simulation) -> None:
    world.add("minutely", every="1m", handler=fail_at_three)
    world.run(hours=4)
    found = ask(world, "minutely", "2026-03-06")
    assert found.counts == {"executed": 180, "error": 60, "to come": 1199}
    assert all("failed" in slot.sentence for slot in found.slots)
    assert found.left_out == 1439 - 12


def test_a_paused_task_will_not_run_on_a_day_to_come(world: Simulation) -> None:
    world.add("backup", cron="30 4 * * *")
    task = world.store.tasks.require_task("backup")
    world.store.update_scheduled_task(task.id or 0, enabled=False)
    found = ask(world, "backup", "2026-03-07")
    assert found.counts == {"without a run": 1}
    assert found.slots[0].verdict is Verdict.WILL_NOT_RUN
    assert "it is paused" in found.slots[0].sentence


def test_a_schedule_that_cannot_be_understood_is_the_reason(world: Simulation) -> None:
    world.add("odd", cron="30 4 * * *")
    world.store.update_scheduled_task(world.store.tasks.require_task("odd").id or 0, schedule_config="{}")
    assert "its schedule cannot be understood" in ask(world, "odd", "2026-03-07").answer


def test_a_run_that_a_person_asked_for_is_one_of_the_day(world: Simulation) -> None:
    world.add("backup", cron="30 4 * * *")
    world.run(hours=1)
    world.run_now("backup")
    found = ask(world, "backup", "2026-03-06")
    assert found.counts == {"executed": 1, "to come": 1}
    assert "because a person asked for it" in found.slots[0].sentence
