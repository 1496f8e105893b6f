"""What a person can do about a file or folder that the system denies to this user."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from pathlib import Path

_DENIED = (errno.EACCES, errno.EPERM)


def permission_fix(path: str | os.PathLike[str], error: OSError, otherwise: str = "") -> str:
    """How the user gets to use what was denied.

    Args:
        path: what was to be read, written or made.
        error: how the system refused it.
        otherwise: the fix if it was refused for another reason.
    """
    if error.errno == errno.EROFS:
        return "its disk can only be read: choose another place"
    if error.errno not in _DENIED:
        return otherwise
    place = _barrier(Path(path).absolute())
    named = shlex.quote(str(place))
    try:
        status = place.stat()
    except OSError:
        return f"see whose it is: ls -ld {named}"
    return _fix(place, status, named)


def _fix(place: Path, status: os.stat_result, named: str) -> str:
    user, is_folder = os.geteuid(), stat.S_ISDIR(status.st_mode)
    if status.st_uid != user:
        owner = _name(status.st_uid)
        if _owner(place.parent) == user:  # as after a command by sudo
            return f"it belongs to {owner}; to take it back: sudo chown {_name(user)} {named}"
        return f"{place} belongs to {owner}: choose a place of your own, or have it opened to you"
    wanted = "rwx" if is_folder else "rw"
    if os.access(place, os.R_OK | os.W_OK | (os.X_OK if is_folder else 0)):
        return 'its mode allows it, so the system forbids it; on a Mac see docs/launchd.md, "Closed folders"'
    return f"chmod u+{wanted} {named}"


def _barrier(path: Path) -> Path:
    """What stands in the way: a folder above it, the path itself, or the folder it is to be in.

    Not by `Path.is_dir`, which raises where even the look is denied.
    """
    for folder in reversed(path.parents):
        if os.path.isdir(folder) and not os.access(folder, os.X_OK):
            return folder
    if os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK):
        return path
    return next((folder for folder in path.parents if os.path.isdir(folder)), path)


def _owner(path: Path) -> int | None:
    """The number of its user; None if that is denied, too."""
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _name(user: int) -> str:
    import pwd  # noqa: PLC0415  # only this message needs it

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
