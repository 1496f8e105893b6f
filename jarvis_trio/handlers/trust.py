"""Who else could change a program: its file, or a folder on the way to it."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
import sys
from pathlib import Path

from jarvis_trio.notation.text import printable

_ROOT_UID = 0
_MAC_ADMIN_GID = 80
_MOST_LINKS = 40  # as many as Linux follows (path_resolution(7))


def unsafe_reason(path: Path) -> str | None:
    """Why others could change what a program is; None if only the user and root can.

    The path may be a link. The check covers every folder and every link that lead to the file, and
    the file itself.
    """
    try:
        target = path.resolve(strict=True)
        status = target.stat()
        if not stat.S_ISREG(status.st_mode) or not os.access(target, os.X_OK):
            return "it is not an executable file"
        if others_can_write(target, status):
            return f"others can change it; make it yours, and: chmod go-w {shown(target)}"
        for folder, link in sorted(_steps_to(path)):
            if others_can_write(folder, folder.stat()):
                return f"others can change the folder {shown(folder)}; make it yours, and: chmod go-w {shown(folder)}"
            if link and _is_foreign_link(folder, folder / link):
                return f"the link {shown(folder / link)} belongs to another user, who can exchange it; make your own"
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, RuntimeError) as error:  # RuntimeError: how pathlib tells of a loop of links
        return str(error)
    return None


def others_can_write(path: Path, status: os.stat_result) -> bool:
    """Whether others than the user and root can change a file, or replace what is in a folder."""
    if status.st_uid not in (_ROOT_UID, os.geteuid()):
        return True
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return False  # in a sticky folder (/tmp) only the owner of a file can replace it: chmod(1)
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and (_has_list(path) or not is_private_group(status.st_gid))


def is_private_group(gid: int) -> bool:
    """Whether only the user and root are in a group.

    Many systems make such a group with each user. The answer is not remembered: somebody may be
    added while the daemon runs.
    """
    if sys.platform == "darwin" and gid == _MAC_ADMIN_GID:
        return True  # who is in it may become root anyway, and Homebrew's folders belong to it
    ours = {_ROOT_UID, os.geteuid()}
    try:
        members = grp.getgrgid(gid).gr_mem
    except KeyError:
        return False
    uids = {entry.pw_uid for entry in pwd.getpwall() if entry.pw_gid == gid or entry.pw_name in members}
    known = {entry.pw_name for entry in pwd.getpwall()}
    return uids <= ours and known.issuperset(members)


def shown(path: str | os.PathLike[str]) -> str:
    """A path as a person can paste it into a shell."""
    return printable(shlex.quote(os.fspath(path)))


def _has_list(path: Path) -> bool:
    """Whether an access control list names others: then the group's bits are its mask (acl(5))."""
    if sys.platform != "linux":
        return False
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False


def _steps_to(path: Path) -> set[tuple[Path, str]]:
    """Each folder in which a part of the path is looked up, as path_resolution(7) goes.

    Each comes with the name of a link in it that is followed, or with none.
    """
    steps: set[tuple[Path, str]] = set()
    folder, left, links = Path(path.anchor), [*reversed(path.parts)], 0
    while left and links <= _MOST_LINKS:
        name = left.pop()
        if name == "..":
            folder = folder.parent
            continue
        place = folder / name
        is_link = place.is_symlink()
        steps.add((folder, name if is_link else ""))
        if is_link:
            links += 1
            left += reversed(Path(os.readlink(place)).parts)
        else:
            folder = place
    return steps


def _is_foreign_link(folder: Path, link: Path) -> bool:
    """Whether another user can exchange a link: in a sticky folder its owner can, as in /tmp."""
    sticky = folder.stat().st_mode & stat.S_ISVTX
    return bool(sticky) and link.lstat().st_uid not in (_ROOT_UID, os.geteuid())
