"""Install, uninstall, restart, stop, roll back: each as a list of steps, decided before the first
is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from jarvis_trio.errors import LaunchdError
from jarvis_trio.notation.text import printable
from jarvis_trio.service.launchd.ability import MessageCommand, message_command, why_it_cannot_start
from jarvis_trio.service.launchd.launchctl import Launchctl, Service
from jarvis_trio.service.launchd.plist import (
    LABEL,
    OLD_LABELS,
    SCHEDULER_LABEL,
    Agent,
    is_ours,
    property_list,
    read_plist,
    render,
)
from jarvis_trio.service.launchd.replaced import RECORD_NAME, Replaced, free_place, read_record, record_bytes
from jarvis_trio.service.state import State
from jarvis_trio.service.steps import Step, Undo, make_folder, move, remove, write

REPLACED_LABELS = (*OLD_LABELS, SCHEDULER_LABEL, LABEL)
"""What ours replaces, and `rollback` brings back. LABEL stands for the existing assistant's own
daemon.
"""

DEFAULT_EXIT_TIMEOUT_SECONDS = 20  # launchd.plist(5)
STOP_MARGIN_SECONDS = 10
LAST_WORDS_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState(State):
    """Our agent, and how the old ones stand.

    Attributes:
        old_agents_loaded: the labels that launchd holds beside ours; they would run everything
            twice.
        replaced: the labels that `rollback` would bring back.
        never_start: of those, why each could never start, by label.
        replaced_folder: the folder that keeps their plists.
    """

    old_agents_loaded: tuple[str, ...]
    replaced: tuple[str, ...]
    never_start: dict[str, str]
    replaced_folder: str


def install_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to put our agent in the place of the old ones, or of an earlier one of ours."""
    content = render(agent, background=launchctl.in_background)
    old = [found for label in REPLACED_LABELS if (found := _find_old(agent, launchctl, label)) is not None]
    ours = [] if any(found.label == agent.label for found in old) else _find(launchctl, agent.label, agent.plist)
    return [
        *_folder_steps(agent, replaces=bool(old)),
        *_replace_steps(agent, launchctl, old),
        *_unload_steps(launchctl, ours),
        Step(f"write {agent.plist}", partial(write, agent.plist, content)),
        *start_steps(agent, launchctl),
    ]


def start_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to load the plist that is there, and to see that it runs."""
    domain = launchctl.domain
    return [
        Step(f"launchctl enable {domain}/{agent.label}", partial(_enable, launchctl, agent.label)),
        Step(f"launchctl bootstrap {domain} {agent.plist}", partial(_load, launchctl, agent.label, agent.plist)),
        Step("wait until it runs", partial(_wait, agent, launchctl)),
    ]


def stop_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to stop our agent until the next login, or until `restart`; none if it is not
    loaded.
    """
    return [*_unload_steps(launchctl, _find(launchctl, agent.label, agent.plist))]


def restart_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to stop our agent, let its tick finish, and start it from its plist.

    `launchctl kickstart -k` was rejected: it kills the daemon without waiting for its tick.
    Raises LaunchdError if it is not installed.
    """
    if not is_ours(read_plist(agent.plist)):
        raise LaunchdError(f"{agent.label} is not installed", fix="jarvis-trio service install")
    return [*stop_steps(agent, launchctl), *start_steps(agent, launchctl)]


def uninstall_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to remove our agent; none without one. It is not disabled: that would last."""
    if _anothers(agent, launchctl):
        return []
    steps = stop_steps(agent, launchctl)
    if os.path.lexists(agent.plist):
        steps.append(Step(f"remove {agent.plist}", partial(remove, agent.plist)))
    return steps


def rollback_steps(agent: Agent, launchctl: Launchctl) -> list[Step]:
    """What it takes to remove our agent and to bring the old ones back as they were."""
    record = read_record(agent.replaced)
    steps = uninstall_steps(agent, launchctl)
    for label in REPLACED_LABELS:
        if label in record:
            steps += _return_steps(agent, launchctl, label, record[label])
    if record:
        path = agent.replaced / RECORD_NAME
        steps.append(Step(f"remove {path}", partial(remove, path)))
    return steps


def status(agent: Agent, launchctl: Launchctl) -> AgentState:
    """How our agent and the old ones stand."""
    anothers = _anothers(agent, launchctl)
    service = None if anothers else next(iter(launchctl.find_all(agent.label)), None)
    installed = agent.plist.exists() and not anothers
    wanted = property_list(agent, background=launchctl.in_background)
    record = read_record(agent.replaced)
    others = [label for label in (*OLD_LABELS, SCHEDULER_LABEL) if launchctl.find_all(label)]
    return AgentState(
        name=agent.label,
        place=service.domain if service else launchctl.domain,
        file=agent.plist,
        installed=installed,
        loaded=service is not None,
        running=service is not None and service.running,
        pid=service.pid if service else None,
        state=service.state if service else None,
        last_exit=service.last_exit if service else None,
        up_to_date=read_plist(agent.plist) == wanted if installed else None,
        arguments=agent.arguments,
        log=str(agent.log),
        crash_log=str(agent.standard_error),
        old_agents_loaded=(*others, *([LABEL] if anothers and launchctl.find_all(LABEL) else ())),
        replaced=tuple(record),
        never_start={label: why for label, was in record.items() if (why := _why_never(agent, was))},
        replaced_folder=str(agent.replaced),
    )


