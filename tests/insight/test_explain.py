"""Why a task ran, did not run, or will run: asked of histories that the real daemon wrote, simulated.

In America/Denver; on 8 March 2026 02:00 MST becomes 03:00 MDT there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from jarvis_trio.insight.answers import Verdict
from jarvis_trio.insight.explain import Explanation, explain
from jarvis_trio.models import HandlerContext, Outcome, RunStatus, ScheduledTask
from jarvis_trio.policy import Policy
from jarvis_trio.testing import Simulation

CLOCK_NOTE = "That day the clock goes from 02:00 to 03:00 in America/Denver."


@pytest.fixture
def world() -> Iterator[Simulation]:
    with Simulation("2026-03-06T00:00", zone="America/Denver") as simulation:
        yield simulation


def ask(world: Simulation, name: str, at: str | None = None, *, daemon_runs: bool | None = True) -> Explanation:
    asked = None if at is None else datetime.fromisoformat(at)
    return explain(world.store, world.store.tasks.require_task(name), asked, world.clock.now(), daemon_runs=daemon_runs)


def said(world: Simulation, name: str, at: str | None = None) -> tuple[Verdict, str]:
    found = ask(world, name, at)
    return found.verdict, found.answer


def change(world: Simulation, name: str, **columns: object) -> None:
    task = world.store.tasks.require_task(name)
    assert task.id is not None
    world.store.update_scheduled_task(task.id, **columns)


class Failing:
    """A handler that fails a given number of times, and then no more."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> Mapping[str, str] | None:
        self.left -= 1
        return {"status": "error", "error": "the disk is full"} if self.left >= 0 else None


# The moment is still to come.


