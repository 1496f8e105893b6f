"""Which executables a row may start: a list that a person keeps, outside the database.

Whoever can write a row must not thereby run any program. So a command runs only if
its executable was approved, and it is looked at again at every run.

What is approved is a path, with its folders' links resolved but not its own: a venv's
`python` and busybox's `ls` are links to programs that do something else under another
name. What identifies the program behind it is the SHA-256 of its content. The
alternatives were left: inode and times change when a backup is restored or a mode is set,
and a size and a time can be forged by whoever can write the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from jarvis_trio.errors import NotApprovedError
from jarvis_trio.text import printable

_ROOT_UID = 0


def find_executable(name: str, search_path: str) -> Path | None:
    """Where the program `name` is: as it is where that is an absolute path, else on `search_path`.

    Relative paths and relative entries of `search_path` are passed over, since what they
    mean depends on the folder that the daemon happens to be in.
    """
    if os.path.isabs(name):
        return _plain(Path(name))
    folders = [folder for folder in search_path.split(os.pathsep) if os.path.isabs(folder)]
    found = None if os.sep in name else shutil.which(name, path=os.pathsep.join(folders))
    return None if found is None else _plain(Path(found))


class Approvals:
    """The approved executables, kept in a JSON file of mode 0600.

    Args:
        path: the file; it and its folder are made when the first executable is approved.
    """

    def __init__(self, path: Path) -> None:
        self._file = path

    def allow(self, executable: str | os.PathLike[str]) -> Path:
        """Approve what `executable` is now: a path, or a name on this process's PATH.

        An approval of what it was before is replaced. Returns the path that was approved.
        Raises NotApprovedError for what cannot be approved, since others could change it.
        """
        path = _plain(_located(executable))
        if (reason := _unsafe(path)) is not None:
            raise NotApprovedError(f"{_shown(path)} cannot be approved: {reason}")
        with self._changing() as entries:
            entries[str(path)] = _identity(path)
        return path

    def check(self, path: Path) -> Path:
        """Whether `path` may be run now; it is returned with its folders' links resolved.

        A link is approved by itself, or through the file that it leads to. Raises
        NotApprovedError with the reason and what to do.
        """
        path = _plain(path)
        target = path.resolve()
        entries = self._read()
        approved = entries.get(str(path)) or entries.get(str(target))
        mend = f"to approve it: jarvis-trio allow {_shown(path)}"
        if approved is None:
            raise NotApprovedError(f"{_shown(path)} is not approved to run; {mend}")
        if (reason := _unsafe(path)) is not None:
            raise NotApprovedError(f"{_shown(path)} is approved but not safe to run: {reason}")
        if _identity(path) != approved:
            raise NotApprovedError(f"{_shown(path)} was replaced since it was approved; if that was an upgrade, {mend}")
        return path

    def remove(self, executable: str | os.PathLike[str]) -> Path:
        """Take back the approval of a path, which need not exist any more, or of a name on this process's PATH.

        Returns the path that was approved. Raises NotApprovedError where there is none.
        """
        path = _located(executable)
        with self._changing() as entries:
            for known in (str(path), str(_plain(path))):
                if entries.pop(known, None) is not None:
                    return Path(known)
        raise NotApprovedError(f"{_shown(path)} is not in the list of approved executables {self._file}")

    def list(self) -> tuple[Path, ...]:
        """The approved paths in order, also those that `check` would refuse. Raises NotApprovedError."""
        return tuple(Path(path) for path in sorted(self._read()))

    def _read(self) -> dict[str, Mapping[str, str]]:
        try:
            # Non-blocking, as a FIFO of that name would hold up every command for ever.
            with open(self._file, encoding="utf-8", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or not _only_ours(status, stat.S_IWGRP | stat.S_IWOTH):
                    raise NotApprovedError(
                        f"the list of approved executables {self._file} is no plain file that only you can write; "
                        f"check it, make it yours, and: chmod 600 {_shown(self._file)}"
                    )
                entries = json.load(file)["executables"]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise NotApprovedError(
                f"the list of approved executables {self._file} cannot be read ({error}); "
                "mend it, or remove it and approve anew"
            ) from None
        if not isinstance(entries, dict):
            raise NotApprovedError(f"{self._file} is no list of approved executables; remove it and approve anew")
        return entries

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Mapping[str, str]]]:
        """The entries, to be changed; written at the end, as a whole or not at all."""
        folder = self._file.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY)
            try:
                # The folder is the lock: the file itself is replaced, and a lock would stay with the old one.
                fcntl.flock(lock, fcntl.LOCK_EX)
                entries = self._read()
                yield entries
                self._write(entries)
            finally:
                os.close(lock)
        except OSError as error:
            raise NotApprovedError(f"cannot write the list of approved executables {self._file}: {error}") from None

    def _write(self, entries: Mapping[str, Mapping[str, str]]) -> None:
        new = self._file.with_name(self._file.name + ".new")  # one writer at a time, so one name does
        with open(new, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f | os.O_NOFOLLOW, 0o600)) as file:
            json.dump({"executables": entries}, file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._file)


def _located(executable: str | os.PathLike[str]) -> Path:
    """The absolute path of what a person names: by a path, or as a shell would find it."""
    name = os.fspath(executable)
    found = name if os.sep in name else shutil.which(name)
    if found is None:
        raise NotApprovedError(f"{_shown(name)} is not on PATH; give the path of an executable")
    return Path(found).absolute()


def _plain(path: Path) -> Path:
    """The path with its folders' links resolved, so that `/bin/ls` is `/usr/bin/ls` where one is the other."""
    return path.parent.resolve() / path.name


def _identity(path: Path) -> Mapping[str, str]:
    target = path.resolve()
    try:
        status = target.stat()
        changed = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return {"target": str(target), "sha256": _sha256(target, changed)}
    except OSError as error:
        raise NotApprovedError(f"{_shown(path)} cannot be read, so it cannot be recognised: {error.strerror}") from None


@lru_cache(maxsize=256)
def _sha256(path: Path, _changed: tuple[int, ...]) -> str:
    """The hash of the content, remembered while `_changed`, which the kernel keeps, stays the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unsafe(path: Path) -> str | None:
    """Why a program should not be trusted to be what it was, or None."""
    try:
        target = path.resolve(strict=True)
        status = target.stat()
        if not stat.S_ISREG(status.st_mode) or not os.access(target, os.X_OK):
            return "it is not an executable file"
        if not _only_ours(status, stat.S_IWGRP | stat.S_IWOTH):
            return f"others can change it; make it yours, and: chmod go-w {_shown(target)}"
        for folder in {*path.parents, *target.parents}:
            status = folder.stat()
            # In a sticky folder (/tmp) only the owner of a file can replace it: chmod(1).
            if not _only_ours(status, 0 if status.st_mode & stat.S_ISVTX else stat.S_IWOTH):
                return f"others can change the folder {_shown(folder)}; make it yours, and: chmod o-w {_shown(folder)}"
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, RuntimeError) as error:  # RuntimeError: how pathlib tells of a loop of links
        return str(error)
    return None


def _only_ours(status: os.stat_result, writable: int) -> bool:
    return status.st_uid in (_ROOT_UID, os.geteuid()) and not status.st_mode & writable


def _shown(path: str | os.PathLike[str]) -> str:
    return printable(shlex.quote(os.fspath(path)))
