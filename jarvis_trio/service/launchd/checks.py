"""What must hold before anything is changed: each check names what is wrong and the fix."""

from __future__ import annotations

import os
from pathlib import Path

from jarvis_trio.errors import LaunchdError
from jarvis_trio.service.checks import check_daemon
from jarvis_trio.service.launchd.launchctl import Launchctl
from jarvis_trio.service.launchd.plist import LABEL, SEARCH_PATH, Agent, is_ours, read_plist


def check(agent: Agent, launchctl: Launchctl) -> None:
    """Raise ServiceError for the first thing that would keep the agent from working."""
    check_privacy(agent)
    _check_folders(agent)
    _check_label(agent, launchctl)
    check_daemon(agent, launchctl.uid, launchctl.run, {"PATH": SEARCH_PATH})


def privacy_folder(path: Path, home: Path) -> Path | None:
    """The folder that macOS closes to agents (TCC) and that holds `path`, or what it links to; or
    None.
    """
    closed = [home / name for name in ("Documents", "Desktop", "Downloads")]
    closed += [home / "Library/Mobile Documents", home / "Library/CloudStorage", Path("/Volumes")]

    # A venv's interpreter is a link out of the venv, and the link itself must be readable as well.
    places = (path.parent.resolve() / path.name, path.resolve())
    return next((folder for folder in closed if any(_lies_in(place, folder.resolve()) for place in places)), None)


def _lies_in(place: Path, folder: Path) -> bool:
    """Compare as macOS's usual file system does, for which `documents` is `Documents`."""
    return Path(str(place).casefold()).is_relative_to(str(folder).casefold())


def check_privacy(agent: Agent) -> None:
    """Raise LaunchdError for the first path that macOS closes to agents, with the way out."""
    for path in agent.paths():
        if (folder := privacy_folder(path, agent.home)) is not None:
            raise LaunchdError(
                f"{path} is in {folder}, which macOS closes to agents",
                fix=f"move it to a folder such as {agent.home / 'jarvis'} and install again from there "
                '(docs/launchd.md, "Closed folders", has each step)',
            )


def _check_folders(agent: Agent) -> None:
    for folder in (agent.logs, agent.launch_agents, agent.replaced):
        nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise LaunchdError(
                f"cannot write in {folder}: {nearest} is not a folder that you may write", fix="set its owner and mode"
            )
    for log in (agent.standard_output, agent.standard_error):
        _check_log(log, agent)


def _check_log(log: Path, agent: Agent) -> None:
    if log.exists() and not (log.is_file() and os.access(log, os.W_OK)):
        raise LaunchdError(f"launchd could not write to {log}, and would not start the agent", fix="remove it")
    if log == agent.log:
        raise LaunchdError(f"DAEMON_LOG_FILE is {log}, which launchd writes", fix="choose another name")


def _check_label(agent: Agent, launchctl: Launchctl) -> None:
    """An agent of ours that another copy of this program loaded must be removed by a person.

    Another program's agent under our label is replaced like the old ones (`operations`).
    """
    for service in launchctl.find_all(LABEL):
        anothers = service.path is not None and service.path.exists() and not is_ours(read_plist(service.path))
        ours = agent.plist.exists() and (service.path or agent.plist).resolve() == agent.plist.resolve()
        if not ours and not anothers:
            raise LaunchdError(
                f"{service.target} is loaded from elsewhere ({service.path or 'an unknown plist'})",
                fix=f"remove that first: launchctl bootout {service.target}",
            )
