"""Law 5 with real processes: a command in a shell with another zone moves no time of a running daemon."""

from __future__ import annotations

import pytest

from tests.support.cli_world import Program, eventually, execute

pytestmark = [pytest.mark.slow, pytest.mark.law(5)]

NEXT_RUNS = "SELECT name, next_run_at FROM scheduled_tasks WHERE schedule_type <> 'interval' ORDER BY name"


@pytest.mark.parametrize(
    "command",
    [["tick"], pytest.param(["add", "other", "--cron", "0 9 * * *", "--", "true"], marks=pytest.mark.thorough)],
    ids=" ".join,
)
def test_law_5_a_command_in_another_zone_heeds_the_daemons(program: Program, command: list[str]) -> None:
    program("init")
    program.daemon(TZ="Europe/Berlin")
    program("add", "job", "--cron", "0 9 * * *", "--", "true", TZ="Europe/Berlin")
    path = program.data / "memory.db"
    wanted = eventually(lambda: [row for row in execute(path, NEXT_RUNS) if row[1]])

    done = program(*command, TZ="Asia/Tokyo")
    assert "the daemon's time zone is Europe/Berlin, and here it is Asia/Tokyo" in done.err
    found = eventually(lambda: [row for row in execute(path, NEXT_RUNS) if row[1]])
    assert {at for _, at in found} == {at for _, at in wanted}


def test_law_5_without_a_daemon_the_shells_zone_counts(program: Program) -> None:
    program("init")
    done = program("add", "job", "--cron", "0 9 * * *", "--", "true", TZ="Asia/Tokyo")
    assert "time zone" not in done.err
    [(_, at)] = execute(program.data / "memory.db", NEXT_RUNS)
    assert at.endswith("09:00:00+09:00")


def test_another_name_of_the_daemons_zone_is_no_other_zone(program: Program) -> None:
    program("init")
    program.daemon(TZ="UTC")
    assert program("status", TZ="Etc/UTC").err == ""
    assert "the daemon's time zone is UTC" in program("status", TZ="Asia/Tokyo").err
