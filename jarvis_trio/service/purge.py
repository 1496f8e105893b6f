"""Which files the program made: what `service uninstall --purge` removes.

Only names that the program itself uses are removed, and a folder only if nothing else is in it: the
data folder may be another program's, and the database an assistant's (law 8).
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jarvis_trio.settings import Settings, Source

_NAMES = (
    "jarvis-*.lock",
    "approved-commands.json",
    "secrets.env",
    "delivery-secrets.env",
    "application.env",
    "machine-id",
    "runs",
)


@dataclass(frozen=True, slots=True)
class Purge:
    """What would go.

    Attributes:
        files: files and folders to remove, with all that is in them.
        folders: folders to remove if nothing is left in them, the innermost first.
        kept: what stays although the program uses it, and why.
    """

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    kept: tuple[tuple[Path, str], ...]


def plan_purge(settings: Settings, home: Path) -> Purge:
    """What the program made for this user, as far as it is there. Nothing is changed."""
    ours = settings.sources["data_dir"] is not Source.MODULE
    inside = settings.memory_db_path.parent == settings.data_dir and ours
    found = [*_beside(settings.log_file), *_in_data(settings)]
    if inside:
        found += [*_beside(settings.memory_db_path), *_folder(settings.webhook_inbox_dir)]
    if settings.file is not None and settings.file.is_file():
        found.append(settings.file)
    found += [*_folder(home / "Library/Logs/Jarvis")]

    kept = [] if inside else [(settings.memory_db_path, "it is not in the data folder, so it may be another program's")]
    replaced = home / "Library/Application Support/Jarvis/replaced-agents"
    if replaced.is_dir() and any(replaced.iterdir()):
        kept.append((replaced, "it keeps other programs' agents; `jarvis-trio launchd rollback` brings them back"))

    folders = [settings.data_dir] if ours else []
    folders += [settings.file.parent] if settings.file is not None and settings.file.is_file() else []
    existing = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    return Purge(tuple(dict.fromkeys(found)), tuple(existing), tuple(pair for pair in kept if pair[0].exists()))


def purge(plan: Purge) -> None:
    """Remove what is planned. Raises OSError for what cannot be removed."""
    for path in plan.files:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for folder in plan.folders:
        if not any(folder.iterdir()):
            folder.rmdir()


def _in_data(settings: Settings) -> Iterator[Path]:
    for name in _NAMES:
        yield from _matching(settings.data_dir, name)


def _beside(path: Path) -> Iterator[Path]:
    """A file with what the program puts beside it: rotated logs, SQLite's files, copies made before
    a change.
    """
    yield from _matching(path.parent, glob.escape(path.name))
    for ending in (".[0-9]*", "-wal", "-shm", ".before-jarvis-trio-*"):
        yield from _matching(path.parent, glob.escape(path.name) + ending)


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    yield from (path for path in sorted(folder.glob(pattern)) if os.path.lexists(path))


def _folder(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield folder
