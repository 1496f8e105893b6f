"""What is said about a file that the system denies: by a process that no mode is lifted for, not even as root."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jarvis_trio.permission import permission_fix
from tests.support.cli_world import Program, base_environment
from tests.support.fork_server import ForkServer

_WITHOUT_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""A root that modes bind, as they bind everybody else."""

SETTINGS, SECRETS = "settings.toml", "data/secrets.env"


@pytest.fixture(scope="session")
def bound_fork_server() -> Iterator[ForkServer]:
    """What runs commands that modes bind."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("no mode binds root")
    server = ForkServer(base_environment(), before=_WITHOUT_RIGHTS if os.geteuid() == 0 else [])
    yield server
    server.close()


class Home(Program):
    """The program that modes bind, in a home folder."""

    def said(self, *arguments: str, code: int = 1) -> str:
        """What a command says on stderr."""
        settings = self.data.parent / SETTINGS
        done = self(*arguments, **({"JARVIS_SETTINGS": str(settings)} if settings.exists() else {}))
        assert done.code == code, done
        return done.err


@pytest.fixture
def home(tmp_path: Path, bound_fork_server: ForkServer) -> Iterator[Home]:
    """A home folder with a data folder that `init` made; all can be removed at the end."""
    home = Home(tmp_path / "data", bound_fork_server)
    assert home.said("init", code=0) == ""
    (tmp_path / SETTINGS).touch()
    yield home
    for path in (tmp_path, tmp_path / "data", *(tmp_path / "data").glob("*"), tmp_path / "app"):
        if path.exists():
            path.chmod(0o700)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("denied", "arguments"),
    [
        ("data/memory.db", ["list"]),
        ("data", ["list"]),
        ("data", ["run"]),
        (SETTINGS, ["list"]),
        ("data/approved-commands.json", ["allow", "/bin/ls"]),
        ("data/jarvis-daemon.log", ["logs"]),
        ("data/jarvis-daemon.log", ["run"]),
        ("data/jarvis-daemon.lock", ["status"]),
        ("data/webhook-inbox", ["run-now", "--here", "webhook_poll"]),
        ("data/runs", ["output", "1"]),
        ("data/tasks.toml", ["import", "{}"]),
        ("data/crontab", ["import", "--crontab", "{}"]),
        ("data/agent.plist", ["import", "--plist", "{}"]),
        ("data/app", ["run", "--app-dir", "{}", "--engine", "a:b", "--store", "c:d"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_whoever_lacks_a_permission_is_told_how_to_get_it(home: Home, denied: str, arguments: list[str]) -> None:
    path = home.data.parent / denied
    if denied == "data/runs":
        home.said("run-now", "--here", "webhook_poll", code=0)
    if denied in ("data/app", "data/runs"):
        path.mkdir(exist_ok=True)
    elif not path.exists():
        path.touch()
    wanted = "rwx" if path.is_dir() else "rw"
    path.chmod(0)
    [line] = home.said(*(word.format(path) for word in arguments)).splitlines()
    assert "Permission denied" in line
    assert line.endswith(f"; chmod u+{wanted} {path}")


def test_another_refusal_has_the_fix_of_whoever_asks(tmp_path: Path) -> None:
    assert permission_fix(tmp_path, OSError(errno.EINVAL, "no"), "give another") == "give another"
    assert permission_fix(tmp_path, OSError(errno.EROFS, "no")) == "its disk can only be read: choose another place"


def test_what_the_modes_allow_is_forbidden_by_the_system(tmp_path: Path) -> None:
    assert permission_fix(tmp_path, PermissionError(errno.EPERM, "no")).startswith("its mode allows it, so the system")
    assert permission_fix(tmp_path / "a/b", PermissionError(errno.EPERM, "no")).startswith("its mode allows it")


LOOKS_AS_NOBODY = """
import os, sys
from jarvis_trio.permission import permission_fix
os.seteuid(54321)
print(permission_fix(sys.argv[1], PermissionError(13, "no")))
"""
"""The system says yes by the real user and no by the effective one, as it does for closed folders on a Mac."""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_that_cannot_even_be_looked_into_has_a_fix(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    # Whoever has become nobody cannot write what `make coverage` measured of it.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
    for path in (closed / "file", closed / "folder/file"):
        command = [sys.executable, "-c", LOOKS_AS_NOBODY, path]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith(" belongs to root: choose a place of your own, or have it opened to you\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user_is_taken_back_or_left(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 54_321, -1)
    denied = PermissionError(errno.EACCES, "no")
    fix = f"it belongs to user 54321; to take it back: sudo chown root {theirs}"
    assert permission_fix(theirs / "file", denied) == fix
    inner = theirs / "inner"
    inner.mkdir()
    os.chown(inner, 54_321, -1)
    fix = f"{inner} belongs to user 54321: choose a place of your own, or have it opened to you"
    assert permission_fix(inner / "file", denied) == fix
