"""Install, uninstall, roll back: each as a list of steps, decided before the first is done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from jarvis_trio.errors import LaunchdError
from jarvis_trio.launchd.launchctl import Launchctl, Service
from jarvis_trio.launchd.plist import (
    LABEL,
    OLD_LABELS,
    Agent,
    installed_arguments,
    property_list,
    read_plist,
    render,
)
from jarvis_trio.launchd.replaced import RECORD_NAME, Replaced, free_place, read_record, record_bytes
from jarvis_trio.launchd.steps import Step, Undo, copy, make_folder, move, remove, write
from jarvis_trio.text import printable

DEFAULT_EXIT_TIMEOUT_SECONDS = 20  # launchd.plist(5)
STOP_MARGIN_SECONDS = 10
LAST_WORDS_BYTES = 4096


def install_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to put our agent in the place of the old ones, or of an earlier one of ours."""
    domain = launchctl.domain
    content = render(agent, background=launchctl.in_background)
    old = [found for label in OLD_LABELS if (found := _find_old(agent, launchctl, label)) is not None]
    anothers = agent.plist.exists() and installed_arguments(agent.home) is None
    return [
        *_folder_steps(agent, replaces=bool(old) or anothers),
        *_replace_steps(agent, launchctl, old),
        *(_copy_steps(agent) if anothers else ()),
        *_unload_steps(launchctl, _find(launchctl, LABEL, agent.plist)),
        Step(f"write {agent.plist}", partial(write, agent.plist, content)),
        Step(f"launchctl enable {domain}/{LABEL}", partial(_enable, launchctl)),
        Step(f"launchctl bootstrap {domain} {agent.plist}", partial(_load, launchctl, LABEL, agent.plist)),
        Step("wait until it runs", partial(_wait, agent, launchctl)),
    ]


def uninstall_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to remove our agent; none where there is none. It is never disabled: that would last."""
    steps = [*_unload_steps(launchctl, _find(launchctl, LABEL, agent.plist))]
    if os.path.lexists(agent.plist):
        steps.append(Step(f"remove {agent.plist}", partial(remove, agent.plist)))
    return steps


def rollback_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to remove our agent and to bring the old ones back as they were."""
    record = read_record(agent.replaced)
    steps = uninstall_steps(agent, launchctl)
    for label in OLD_LABELS:
        if label in record:
            steps += _return_steps(agent, launchctl, label, record[label])
    if record:
        path = agent.replaced / RECORD_NAME
        steps.append(Step(f"remove {path}", partial(remove, path)))
    return steps


def status(agent: Agent, launchctl: Launchctl) -> dict[str, Any]:
    """How our agent and the old ones stand, as plain data for JSON.

    `up_to_date` says whether the plist is what `install` would write for
    `agent` now; it is None where there is no plist.
    """
    service = next(iter(launchctl.find_all(LABEL)), None)
    wanted = property_list(agent, background=launchctl.in_background)
    return {
        "label": LABEL,
        "domain": service.domain if service else launchctl.domain,
        "loaded": service is not None,
        "running": service is not None and service.running,
        "pid": service.pid if service else None,
        "state": service.state if service else None,
        "last_exit": service.last_exit if service else None,
        "plist": str(agent.plist),
        "installed": agent.plist.exists(),
        "up_to_date": read_plist(agent.plist) == wanted if agent.plist.exists() else None,
        "arguments": list(agent.arguments),
        "log": agent.settings["DAEMON_LOG_FILE"],
        "crash_log": str(agent.standard_error),
        "old_agents_loaded": [label for label in OLD_LABELS if launchctl.find_all(label)],
        "replaced": list(read_record(agent.replaced)),
        "replaced_folder": str(agent.replaced),
    }


@dataclass(frozen=True, slots=True)
class _OldAgent:
    """An old agent that is loaded, or would be at the next login.

    `plist` is the one in LaunchAgents, `place` where it will be kept.
    """

    label: str
    services: list[Service]
    plist: Path | None
    place: Path

    def as_replaced(self) -> Replaced:
        loaded_from = next((str(service.path) for service in self.services if service.path is not None), None)
        if self.plist is None:
            return Replaced(loaded_from=loaded_from)
        return Replaced(loaded_from=loaded_from, moved_from=str(self.plist), kept_as=self.place.name)


def _find(launchctl: Launchctl, label: str, usual: Path) -> list[Service]:
    """`label` wherever it is loaded, with the plist that can load it again: its own, or else the usual one."""
    services = launchctl.find_all(label)
    return [replace(s, path=next((p for p in (s.path, usual) if p and p.exists()), None)) for s in services]


