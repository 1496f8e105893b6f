"""The whole system as a state machine: whatever is done to it, laws 2 and 3 hold.

Daemon, engine and store are the real ones, on the mock clock. The oracle counts the
slots of a schedule minute by minute, in UTC, where no clock change hides a mistake
(those have `test_cron_oracles.py` and `test_year.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jarvis_trio.errors import TaskRunningError
from jarvis_trio.models import HandlerContext, Run, RunStatus, ScheduledTask, Trigger
from jarvis_trio.testing import Simulation

START = datetime(2026, 2, 27, 22, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

Fires = Callable[[datetime], bool]
CRON: dict[str, Fires] = {
    "*/5 * * * *": lambda t: t.minute % 5 == 0,
    "0 * * * *": lambda t: t.minute == 0,
    "30 2 * * *": lambda t: (t.hour, t.minute) == (2, 30),
    "15 0 1 * *": lambda t: (t.day, t.hour, t.minute) == (1, 0, 15),
}


@dataclass
class Model:
    """What the machine knows of a task: its schedule, and since when nobody touched it or the clock."""

    step: timedelta | None = None
    cron: str | None = None
    enabled: bool = True
    since_run: int = 0
    calls: list[tuple[datetime, int]] = field(default_factory=list)

    def slots_between(self, first: datetime, last: datetime) -> set[datetime]:
        """The slots strictly between two slots of this schedule."""
        if self.step is not None:
            assert not (last - first) % self.step, "an interval drifted"
            return {first + k * self.step for k in range(1, (last - first) // self.step)}
        assert self.cron is not None
        minutes = (first + k * MINUTE for k in range(1, (last - first) // MINUTE))
        return {minute for minute in minutes if CRON[self.cron](minute)}


class Laws(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation(START)
        self.tasks: dict[str, Model] = {}

    def teardown(self) -> None:
        try:
            self.simulation.run(minutes=1)
            self.simulation.restart()
            self.simulation.run(minutes=2)
            assert not [run for run in self.simulation.history() if run.status is RunStatus.RUNNING]
            self.nothing_runs_twice()
            self.no_slot_is_lost()
        finally:
            self.simulation.__exit__()

    @rule(minutes=st.sampled_from([1, 3, 7, 60]))
    @precondition(lambda self: len(self.tasks) < 4 and not self.simulation.crashed)
    def add_interval(self, minutes: int) -> None:
        self._add(Model(step=minutes * MINUTE))

    @rule(expression=st.sampled_from(sorted(CRON)))
    @precondition(lambda self: len(self.tasks) < 4 and not self.simulation.crashed)
    def add_cron(self, expression: str) -> None:
        self._add(Model(cron=expression))

    def _add(self, model: Model) -> None:
        name = f"task {len(self.tasks)}"
        self.tasks[name] = model

        def note(task: ScheduledTask, context: HandlerContext) -> None:
            model.calls.append((context.scheduled_for, context.attempt))

        self.simulation.add(name, every=model.step, cron=model.cron, handler=note)

    @rule(data=st.data())
    @precondition(lambda self: self.tasks and not self.simulation.crashed)
    def pause_or_resume(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.tasks)))
        model = self.tasks[name]
        model.enabled = not model.enabled
        self._change(name, enabled=model.enabled, next_run_at=None)

    @rule(data=st.data(), minutes=st.sampled_from([2, 11, 90]))
    @precondition(lambda self: self.tasks and not self.simulation.crashed)
    def edit(self, data: st.DataObject, minutes: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.tasks)))
        self.tasks[name].step, self.tasks[name].cron = minutes * MINUTE, None
        text = f'{{"minutes": {minutes}}}'
        self._change(name, schedule_type="interval", schedule_config=text, next_run_at=None)

    def _change(self, name: str, **columns: object) -> None:
        task = self.simulation.store.tasks.require_task(name)
        assert task.id is not None
        self.simulation.store.update_scheduled_task(task.id, **columns)
        self._new_epoch([name])
        self.simulation.wake()
        self.simulation.run(seconds=0)

    @rule(minutes=st.integers(1, 200))
    @precondition(lambda self: not self.simulation.crashed)
    def advance(self, minutes: int) -> None:
        self.simulation.run(minutes=minutes)

    @rule(minutes=st.integers(1, 600))
    def suspend(self, minutes: int) -> None:
        self.simulation.suspend(minutes=minutes)

    @rule(minutes=st.integers(1, 300))
    @precondition(lambda self: not self.simulation.crashed)
    def set_clock_back(self, minutes: int) -> None:
        self.simulation.run(seconds=0)
        self.simulation.set_clock(self.simulation.clock.now() - minutes * MINUTE)
        self._new_epoch(self.tasks)
        self.simulation.wake()
        self.simulation.run(seconds=0)
        self._new_epoch(self.tasks)

    @rule(writes=st.integers(0, 12))
    @precondition(lambda self: not self.simulation.crashed)
    def crash(self, writes: int) -> None:
        self.simulation.crash_after(writes)
        self.simulation.run(minutes=30)

    @rule()
    def restart(self) -> None:
        self.simulation.restart()

    @rule(data=st.data())
    @precondition(lambda self: self.tasks and not self.simulation.crashed)
    def run_by_hand(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.tasks)))
        try:
            self.simulation.run_now(name)
        except TaskRunningError:
            assert any(run.status is RunStatus.RUNNING for run in self.simulation.history(name))

    def _new_epoch(self, names: object) -> None:
        last = max((run.id for run in self.simulation.history()), default=0)
        for name in names:  # type: ignore[attr-defined]  # a list or a dict of names
            self.tasks[name].since_run = last

    @invariant()
    def nothing_runs_twice(self) -> None:
        """Law 2: one call for each (slot, attempt), and one success for each slot."""
        for name, model in self.tasks.items():
            assert max(Counter(model.calls).values(), default=1) == 1, name
        executed = Counter(
            (run.task_id, run.scheduled_for)
            for run in self.simulation.history()
            if run.status is RunStatus.EXECUTED and run.trigger is Trigger.SCHEDULE
        )
        assert max(executed.values(), default=1) == 1

    @invariant()
    def no_slot_is_lost(self) -> None:
        """Law 3: between two rows of a task lie exactly the slots that the later one counts.

        A slot that had its row before the clock was set back is not due again.
        """
        for name, model in self.tasks.items():
            before = {run.scheduled_for for run in self._slot_rows(name) if run.id <= model.since_run}
            rows = [run for run in self._slot_rows(name) if run.id > model.since_run]
            for earlier, later in pairwise(rows):
                between = model.slots_between(earlier.scheduled_for, later.scheduled_for)
                assert len(between - before) == later.collapsed, (name, earlier, later)

    def _slot_rows(self, name: str) -> list[Run]:
        runs = self.simulation.history(name)
        return [run for run in runs if run.trigger is Trigger.SCHEDULE and run.attempt == 1]

    @invariant()
    def what_did_not_run_says_why(self) -> None:
        """Law 3: the reason is there for a person."""
        quiet = (RunStatus.EXECUTED, RunStatus.RUNNING)
        assert all(run.reason for run in self.simulation.history() if run.status not in quiet)


def a_test_with(examples: int) -> type:
    """The machine as a test, with this number of lives of 25 steps each."""
    test: type = type(f"TestOf{examples}Lives", (Laws.TestCase,), {})
    test.settings = settings(  # type: ignore[attr-defined]  # of Hypothesis' test case
        max_examples=examples, stateful_step_count=25, suppress_health_check=list(HealthCheck)
    )
    return pytest.mark.slow(pytest.mark.law(2)(pytest.mark.law(3)(test)))


TestLaws = a_test_with(examples=10)
TestLawsInManyLives = pytest.mark.thorough(a_test_with(examples=50))
