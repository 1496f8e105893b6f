"""`pause`, `resume`, `remove`, and what a running daemon is told."""

from __future__ import annotations

import pytest

from jarvis_trio.store import MemoryStore
from tests.support.cli_world import Cli, Program


@pytest.fixture
def job(cli: Cli) -> Cli:
    """A database with a task that runs every 30 minutes from 09:00 on."""
    cli.ok("add", "job", "--every", "30m", "--handler", "alert_eval")
    return cli


def test_a_paused_task_is_not_run(job: Cli) -> None:
    assert job.ok("pause", "job") == "Paused job. To schedule it again: jarvis-trio resume job\n"
    job.clock.advance(hours=1)
    assert job.ok("tick") == "Nothing is due.\n"
    assert job.runs("job") == []


def test_a_resumed_interval_goes_on_in_its_old_rhythm(job: Cli) -> None:
    job.ok("pause", "job")
    job.clock.advance(hours=2, minutes=10)
    assert job.ok("resume", "job") == (
        "Resumed job.\n"
        "Next: Mon 2026-03-02 11:30 UTC (in 20 min)\n"
        "      Mon 2026-03-02 12:00 UTC (in 50 min)\n"
        "      Mon 2026-03-02 12:30 UTC (in 80 min)\n"
    )
    assert job.task("job").next_run_at == "2026-03-02T11:30:00+00:00"
    assert job.ok("tick") == "Nothing is due.\n"


def test_a_resumed_cron_task_takes_its_next_time(cli: Cli) -> None:
    cli.ok("add", "job", "--cron", "0 12 * * *", "--handler", "alert_eval")
    cli.ok("pause", "job")
    cli.clock.advance(days=3)
    cli.ok("resume", "job")
    assert cli.task("job").next_run_at == "2026-03-05T12:00:00+00:00"


def test_a_resumed_single_time_that_has_passed_runs_late(cli: Cli) -> None:
    cli.ok("add", "job", "--at", "2026-03-02T10:00", "--handler", "alert_eval")
    cli.ok("pause", "job")
    cli.clock.advance(hours=5)
    cli.ok("resume", "job")
    cli.ok("tick")
    (run,) = cli.runs("job")
    assert run.scheduled_for.hour == 10


def test_a_single_time_that_has_run_cannot_be_resumed(cli: Cli) -> None:
    cli.ok("add", "job", "--at", "2026-03-02T10:00", "--handler", "alert_eval")
    cli.clock.advance(hours=2)
    cli.ok("tick")
    cli.ok("pause", "job")
    said = cli.fails("resume", "job")
    assert "was to run once and has, at 2026-03-02T10:00:00+00:00; give it a new time: jarvis-trio edit " in said
    cli.ok("edit", "job", "--at", "tomorrow 9:00")
    cli.ok("resume", "job")
    assert cli.task("job").next_run_at == "2026-03-03T09:00:00+00:00"


def test_what_is_not_paused_cannot_be_resumed(job: Cli) -> None:
    assert "task 'job' is not paused; `jarvis-trio show job` tells more" in job.fails("resume", "job")
    assert job.fails("allow", "--revoke", "/bin/none").endswith("; see what is: jarvis-trio allow --list\n")


def test_a_task_that_cannot_be_scheduled_cannot_be_resumed(job: Cli) -> None:
    job.change("job", schedule_config="{}", enabled=False)
    assert "interval must be greater than zero" in job.fails("resume", "job")
    assert not job.task("job").enabled


def test_a_task_that_was_set_aside_can_be_paused_and_then_stays_so(job: Cli) -> None:
    job.change("job", schedule_config="{}")
    job.ok("tick")
    job.ok("pause", "job")
    with MemoryStore(job.path) as store:
        assert store.troubles.reasons_set_aside() == {}
    job.change("job", schedule_config='{"minutes": 5}')
    job.ok("tick")
    assert not job.task("job").enabled


