"""What every service manager needs before it can run the daemon: each check names the fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jarvis_trio.errors import ServiceError
from jarvis_trio.service.daemon import Daemon
from jarvis_trio.service.programs import Runner

# An interpreter that finds the package alone would crash again and again. On macOS, psutil tells a
# process from others (`process.identity`).
IMPORT_TEST = "import jarvis_trio, trio, click, psutil"


def check_daemon(daemon: Daemon, uid: int, run: Runner, given: Mapping[str, str]) -> None:
    """Raise ServiceError for the first thing that would keep the daemon from starting.

    Args:
        uid: the user who installs it.
        run: runs the interpreter, to try it.
        given: what the service manager puts into a service's environment.
    """
    _check_owner(daemon.home, uid)
    _check_database(daemon)
    _check_interpreter(daemon, run, given)


def _check_owner(home: Path, uid: int) -> None:
    if not home.is_dir() or home.stat().st_uid != uid:
        raise ServiceError(f"{home} is not a folder of the user {uid}", fix="run this as its owner, without sudo")


def _check_database(daemon: Daemon) -> None:
    if daemon.database is not None and not daemon.database.is_file():
        raise ServiceError(f"Memory DB not found at {daemon.database}", fix="make it with: jarvis-trio init")


def _check_interpreter(daemon: Daemon, run: Runner, given: Mapping[str, str]) -> None:
    """Let the interpreter import the package with no more than the service manager gives it."""
    folder = daemon.working_directory
    if not folder.is_dir():
        raise ServiceError(f"{folder} is not a folder that the daemon can run in", fix="make it: jarvis-trio init")

    environment = {"HOME": str(daemon.home), **given, **daemon.environment}
    try:
        done = run([str(daemon.python), "-c", IMPORT_TEST], env=environment, cwd=folder)
    except OSError as error:
        raise ServiceError(f"the interpreter cannot be run: {error}", fix="make its venv again") from None

    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ServiceError(
            f"{daemon.python} cannot import jarvis_trio in the environment of a service ({said})",
            fix="install the program again (docs/install.md)",
        )
