"""A PostgreSQL server of the tests' own, on a free port of this machine, if one is installed."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

_SETTINGS = ("max_connections=200", "unix_socket_directories=", "log_min_messages=fatal", "autovacuum=off")
# Autovacuum writes at moments of its own: it moves the marks by which the store sees that others wrote.

THROWN_AWAY = ("fsync=off", "full_page_writes=off")
"""What a server of tests need not do: its data is thrown away."""

_numbers = itertools.count(1)


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None if there is none, or no user to run them as."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


def why_not() -> str | None:
    """Why no server can be started here; None if one can."""
    if programs() is None:
        return "no PostgreSQL server is installed (Debian: apt-get install postgresql)"
    return None


class PostgresServer:
    """Runs until `stop`. As root it is the user `postgres` who runs it, since it refuses root.

    Args:
        settings: of the server, as `name=value`; they count until it stops.
        networked: whether it listens on all of this machine's addresses, and trusts private ones.
    """

    def __init__(self, settings: Sequence[str] = THROWN_AWAY, *, networked: bool = False) -> None:
        self._settings = (*_SETTINGS, *settings)
        bin_folder = programs()
        assert bin_folder is not None
        self._bin = bin_folder
        self.user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="jarvis-postgres-"))
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        self._data = self.folder / "data"
        initdb: list[str | Path] = [
            self._bin / "initdb",
            "--no-sync",
            "--auth=trust",
            "--username=jarvis",
            "--encoding=UTF8",
        ]
        subprocess.run(
            [*initdb, "--locale=C", self._data], check=True, capture_output=True, user=self.user, cwd="/", timeout=180
        )
        self._listens = "*" if networked else "127.0.0.1"
        if networked:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 10.0.0.0/8 trust\n")
        self.port = free_port()
        self._guard: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        """The server's own database."""
        return f"postgresql://jarvis@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        listens = f"listen_addresses={self._listens}"
        settings = [f"--{setting}" for setting in (*self._settings, f"port={self.port}", listens)]
        if self._guard is None:
            self._guard = _start_guard(self.folder)
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self.user,
            cwd="/",
            start_new_session=True,
        )
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.address, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def crash(self) -> None:
        """End it at once, as `pg_ctl stop -m immediate` does: it recovers at its next start."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=30)

    def stop(self) -> None:
        """End it, and remove its data."""
        if self._process.poll() is None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._guard is not None:
            self._guard.communicate(timeout=30)

    def new_database(self, options: str = "") -> str:
        """The address of a new, empty database, made with these options of CREATE DATABASE."""
        name = f"test_{next(_numbers)}"
        with psycopg.connect(self.address, autocommit=True) as session:
            session.execute(f"CREATE DATABASE {name} {options}".encode())
        return f"postgresql://jarvis@127.0.0.1:{self.port}/{name}"

    def new_user(self) -> str:
        """The name of a new user, who may log in and has no other right."""
        name = f"user_{next(_numbers)}"
        with psycopg.connect(self.address, autocommit=True) as session:
            session.execute(f"CREATE ROLE {name} LOGIN".encode())
        return name

    def ask_for_password(self) -> str:
        """The name of a new user who must give a password, which nobody knows."""
        name = self.new_user()
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        with psycopg.connect(self.address, autocommit=True) as session:
            session.execute(f"ALTER ROLE {name} PASSWORD '{secrets.token_hex()}'".encode())
            session.execute("SELECT pg_reload_conf()")
        return name

    def new_schema(self) -> str:
        """The address of a new, empty schema: quicker to make than a database, and as good."""
        name = f"schema_{next(_numbers)}"
        with psycopg.connect(self.address, autocommit=True) as session:
            session.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.address}?options=-csearch_path%3D{name}"


@contextmanager
def pooler(server: PostgresServer, mode: str) -> Iterator[Callable[[str], str]]:
    """PgBouncer before the server, in a pool mode; yields what makes an address lead through it.

    Skips the test if it is not installed.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no PgBouncer is installed (Debian: apt-get install pgbouncer)")
    port, settings = free_port(), server.folder / f"pgbouncer-{mode}.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {_users(server.folder)}\npool_mode = {mode}\n"
    )
    settings.chmod(0o644)
    # As root it refuses to run; its log is on stderr.
    process = subprocess.Popen([program, "-q", settings], stderr=subprocess.DEVNULL, user=server.user, cwd="/")
    try:
        await_listener(port, process)
        yield lambda address: address.replace(f":{server.port}/", f":{port}/")
    finally:
        process.terminate()
        process.wait(timeout=30)


_GUARD = """
read nothing
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid"
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" || break; sleep 0.2; done  # a zombie stays
rm -rf "$1"
"""


def _start_guard(folder: Path) -> subprocess.Popen[bytes]:
    """What ends the server if the test process is killed: then the guard's input ends."""
    words: list[str | Path] = ["/bin/sh", "-c", _GUARD, "guard of a PostgreSQL server", folder]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True)


def _users(folder: Path) -> Path:
    users = folder / "users.txt"
    users.write_text('"jarvis" ""\n')
    users.chmod(0o644)
    return users


def await_listener(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was started answers on its port."""
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise
            time.sleep(0.05)


def free_port() -> int:
    """A port of this machine that nobody has just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