def inherited_command(agent: Agent, launchctl: Launchctl) -> MessageCommand | None:
    """The command of an old agent that looks for commands by message; no handler of ours does.

    It is read from the plist of each old agent, also of one that an earlier install replaced.
    """
    record = read_record(agent.replaced)
    kept = [agent.replaced / was.kept_as for was in record.values() if was.kept_as is not None]
    old = [found for label in OLD_LABELS if (found := _find_old(agent, launchctl, label)) is not None]
    loaded = [path for found in old for path in (found.plist, *(service.path for service in found.services))]
    commands = (message_command(read_plist(path)) for path in (*loaded, *kept) if path is not None)
    return next((command for command in commands if command is not None), None)


@dataclass(frozen=True, slots=True)
class _OldAgent:
    """An old agent that is loaded, or would be at the next login.

    `plist` is the one in LaunchAgents, `place` the path to keep it at.
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
    """`label` in each domain that holds it, with a plist that can load it again: its own, or the
    usual one.
    """
    services = launchctl.find_all(label)
    return [replace(s, path=next((p for p in (s.path, usual) if p and p.exists()), None)) for s in services]


def _find_old(agent: Agent, launchctl: Launchctl, label: str) -> _OldAgent | None:
    if label == agent.label and not _anothers(agent, launchctl):
        return None
    usual = agent.launch_agents / f"{label}.plist"
    services = _find(launchctl, label, usual)
    places = [usual, *(service.path for service in services if service.path is not None)]
    plist = next((path for path in places if path.parent == usual.parent and os.path.lexists(path)), None)
    if plist is None and not services:
        return None
    return _OldAgent(label, services, plist, free_place(agent.replaced, label))


def _anothers(agent: Agent, launchctl: Launchctl) -> bool:
    """Whether what has our label is another program's: the existing assistant has a daemon of
    that name.
    """
    if agent.plist.exists():
        return not is_ours(read_plist(agent.plist))
    plists = [service.path for service in launchctl.find_all(agent.label) if service.path is not None]
    return any(path.exists() and not is_ours(read_plist(path)) for path in plists)


def _folder_steps(agent: Agent, *, replaces: bool) -> Iterator[Step]:
    for folder in (agent.launch_agents, agent.logs, *([agent.replaced] if replaces else [])):
        if not folder.is_dir():
            yield Step(f"make {folder}", partial(make_folder, folder))


def _replace_steps(agent: Agent, launchctl: Launchctl, old: list[_OldAgent]) -> Iterator[Step]:
    if not old:
        return
    record = read_record(agent.replaced) | {found.label: found.as_replaced() for found in old}
    path = agent.replaced / RECORD_NAME
    # First of all, so that a rollback knows what to bring back, whenever this is killed.
    yield Step(f"note in {path} what is replaced", partial(write, path, record_bytes(record)))
    for found in old:
        yield from _unload_steps(launchctl, found.services)
        if found.plist is not None:
            yield Step(f"move {found.plist} to {found.place.parent}", partial(move, found.plist, found.place))


def _return_steps(agent: Agent, launchctl: Launchctl, label: str, was: Replaced) -> Iterator[Step]:
    if was.kept_as is not None and was.moved_from is not None:
        kept, place = agent.replaced / was.kept_as, Path(was.moved_from)
        ours_goes = place == agent.plist and is_ours(read_plist(place))
        if os.path.lexists(kept) and (ours_goes or not os.path.lexists(place)):  # a newer one stays as it is
            yield Step(f"move {kept} to {place.parent}", partial(move, kept, place))

    held = [] if label == agent.label and not _anothers(agent, launchctl) else launchctl.find_all(label)
    if was.loaded_from is not None and not held:
        load = partial(_load, launchctl, label, Path(was.loaded_from))
        why = _why_never(agent, was)
        note = f" (it can never start: {why})" if why else ""
        yield Step(f"launchctl bootstrap {launchctl.domain} {was.loaded_from}{note}", load)


def _why_never(agent: Agent, was: Replaced) -> str | None:
    """Why an old agent could never start, as far as its plist and the files that it names tell."""
    places = [agent.replaced / was.kept_as if was.kept_as else None, Path(was.loaded_from) if was.loaded_from else None]
    listed = next((found for place in places if place and (found := read_plist(place))), None)
    return None if listed is None else why_it_cannot_start(listed, agent.home)


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
    """It may be gone, on its way out, or untouched: only a second bootout makes these one."""
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
    """How long launchd takes at most to kill what does not stop."""
    allowed = read_plist(plist).get("ExitTimeOut") if plist else None
    return max(allowed if isinstance(allowed, int) else 0, DEFAULT_EXIT_TIMEOUT_SECONDS) + STOP_MARGIN_SECONDS


def _load(launchctl: Launchctl, label: str, plist: Path, undo: Undo) -> None:
    service = Service(launchctl.domain, label, path=plist)
    undo.add(f"launchctl bootout {service.target}", partial(_drop, launchctl, service))
    launchctl.bootstrap(launchctl.domain, plist)


def _enable(launchctl: Launchctl, label: str, undo: Undo) -> None:
    domain = launchctl.domain
    if launchctl.is_disabled(domain, label):
        undo.add(f"launchctl disable {domain}/{label}", partial(launchctl.disable, domain, label))
    launchctl.enable(domain, label)


def _wait(agent: Agent, launchctl: Launchctl, _undo: Undo) -> None:
    try:
        launchctl.wait_until_running(launchctl.domain, agent.label)
    except LaunchdError as error:
        raise LaunchdError(f"{error}; its last words: {last_words(agent.standard_error)}") from None


def last_words(path: Path) -> str:
    """The last line of what launchd caught of the daemon's standard error."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LAST_WORDS_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return f"none in {path}"
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{printable(said[:200])!r} in {path}"