def _find_old(agent: Agent, launchctl: Launchctl, label: str) -> _OldAgent | None:
    usual = agent.launch_agents / f"{label}.plist"
    services = _find(launchctl, label, usual)
    places = [usual, *(service.path for service in services if service.path is not None)]
    plist = next((path for path in places if path.parent == usual.parent and os.path.lexists(path)), None)
    if plist is None and not services:
        return None
    return _OldAgent(label, services, plist, free_place(agent.replaced, label))


def _folder_steps(agent: Agent, *, replaces: bool) -> Iterator[Step]:
    for folder in (agent.launch_agents, agent.logs, *([agent.replaced] if replaces else [])):
        if not folder.is_dir():
            yield Step(f"make {folder}", partial(make_folder, folder))


def _replace_steps(agent: Agent, launchctl: Launchctl, old: list[_OldAgent]) -> Iterator[Step]:
    if not old:
        return
    record = read_record(agent.replaced) | {found.label: found.as_replaced() for found in old}
    path = agent.replaced / RECORD_NAME
    # First of all, so that a rollback knows what to bring back, whenever this may be killed.
    yield Step(f"note in {path} what is replaced", partial(write, path, record_bytes(record)))
    for found in old:
        yield from _unload_steps(launchctl, found.services)
        if found.plist is not None:
            yield Step(f"move {found.plist} to {found.place.parent}", partial(move, found.plist, found.place))


def _copy_steps(agent: Agent) -> Iterator[Step]:
    """What another program wrote under our label is kept, though `rollback` does not bring it back."""
    place = free_place(agent.replaced, LABEL)
    yield Step(f"copy {agent.plist} to {place}: it is another program's", partial(copy, agent.plist, place))


def _return_steps(agent: Agent, launchctl: Launchctl, label: str, was: Replaced) -> Iterator[Step]:
    if was.kept_as is not None and was.moved_from is not None:
        kept, place = agent.replaced / was.kept_as, Path(was.moved_from)
        if os.path.lexists(kept) and not os.path.lexists(place):  # one that came anew is left as it is
            yield Step(f"move {kept} to {place.parent}", partial(move, kept, place))
    if was.loaded_from is not None and not launchctl.find_all(label):
        load = partial(_load, launchctl, label, Path(was.loaded_from))
        yield Step(f"launchctl bootstrap {launchctl.domain} {was.loaded_from}", load)


def _unload_steps(launchctl: Launchctl, services: list[Service]) -> Iterator[Step]:
    for service in services:
        warning = "" if service.path else " (its plist is gone: nothing can load it again)"
        yield Step(f"launchctl bootout {service.target}{warning}", partial(_unload, launchctl, service))


def _unload(launchctl: Launchctl, service: Service, undo: Undo) -> None:
    if service.path is not None:
        again = partial(_load_again, launchctl, service, service.path)
        undo.add(f"launchctl bootstrap {service.domain} {service.path}", again)
    _drop(launchctl, service)


def _load_again(launchctl: Launchctl, service: Service, plist: Path) -> None:
    """It may be gone by now, on its way out, or untouched: only a second bootout tells, and makes them one."""
    try:
        _drop(launchctl, service)
    except LaunchdError:
        if launchctl.find(service.domain, service.label) is not None:
            return  # launchd does not let go of it
    launchctl.bootstrap(service.domain, plist)


def _drop(launchctl: Launchctl, service: Service) -> None:
    launchctl.bootout(service)
    launchctl.wait_until_gone(service, _stop_limit_seconds(service.path))


def _stop_limit_seconds(plist: Path | None) -> float:
    """How long it takes at most until launchd has killed what does not stop."""
    allowed = read_plist(plist).get("ExitTimeOut") if plist else None
    return max(allowed if isinstance(allowed, int) else 0, DEFAULT_EXIT_TIMEOUT_SECONDS) + STOP_MARGIN_SECONDS


def _load(launchctl: Launchctl, label: str, plist: Path, undo: Undo) -> None:
    service = Service(launchctl.domain, label, path=plist)
    undo.add(f"launchctl bootout {service.target}", partial(_drop, launchctl, service))
    launchctl.bootstrap(launchctl.domain, plist)


def _enable(launchctl: Launchctl, undo: Undo) -> None:
    if launchctl.is_disabled(launchctl.domain, LABEL):
        undo.add(f"launchctl disable {launchctl.domain}/{LABEL}", partial(launchctl.disable, launchctl.domain, LABEL))
    launchctl.enable(launchctl.domain, LABEL)


def _wait(agent: Agent, launchctl: Launchctl, _undo: Undo) -> None:
    try:
        launchctl.wait_until_running(launchctl.domain, LABEL)
    except LaunchdError as error:
        raise LaunchdError(f"{error}; its last words: {_last_words(agent.standard_error)}") from None


def _last_words(path: Path) -> str:
    """The last line of what launchd caught of the daemon's standard error."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LAST_WORDS_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return f"none in {path}"
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{printable(said[:200])!r} in {path}"