def test_a_slot_to_come_will_run(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    assert said(world, "backup", "2026-03-07T02:30") == (
        Verdict.WILL_RUN,
        "backup will run at Sat 2026-03-07 02:30 MST, in 1 day and 2 hours.",
    )


def test_no_slot_to_come_says_which_field_does_not_match(world: Simulation) -> None:
    world.add("work", cron="0 9 * * MON-FRI")
    assert said(world, "work", "2026-03-07T09:00") == (
        Verdict.WILL_NOT_RUN,
        "work will not run at Sat 2026-03-07 09:00 MST: the weekday is Saturday, not MON-FRI.",
    )


def test_a_time_in_the_gap_to_come_says_when_it_runs_instead(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    found = ask(world, "backup", "2026-03-08T02:30")
    assert found.verdict is Verdict.WILL_RUN
    assert found.answer == (
        "backup will run at Sun 2026-03-08 03:00 MDT, in 2 days and 2 hours: "
        "02:30 does not exist that day, so it runs right after, at 03:00."
    )
    assert found.notes == (CLOCK_NOTE,)


def test_a_time_that_follows_the_clock_will_not_run_in_the_gap(world: Simulation) -> None:
    world.add("wild", cron="*/30 2 * * *")
    verdict, answer = said(world, "wild", "2026-03-08T02:30")
    assert verdict is Verdict.WILL_NOT_RUN
    assert answer.startswith("wild will not run at Sun 2026-03-08 02:30: 02:30 does not exist that day")


def test_a_paused_task_will_not_run_although_it_has_a_slot(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    change(world, "backup", enabled=False)
    assert said(world, "backup", "2026-03-07T02:30") == (
        Verdict.WILL_NOT_RUN,
        "backup will not run at Sat 2026-03-07 02:30 MST: it is paused; `jarvis-trio resume backup` lets it run again.",
    )
    assert ask(world, "backup", "2026-03-07T02:31").notes == (
        "Also, it is paused; `jarvis-trio resume backup` lets it run again.",
    )


def test_a_next_run_that_was_put_off_is_the_reason(world: Simulation) -> None:
    world.add("hourly", cron="0 * * * *")
    change(world, "hourly", next_run_at="2026-03-06T05:20:00-07:00")
    assert said(world, "hourly", "2026-03-06T03:00") == (
        Verdict.WILL_NOT_RUN,
        "hourly will not run at Fri 2026-03-06 03:00 MST: its next run is set to Fri 2026-03-06 05:20 MST, "
        "although its schedule has an earlier slot.",
    )
    assert said(world, "hourly", "2026-03-06T05:20")[1].endswith(
        "in 5 hours and 20 minutes: its next run is set to that time, although its schedule has no slot then."
    )


def test_nothing_runs_without_a_daemon(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    found = ask(world, "backup", "2026-03-07T02:30", daemon_runs=False)
    assert found.notes == ("No daemon is running now: nothing runs until `jarvis-trio run`.",)


# The history tells.


def test_a_run_says_how_it_ended(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(days=1)
    found = ask(world, "backup", "2026-03-06T02:30")
    assert (found.verdict, found.answer) == (
        Verdict.RAN,
        "backup ran at Fri 2026-03-06 02:30 MST; it was executed.",
    )
    assert [run.status for run in found.runs] == [RunStatus.EXECUTED]


def test_the_run_right_after_the_gap_says_which_time_it_was_for(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(days=3)
    for asked in ("2026-03-08T02:30", "2026-03-08T03:00"):
        found = ask(world, "backup", asked)
        assert found.answer == (
            "backup ran at Sun 2026-03-08 03:00 MDT: 02:30 does not exist that day, so it runs right after, at 03:00; "
            "it was executed."
        )
        assert found.notes == (CLOCK_NOTE,)


def test_what_ran_right_after_the_gap_does_not_answer_for_another_time_in_it(world: Simulation) -> None:
    world.add("backup", cron="0 3 * * *")
    world.run(days=3)
    assert said(world, "backup", "2026-03-08T03:00")[0] is Verdict.RAN
    assert said(world, "backup", "2026-03-08T02:30")[0] is Verdict.DID_NOT_RUN


def test_attempts_are_counted_and_all_shown(world: Simulation) -> None:
    world.add("flaky", cron="0 1 * * *", handler=Failing(2), policy=Policy(retries=3))
    world.run(hours=2)
    found = ask(world, "flaky", "2026-03-06T01:00")
    assert found.answer == "flaky ran at Fri 2026-03-06 01:00 MST; it was executed at attempt 3."
    assert [run.status for run in found.runs] == [RunStatus.ERROR, RunStatus.ERROR, RunStatus.EXECUTED]


def test_a_failure_says_its_reason_and_that_it_is_tried_again(world: Simulation) -> None:
    world.add("flaky", cron="0 1 * * *", handler=Failing(2), policy=Policy(retries=1, retry_delay_seconds=600))
    world.run(hours=1, minutes=5)
    found = ask(world, "flaky", "2026-03-06T01:00")
    assert found.answer == "flaky ran at Fri 2026-03-06 01:00 MST; it failed: the disk is full."
    assert found.notes == ("Attempt 2 of 2 is still to come.",)
    assert found.notes[0] in ask(world, "flaky").notes
    world.run(hours=1)
    done = ask(world, "flaky", "2026-03-06T01:00")
    assert done.answer.endswith("it failed at attempt 2: the disk is full.")
    assert done.notes == ()


def test_a_retry_says_which_slot_it_was_for(world: Simulation) -> None:
    world.add("flaky", cron="0 1 * * *", handler=Failing(1), policy=Policy(retries=1, retry_delay_seconds=600))
    world.run(hours=2)
    attempt = world.history("flaky")[-1].started_at.isoformat()
    assert "attempt 2 for its slot of Fri 2026-03-06 01:00 MST" in ask(world, "flaky", attempt).answer


def test_a_missed_slot_says_why(world: Simulation) -> None:
    world.add("work", cron="0 9 * * *", policy=Policy(misfire_grace_seconds=3600))
    world.suspend(hours=11)
    world.run(minutes=2)
    found = ask(world, "work", "2026-03-06T09:00")
    assert found.verdict is Verdict.DID_NOT_RUN
    assert found.answer.startswith("work did not run at Fri 2026-03-06 09:00 MST: it was missed: 2h")
    assert "beyond its grace of 1h" in found.answer
    assert "the daemon was stopped, the machine slept, or its clock was set forward" in found.notes[0]


def test_a_skipped_slot_says_why(world: Simulation) -> None:
    world.add("gone", cron="0 9 * * *")
    del world.handlers["gone"]
    world.run(hours=10)
    assert said(world, "gone", "2026-03-06T09:00") == (
        Verdict.DID_NOT_RUN,
        "gone did not run at Fri 2026-03-06 09:00 MST: it was skipped: no handler of type 'gone' is installed.",
    )


def test_a_late_run_says_how_late_it_was_and_that_nothing_ran(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(minutes=10)
    world.suspend(hours=12)
    world.run(minutes=5)
    found = ask(world, "backup", "2026-03-06T02:30")
    assert found.answer.startswith("backup ran for its slot of Fri 2026-03-06 02:30 MST, but 9 hours and 4")
    assert found.notes[0].startswith("No task ran from Fri 2026-03-06 02:30 MST to Fri 2026-03-06 12:1")


def test_a_late_run_while_others_ran_does_not_blame_the_daemon(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(hours=2)
    world.suspend(hours=4)
    world.add("other", at="2026-03-06T02:40")
    world.run(minutes=5)
    assert all("No task ran" in note for note in ask(world, "backup", "2026-03-06T02:30").notes)
    late = world.history("backup")[0]
    claim = world.store.runs.claim_run(
        world.store.tasks.require_task("other"), late.scheduled_for, 2, started_at=late.scheduled_for, owner="test"
    )
    assert claim is not None
    world.store.runs.finish_run(claim, Outcome(RunStatus.EXECUTED), late.started_at)
    assert ask(world, "backup", "2026-03-06T02:30").notes == ()


def test_the_moment_of_a_late_run_says_which_slot_it_was_for(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.suspend(hours=5)
    world.run(minutes=2)
    started = world.history("backup")[0].started_at
    answer = ask(world, "backup", started.isoformat()).answer
    assert "that was the run for its slot of Fri 2026-03-06 02:30 MST, 2 hours and 3" in answer


def test_a_slot_that_a_later_run_caught_up_says_so(world: Simulation) -> None:
    world.add("beat", every="30m")
    world.run(hours=1, minutes=10)
    world.suspend(hours=10)
    world.run(minutes=5)
    found = ask(world, "beat", "2026-03-06T05:00")
    assert found.verdict is Verdict.DID_NOT_RUN
    assert found.answer == (
        "beat did not run at Fri 2026-03-06 05:00 MST: it was caught up by the run for Fri 2026-03-06 11:00 MST, "
        "which stands for 19 earlier slots; it was executed."
    )
    assert "No task ran from Fri 2026-03-06 05:00 MST" in found.notes[0]
    caught_up = [said(world, "beat", f"2026-03-06T{hour:02}:30")[1] for hour in range(1, 11)]
    assert all("caught up" in answer for answer in caught_up)
    assert said(world, "beat", "2026-03-06T01:00")[0] is Verdict.RAN


def test_other_slots_of_the_same_minute_do_not_answer_for_one_that_was_caught_up(world: Simulation) -> None:
    world.add("beat", every="10s")
    world.suspend(seconds=25)
    world.run(seconds=50)
    found = ask(world, "beat", "2026-03-06T00:00:10")
    assert "beat did not run at Fri 2026-03-06 00:00:10 MST: it was caught up by the run for" in found.answer
    assert [f"{run.scheduled_for:%S}" for run in found.runs] == ["20"]


def test_a_run_by_hand_in_between_does_not_hide_what_caught_a_slot_up(world: Simulation) -> None:
    world.add("beat", every="30m")
    world.run(minutes=40)
    world.suspend(hours=3)
    world.run_now("beat")
    world.run(minutes=5)
    assert "caught up by the run for Fri 2026-03-06 03:30 MST" in ask(world, "beat", "2026-03-06T02:00").answer


def test_a_slot_that_was_counted_with_a_missed_one_says_so(world: Simulation) -> None:
    world.add("beat", every="30m", policy=Policy(misfire_grace_seconds=1))
    world.suspend(hours=2, minutes=10)
    world.run(minutes=5)
    answer = ask(world, "beat", "2026-03-06T01:00").answer
    assert "it is counted with the slot of Fri 2026-03-06 02:00 MST, which stands for 3 earlier slots" in answer


def test_a_run_that_a_person_asked_for_says_so(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(hours=1)
    world.run_now("backup")
    assert ask(world, "backup", "2026-03-06T01:00").answer == (
        "backup ran at Fri 2026-03-06 01:00 MST, because a person asked for it; it was executed."
    )


def test_a_running_task_says_since_when(world: Simulation) -> None:
    task = world.add("long", cron="0 1 * * *")
    slot = datetime(2026, 3, 6, 8, 0, tzinfo=UTC)
    world.store.runs.claim_run(task, slot, 1, started_at=slot + timedelta(seconds=2), owner="test")
    world.clock.shift(timedelta(hours=1, minutes=10))
    assert said(world, "long", "2026-03-06T01:00") == (
        Verdict.RUNNING,
        "long is running, since Fri 2026-03-06 01:00:02 MST, for its slot of Fri 2026-03-06 01:00 MST.",
    )
    assert said(world, "long")[1] == "long is running, since Fri 2026-03-06 01:00:02 MST (9 minutes and 58 seconds)."


@pytest.mark.parametrize("at", [None, "2026-03-06T01:00"])
def test_a_run_whose_daemon_is_gone_says_what_becomes_of_it(world: Simulation, at: str | None) -> None:
    slot = datetime(2026, 3, 6, 8, 0, tzinfo=UTC)
    world.store.runs.claim_run(world.add("long", cron="0 1 * * *"), slot, 1, started_at=slot, owner="test")
    world.clock.shift(timedelta(hours=1, minutes=10))
    assert "the next daemon records it as interrupted" in ask(world, "long", at, daemon_runs=False).notes[-1]
    assert not any("interrupted" in note for note in ask(world, "long", at).notes)


def test_an_interrupted_run_says_so(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    task = world.store.tasks.require_task("backup")
    slot = datetime(2026, 3, 6, 9, 30, tzinfo=UTC)
    claim = world.store.runs.claim_run(task, slot, 1, started_at=slot, owner="test")
    assert claim is not None
    world.store.runs.finish_run(
        claim, Outcome(RunStatus.INTERRUPTED, reason="process 12 ended before it was done"), slot
    )
    world.clock.shift(timedelta(hours=3))
    assert ask(world, "backup", "2026-03-06T02:30").answer == (
        "backup ran at Fri 2026-03-06 02:30 MST; it was interrupted: process 12 ended before it was done."
    )


def test_a_run_that_took_too_long_says_so(world: Simulation) -> None:
    slot = datetime(2026, 3, 6, 8, 0, tzinfo=UTC)
    claim = world.store.runs.claim_run(world.add("long", cron="0 1 * * *"), slot, 1, started_at=slot, owner="test")
    assert claim is not None
    world.store.runs.finish_run(claim, Outcome(RunStatus.TIMEOUT, reason="ended at its time limit of 5m"), slot)
    world.clock.shift(timedelta(hours=3))
    assert ask(world, "long", "2026-03-06T01:00").answer == (
        "long ran at Fri 2026-03-06 01:00 MST; it timed out: ended at its time limit of 5m."
    )


def test_a_slot_that_a_run_in_progress_catches_up_says_so(world: Simulation) -> None:
    task = world.add("beat", every="1h")
    world.run(minutes=1)
    slot = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)
    world.store.runs.claim_run(task, slot, 1, started_at=slot, owner="test", collapsed=2)
    world.store.queue.set_next_run(task, slot + timedelta(hours=1))
    world.clock.shift(timedelta(hours=3, minutes=10))
    assert ask(world, "beat", "2026-03-06T02:00").answer == (
        "beat did not run at Fri 2026-03-06 02:00 MST: it was caught up by the run for Fri 2026-03-06 03:00 MST, "
        "which stands for 2 earlier slots; it is running."
    )


def test_the_moment_at_which_a_slot_was_given_up_says_which_it_was(world: Simulation) -> None:
    world.add("work", cron="0 9 * * *", policy=Policy(misfire_grace_seconds=3600))
    world.suspend(hours=11)
    world.run(minutes=2)
    found = ask(world, "work", world.history("work")[0].started_at.isoformat())
    assert found.verdict is Verdict.DID_NOT_RUN
    assert found.answer.startswith("work did not run at Fri 2026-03-06 11:0")
    assert ": for its slot of Fri 2026-03-06 09:00 MST it was missed: 2h" in found.answer


def test_a_slot_of_which_nobody_knows_anything_says_so(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(minutes=1)
    world.store.write("UPDATE scheduled_tasks SET created_at = NULL, updated_at = NULL")
    assert said(world, "backup", "2026-03-05T02:30") == (
        Verdict.DID_NOT_RUN,
        "backup did not run at Thu 2026-03-05 02:30 MST: no run is recorded; "
        "the history of that time may have been deleted.",
    )


# The history has nothing to tell.


def test_an_overdue_slot_says_that_no_daemon_runs(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(hours=1)
    world.suspend(hours=2)
    for asked in (None, "2026-03-06T02:30"):
        found = ask(world, "backup", asked, daemon_runs=False)
        assert found.verdict is Verdict.DUE
        assert found.answer == (
            "backup has been due since Fri 2026-03-06 02:30 MST, 30 minutes ago, and has not started: "
            "no daemon is running; start it with `jarvis-trio run`."
        )
    assert "the daemon has not come to it yet" in ask(world, "backup").answer


def test_a_task_that_waits_for_its_handler_says_so(world: Simulation) -> None:
    world.add("gone", every="5m")
    del world.handlers["gone"]
    world.run(minutes=20)
    found = ask(world, "gone")
    assert found.verdict is Verdict.DUE
    assert found.answer.endswith("and has not started: no handler of type 'gone' is installed.")


def test_overdue_slots_become_one_run(world: Simulation) -> None:
    world.add("hourly", cron="0 * * * *")
    world.run(minutes=10)
    world.suspend(hours=5)
    found = ask(world, "hourly", "2026-03-06T03:00")
    assert found.verdict is Verdict.DUE
    assert found.notes == ("Its slots since Fri 2026-03-06 01:00 MST become one run.",)


def test_a_slot_while_it_was_paused_says_so(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(hours=1)
    change(world, "backup", enabled=False)
    world.run(days=2)
    assert said(world, "backup", "2026-03-07T02:30") == (
        Verdict.DID_NOT_RUN,
        "backup did not run at Sat 2026-03-07 02:30 MST: it was paused, and still is; "
        "its last change was before that, at Fri 2026-03-06 01:00 MST.",
    )


def test_a_slot_before_the_task_was_there_says_so(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    answer = ask(world, "backup", "2026-03-05T02:30").answer
    assert answer.endswith("the task was added later, at Fri 2026-03-06 00:00 MST.")


def test_a_moment_before_the_first_slot_of_an_interval_says_so(world: Simulation) -> None:
    world.add("beat", every="2h")
    world.run(days=1)
    assert said(world, "beat", "2026-03-06T01:00") == (
        Verdict.DID_NOT_RUN,
        "beat did not run at Fri 2026-03-06 01:00 MST: its first slot is that of Fri 2026-03-06 02:00 MST.",
    )


def test_a_moment_between_two_slots_of_an_interval_says_how_far_they_are(world: Simulation) -> None:
    world.add("beat", every="30m")
    world.run(hours=3)
    found = ask(world, "beat", "2026-03-06T01:12")
    assert found.answer == (
        "beat did not run at Fri 2026-03-06 01:12 MST: that is 12 minutes after its slot of 01:00 "
        "and 18 minutes before the next, 01:30."
    )
    assert sorted(run.status for run in found.around.values()) == [RunStatus.EXECUTED, RunStatus.EXECUTED]


def test_a_slot_of_a_schedule_that_was_changed_since_is_not_explained_away(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(days=1)
    change(world, "backup", schedule_config='{"expression": "0 5 * * *"}', next_run_at=None)
    world.run(minutes=1)
    assert "the task was changed later, at Sat 2026-03-07 00:00 MST" in ask(world, "backup", "2026-03-06T05:00").answer
    ran = ask(world, "backup", "2026-03-06T02:30")
    assert ran.verdict is Verdict.RAN
    assert ran.notes == (
        "The task was changed later, at Sat 2026-03-07 00:00 MST; its schedule may have been different then.",
    )


# How the task stands.


def test_without_a_moment_it_says_what_is_next_and_what_was_last(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(days=1)
    found = ask(world, "backup")
    assert found.answer == "backup runs next at Sat 2026-03-07 02:30 MST, in 2 hours and 30 minutes."
    assert found.notes == ("Its last run was for Fri 2026-03-06 02:30 MST: it was executed.",)


def test_without_a_moment_the_gap_before_the_next_slot_is_told(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(days=2)
    found = ask(world, "backup")
    assert found.answer.endswith("in 2 hours: 02:30 does not exist that day, so it runs right after, at 03:00.")
    assert found.notes[-1] == CLOCK_NOTE


def test_a_single_time_that_has_run_does_not_run_again(world: Simulation) -> None:
    world.add("single", at="2026-03-06T10:00")
    assert said(world, "single")[0] is Verdict.WILL_RUN
    world.run(days=1)
    assert said(world, "single") == (
        Verdict.WILL_NOT_RUN,
        "single does not run again: its only time was Fri 2026-03-06 10:00 MST.",
    )
    assert said(world, "single", "2026-03-06T10:00")[0] is Verdict.RAN


def test_a_task_that_was_set_aside_says_why_and_keeps_its_history(world: Simulation) -> None:
    world.add("backup", cron="30 2 * * *")
    world.run(days=1)
    change(world, "backup", schedule_config='{"expression": "0 0 30 2 *"}')
    world.run(minutes=2)
    found = ask(world, "backup")
    assert found.verdict is Verdict.WILL_NOT_RUN
    assert found.answer.startswith("backup does not run: it is set aside (cron expression '0 0 30 2 *' can never fire")
    assert found.answer.endswith("fix it with `jarvis-trio edit backup`.")
    assert said(world, "backup", "2026-03-06T02:30")[0] is Verdict.RAN
    assert "its schedule cannot be understood" in said(world, "backup", "2026-03-06T05:00")[1]


def test_a_slot_at_the_end_of_the_calendar_is_explained_too(world: Simulation) -> None:
    world.add("far", at="9998-06-01T00:00")
    assert said(world, "far")[1].startswith("far runs next at Mon 9998-06-01 00:00")


def test_a_row_of_nonsense_is_explained_too(world: Simulation) -> None:
    world.add("odd", cron="30 2 * * *", handler=Failing(1), policy=Policy(retries=1, retry_delay_seconds=9000))
    world.run(hours=3)
    for columns in (
        {"policy": "{"},
        {"policy": '{"timezone": "Mars/Base"}'},
        {"policy": None, "schedule_type": "weekly"},
        {"schedule_type": "cron", "next_run_at": "soon", "updated_at": "yesterday"},
    ):
        change(world, "odd", **columns)
        for asked in (None, "2026-03-05T02:30", "2026-03-06T02:30"):
            assert ask(world, "odd", asked).answer.startswith("odd ")


def test_what_would_act_on_a_terminal_is_escaped(world: Simulation) -> None:
    world.add("a\x1b[2Jb", cron="30 2 * * *")
    assert ask(world, "a\x1b[2Jb").answer.startswith(r"a\x1b[2Jb runs next")


def test_a_run_in_which_the_clock_was_set_back_says_no_time(world: Simulation) -> None:
    slot = datetime(2026, 3, 6, 8, 0, tzinfo=UTC)
    claim = world.store.runs.claim_run(world.add("long", cron="0 1 * * *"), slot, 1, started_at=slot, owner="test")
    assert claim is not None
    world.store.runs.finish_run(claim, Outcome(RunStatus.EXECUTED), slot - timedelta(hours=3))
    world.clock.shift(timedelta(hours=3))
    assert ask(world, "long", "2026-03-06T01:00").answer == "long ran at Fri 2026-03-06 01:00 MST; it was executed."
