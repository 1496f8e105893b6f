"""`move`: to a file and to a server, seen from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_world import Cli, Program
from tests.support.postgres_server import PostgresServer


@pytest.fixture
def moved(cli: Cli) -> Path:
    """A task whose database has moved to another file."""
    cli.ok("add", "job", "--every", "5m", "--handler", "alert_eval")
    place = cli.data.parent / "new" / "jarvis.db"
    place.parent.mkdir()
    said = cli.ok("move", str(place))
    assert f"Moved, and compared. Name {place} in MEMORY_DB_PATH" in said
    assert "scheduled_tasks" in said
    return place


def test_who_names_the_new_file_finds_everything_there(cli: Cli, moved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"was moved to {moved}" in cli.fails("list")
    monkeypatch.setenv("MEMORY_DB_PATH", str(moved))
    assert [task["name"] for task in cli.json("list")] == ["job"]


def test_as_json_each_table_is_a_row_with_its_digest(cli: Cli) -> None:
    cli.ok("add", "job", "--every", "5m", "--handler", "alert_eval")
    place = cli.data.parent / "jarvis.db"
    moved = cli.json("move", str(place))
    assert (moved["moved_to"], moved["setting"]) == (str(place), "MEMORY_DB_PATH")
    tasks = next(item for item in moved["tables"] if item["table"] == "scheduled_tasks")
    assert (tasks["rows"], len(tasks["digest"])) == (1, 16)


def test_it_does_not_move_onto_itself(cli: Cli) -> None:
    assert f"the database is {cli.path} already; name another place" in cli.fails("move", str(cli.path))
    cli.ok("list")


@pytest.mark.postgres
@pytest.mark.slow
def test_a_server_and_back_into_the_same_file(
    cli: Cli, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.ok("add", "job", "--every", "5m", "--handler", "alert_eval")
    address = postgres.new_database()
    said = cli.ok("move", address)
    assert f"Name {address} in JARVIS_DATABASE_URL now." in said
    monkeypatch.setenv("JARVIS_DATABASE_URL", address)
    cli.ok("run-now", "job", "--here")
    cli.ok("move", str(cli.path))
    monkeypatch.delenv("JARVIS_DATABASE_URL")
    assert [run["task"] for run in cli.json("history")] == ["job"]


@pytest.mark.slow
@pytest.mark.law(2)
def test_law_2_nothing_moves_while_a_daemon_runs(program: Program) -> None:
    program("init")
    program.daemon()
    done = program("move", str(program.data / "new.db"))
    assert (done.code, done.err) == (
        1,
        "jarvis-trio: the daemon is running; stop it on every machine, then move\n",
    )
    assert not (program.data / "new.db").exists()


@pytest.mark.parametrize("place", ["postgresql:/homeserver/jarvis", "postgres:jarvis"])
def test_an_address_without_its_slashes_is_not_taken_for_a_file(
    cli: Cli, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert "the address must begin with postgresql://\n" in cli.fails("move", place)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_in_the_home_of_nobody_is_refused_in_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "~nobody.of.that.name" in cli.fails("move", "~nobody.of.that.name/memory.db")
