"""What must hold before anything is changed: each check names what is wrong and the mend."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from jarvis_trio.errors import LaunchdError
from jarvis_trio.launchd.launchctl import Launchctl, Runner
from jarvis_trio.launchd.plist import LABEL, SEARCH_PATH, Agent

# What it needs too: an interpreter that finds the package alone would crash again and again. On macOS a
# process is told from others by psutil (`owner`).
IMPORT_TEST = "import jarvis_trio, trio, click, psutil"


def check(agent: Agent, launchctl: Launchctl) -> None:
    """Raise LaunchdError for the first thing that would keep the agent from working."""
    _check_owner(agent.home, launchctl.uid)
    _check_database(agent)
    check_privacy(agent)
    _check_folders(agent)
    _check_label(agent, launchctl)
    _check_interpreter(agent, launchctl.run)


def _check_owner(home: Path, uid: int) -> None:
    if not home.is_dir() or home.stat().st_uid != uid:
        raise LaunchdError(f"{home} is no folder of the user {uid}; run this as its owner, without sudo")


def _check_database(agent: Agent) -> None:
    path = Path(agent.settings["MEMORY_DB_PATH"])
    if not path.is_file():
        raise LaunchdError(f"Memory DB not found at {path}; make it with: jarvis-trio init")


def privacy_folder(path: Path, home: Path) -> Path | None:
    """The folder that macOS closes to agents (TCC) in which `path` or what it links to lies; or None."""
    closed = [home / name for name in ("Documents", "Desktop", "Downloads")]
    closed += [home / "Library/Mobile Documents", home / "Library/CloudStorage", Path("/Volumes")]
    # A venv's interpreter is a link out of the venv, and the link itself has to be read as well.
    places = (path.parent.resolve() / path.name, path.resolve())
    return next((folder for folder in closed if any(_lies_in(place, folder.resolve()) for place in places)), None)


def _lies_in(place: Path, folder: Path) -> bool:
    """As macOS's usual file system has it, for which `documents` is `Documents`."""
    return Path(str(place).casefold()).is_relative_to(str(folder).casefold())


def check_privacy(agent: Agent) -> None:
    """Raise LaunchdError for the first path that macOS closes to agents, with a better place for it."""
    for path in _paths_in_use(agent):
        if (folder := privacy_folder(path, agent.home)) is not None:
            raise LaunchdError(
                f"{path} is in {folder}, which macOS closes to agents; "
                f"move it to a folder such as {agent.home / 'jarvis'} and install again from there"
            )


def _paths_in_use(agent: Agent) -> Iterable[Path]:
    yield agent.python
    yield agent.working_directory
    yield from (Path(value) for value in (*agent.settings.values(), *agent.arguments) if os.path.isabs(value))


def _check_folders(agent: Agent) -> None:
    for folder in (agent.logs, agent.launch_agents, agent.replaced):
        nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise LaunchdError(f"cannot write in {folder}: {nearest} is no folder of yours; mend its owner and mode")
    for log in (agent.standard_output, agent.standard_error):
        if log.exists() and not (log.is_file() and os.access(log, os.W_OK)):
            raise LaunchdError(f"launchd could not write to {log}, and would not start the agent; remove it")
        if log == Path(agent.settings["DAEMON_LOG_FILE"]):
            raise LaunchdError(f"DAEMON_LOG_FILE is {log}, where launchd writes; choose another name")


def _check_label(agent: Agent, launchctl: Launchctl) -> None:
    for service in launchctl.find_all(LABEL):
        ours = agent.plist.exists() and (service.path or agent.plist).resolve() == agent.plist.resolve()
        if not ours:
            raise LaunchdError(
                f"{service.target} is loaded from elsewhere ({service.path or 'an unknown plist'}); "
                f"remove that first: launchctl bootout {service.target}"
            )


def _check_interpreter(agent: Agent, run: Runner) -> None:
    """Let the interpreter import the package with no more than launchd gives it."""
    if not agent.working_directory.is_dir():
        raise LaunchdError(f"{agent.working_directory} is no folder for the agent to run in; make it: jarvis-trio init")
    environment = {"HOME": str(agent.home), "PATH": SEARCH_PATH, **agent.settings}
    try:
        done = run([str(agent.python), "-c", IMPORT_TEST], env=environment, cwd=agent.working_directory)
    except OSError as error:
        raise LaunchdError(f"the interpreter cannot be run: {error}; make its venv anew") from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise LaunchdError(
            f"{agent.python} cannot import jarvis_trio as launchd runs it ({said}); "
            f"install it there: {agent.python} -m pip install jarvis-trio"
        )
