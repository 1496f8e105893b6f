"""What must hold before a unit is installed: each check names what is wrong and the fix."""

from __future__ import annotations

import os
import re

from jarvis_trio.errors import SystemdError
from jarvis_trio.service import search_paths
from jarvis_trio.service.checks import check_daemon
from jarvis_trio.service.systemd.systemctl import Systemctl
from jarvis_trio.service.systemd.unit import UNIT, Unit

_TAKES_OVER = re.compile(r"^\s*(ExecStart|WorkingDirectory)\s*=\s*\S", re.MULTILINE)


def check(unit: Unit, systemctl: Systemctl) -> None:
    """Raise ServiceError for the first thing that would keep the unit from working."""
    check_daemon(unit, systemctl.uid, systemctl.run, {"PATH": search_paths.SYSTEMD})
    systemctl.show()
    _check_folders(unit)
    _check_drop_ins(unit)


def _check_folders(unit: Unit) -> None:
    for folder in (unit.folder, unit.replaced):
        nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise SystemdError(
                f"cannot write in {folder}: {nearest} is not a folder that you may write", fix="set its owner and mode"
            )


def _check_drop_ins(unit: Unit) -> None:
    """A drop-in that names another program or folder would take the place of what is installed."""
    for file in sorted(unit.drop_ins.glob("*.conf")):
        if found := _TAKES_OVER.search(file.read_text(errors="replace")):
            raise SystemdError(
                f"{file} sets {found[1]}, and would take the place of what is installed",
                fix=f"remove that line, or the file: systemctl --user revert {UNIT}",
            )
