"""The torture in small: ten stops at random moments of busy ticks, and whether its checker sees what is wrong."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.laws.torture.arena import GENTLE, Arena
from tests.laws.torture.checker import check
from tests.laws.torture.havoc import Havoc, calm_down

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.xdist_group("torture")]  # one costly fixture for all

STOPS = 10


@pytest.fixture(scope="session")
def tortured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An arena whose daemon was stopped `STOPS` times while it was busy."""
    arena = Arena(tmp_path_factory.mktemp("arena"), [*GENTLE[:4], GENTLE[-1]], seconds=4)
    havoc, chance = Havoc(arena, "short", kills=False), random.Random(0)
    for _ in range(STOPS - 1):
        havoc.stop_a_daemon(chance)
    calm_down(arena, catch_up_seconds=0, calm_seconds=0)
    return arena.folder


@pytest.fixture
def copy(tortured: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tortured, tmp_path / "copy")


@pytest.mark.law(1)
def test_whenever_sigterm_comes_what_had_started_finishes_and_the_exit_code_is_0(tortured: Path) -> None:
    verdict = check(tortured)
    assert not verdict.violations
    assert verdict.counts["term"] == STOPS
    assert verdict.counts["executed"] > STOPS
    assert verdict.counts["interrupted"] == 0


def sql(statement: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "data" / "memory.db")) as connection, connection:
            assert connection.execute(statement).rowcount

    return change


def trace(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        file = folder / "trace.log"
        file.write_text("".join(f"{line}\n" for line in change(file.read_text().splitlines())))

    return rewrite


def first_of_many(lines: list[str]) -> str:
    """The first line of a task that ran often; another task may have run but once in so short a time."""
    return next(line for line in lines if line.startswith("every-second"))


def event(**details: object) -> Callable[[Path], None]:
    def add(folder: Path) -> None:
        with (folder / "events.jsonl").open("a") as file:
            print(json.dumps({"at": 0.0, **details}), file=file)

    return add


A_RUN = "(SELECT id FROM task_runs WHERE task_name = 'every-second' AND status = 'executed' LIMIT 1 OFFSET 1)"


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (sql(f"DELETE FROM task_runs WHERE id = {A_RUN}"), "no slot is lost"),
        (sql(f"UPDATE task_runs SET collapsed = collapsed + 1 WHERE id = {A_RUN}"), "no slot is lost"),
        (sql(f"UPDATE task_runs SET status = 'running' WHERE id = {A_RUN}"), "the database is whole"),
        (sql(f"UPDATE task_runs SET attempt = 2 WHERE id = {A_RUN}"), "every slot comes to its end"),
        (sql(f"UPDATE task_runs SET status = 'missed' WHERE id = {A_RUN}"), "each bad end has a reason"),
        (sql(f"UPDATE task_runs SET status = 'timeout', reason = 'so' WHERE id = {A_RUN}"), "rows and deeds agree"),
        (trace(lambda lines: [lines[0], *lines]), "no attempt runs twice"),
        (trace(lambda lines: [line for line in lines if " end " not in line]), "rows and deeds agree"),
        (trace(lambda lines: [*lines, first_of_many(lines).replace("start", "beat")]), "no task overlaps itself"),
        (trace(lambda lines: [line for line in lines if not line.startswith("every-second")]), "each run has a target"),
        (event(event="term", pid=1, code=-15), "sigterm lets what runs finish"),
        (event(event="exit", pid=1, code=-11, said=""), "what ends by itself says why"),
        (event(event="left behind", pid=1, command="sleep"), "nothing is left alive"),
        (sql("DELETE FROM task_runs WHERE task_name LIKE 'of-nobody%'"), "what waits for its handler is told once"),
        (event(event="second name", kind="mount", code=0, said=""), "a second name is refused"),
        (event(event="calm"), "good tasks go on"),
        (event(event="dropped", name="file-1"), "each inbox file is one event"),
        (event(event="garbage", name="every-second"), "bad rows are set aside once"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_the_checker_sees_what_is_wrong(copy: Path, plant: Callable[[Path], None], rule: str) -> None:
    plant(copy)
    assert any(violation.startswith(rule) for violation in check(copy).violations)
