"""What people have done to tasks, without a terminal and without click."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.desk import acts, errands, exchange, looks, views
from jarvis_trio.desk.approvals import Approval
from jarvis_trio.desk.requests import RunsRequest, TaskRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import (
    DaemonMissingError,
    DuplicateTaskError,
    NotApprovedError,
    RequestError,
    ScheduleError,
    StoreError,
    StoreMissingError,
    TaskError,
    UnknownTaskError,
)
from jarvis_trio.models import RunStatus, TroubleKind, require_id
from jarvis_trio.settings import read_settings
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.requests import RequestKind
from tests.support.core_fakes import FakeClock

HOURLY = TaskRequest(every="1h", handler="alert_eval")


@pytest.fixture
def desk(tmp_path: Path, clock: FakeClock) -> Iterator[Session]:
    """A session on an empty database."""
    settings = read_settings({}, tmp_path)
    MemoryStore(settings.memory_db_path, clock=clock).close()
    with Session(lambda: settings, {"PATH": "/usr/bin:/bin"}, clock) as session:
        yield session


def add(desk: Session, name: str = "job", request: TaskRequest = HOURLY) -> acts.Saved:
    return acts.add(desk, name, request, by_person=False)


def test_an_added_task_is_returned_as_it_is_stored(desk: Session) -> None:
    saved = add(desk)
    assert saved.task == desk.task("job")
    assert saved.before is None
    assert saved.task.next_run_at == "2026-03-02T10:00:00+00:00"


def test_a_taken_name_is_refused(desk: Session) -> None:
    add(desk)
    with pytest.raises(DuplicateTaskError, match="a task named 'job' exists"):
        add(desk)


@pytest.mark.parametrize(
    ("request_", "fix"),
    [
        (TaskRequest(handler="alert_eval"), "give `every`, `cron` or `at`"),
        (TaskRequest(every="1h"), "give `command`, or `handler`"),
        (TaskRequest(every="1h", at="in 5m", handler="alert_eval"), "give one of `every`, `cron` and `at`"),
        (TaskRequest(every="1h", handler="custom", command=("true",)), "give either `command`, or `handler`"),
        (TaskRequest(every="1h", handler="alert_eval", deliver_config={}), "`deliver_config` needs `deliver`"),
        (TaskRequest(every="1h", env=("A=1",)), "give `command`, or `shell`"),
        (TaskRequest(every="1h", command=("true",), shell="true | cat"), "give either `command` or `shell`"),
    ],
)
def test_a_request_that_contradicts_itself_names_its_own_fields(desk: Session, request_: TaskRequest, fix: str) -> None:
    with pytest.raises(RequestError) as refused:
        add(desk, request=request_)
    assert refused.value.fix.startswith(fix)
    assert looks.tasks(desk) == []


@pytest.mark.law(9)
def test_only_a_person_approves_what_a_task_runs(desk: Session) -> None:
    saved = add(desk, request=TaskRequest(every="1h", command=("true",)))
    assert isinstance(saved.approval.refused, NotApprovedError)
    assert desk.approvals.executables() == desk.approvals.commands() == ()

    approved = acts.add(desk, "other", TaskRequest(every="1h", command=("true",)), by_person=True)
    assert approved.approval.approved is not None
    assert approved.approval.approved.words[0].endswith("/true")


@pytest.mark.law(9)
@pytest.mark.parametrize(
    "request_",
    [TaskRequest(env=("LEVEL=3",)), TaskRequest(cwd="/"), TaskRequest(command=("echo", "new"))],
    ids=["a variable", "a folder", "other words"],
)
def test_law_9_a_change_by_a_person_approves_nothing_that_another_program_planted(
    desk: Session, request_: TaskRequest
) -> None:
    task = acts.add(desk, "job", TaskRequest(every="1h", command=("echo", "mine")), by_person=True).task
    planted = json.dumps({"command": ["/usr/bin/env", "evil"], "env": {"LD_PRELOAD": "/tmp/evil.so"}})
    desk.store.update_scheduled_task(require_id(task), handler_config=planted)
    saved = acts.change(desk, "job", request_, by_person=True)
    assert saved.approval.approved is None
    assert saved.approval.refused is not None


@pytest.mark.law(9)
def test_law_9_an_executable_approved_here_lends_nothing_to_one_of_that_name_elsewhere(
    desk: Session, tmp_path: Path
) -> None:
    own = tmp_path / "bin/echo"
    own.parent.mkdir(mode=0o700)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o700)
    desk.environment = {"PATH": f"{own.parent}:/usr/bin:/bin"}
    desk.approvals.allow(own)
    planted = TaskRequest(every="1h", handler="custom", config={"command": ["echo", "planted"]})
    acts.add(desk, "job", planted, by_person=False)
    saved = acts.change(desk, "job", TaskRequest(env=("LEVEL=3",)), by_person=True)
    assert saved.approval.approved is None
    assert desk.approvals.commands() == ()


def test_a_change_by_a_person_approves_what_it_makes_of_an_approved_command(desk: Session) -> None:
    acts.add(desk, "job", TaskRequest(every="1h", command=("echo", "mine"), env=("A=1",)), by_person=True)
    saved = acts.change(desk, "job", TaskRequest(env=("B=2",), command=("echo", "new")), by_person=True)
    assert saved.approval.approved is not None
    assert str(saved.approval.approved).endswith("/echo new (variables A, B)")


@pytest.mark.law(9)
def test_law_9_a_person_who_imports_another_schedule_approves_no_planted_command(desk: Session) -> None:
    task = acts.add(desk, "job", TaskRequest(every="1h", command=("echo", "mine")), by_person=True).task
    planted = {"command": ["/usr/bin/env", "evil"]}
    desk.store.update_scheduled_task(require_id(task), handler_config=json.dumps(planted))
    approval = imported(desk, {"name": "job", "every": "2h", **planted})
    assert approval.approved is None
    assert approval.refused is not None


def test_a_person_who_imports_another_command_approves_it(desk: Session) -> None:
    acts.add(desk, "job", TaskRequest(every="1h", command=("echo", "mine")), by_person=False)
    approval = imported(desk, {"name": "job", "every": "1h", "command": ["echo", "other"]})
    assert str(approval.approved).endswith("/echo other")


def imported(desk: Session, entry: dict[str, object]) -> Approval:
    """Import one task, as a person does at a terminal."""
    wanted = exchange.read_document(desk, json.dumps({"tasks": [entry]}), "the file")
    (approval,) = exchange.carry_out(desk, exchange.plan_import(desk, wanted), by_person=True)
    return approval


def test_a_command_whose_program_is_gone_can_be_given_another(desk: Session, tmp_path: Path) -> None:
    program = tmp_path / "old"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    acts.add(desk, "job", TaskRequest(every="1h", command=(str(program),), env=("A=1",)), by_person=True)
    program.unlink()
    saved = acts.change(desk, "job", TaskRequest(command=("true",)), by_person=True)
    assert json.loads(saved.task.handler_config or "")["command"][0].endswith("/true")
    assert saved.approval.refused is not None  # nobody can tell now whether its variable was seen


def test_a_command_that_nobody_can_read_hides_nothing_so_another_one_is_approved(desk: Session) -> None:
    task = acts.add(desk, "job", TaskRequest(every="1h", command=("echo", "mine")), by_person=False).task
    desk.store.update_scheduled_task(require_id(task), handler_config='{"command": 5}')
    saved = acts.change(desk, "job", TaskRequest(command=("echo", "new")), by_person=True)
    assert str(saved.approval.approved).endswith("/echo new")


def test_a_folder_in_the_home_of_nobody_is_not_there(desk: Session) -> None:
    request = TaskRequest(every="1h", command=("true",), cwd="~nobody.of.that.name/x")
    with pytest.raises(TaskError, match="there is no folder"):
        add(desk, request=request)


def test_a_change_returns_before_and_after(desk: Session) -> None:
    before = add(desk).task
    saved = acts.change(desk, "job", TaskRequest(policy={"timeout": "5m"}), by_person=False)
    assert (saved.before, saved.changed) == (before, True)
    assert json.loads(saved.task.policy or "") == {"timeout_seconds": 300}


def test_a_change_to_what_is_there_changes_nothing(desk: Session) -> None:
    add(desk)
    assert not acts.change(desk, "job", HOURLY, by_person=False).changed


def test_an_empty_change_is_refused(desk: Session) -> None:
    add(desk)
    with pytest.raises(RequestError, match="nothing to change"):
        acts.change(desk, "job", TaskRequest(), by_person=False)


def test_pause_and_resume_return_the_task_as_it_is_then(desk: Session) -> None:
    add(desk)
    assert not acts.pause(desk, "job").enabled
    assert acts.resume(desk, "job").enabled
    with pytest.raises(TaskError, match="is not paused"):
        acts.resume(desk, "job")


def test_remove_tells_whether_a_history_stays(desk: Session, clock: FakeClock) -> None:
    add(desk)
    add(desk, "other")
    clock.advance(hours=1)
    errands.tick(desk)
    add(desk, "fresh")
    assert acts.remove(desk, "job")
    assert not acts.remove(desk, "fresh")
    with pytest.raises(UnknownTaskError, match="no task is named 'job'"):
        acts.remove(desk, "job")


def test_a_new_task_with_an_old_name_has_not_run_yet_wherever_it_is_looked_at(desk: Session, clock: FakeClock) -> None:
    add(desk)
    clock.advance(hours=1)
    errands.tick(desk)
    acts.remove(desk, "job")
    task = add(desk).task
    assert looks.tasks(desk) == [looks.task_state(desk, task)]
    assert looks.task_state(desk, task).last is None


def test_a_run_here_has_its_number_at_once(desk: Session) -> None:
    add(desk)
    begun = errands.run_here(desk, "job")
    begun.wait()
    run = looks.run(desk, begun.run_id)
    assert (run.trigger, run.status) == ("manual", "executed")


@pytest.mark.law(3)
def test_law_3_a_run_here_whose_outcome_cannot_be_written_ends_and_says_so(
    desk: Session, caplog: pytest.LogCaptureFixture
) -> None:
    add(desk)
    desk.store.write("CREATE TRIGGER theirs BEFORE UPDATE ON task_runs BEGIN SELECT RAISE(ABORT, 'no'); END")
    begun = errands.run_here(desk, "job", timedelta(seconds=1))
    list(errands.output(desk, begun.run_id, lambda: time.sleep(0.001), begun))  # it has an end
    with pytest.raises(StoreError, match="outcome of task 'job' could not be written"):
        begun.wait()
    assert begun.is_over()
    assert caplog.text.count("is kept, as it cannot be written now") == 1


@pytest.mark.law(3)
def test_law_3_a_tick_whose_outcomes_cannot_be_written_is_told_from_one_whose_are(
    desk: Session, clock: FakeClock
) -> None:
    add(desk)
    clock.advance(hours=1)
    desk.store.write("CREATE TRIGGER theirs BEFORE UPDATE ON task_runs BEGIN SELECT RAISE(ABORT, 'no'); END")
    assert [report["status"] for report in errands.tick(desk)] == ["executed"]
    with pytest.raises(StoreError, match="an outcome could not be written: it will count as interrupted"):
        errands.require_written(desk, "an outcome", timedelta(0))
    desk.store.write("DROP TRIGGER theirs")
    errands.require_written(desk, "an outcome", timedelta(0))


def test_without_a_daemon_nobody_can_be_asked(desk: Session) -> None:
    add(desk)
    assert errands.ask_run(desk, "job") is None
    with pytest.raises(TaskError, match="task 'job' does not run"):
        errands.ask_stop(desk, "job")


def test_a_run_that_was_asked_for_is_taken_back_if_the_daemon_ended_meanwhile(desk: Session) -> None:
    task = add(desk).task
    number = desk.store.requests.ask(
        RequestKind.RUN, require_id(task), asked_by="alex", asker=desk.peers.owner, at=desk.now()
    )
    with pytest.raises(DaemonMissingError, match="the daemon ended before it could run it; start it with"):
        errands.asked_run(desk, number)
    assert desk.store.requests.open_requests() == []
    with pytest.raises(TaskError, match="the run was withdrawn"):
        errands.asked_run(desk, number)


def test_who_no_longer_wants_a_run_that_has_not_begun_takes_the_request_back(desk: Session) -> None:
    task = add(desk).task
    number = desk.store.requests.ask(
        RequestKind.RUN, require_id(task), asked_by="alex", asker=desk.peers.owner, at=desk.now()
    )
    errands.end_asked_run(desk, number, "alex")
    assert desk.store.requests.open_requests() == []


def test_the_run_of_a_task_that_was_removed_is_stopped_by_its_name(desk: Session) -> None:
    task = add(desk).task
    claim = desk.store.runs.claim_run(task, desk.now(), 1, started_at=desk.now(), owner="999999:1@boot/1")
    assert claim is not None
    acts.remove(desk, "job")
    stopping = errands.ask_stop(desk, "job")
    assert stopping.run.id == claim.run_id
    with pytest.raises(UnknownTaskError):
        errands.ask_stop(desk, "other")


@pytest.mark.law(3)
def test_law_3_a_run_whose_process_is_gone_is_over(desk: Session) -> None:
    task = add(desk).task
    claim = desk.store.runs.claim_run(task, desk.now(), 1, started_at=desk.now(), owner="999999:1@boot/1")
    assert claim is not None
    assert not errands.is_over(desk, claim.run_id)  # it is ended by this look
    assert errands.is_over(desk, claim.run_id)
    assert looks.run(desk, claim.run_id).status == "interrupted"


def test_runs_of_a_name_that_nobody_bears_are_an_error(desk: Session) -> None:
    add(desk)
    assert looks.runs(desk, RunsRequest(task="job")) == []
    with pytest.raises(UnknownTaskError):
        looks.runs(desk, RunsRequest(task="jub"))


def test_a_time_out_of_the_calendar_is_refused(desk: Session) -> None:
    with pytest.raises(ScheduleError, match="use fewer days"):
        looks.outlook(desk, None, "9998-01-01", 36_000)


def test_a_session_that_only_looks_makes_no_database(tmp_path: Path) -> None:
    settings = read_settings({}, tmp_path)
    with Session(lambda: settings, {}, only_looks=True) as session, pytest.raises(StoreMissingError):
        looks.tasks(session)
    assert list(tmp_path.iterdir()) == []


def test_each_part_of_a_session_is_made_once(desk: Session) -> None:
    for part in ("settings", "store", "channels", "handlers", "approvals", "engine"):
        assert getattr(desk, part) is getattr(desk, part)


def test_a_task_in_json_has_no_json_in_its_definition(desk: Session) -> None:
    request = TaskRequest(
        every="90s",
        handler="alert_eval",
        config={"a": [1]},
        policy={"timeout": "1m", "retries": "2"},
        deliver="notification",
        deliver_config={"sound": "Ping"},
    )
    add(desk, request=request)
    definition = views.task_view(looks.tasks(desk)[0], desk.zone())["definition"]
    assert definition["schedule"] == {"every_seconds": 90}
    assert definition["handler"] == {"type": "alert_eval", "config": {"a": [1]}}
    assert (definition["policy"]["timeout_seconds"], definition["policy"]["retries"]) == (60, 2)
    assert definition["delivery"] == {"channel": "notification", "config": {"sound": "Ping"}}


def test_a_row_that_nobody_can_read_is_still_shown(desk: Session) -> None:
    task = add(desk).task
    assert task.id is not None
    desk.store.update_scheduled_task(task.id, schedule_config="}{", policy="[]", handler_config="{")
    view = views.task_view(looks.tasks(desk)[0], desk.zone())
    assert view["definition"]["schedule"] is None
    assert view["definition"]["policy"] is None
    assert view["definition"]["handler"]["config"] == "{"


def test_the_desk_knows_no_click() -> None:
    code = (
        "import sys, jarvis_trio.desk.acts, jarvis_trio.desk.views, jarvis_trio.desk.exchange;"
        " print([name for name in ('click', 'rich', 'trio') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_a_change_during_the_only_run_of_a_task_does_not_say_that_it_has_not_run(
    desk: Session, clock: FakeClock
) -> None:
    task = add(desk, request=TaskRequest(at="in 5m", handler="alert_eval")).task
    clock.advance(minutes=5)
    assert desk.store.runs.claim_run(task, desk.now(), 1, started_at=desk.now(), owner="999999:1@boot/1")
    desk.store.runs.note_done(task)
    clock.advance(seconds=3)
    assert acts.change(desk, "job", TaskRequest(description="mine"), by_person=False).warnings == []


def test_a_change_after_the_only_time_of_a_task_was_missed_says_that_it_has_not_run(
    desk: Session, clock: FakeClock
) -> None:
    task = add(desk, request=TaskRequest(at="in 5m", handler="alert_eval")).task
    clock.advance(minutes=5)
    desk.store.runs.record_unrun(task, desk.now(), RunStatus.MISSED, "too late", at=desk.now())
    clock.advance(seconds=3)
    [warning] = acts.change(desk, "job", TaskRequest(description="mine"), by_person=False).warnings
    assert warning.endswith("was 3 seconds ago; it has not run, and will not")


def test_a_task_that_another_program_pauses_and_puts_right_is_resumed_before_a_tick_sees_it(desk: Session) -> None:
    task = add(desk).task
    desk.store.update_scheduled_task(require_id(task), schedule_config="}{")
    errands.tick(desk)
    desk.store.update_scheduled_task(require_id(task), schedule_config='{"hours": 1}', enabled=False)
    assert acts.resume(desk, "job").next_run_at == "2026-03-02T10:00:00+00:00"


def failed_once(desk: Session, clock: FakeClock) -> int:
    """A task that was to run once, and whose run failed; returns its number."""
    number = require_id(add(desk, request=TaskRequest(at="in 5m", handler="alert_eval")).task)
    clock.advance(minutes=5)
    errands.tick(desk)
    desk.store.troubles.begin_trouble(number, TroubleKind.FAILING, "exit code 2", desk.now())
    return number


def troubles(desk: Session, number: int) -> list[TroubleKind]:
    return [trouble.kind for trouble in desk.store.troubles.list_troubles(number)]


def test_a_task_that_failed_at_its_only_time_is_out_of_trouble_when_it_has_another_one(
    desk: Session, clock: FakeClock
) -> None:
    number = failed_once(desk, clock)
    acts.change(desk, "job", TaskRequest(at="in 1h", description="again"), by_person=False, dry_run=True)
    acts.change(desk, "job", TaskRequest(description="no other time"), by_person=False)
    assert troubles(desk, number) == [TroubleKind.FAILING]
    acts.change(desk, "job", TaskRequest(at="in 1h"), by_person=False)
    assert troubles(desk, number) == []


def test_so_it_is_when_it_is_imported_with_another_time_or_paused_or_has_run_well(
    desk: Session, clock: FakeClock
) -> None:
    number = failed_once(desk, clock)
    imported(desk, {"name": "job", "at": "in 1h", "handler": "alert_eval"})
    assert troubles(desk, number) == []
    desk.store.troubles.begin_trouble(number, TroubleKind.FAILING, "exit code 2", desk.now())
    acts.pause(desk, "job")
    assert troubles(desk, number) == []
    desk.store.troubles.begin_trouble(number, TroubleKind.FAILING, "exit code 2", desk.now())
    errands.run_here(desk, "job").wait()
    assert troubles(desk, number) == []


def test_a_task_that_runs_again_stays_in_trouble_until_it_succeeds(desk: Session) -> None:
    number = require_id(add(desk).task)
    desk.store.troubles.begin_trouble(number, TroubleKind.FAILING, "exit code 2", desk.now())
    acts.change(desk, "job", TaskRequest(every="2h"), by_person=False)
    assert troubles(desk, number) == [TroubleKind.FAILING]