def test_a_removed_task_is_gone_and_its_history_stays(job: Cli) -> None:
    job.clock.advance(hours=1)
    job.ok("tick")
    assert "Its history stays" in job.ok("remove", "job", "--yes")
    assert job.names() == []
    assert len(job.json("history", "job")) == 1


def test_no_history_is_promised_of_a_task_that_never_ran(job: Cli) -> None:
    assert job.ok("remove", "job", "--yes") == "Removed job. It has no history.\n"


def test_nobody_to_ask_means_that_nothing_is_removed(job: Cli) -> None:
    assert "give --yes to remove it" in job.fails("remove", "job", code=2)
    assert job.names() == ["job"]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 2), ("n\n", 1, 3)])
def test_a_person_is_asked_before_a_task_is_removed(program: Program, answer: str, code: int, left: int) -> None:
    program("init")
    program("add", "job", "--every", "30m", "--handler", "alert_eval")
    done = program.at_terminal("remove", "job", answer=answer)
    assert "job: every 30m\nRemove it? [y/N]" in done.out
    assert done.code == code
    assert program.status()["tasks"]["total"] == left


@pytest.mark.slow
def test_a_question_that_gets_no_answer_is_interrupted_on_a_line_of_its_own(program: Program) -> None:
    program("init")
    done = program.at_terminal("remove", "webhook_poll", answer="\x04")
    assert done.code == 1
    assert "jarvis-trio: interrupted" in done.out.splitlines()
    assert program.status()["tasks"]["total"] == 2


def test_several_tasks_or_all_are_paused_resumed_and_removed_at_once(job: Cli) -> None:
    job.ok("add", "other", "--every", "1h", "--handler", "alert_eval")
    assert job.ok("pause", "other", "job", "other").count("Paused") == 2
    assert job.ok("resume", "--all").count("Resumed") == 2
    assert job.ok("resume", "--all") == ""
    assert [state["enabled"] for state in job.json("pause", "--all")] == [False, False]
    assert job.ok("remove", "--all", "--yes").count("Removed") == 2
    assert job.names() == []


def test_all_but_those_that_cannot_be_resumed_are(job: Cli) -> None:
    job.ok("add", "once", "--at", "in 10m", "--handler", "alert_eval")
    job.clock.advance(minutes=20)
    job.ok("tick")
    job.ok("pause", "job", "once")
    done = job("resume", "--all")
    assert (done.code, done.out.count("Resumed")) == (0, 1)
    assert "task 'once' was to run once and has" in done.err
    assert job.task("job").enabled


@pytest.mark.parametrize("words", [["pause"], ["pause", "job", "--all"], ["remove", "--yes"], ["run-now"]])
def test_names_or_all_and_not_both(job: Cli, words: list[str]) -> None:
    assert "give the names of tasks, or --all" in job.fails(*words, code=2)


def test_an_unknown_name_among_several_changes_nothing(job: Cli) -> None:
    assert "no task is named 'jub'" in job.fails("pause", "job", "jub")
    assert job.task("job").enabled


def test_each_change_can_be_had_as_json(job: Cli) -> None:
    assert job.json("pause", "job")["enabled"] is False
    assert job.json("resume", "job")["next_run_at"] == "2026-03-02T09:30:00+00:00"
    assert job.json("remove", "job", "--yes") == [{"removed": "job", "has_history": False}]


def test_a_command_that_is_told_can_be_pasted(cli: Cli) -> None:
    cli.ok("add", "two words", "--every", "1h", "--handler", "alert_eval")
    assert "To schedule it again: jarvis-trio resume 'two words'\n" in cli.ok("pause", "two words")


def test_what_to_type_for_a_name_like_an_option_works(cli: Cli) -> None:
    cli.ok("add", "--every", "1h", "--handler", "alert_eval", "--", "-x")
    typed = cli.ok("pause", "--", "-x").rpartition("jarvis-trio ")[2].split()
    assert cli.ok(*typed).startswith("Resumed -x.")
