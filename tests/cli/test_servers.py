"""What commands say of a server that cannot be used: one line with its fix, and never a password."""

from __future__ import annotations

import socket
import sys
from contextlib import closing

import pytest

from jarvis_trio.store.postgres import PostgresDatabase
from tests.support.cli_world import Cli, Done
from tests.support.postgres_server import PostgresServer, pooler

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

COMMANDS = (("run",), ("list",), ("status",), ("tick",), ("history",))


class Refused:
    """Asks each command for a database that cannot be used, and expects the same one line of all."""

    def __init__(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        self._cli = cli
        self._monkeypatch = monkeypatch

    def __call__(self, address: str, says: str, fix: str) -> None:
        self.by_commands(address, says, fix)
        done = self._cli("move", address)
        self._check(done, says, fix)

    def by_commands(self, address: str, says: str, fix: str) -> None:
        """All but `move`, which is told the address and not set to it."""
        with self._monkeypatch.context() as patch:
            patch.setenv("JARVIS_DATABASE_URL", address)
            for command in COMMANDS:
                self._check(self._cli(*command), says, fix)
            done = self._cli("doctor")
            assert (done.code, done.err) == (1, "")
            assert "secret" not in done.out
            lines = [" ".join(line.split()) for line in done.out.splitlines()]
            (found,) = [place for place, line in enumerate(lines) if line.startswith("problem database")]
            assert says in lines[found]
            assert lines[found + 1].startswith(f"-> {fix}")

    def _check(self, done: Done, says: str, fix: str) -> None:
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
        assert says in done.err
        assert f"; {fix}" in done.err
        assert "secret" not in done.err


@pytest.fixture
def refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Refused:
    monkeypatch.setenv("JARVIS_MACHINE", "here")
    return Refused(cli, monkeypatch)


def test_without_the_extra(refused: Refused, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jarvis_trio.store.postgres", None)
    refused(postgres.address, "needs psycopg, which is not installed", "install it with: ")


@pytest.mark.parametrize("address", ["postgresql://jarvis@[::1/x", "postgresql://jarvis@localhost/x?nonsense=1"])
def test_an_address_that_cannot_be_read(refused: Refused, address: str) -> None:
    refused(
        address, "cannot reach the database at that address: ", "give the address as postgresql://USER@HOST/DATABASE"
    )


def test_an_address_of_another_database_or_with_a_password_is_no_target(cli: Cli) -> None:
    assert "must begin with postgresql://, not mysql://" in cli.fails("move", "mysql://me:secret@localhost/x")
    for address in (
        "postgresql://me:secret@localhost/x",
        "postgres://me:sec/ret@[::1/x",
        "postgresql:///x?password=secret",
    ):
        said = cli.fails("move", address)
        assert "holds a password; put it into ~/.pgpass (mode 0600) instead" in said
        assert "secret" not in said


def test_a_server_that_does_not_run(refused: Refused) -> None:
    refused(
        "postgresql://127.0.0.1:1/x",
        "cannot reach the database postgresql://127.0.0.1:1/x: Connection refused",
        "see whether",
    )


def test_a_server_that_hangs_is_asked_once_by_each_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        port = hanging.getsockname()[1]
        monkeypatch.setenv("JARVIS_DATABASE_URL", f"postgresql://127.0.0.1:{port}/x?connect_timeout=2")
        said = cli.fails("status")
        hanging.setblocking(False)
        hanging.accept()[0].close()
        with pytest.raises(BlockingIOError):
            hanging.accept()
    assert "timeout expired; see whether the server runs" in said


def test_a_wrong_password(refused: Refused, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    user = postgres.ask_for_password()
    address = postgres.address.replace("jarvis@", f"{user}@")
    fix = "put the password into ~/.pgpass (mode 0600), or name a service file"
    refused(address, "no password supplied", fix)
    monkeypatch.setenv("PGPASSWORD", "secret")
    refused(address, f'password authentication failed for user "{user}"', fix)


def test_a_database_that_is_not_there(refused: Refused, postgres: PostgresServer) -> None:
    there = postgres.address.removesuffix("/postgres")
    refused(f"{there}/nowhere", 'database "nowhere" does not exist', "make it on the server: createdb NAME")
    there = there.replace("jarvis@", "nobody@")
    refused(f"{there}/postgres", 'role "nobody" does not exist', "make it on the server: createuser NAME")


def test_a_pooler_in_transaction_mode(refused: Refused, postgres: PostgresServer) -> None:
    with pooler(postgres, "transaction") as through:
        address = through(postgres.new_database())
        refused(address, "is a pooler that gives each transaction another session", "name the server itself, or a pool")


def test_a_user_without_rights(refused: Refused, cli: Cli, postgres: PostgresServer) -> None:
    address = postgres.new_database()
    guest = address.replace("jarvis@", f"{postgres.new_user()}@")
    fix = "GRANT it to this user, or run `jarvis-trio init` as the owner"
    assert f"permission denied for schema public; {fix}" in cli.fails("move", guest)
    PostgresDatabase(address).close()
    refused(guest, "permission denied for table jarvis_meta", fix)


def test_a_database_that_is_not_in_utf_8(refused: Refused, postgres: PostgresServer) -> None:
    address = postgres.new_database("ENCODING LATIN1 TEMPLATE template0 LOCALE 'C'")
    refused(address, "has the encoding LATIN1", "make one with: createdb --encoding=UTF8")


@pytest.mark.law(2)
def test_a_database_that_was_moved_is_neither_run_nor_shown(refused: Refused, postgres: PostgresServer) -> None:
    address = postgres.new_database()
    with closing(PostgresDatabase(address)) as database:
        database.execute("INSERT INTO jarvis_meta (key, value) VALUES ('moved_to', '/home/me/memory.db')")
    fix = "name that one in JARVIS_DATABASE_URL or MEMORY_DB_PATH"
    refused.by_commands(address, "was moved to /home/me/memory.db", fix)


def test_a_file_that_was_moved_is_neither_run_nor_shown(cli: Cli, postgres: PostgresServer) -> None:
    cli.ok("move", address := postgres.new_database())
    for command in (*COMMANDS, ("move", address)):
        assert f"was moved to {address.replace('jarvis@', '')}" in cli(*command).err


def test_a_newer_schema(refused: Refused, postgres: PostgresServer) -> None:
    address = postgres.new_database()
    with closing(PostgresDatabase(address)) as database:
        database.execute("UPDATE jarvis_meta SET value = '999' WHERE key = 'schema_version'")
    refused(address, "has schema 999, this program knows", "install a newer jarvis-trio")


def test_a_database_without_tables(refused: Refused, postgres: PostgresServer) -> None:
    refused.by_commands(postgres.new_database(), "Memory DB not found at ", "make it with: jarvis-trio init")
