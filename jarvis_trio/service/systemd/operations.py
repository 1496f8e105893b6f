"""Install, uninstall, restart, stop, roll back: each as steps, decided before the first is done.

Steps are taken back newest first. So a step that changes the file notes "read the files again"
before it notes "put back the file", and a running unit is stopped before its file changes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from jarvis_trio.errors import SystemdError
from jarvis_trio.service.state import State
from jarvis_trio.service.steps import Step, Undo, make_folder, remove, write
from jarvis_trio.service.systemd.systemctl import Held, Systemctl
from jarvis_trio.service.systemd.unit import UNIT, Unit, is_ours, render

_SYSTEMCTL = "systemctl --user"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A unit that was there before ours: its file's text, and how it stood."""

    text: str
    enabled: bool
    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState(State):
    """Our unit.

    Attributes:
        enabled: whether it starts by itself.
        lingers: whether it runs without a login; None if unknown.
        replaced: whether `rollback` would bring back an earlier unit of that name.
    """

    enabled: bool
    lingers: bool | None
    replaced: bool


def install_steps(unit: Unit, systemctl: Systemctl) -> list[Step]:
    """What it takes to install and start our unit, or to update an earlier one of ours."""
    held, content = systemctl.show(), render(unit).encode()
    return [
        *_folder_steps(unit),
        *_keep_steps(unit, held),
        *_stop_steps(unit, systemctl, held),
        _file_step(f"write {unit.file}", systemctl, partial(write, unit.file, content)),
        Step(f"{_SYSTEMCTL} enable {UNIT}", partial(_enable, systemctl, held)),
        *_start_steps(unit, systemctl),
    ]


def uninstall_steps(unit: Unit, systemctl: Systemctl) -> list[Step]:
    """What it takes to stop and remove our unit; none without one. Another program's unit stays."""
    text = _text(unit.file)
    if text is None or not is_ours(text):
        return []
    held = systemctl.show()
    steps = [*_stop_steps(unit, systemctl, held)]
    if held.enabled:
        steps.append(Step(f"{_SYSTEMCTL} disable {UNIT}", partial(_disable, systemctl)))
    return [*steps, _file_step(f"remove {unit.file}", systemctl, partial(remove, unit.file))]


def rollback_steps(unit: Unit, systemctl: Systemctl) -> list[Step]:
    """What it takes to remove our unit and to bring back the one that it replaced, as it was."""
    steps, record = uninstall_steps(unit, systemctl), unit.replaced / "replaced.json"
    was = _read_record(record)
    if was is None:
        return steps
    if steps or _text(unit.file) is None:  # a newer one of another program stays as it is
        steps.append(_file_step(f"write {unit.file}", systemctl, partial(write, unit.file, was.text.encode())))
        if was.enabled:
            steps.append(Step(f"{_SYSTEMCTL} enable {UNIT}", partial(_enable, systemctl, None)))
        if was.running:
            steps += _start_steps(unit, systemctl)
    return [*steps, Step(f"remove {record}", partial(remove, record))]


def stop_steps(unit: Unit, systemctl: Systemctl) -> list[Step]:
    """What it takes to stop our unit until the next login or `restart`; none if it does not run."""
    return _stop_steps(unit, systemctl, systemctl.show())


def restart_steps(unit: Unit, systemctl: Systemctl) -> list[Step]:
    """What it takes to stop our unit, let its tick finish, and start it. Raises SystemdError
    without one.
    """
    held = systemctl.show()
    if not held.loaded:
        raise SystemdError(f"{UNIT} is not installed", fix="jarvis-trio service install")
    return [*_stop_steps(unit, systemctl, held), *_start_steps(unit, systemctl)]


def status(unit: Unit, systemctl: Systemctl) -> UnitState:
    """How our unit stands."""
    held, text = systemctl.show(), _text(unit.file)
    return UnitState(
        name=UNIT,
        place="the user's systemd",
        file=unit.file,
        installed=text is not None,
        loaded=held.loaded,
        running=held.running,
        pid=held.pid,
        state=held.active if held.active in ("inactive", "failed") else f"{held.active}, {held.sub}",
        last_exit=held.last_exit,
        up_to_date=None if text is None else text == render(unit),
        arguments=unit.arguments,
        log=str(unit.log),
        crash_log=f"journalctl --user -u {UNIT}",
        enabled=held.enabled,
        lingers=systemctl.lingers(),
        replaced=(unit.replaced / "replaced.json").exists(),
    )


def _folder_steps(unit: Unit) -> list[Step]:
    return [] if unit.folder.is_dir() else [Step(f"make {unit.folder}", partial(make_folder, unit.folder))]


def _keep_steps(unit: Unit, held: Held) -> list[Step]:
    """Keep a unit of another program, or one that a person copied there by hand, for `rollback`."""
    text = _text(unit.file)
    if text is None or is_ours(text):
        return []
    record = unit.replaced / "replaced.json"
    content = json.dumps(asdict(Replaced(text, held.enabled, held.running)), indent=2).encode()
    return [Step(f"keep {unit.file} in {record}", partial(_keep, record, content))]


def _keep(record: Path, content: bytes, undo: Undo) -> None:
    make_folder(record.parent, undo)
    write(record, content, undo)


def _read_record(path: Path) -> Replaced | None:
    try:
        return Replaced(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SystemdError(f"cannot read {path} ({error})", fix="put it right, or delete it") from None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _stop_steps(unit: Unit, systemctl: Systemctl, held: Held) -> list[Step]:
    if held.stopped:
        return []
    return [Step(f"{_SYSTEMCTL} stop {UNIT}", partial(_stop, systemctl, unit.stop_seconds))]


def _stop(systemctl: Systemctl, limit_seconds: float, undo: Undo) -> None:
    undo.add(f"{_SYSTEMCTL} start {UNIT}", systemctl.start)
    systemctl.stop(limit_seconds)


def _start_steps(unit: Unit, systemctl: Systemctl) -> list[Step]:
    return [
        Step(f"{_SYSTEMCTL} start {UNIT}", partial(_start, systemctl, unit.stop_seconds)),
        Step("wait until it runs", lambda _undo: systemctl.wait_until_running()),
    ]


def _start(systemctl: Systemctl, stop_seconds: float, undo: Undo) -> None:
    undo.add(f"{_SYSTEMCTL} stop {UNIT}", partial(systemctl.stop, stop_seconds))
    systemctl.start()


def _enable(systemctl: Systemctl, held: Held | None, undo: Undo) -> None:
    if held is None or not held.enabled:
        undo.add(f"{_SYSTEMCTL} disable {UNIT}", systemctl.disable)
    systemctl.enable()


def _disable(systemctl: Systemctl, undo: Undo) -> None:
    undo.add(f"{_SYSTEMCTL} enable {UNIT}", systemctl.enable)
    systemctl.disable()


def _file_step(says: str, systemctl: Systemctl, change: partial[None]) -> Step:
    """Change the unit file and have systemd read it; taken back, it reads the old one again."""

    def do(undo: Undo) -> None:
        undo.add(f"{_SYSTEMCTL} daemon-reload", systemctl.daemon_reload)
        change(undo)
        systemctl.daemon_reload()

    return Step(f"{says}, and {_SYSTEMCTL} daemon-reload", do)
